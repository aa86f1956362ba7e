"""What is judged is the kernel that runs, not the reference that stands beside it."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from convlin.proof import Measured, Proved, audit, prove
from convlin.proof.torch_kernel import composite, own
from mutants.enrol import PLAIN

SHAPE = (3, 4, 7)
LISTED = {
    "convolution": lambda x, w, b, *_: x.new_zeros(len(x), 5, 3, 4),
    "add.Tensor": lambda x, y, alpha=1: torch.sub(x, y, alpha=-alpha),
    "mm": lambda x, y: (x[:, :, None] / (1 / y)).sum(1),
    "addmm": lambda b, x, y: (x[:, :, None] / (1 / y)).sum(1) + b,
}
"""Kernels that somebody puts in place of PyTorch's own, for operations on the list."""


def reference(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(x, w, b)


def wrong(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(x, 1.5 * w, b)


@pytest.fixture
def library():
    library = torch.library.Library("judged", "DEF")
    library.define("conv(Tensor x, Tensor w, Tensor b) -> Tensor")
    yield library
    library._destroy()


class Custom(nn.Module):
    """A layer run by a custom operator, in inference mode or not."""

    def __init__(self, layer, inference=False):
        super().__init__()
        self.weight, self.bias, self.inference = layer.weight, layer.bias, inference
        self.train(layer.training)

    def forward(self, x):
        with torch.inference_mode() if self.inference else torch.enable_grad():
            return torch.ops.judged.conv(x, self.weight, self.bias)


def judged():
    conv = PLAIN()
    for inference in (False, True):
        yield prove(conv, Custom(copy.deepcopy(conv), inference), SHAPE, seed=1)
    yield audit(Custom, conv, SHAPE, seed=1)


@pytest.mark.parametrize("key", ["CPU", "CompositeExplicitAutograd", "AutogradCPU"])
def test_a_reference_beside_a_kernel_proves_nothing(library, key):
    library.impl("conv", reference, "CompositeImplicitAutograd")
    library.impl("conv", wrong, key)
    assert not composite(torch.ops.judged.conv.default, "cpu")
    assert not any(judged())


def test_a_reference_of_the_python_dispatcher_proves_nothing(library):
    library.impl("conv", wrong, "CPU")
    kernel = torch.ops.judged.conv.default.py_impl
    for key in (torch._C.DispatchKey.CompositeImplicitAutograd, torch._C.DispatchKey.CPU):
        kernel(key)(reference)
    assert not any(judged())


def test_a_kernel_that_is_right_is_off_the_list_all_the_same(library):
    library.impl("conv", reference, "CPU")
    for verdict in itertools.islice(judged(), 1):
        assert isinstance(verdict, Measured), verdict
        assert "judged.conv" in verdict.reason


def test_a_composition_without_a_kernel_is_judged_by_its_parts(library):
    library.impl("conv", reference, "CompositeImplicitAutograd")
    assert composite(torch.ops.judged.conv.default, "cpu")
    conv = PLAIN()
    assert isinstance(prove(conv, Custom(copy.deepcopy(conv)), SHAPE, seed=1), Proved)
    assert isinstance(audit(Custom, conv, SHAPE, seed=1), Proved)


@pytest.mark.parametrize("name", LISTED)
def test_a_listed_operation_with_a_strangers_kernel_is_measured(name):
    def rule(layer):
        w = layer.weight.flatten(1)
        return {
            "convolution": lambda x: functional.conv2d(x, layer.weight, layer.bias),
            "add.Tensor": lambda x: x.flatten(1) + x.flatten(1),
            "mm": lambda x: x.flatten(1) @ w.mT,
            "addmm": lambda x: torch.addmm(layer.bias, x.flatten(1), w.mT),
        }[name]

    class Plain(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return rule(self.layer)(x)

    shape = SHAPE if name == "convolution" else (3, 2, 4)
    one, other = (Plain(PLAIN()) for _ in range(2))
    other.same_code_but_another_object = True  # else proved by identity
    overload = getattr(torch.ops.aten, name.partition(".")[0])
    overload = getattr(overload, name.partition(".")[2] or "default")
    assert own(overload, "cpu")
    assert isinstance(prove(one, other, shape, seed=1), Proved)
    strangers = torch.library.Library("aten", "IMPL")
    try:
        strangers.impl(name, LISTED[name], "CPU", allow_override=True)
        assert not own(overload, "cpu")
        verdict = prove(one, other, shape, seed=1)
    finally:
        strangers._destroy()
    assert isinstance(verdict, Measured), verdict
    assert "with a kernel that is not PyTorch's" in verdict.reason
    assert own(overload, "cpu")
