"""Where examples come from: named datasets, image folders and Parquet, cut into shards."""
