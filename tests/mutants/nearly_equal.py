"""Two given modules that are nearly equal: by one last bit, or on most inputs.

Each returns the pair, and the answer `prove` must give.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mutants.enrol import PLAIN, Form, conv2d

__all__ = ["PAIRS", "SHAPE"]

SHAPE = (3, 4, 7)
PAIRS: list[tuple[str, Callable[[], tuple[nn.Module, nn.Module]], str]] = []


def nearly(answer: str) -> Callable[[Any], Any]:
    def enrol(pair: Any) -> Any:
        assert pair.__doc__, pair
        PAIRS.append((pair.__name__, pair, answer))
        return pair

    return enrol


def _twice(dtype: torch.dtype = torch.float32) -> tuple[nn.Conv2d, nn.Conv2d]:
    conv = PLAIN().to(dtype)
    return conv, copy.deepcopy(conv)


def _next(tensor: torch.Tensor, *index: int) -> None:
    """Change one element by one unit in the last place."""
    kind = {2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    with torch.no_grad():
        tensor.view(kind)[index] += 1


@nearly("weight")
def one_weight_one_ulp():
    """One weight of 120 differs in its last bit: float32 outputs mostly agree."""
    conv, other = _twice()
    _next(other.weight, 3, 1, 0, 2)
    return conv, other


@nearly("weight")
def one_weight_one_ulp_float64():
    """The same where no wider type is left to compare in."""
    conv, other = _twice(torch.float64)
    _next(other.weight, 3, 1, 0, 2)
    return conv, other


@nearly("weight")
def one_weight_one_ulp_bfloat16():
    """The same in 16 bits."""
    conv, other = _twice(torch.bfloat16)
    _next(other.weight, 3, 1, 0, 2)
    return conv, other


@nearly("bias")
def one_bias_last_bit():
    """One bias differs in its last bit."""
    conv, other = _twice()
    _next(other.bias, 4)
    return conv, other


@nearly("weight")
def smallest_number_lost():
    """A weight of 10⁻⁴⁵ is flushed to zero, far below every rounding."""
    conv, other = _twice()
    with torch.no_grad():
        conv.weight[2, 1, 1, 3] = 1e-45
        other.weight[2, 1, 1, 3] = 0
    return conv, other


@nearly("weight")
def outputs_of_two_swapped_weights():
    """Two weights of equal size changed places."""
    conv, other = _twice()
    with torch.no_grad():
        other.weight[1, 2, 0, 0], other.weight[1, 2, 0, 1] = 0.25, -0.25
        conv.weight[1, 2, 0, 0], conv.weight[1, 2, 0, 1] = -0.25, 0.25
    return conv, other


@nearly("proved")
def minus_zero():
    """0 and -0 are the same number: not a fault, and not to be called one."""
    conv, other = _twice()
    with torch.no_grad():
        conv.weight[2, 1, 1, 3], other.weight[2, 1, 1, 3] = 0.0, -0.0
    return conv, other


@nearly("refuted")
def relu_behind():
    """A ReLU behind one of them."""
    conv, other = _twice()
    return conv, nn.Sequential(other, nn.ReLU())


@nearly("measured")
def relu_behind_both():
    """The same ReLU behind both, and one step more: equal, but no polynomials."""
    conv, other = _twice()
    return nn.Sequential(conv, nn.ReLU()), nn.Sequential(other, nn.Identity(), nn.ReLU())


@nearly("proved")
def one_program_twice():
    """The same ReLU behind both: no polynomials, but one program with the same numbers."""
    conv, other = _twice()
    return nn.Sequential(conv, nn.ReLU()), nn.Sequential(other, nn.ReLU())


@nearly("measured")
def prelu_of_slope_one():
    """A PReLU of slope 1 does nothing, until somebody trains it."""
    conv, other = _twice()
    return conv, nn.Sequential(other, nn.PReLU(init=1.0))


@nearly("measured")
def clamped_out_of_reach():
    """A clamp at ±10⁶, which no test input reaches."""
    conv, other = _twice()
    return conv, nn.Sequential(other, nn.Hardtanh(-1e6, 1e6))


@nearly("refuted")
def numpy_relu():
    """A ReLU through numpy, in place."""
    conv, other = _twice()

    def rule(x, w, b):
        y = functional.conv2d(x, w, b)
        seen = y.detach().numpy()
        seen[seen < 0] = 0
        return y

    return conv, Form(other, rule)


@nearly("measured")
def weights_in_a_closure():
    """Computes with weights that no parameter holds: other numbers cannot be put in."""
    conv, other = _twice()
    weight = other.weight.detach().clone()
    return conv, Form(other, lambda x, w, b: functional.conv2d(x, weight.to(x), b.to(x)))


@nearly("refuted")
def mixed_up_in_batches():
    """Reverses batches of two."""
    conv, other = _twice()
    return conv, Form(
        other,
        lambda x, w, b: (
            functional.conv2d(x, w, b).flip(0) if len(x) == 2 else functional.conv2d(x, w, b)
        ),
    )


@nearly("measured")
def counts_its_calls():
    """Remembers how often it was called."""
    conv, other = _twice()

    class Counting(Form):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    return conv, Counting(other, lambda x, w, b: functional.conv2d(x, w, b))


@nearly("contract")
def other_every_second_time():
    """Is another function every second time."""
    conv, other = _twice()

    class Counting(Form):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x if self.calls % 2 else x.flip(-1))

    return conv, Counting(other, lambda x, w, b: functional.conv2d(x, w, b))


@nearly("shape")
def stride_lost():
    """Another stride."""
    conv, other = _twice()
    other.stride = (2, 1)
    return conv, other


@nearly("exception")
def groups_lost():
    """A grouped kernel applied without groups."""
    conv = conv2d(3, 6, 2, groups=3)()
    return conv, Form(conv, lambda x, w, b: functional.conv2d(x, w, b))


@nearly("refuted")
def wrong_in_float32_only():
    """Right in float64, where the proof runs, and wrong in the modules' own dtype."""
    conv, other = _twice()
    return conv, Form(
        other, lambda x, w, b: functional.conv2d(x, w.flip(3) if x.dtype == torch.float32 else w, b)
    )


@nearly("measured")
def clamps_batches_of_two():
    """Clips batches of two only, and far away."""
    conv, other = _twice()

    def rule(x, w, b):
        y = functional.conv2d(x, w, b)
        return y.clamp(-1e30, 1e30) if len(x) == 2 else y

    return conv, Form(other, rule)
