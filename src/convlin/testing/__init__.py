"""The judge for other projects' tests: conversions of layers, swept over hostile geometries.

| file | idea |
|---|---|
| `case.py` | one layer and its input: numbers, no weights; the Python that makes it |
| `sweep.py` | which layers: what broke conversions before, and all pairs of fields |
"""
