"""Python that looks at its tensors: what a tracer runs decides which branch is taken."""

import contextlib
import functools
import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from traced_case import (
    either,
    head,
    narrow,
    on_the_images,
    on_the_map,
    refused,
    right,
    table,
    to_scores,
)  # fmt: skip

# Questions about the kind of tensor. A plain tensor answers yes to all of them.


def converts_to_int(y):
    try:
        rows = int(y.shape[2])
    except Exception:
        return y
    return y * rows


def length_if_it_has_one(y):
    rows = 1
    with contextlib.suppress(Exception):
        rows = len(y[0])
    return y * rows


def counts_the_images(y):
    images = 1
    with contextlib.suppress(Exception):
        images = len(y)
    return y * images


def float_of_an_element_of_the_shape(y):
    try:
        return y + float(y.size(-1))
    except TypeError:
        return y


def compares_shapes(y):
    return y * 2 if y.shape[1:] == (4, 6, 5) else y


def looks_the_shape_up(y):
    return y * {(6, 5): 2.0}.get(tuple(y.shape[2:]), 1.0)


def index_by_shape(y):
    return y * [1, 2, 3, 4, 5, 6, 7][y.shape[2]]


def formats_the_shape(y):
    return y * len(f"{y.shape[2]}x{y.shape[3]}")


def asserts_the_shape(y):
    batch, *others = y.shape
    assert batch > 0 and others == [4, 6, 5], others
    return y


def iterates_over_rows(y):
    return torch.stack([row.relu() for row in y.unbind(2)], 2)


def iterates_over_a_tensor(y):
    return torch.stack(list(y.transpose(0, 1)), 1) * 2


def as_often_as_there_are_rows(y):
    for _ in range(y.shape[2] // 2):
        y = (y + 1).relu()
    return y


def while_it_is_wide(y):
    while y.shape[-1] > 2:
        y = y[..., 1:]
    return y.mean((2, 3))


def asks_for_strides(y):
    return y * 2 if y.permute(0, 2, 3, 1).is_contiguous() else y.relu()


TYPES = {
    "isinstance": lambda y: y * 2 if isinstance(y, torch.Tensor) else y,
    "isinstance-of-two": lambda y: y * 2 if isinstance(y, (torch.Tensor, np.ndarray)) else y,
    "isinstance-of-int": lambda y: y * 2 if isinstance(y.shape[2], int) else y,
    "hasattr": lambda y: y * 2 if hasattr(y, "untyped_storage") else y,
    "hasattr-missing": lambda y: y * 2 if hasattr(y, "no_such_attribute") else y,
    "getattr-missing": lambda y: y * getattr(y, "no_such_attribute", 2),
    "callable": lambda y: y * 2 if callable(y) else y,
    "is-none": lambda y: y if y is None else y * 2,
    "is-tensor": lambda y: y * 2 if torch.is_tensor(y) else y,
    "is-floating-point": lambda y: y * 2 if y.is_floating_point() else y,
    "device-is-cpu": lambda y: y * 2 if y.device.type == "cpu" else y,
    "dtype-is-float": lambda y: y * 2 if y.dtype in (torch.float32, torch.float64) else y,
    "ndim": lambda y: y * y.ndim if y.dim() == 4 else y,
    "numel": lambda y: y * (y.numel() // len(y)),
    "requires-grad": lambda y: y * (2 if y.requires_grad else 2.0),
    "int-of-the-shape": converts_to_int,
    "suppressed-len": length_if_it_has_one,
    "float-of-the-shape": float_of_an_element_of_the_shape,
    "shape-equals": compares_shapes,
    "shape-looked-up": looks_the_shape_up,
    "shape-indexes": index_by_shape,
    "shape-in-text": formats_the_shape,
    "shape-asserted": asserts_the_shape,
    "loop": as_often_as_there_are_rows,
    "if-narrow": lambda y: y * 2 if y.shape[-1] < 7 else y,
    "if-wide": lambda y: y * 2 if y.shape[-1] > 7 else y,
    "modulo": lambda y: y * 2 if y.shape[-1] % 2 else y,
    "round-of-the-shape": lambda y: y * round(y.shape[-1] / 2),
    "ceil-of-the-shape": lambda y: y * math.ceil(y.shape[-1] / 2),
    "sqrt-of-the-shape": lambda y: y / math.sqrt(y.shape[1]),
    "numpy-of-the-shape": lambda y: y * int(np.prod(y.shape[1:])),
    "math-prod": lambda y: y.reshape(-1, math.prod(y.shape[1:])),
    "numpy-reshape": lambda y: y.reshape(-1, int(np.prod(y.shape[1:]))),
    "numpy-array-of-the-shape": lambda y: y * float(np.array(y.shape[2:]).max()),
    "size-loop": lambda y: y * functools.reduce(lambda a, b: a * b, (s for s in y.size()[1:])),
    "len": lambda y: y.reshape(len(y), -1),
    "size-in-batch": lambda y: y.view(y.size()[0], y.size(1), *y.size()[2:]).relu(),
    "map-int": lambda y: y.reshape([int(n) for n in y.shape]),
}  # fmt: skip

CASES = table(TYPES, right, on_the_map, "asks-", head=head())
CASES["asks-in-a-while"] = right(to_scores(while_it_is_wide), narrow=narrow)
CASES["asks-rows"] = either(on_the_map(iterates_over_rows), head=head())
CASES["asks-channels"] = either(on_the_map(iterates_over_a_tensor), head=head())
CASES["asks-strides"] = either(on_the_map(asks_for_strides), head=head())
CASES["asks-type-is"] = either(
    on_the_map(lambda y: y * 2 if type(y) is torch.Tensor else y), "head|type|run", head=head(),
    unseen="a fake tensor's type is another one, and no tensor can tell a model otherwise",
)  # fmt: skip
CASES["asks-values"] = refused(
    on_the_map(lambda y: y * 2 if y.sum() > 0 else y),
    "(?i)data|bool|control|gt|sum|Net",
    head=head(),
)
CASES["asks-item"] = refused(
    on_the_map(lambda y: y * y.max().item()), "(?i)item|max|data|Net", head=head()
)
CASES["asks-numpy"] = refused(
    on_the_map(lambda y: torch.from_numpy(y.detach().numpy()) * 2),
    "(?i)numpy|Net|head",
    head=head(),
)
CASES["asks-suppressed-len-of-the-batch"] = refused(
    on_the_map(counts_the_images), "mul|batch|Net", head=head()
)
CASES["asks-sum-of-the-shape-with-the-batch"] = refused(
    on_the_map(lambda y: y * math.prod(y.shape)), "mul|batch|Net", head=head()
)

# The same in other numbers of dimensions, and on the images.
for ndim in (1, 3):
    for name in (
        "isinstance",
        "len",
        "numpy-reshape",
        "size-loop",
        "if-narrow",
        "int-of-the-shape",
    ):
        CASES[f"asks-{name}-{ndim}d"] = right(on_the_map(TYPES[name]), ndim=ndim, head=head(ndim))
for name in ("isinstance", "suppressed-len", "size-loop", "if-wide", "hasattr"):
    CASES[f"asks-{name}-of-images"] = right(on_the_images(TYPES[name]), head=head())

# Python between the layers: functions, closures, containers.


def gated(y, *, gate=torch.sigmoid, **more):
    return y * gate(y) + more.get("shift", 0)


def closure(m, x):
    held = []

    def remember(y):
        held.append(y)
        return y

    y = remember(m.a(x)).relu()
    return m.head((y + held[0]).flatten(1))


def container(m, x):
    parts = {"map": m.a(x)}
    parts["both"] = [parts["map"].relu(), (parts["map"].tanh(),)]
    first, (second,) = parts.pop("both")
    parts.setdefault("sum", first + second)
    return m.head(sum(parts.values()).flatten(1))


Pair = namedtuple("Pair", "left right")


@dataclass
class Parts:
    left: torch.Tensor
    right: torch.Tensor

    def joined(self):
        return torch.cat([self.right, self.left], 1)


def generator(m, x):
    def pieces(y):
        for piece in y.split([1, 3], dim=1):
            yield piece.relu()

    return m.head(torch.cat([*reversed([*pieces(m.a(x))])], 1).flatten(1))


def in_a_list_of_layers(m, x):
    y = m.a(x)
    for name, layer in m.several.items():
        y = layer(y) + (y if name == "second" else 0)
    return m.head(y.flatten(1))


def called_by_name(m, x):
    return getattr(m, "he" + "ad")(functional.relu(m.a(x)).flatten(1))


def keeps_its_map(m, x):
    m.last = m.a(x)  # what a user looks at afterwards
    return m.head(m.last.flatten(1))


def same_layer_twice(m, x):
    y = m.a(x)
    return m.head(m.same(m.same(y).relu()).flatten(1)) + m.head(y.flatten(1))


def without_gradients(m, x):
    with torch.no_grad():
        y = m.a(x).relu()
    return m.head(y.flatten(1))


def in_inference_mode(m, x):
    with torch.inference_mode():
        y = m.a(x).relu()
    return m.head(y.flatten(1))


def asks_whether_it_learns(m, x):
    y = m.a(x)
    return m.head((y * 2 if m.training else y * 3).flatten(1))


def without_autocast(m, x):
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        return m.head(m.a(x).flatten(1))


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y):
        return y * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


class Nested(nn.Module):
    """A layer with more than one input, and a dict as its output."""

    def forward(self, y, *, other):
        return {"sum": y + other, "none": None}


CASES |= {
    "helper": right(on_the_map(functools.partial(gated, shift=1)), head=head()),
    "helper-decorated": right(on_the_map(torch.no_grad()(gated)), head=head()),
    "closure": right(closure, head=head()),
    "container": right(container, head=head()),
    "named-tuple": right(on_the_map(lambda y: Pair(y, y.relu()).right), head=head()),
    "dataclass": right(on_the_map(lambda y: Parts(*y.chunk(2, 1)).joined()), head=head()),
    "generator": right(generator, head=head()),
    "chained": right(
        on_the_map(lambda y: functools.reduce(torch.add, [y, y.relu(), y * 2])), head=head()
    ),
    "star": right(on_the_map(lambda y: torch.cat([*y.chunk(4, 1)][::-1], 1)), head=head()),
    "layers-in-a-dict": right(
        in_a_list_of_layers, head=head(),
        several=lambda: nn.ModuleDict(OrderedDict(first=nn.Conv2d(4, 4, 1), second=nn.Tanh())),
    ),
    "called-by-name": right(called_by_name, head=head()),
    "keeps-its-map": right(keeps_its_map, head=head()),
    "same-layer-twice": right(same_layer_twice, head=head(), same=lambda: nn.Conv2d(4, 4, 1)),
    "keyword-layer": right(
        lambda m, x: m.head(m.join(m.a(x), other=m.a(x).relu())["sum"].flatten(1)), head=head(), join=Nested
    ),
    "no-grad": right(without_gradients, head=head()),
    "inference-mode": either(in_inference_mode, head=head()),
    "training-flag": right(asks_whether_it_learns, head=head()),
    "autocast-off": either(without_autocast, head=head()),
    "autograd-function": either(on_the_map(Doubled.apply), head=head()),
    "checkpoint": either(
        on_the_map(lambda y: torch.utils.checkpoint.checkpoint(gated, y, use_reentrant=False)), head=head()
    ),
    "vmap": either(on_the_map(torch.vmap(lambda y: y.relu() * 2)), head=head()),
    "sum-of-generator": either(to_scores(lambda y: sum(row.sum(-1) for row in y.unbind(2))), narrow=narrow),
}  # fmt: skip
