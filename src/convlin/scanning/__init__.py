"""Images of any size: planned first, read piece by piece, stored so that nothing is lost."""
