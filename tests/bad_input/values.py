"""Values that no argument expects, or hardly any: wrong types, sizes, dtypes, devices, layers.

Each is made anew for every call, as some can be used once.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import nn

__all__ = ["VALUES"]


class Unprintable:
    """Whatever it is asked, it raises."""

    def __repr__(self):
        raise RuntimeError("no repr")

    def __index__(self):
        raise RuntimeError("no index")

    def __iter__(self):
        raise RuntimeError("no iter")

    def __bool__(self):
        raise RuntimeError("no bool")


class Unpicklable(nn.Conv2d):
    """A layer with an attribute that can be neither copied nor pickled."""

    def __init__(self):
        super().__init__(2, 3, 2)
        self.drawn = (n for n in range(3))


class Returning(nn.Module):
    """A module with whatever output."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x):
        return self.output(x)


def replaced(layer, **parameters):
    """Return the layer with tensors of another shape, dtype or kind in place of its own."""
    for name, value in parameters.items():
        layer._parameters[name] = nn.Parameter(value, requires_grad=False)
    return layer


def without(layer, name):
    delattr(layer, name)
    return layer


def changed(layer, **attributes):
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


PLAIN = {
    "None": lambda: None,
    "object": object,
    "unprintable": Unprintable,
    "type": lambda: nn.Conv2d,
    "function": lambda: len,
    "text": lambda: "x",
    "digit": lambda: "3",
    "bytes": lambda: b"",
    "-1": lambda: -1,
    "0": lambda: 0,
    "1": lambda: 1,
    "True": lambda: True,
    "1.5": lambda: 1.5,
    "nan": lambda: math.nan,
    "inf": lambda: math.inf,
    "1j": lambda: 1j,
    "10⁹": lambda: 10**9,
    "10¹⁵": lambda: 10**15,
    "2⁶³": lambda: 2**63,
    "10³⁰": lambda: 10**30,
    "list": list,
    "tuple": tuple,
    "dict": dict,
    "set": set,
    "texts": lambda: ("3", "4"),
    "Nones": lambda: [None, None],
    "fractions": lambda: (2.5, 3.5),
    "zeros": lambda: (0, 0),
    "negative": lambda: (-3, 4),
    "huge": lambda: (10**9, 10**9),
    "huger": lambda: (2, 10**15, 10**15),
    "ragged": lambda: [[1], [2, 3]],
    "nested": lambda: [[1, 2], [3, 4]],
    "generator": lambda: (n for n in (2, 3)),
    "endless": lambda: itertools.count(1),
}
ARRAYS = {
    "array": lambda: np.arange(6.0).reshape(2, 3),
    "array-0d": lambda: np.array(3),
    "array-empty": lambda: np.zeros((0, 3)),
    "array-object": lambda: np.array([None, "x"], dtype=object),
    "array-text": lambda: np.array(["x", "y"]),
    "array-complex": lambda: np.array([[1 + 2j]]),
    "array-date": lambda: np.array(["2020-01-01"], dtype="datetime64[D]"),
    "array-longdouble": lambda: np.ones((2, 3), np.longdouble),
    "array-record": lambda: np.zeros(2, [("a", int)]),
    "array-expanded": lambda: np.broadcast_to(np.float32(1), (10**8, 10**7)),
    "numpy-int": lambda: np.int64(3),
    "numpy-bool": lambda: np.True_,
    "tensor": lambda: torch.arange(6.0).view(2, 3),
    "tensor-0d": lambda: torch.tensor(3),
    "tensor-int": lambda: torch.tensor([5, 6]),
    "tensor-bool": lambda: torch.ones(2, 3, dtype=torch.bool),
    "tensor-complex": lambda: torch.ones(2, 3, dtype=torch.complex64),
    "tensor-float8": lambda: torch.ones(2, 3).to(torch.float8_e4m3fn),
    "tensor-nan": lambda: torch.full((2, 3), math.nan),
    "tensor-meta": lambda: torch.ones(2, 3, device="meta"),
    "tensor-meta-0d": lambda: torch.ones((), dtype=torch.int64, device="meta"),
    "tensor-sparse": lambda: torch.eye(3).to_sparse(),
    "tensor-quantized": lambda: torch.quantize_per_tensor(torch.ones(2, 3), 1.0, 0, torch.qint8),
    "tensor-nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "tensor-expanded": lambda: torch.ones(1).expand(10**8, 10**7),
    "dtype": lambda: torch.float32,
    "device": lambda: torch.device("meta"),
}
MODULES = {
    "module": nn.Module,
    "relu": nn.ReLU,
    "sequential": nn.Sequential,
    "embedding": lambda: nn.Embedding(4, 3),
    "lstm": lambda: nn.LSTM(2, 3),
    "lazy-conv": lambda: nn.LazyConv2d(3, 2),
    "lazy-linear": lambda: nn.LazyLinear(3),
    "unpicklable": Unpicklable,
    "scripted": lambda: torch.jit.trace(nn.Conv2d(2, 3, 2), torch.ones(1, 2, 4, 5)),
    "parameterless": lambda: without(nn.Conv2d(2, 3, 2), "weight"),
    "biasless": lambda: without(nn.Conv2d(2, 3, 2), "bias"),
    "returns-None": lambda: Returning(lambda x: None),
    "returns-text": lambda: Returning(str),
    "returns-array": lambda: Returning(lambda x: x.detach().numpy()),
    "returns-number": lambda: Returning(lambda x: 3),
    "returns-float8": lambda: Returning(lambda x: x.to(torch.float8_e4m3fn)),
    "returns-meta": lambda: Returning(lambda x: x.to("meta")),
    "returns-nothing": lambda: Returning(lambda x: ()),
    "raises": lambda: Returning(lambda x: 1 / 0),
    "half-made": lambda: nn.Conv2d.__new__(nn.Conv2d),
}
for name, make in {
    "conv": lambda: nn.Conv2d(2, 3, 2),
    "linear": lambda: nn.Linear(12, 3),
    "conv1d": lambda: nn.Conv1d(2, 3, 2),
    "transposed": lambda: nn.ConvTranspose2d(2, 3, 2),
}.items():
    shape = tuple(make().weight.shape)
    MODULES |= {
        name: make,
        f"{name}-meta": lambda make=make: make().to("meta"),
        f"{name}-half": lambda make=make: make().half(),
        f"{name}-complex": lambda make=make: make().to(torch.complex64),
        f"{name}-nan": lambda make=make, shape=shape: replaced(
            make(), weight=torch.full(shape, math.nan)
        ),
        f"{name}-float8": lambda make=make, shape=shape: replaced(
            make(), weight=torch.ones(shape).to(torch.float8_e5m2)
        ),
        f"{name}-integers": lambda make=make, shape=shape: replaced(
            make(), weight=torch.ones(shape, dtype=torch.int32)
        ),
        f"{name}-quantized": lambda make=make, shape=shape: replaced(
            make(), weight=torch.quantize_per_tensor(torch.ones(shape), 1.0, 0, torch.qint8)
        ),
        f"{name}-sparse": lambda make=make, shape=shape: replaced(
            make(), weight=torch.ones(shape).to_sparse()
        ),
        f"{name}-pruned": lambda make=make, shape=shape: replaced(
            make(), weight=torch.ones(1, *shape[1:]), bias=torch.ones(1)
        ),
        f"{name}-scalar": lambda make=make: replaced(make(), weight=torch.ones(())),
    }
MODULES |= {
    "conv-expanded": lambda: changed(
        replaced(
            nn.Conv2d(2, 3, 2),
            weight=torch.ones(1).expand(10**8, 10**7, 1, 1),
            bias=torch.ones(1).expand(10**8),
        ),
        in_channels=10**7, out_channels=10**8, kernel_size=(1, 1),
    ),
    "linear-expanded": lambda: changed(
        replaced(
            nn.Linear(2, 3),
            weight=torch.ones(1).expand(10**8, 10**7),
            bias=torch.ones(1).expand(10**8),
        ),
        in_features=10**7, out_features=10**8,
    ),
    "conv-texts": lambda: changed(nn.Conv2d(2, 3, 2), stride="x", padding=None, dilation=object()),
    "conv-groups": lambda: changed(nn.Conv2d(2, 3, 2), groups=0),
    "conv-mode": lambda: changed(nn.Conv2d(2, 3, 2), padding_mode="mirror"),
    "conv-huge-kernel": lambda: changed(nn.Conv2d(2, 3, 2), kernel_size=(10**9, 10**9)),
    "conv-huge-dilation": lambda: nn.Conv2d(2, 3, 2, dilation=10**9),
    "conv-huge-padding": lambda: nn.Conv2d(2, 3, 2, padding=10**9),
    "conv-huge-padding-around": lambda: nn.Conv2d(
        2, 3, 2, padding=10**5, padding_mode="replicate"
    ),
}  # fmt: skip
VALUES = PLAIN | ARRAYS | MODULES
