"""Token ids, which texts are decoded to and nets read; free of torch."""

IDS = 1 << 15
"""Ids are below this: few enough for 16 bits, many enough that common words seldom share one."""

PADDING = 0
"""The id that is no word."""
