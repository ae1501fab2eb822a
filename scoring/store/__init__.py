"""The store: named files under one root, written whole or not at all."""
