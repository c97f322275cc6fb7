"""A Bot Connector to test against: it keeps what it is sent, holds Teams' rules, fails as told."""
