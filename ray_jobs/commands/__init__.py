"""One module a command: its flags, and the one call they turn into."""
