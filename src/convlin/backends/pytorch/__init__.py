"""PyTorch modules: the exchanges as drop-in layers, and whole models rewritten.

| file | idea |
|---|---|
| `to_linear.py`, `to_conv.py` | one layer exchanged |
| `linear_forms.py`, `fixed_size.py` | the modules `to_linear` returns |
| `conv_forms.py` | the modules `to_conv` returns |
| `unroll.py` | a layer's matrix |
| `recognize.py`, `nearest_conv.py` | the convolution that a matrix or layer is, or is nearest to |
| `matrices.py`, `layer_of.py` | matrices in, layers out |
| `local.py`, `local_matrix.py` | locally connected layers |
| `same_outputs.py` | all weights that give the same outputs on some data |
| `wired.py` | a layer and its data as arrays, for `same_outputs` |
| `singular_values.py` | singular values of a layer's matrix, and a certain bound |
| `counting/` | what a layer or a model costs |
| `sliding.py` | pad, cut windows, lay them out: how every sliding form runs |
| `fully_convolutional/` | a whole classifier made ready for images of any size |
| `load.py`, `weights.py`, `archive.py` | models, weights and programs from files and import paths |
| `reading.py` | which layers are what their class says |
| `parameters.py` | parameters that share storage |
"""

from convlin.backends.pytorch.counting import cost
from convlin.backends.pytorch.fully_convolutional import (
    FullyConvolutional,
    Report,
    fully_convolutional,
)
from convlin.backends.pytorch.local import (
    LocallyConnected1d,
    LocallyConnected2d,
    LocallyConnected3d,
    to_local,
)
from convlin.backends.pytorch.nearest_conv import NearestLayer, nearest_conv
from convlin.backends.pytorch.recognize import RecognizedConv, recognize
from convlin.backends.pytorch.same_outputs import SameOutputs, same_outputs
from convlin.backends.pytorch.singular_values import singular_values
from convlin.backends.pytorch.to_conv import to_conv
from convlin.backends.pytorch.to_linear import to_linear
from convlin.backends.pytorch.unroll import unroll

__all__ = [
    "FullyConvolutional",
    "LocallyConnected1d",
    "LocallyConnected2d",
    "LocallyConnected3d",
    "NearestLayer",
    "RecognizedConv",
    "Report",
    "SameOutputs",
    "cost",
    "fully_convolutional",
    "nearest_conv",
    "recognize",
    "same_outputs",
    "singular_values",
    "to_conv",
    "to_linear",
    "to_local",
    "unroll",
]
