"""A model's inference as a graph without the permutes that neighbours undo.

| file | idea |
|---|---|
| `permutes.py` | the graph, and the permutes counted in it |
| `captured.py` | a model's inference as a graph |
| `relabelling.py` | how a value's axes lie, and how orders of axes compose |
| `readers.py` | who reads a value, and in which layout |
| `relaid.py` | layouts changed only where somebody reads another |
"""
