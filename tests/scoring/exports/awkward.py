"""The examples that are awkward to export, by id."""

CLASSES = ("circle", "square", "a star, or two")
BROKEN, UNLABELLED, UNNAMED = 7, 8, 9
