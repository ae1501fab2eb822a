"""The store: named files under one root, each written whole or not at all."""
