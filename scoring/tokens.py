"""Token ids of texts; free of torch."""

IDS = 1 << 15
"""All ids are smaller: they fit in 16 bits, and common words seldom share one."""

PADDING = 0
"""Fills up a text; no word has this id."""
