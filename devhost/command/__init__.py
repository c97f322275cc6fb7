"""What `func` is at the command line: arguments, local settings, start-up output, exit codes."""
