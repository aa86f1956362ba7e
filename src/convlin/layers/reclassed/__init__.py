"""Layers that stay the objects they are and compute another form: only their class changes.

| file | idea |
|---|---|
| `reclass.py` | which class computes the form of a kind for layers of a base class |
| `reclassed.py` | what such a class is: its base, its fallback, how it pickles, the way back |
| `fields.py` | what a convolution's fields say at this moment |
| `convs_as_linear.py`, `linears_as_conv.py` | convolutions and Linears as each other |
| `convs_as_conv2d.py` | convolutions in one and three dimensions as one in two |
| `gpt2_conv1d.py` | a Linear whose weight is stored transposed |
"""
