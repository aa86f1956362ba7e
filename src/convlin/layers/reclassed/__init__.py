"""Layers that stay the objects they are and compute another form: only their class changes.

| file | idea |
|---|---|
| `reclassed.py` | what such a class is: its base, its fallback, how it pickles, the way back |
| `convs_as_linear.py` | convolutions as fully connected layers |
"""
