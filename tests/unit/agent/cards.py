"""What a person reads on a card."""

from typing import Any


def words_on(node: Any) -> list[str]:
    """The texts of a card, in their order."""
    if isinstance(node, list):
        return [word for child in node for word in words_on(child)]
    if not isinstance(node, dict):
        return []
    own = [node["text"]] if node.get("type") == "TextBlock" else []
    return own + [word for child in node.values() for word in words_on(child)]
