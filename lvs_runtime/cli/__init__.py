"""Command lines: parse, call, print; the work is imported when a command runs."""
