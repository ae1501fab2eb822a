"""One deterministic training loop, its recipes, private training, and checkpoints."""
