"""Explanations of predictions by training examples: flags, plan, work and page."""
