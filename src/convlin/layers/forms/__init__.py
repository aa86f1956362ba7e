"""The modules that the verbs return: each is drop-in for the layer that it was made from.

| file | idea |
|---|---|
| `linear_forms.py`, `dense_linear.py` | convolutions written as fully connected layers |
| `scattering_forms.py` | transposed convolutions written as fully connected layers |
| `gpt2_linear.py` | GPT-2's `Conv1D` written as a Linear |
| `conv_forms.py` | fully connected layers written as convolutions |
| `conv2d_forms.py` | convolutions in one and three dimensions written in two |
| `stands_for.py` | what both have of the layer: attributes, `.weight`, checkpoints |
| `local.py`, `local_matrix.py` | locally connected layers, and their matrix |
"""
