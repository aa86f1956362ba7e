"""Rewrite layers of a model by equal forms, and keep its checkpoints."""
