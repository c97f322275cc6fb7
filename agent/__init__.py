"""What the agent decides: no I/O and no SDK; botbuilder in bot.py alone."""
