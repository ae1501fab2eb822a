"""What is computed shard by shard and waits to be used: scores, logits, features."""
