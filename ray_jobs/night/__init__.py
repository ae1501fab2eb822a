"""A night: what is asked for, what is missing, what is made and what is published."""
