"""Every layer of a model that has an equal form, exchanged where it stands.

| file | idea |
|---|---|
| `observed.py`, `on_the_stack.py` | one run: which layers are called, which are read |
"""
