"""The modules that the verbs return: each is drop-in for the layer that it was made from.

| file | idea |
|---|---|
| `linear_forms.py`, `dense_linear.py` | convolutions written as fully connected layers |
| `scattering_forms.py` | transposed convolutions written as fully connected layers |
| `gpt2_linear.py` | GPT-2's `Conv1D` written as a Linear |
| `conv_forms.py` | fully connected layers written as convolutions |
| `reshaped_conv.py` | convolutions written as others of the same weight |
| `conv2d_forms.py`, `space_to_depth_conv.py` | the same: other dimensions; patches |
| `stands_for.py` | what both have of the layer: attributes, `.weight`, checkpoints |
| `unpacked_attention.py` | attention whose projections are layers |
| `branch_sum.py` | layers whose outputs are added |
| `local.py`, `local_matrix.py` | locally connected layers, and their matrix |
"""
