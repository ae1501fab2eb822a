"""What scores are good for: each module runs the nights it needs, then judges their tables."""
