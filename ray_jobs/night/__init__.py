"""A night: what is requested, what is missing, what is made and what is published."""
