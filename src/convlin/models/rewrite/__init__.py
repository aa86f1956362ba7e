"""Layers of a model, exchanged for equal ones."""
