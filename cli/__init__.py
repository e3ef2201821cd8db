"""The `credit` command: arguments, wiring, progress bars and exit codes. Only here are arguments and clock read."""
