"""The local stack: Azurite, devhost and the Agents Playground as child processes."""
