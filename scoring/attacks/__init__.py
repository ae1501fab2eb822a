"""Adversarial attacks: what it takes to make a model leave a class."""
