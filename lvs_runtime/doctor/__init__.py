"""What is installed against what is usable here: each lack with the one command that repairs it."""
