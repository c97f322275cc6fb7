"""How the app reaches the world; no adapter knows another's business."""
