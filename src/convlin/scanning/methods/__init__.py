"""Two ways to the scores of windows, which the runner cannot tell apart.

| file | idea |
|---|---|
| `choice.py` | which of them a model, a stride and a meaning leave |
| `by_cells.py` | windows of their own, padding included: what they share is computed once |
| `in_bands.py` | one network on the whole image, in bands of rows |
| `seen_in_bands.py` | bands beside the network on a whole image |
| `padding_by_size.py` | layers that would pad a larger image otherwise |
| `output_names.py` | what a model returns, by name |
"""
