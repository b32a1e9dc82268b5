"""What a localization costs on this machine, stated so that another can repeat it."""
