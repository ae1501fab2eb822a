"""What is awkward about the examples that the tests export."""

CLASSES = ("circle", "square", "a star, or two")
BROKEN, UNLABELLED, UNNAMED = 7, 8, 9
