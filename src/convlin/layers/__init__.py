"""One PyTorch layer in, one out: each public verb in a file of its own name.

| file | idea |
|---|---|
| `to_linear.py`, `to_conv.py`, `to_conv2d.py` | a layer exchanged for an equal one |
| `to_conv1d.py`, `to_pointwise.py` | a convolution as another of the same weight |
| `reorder_linear.py` | a Linear on a map flattened in another order |
| `unpack_attention.py` | attention with its projections as layers |
| `merge.py`, `merged.py` | layers with nothing between them as one; what is certain of it |
| `merge_parts.py`, `scale_and_shift.py` | layers as convolutions, normalisations among them |
| `merge_identity.py`, `merge_counterexample.py` | what proves a merge, and what refutes one |
| `merged_layer.py`, `without_padding.py` | merged numbers as a layer; layers that pad nothing |
| `merged_numbers.py`, `rounded_once.py` | in what merges are computed, and rounded |
| `forms/local.py` | a convolution as one that shares nothing |
| `unroll.py`, `singular_values.py` | the matrix of a convolution, and how far it stretches |
| `spectral_norm.py` | the farthest, with its gradient |
| `conv_products.py` | products with that matrix by PyTorch's convolutions |
| `recognize.py`, `nearest_conv.py` | the convolution that a matrix or layer is, or is nearest to |
| `same_outputs.py`, `layer_data.py` | all weights that give the same outputs on some data |
| `agreement.py` | how far rounding may take the outputs of two such layers apart |
| `forms/`, `reclassed/` | the modules that the verbs return; layers that compute another form |
| `sliding.py`, `scattering.py`, `lines.py`, `frames.py` | how every form runs |
| `stock_layer.py`, `behaviour.py`, `computed.py` | which layers are what their class says |
| `map_size.py` | the size of a map that a Linear reads flattened |
| `gpt2_layer.py` | GPT-2's `Conv1D`, a Linear whose weight is (in, out) |
| `unchanged.py`, `scripting.py` | a run that leaves no trace, and what TorchScript is told |
| `matrices.py`, `layer_of.py`, `parameters.py` | matrices in, layers out, storage shared |
| `conv_result.py` | a convolution found in arrays, with the layer that computes it |
"""

from convlin.layers.forms.local import (
    LocallyConnected1d,
    LocallyConnected2d,
    LocallyConnected3d,
    to_local,
)
from convlin.layers.merge import merge
from convlin.layers.merged import Merged
from convlin.layers.nearest_conv import NearestLayer, nearest_conv
from convlin.layers.recognize import RecognizedConv, recognize
from convlin.layers.reorder_linear import reorder_linear
from convlin.layers.same_outputs import SameOutputs, same_outputs
from convlin.layers.singular_values import singular_values
from convlin.layers.spectral_norm import spectral_norm
from convlin.layers.to_conv import to_conv
from convlin.layers.to_conv1d import to_conv1d
from convlin.layers.to_conv2d import to_conv2d
from convlin.layers.to_linear import to_linear
from convlin.layers.to_pointwise import to_pointwise
from convlin.layers.unpack_attention import unpack_attention
from convlin.layers.unroll import unroll

__all__ = [
    "LocallyConnected1d",
    "LocallyConnected2d",
    "LocallyConnected3d",
    "Merged",
    "NearestLayer",
    "RecognizedConv",
    "SameOutputs",
    "merge",
    "nearest_conv",
    "recognize",
    "reorder_linear",
    "same_outputs",
    "singular_values",
    "spectral_norm",
    "to_conv",
    "to_conv1d",
    "to_conv2d",
    "to_linear",
    "to_local",
    "to_pointwise",
    "unpack_attention",
    "unroll",
]
