"""Layers that hold given numbers, in float64 and without bias; and the Linear in a form."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Num
from torch import nn

from convlin.layers.forms.linear_forms import LinearForm

__all__ = ["conv_holding", "linear_holding", "linear_of"]


def conv_holding(weight: Num[np.ndarray, "out in kh kw"]) -> nn.Conv2d:
    """Return the convolution of this kernel, stride 1 and unpadded."""
    outputs, inputs, *kernel = weight.shape
    conv = nn.Conv2d(inputs, outputs, tuple(kernel), bias=False, dtype=torch.float64)
    conv.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
    return conv


def linear_holding(weight: Num[np.ndarray, "out in"]) -> nn.Linear:
    """Return the fully connected layer of this matrix."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
    linear.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
    return linear


def linear_of(form: LinearForm) -> nn.Linear:
    """Return the one fully connected layer in what `to_linear` made."""
    linear = form.linear
    assert isinstance(linear, nn.Linear)
    return linear
