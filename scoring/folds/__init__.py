"""Folds that several metrics share, and what they are made of."""
