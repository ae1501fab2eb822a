"""Results computed shard by shard and kept until they are used: scores, logits, features."""
