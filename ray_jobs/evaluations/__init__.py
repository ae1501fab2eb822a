"""Evaluations of what scores are good for, one a module; some run nights of their own first."""
