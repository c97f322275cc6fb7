"""Real processes: devhost with the app, Azurite, the Agents Playground, Chromium."""
