"""PyTorch modules: the exchanges as drop-in layers, and whole models rewritten.

| file | idea |
|---|---|
| `to_linear.py`, `to_conv.py` | one layer exchanged |
| `linear_forms.py`, `fixed_size.py` | the modules `to_linear` returns |
| `conv_forms.py` | the modules `to_conv` returns |
| `unroll.py` | a layer's matrix |
| `sliding.py` | pad, cut windows, lay them out: how every sliding form runs |
| `fully_convolutional/` | a whole classifier made ready for images of any size |
| `reading.py` | which layers are what their class says |
| `parameters.py` | parameters that share storage |
"""

from convlin.backends.pytorch.fully_convolutional import (
    FullyConvolutional,
    Report,
    fully_convolutional,
)
from convlin.backends.pytorch.to_conv import to_conv
from convlin.backends.pytorch.to_linear import to_linear
from convlin.backends.pytorch.unroll import unroll

__all__ = ["FullyConvolutional", "Report", "fully_convolutional", "to_conv", "to_linear", "unroll"]
