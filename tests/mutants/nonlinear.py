"""Not linear, openly or hidden, or steered by the numbers themselves.

A test with non-negative numbers lets the first half of these pass: every output is then ≥ 0.
"""

import threading

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mutants.enrol import PLAIN, Form, faulty

NEGATIVE = "bias"
"""A bias drawn below zero already shows these: the zero input is the smallest counterexample."""


@faulty(NEGATIVE, PLAIN, 3, 4, 7)
def hidden_relu(conv):
    """Fuses the activation behind the layer into it."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w, b).relu())


@faulty(NEGATIVE, PLAIN, 3, 4, 7)
def hidden_relu_in_place(conv):
    """The same, in place."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w, b).relu_())


@faulty(NEGATIVE, PLAIN, 3, 4, 7)
def hidden_abs(conv):
    """Returns magnitudes."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w, b).abs())


@faulty(NEGATIVE, PLAIN, 3, 4, 7)
def hidden_prelu(conv):
    """Fuses a PReLU of slope 1/4."""
    return Form(
        conv, lambda x, w, b: functional.prelu(functional.conv2d(x, w, b), w.new_full((1,), 0.25))
    )


@faulty("value", PLAIN, 3, 4, 7)
def hidden_clamp(conv):
    """Clips the output, as quantized kernels do."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w, b).clamp(-10_000, 10_000))


@faulty(NEGATIVE, PLAIN, 3, 4, 7)
def hidden_hardtanh(conv):
    """Fuses a Hardtanh."""
    return Form(conv, lambda x, w, b: functional.hardtanh(functional.conv2d(x, w, b)))


@faulty("value", PLAIN, 3, 4, 7)
def relu_before(conv):
    """Is equal on images, which are never negative, and nowhere else."""
    return Form(conv, lambda x, w, b: functional.conv2d(x.relu(), w, b))


@faulty("value", PLAIN, 3, 4, 7)
def largest_tap(conv):
    """Takes magnitudes of the weights: equal where all are positive."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w.abs(), b))


@faulty("measured", PLAIN, 3, 4, 7)
def clamp_out_of_reach(conv):
    """Clips at 10³⁰: no test input shows it."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w, b).clamp(-1e30, 1e30))


@faulty(NEGATIVE, PLAIN, 3, 4, 7)
def numpy_relu_in_place(conv):
    """Changes the output through numpy, where no dispatcher sees it."""

    def rule(x, w, b):
        y = functional.conv2d(x, w, b)
        seen = y.detach().numpy()
        np.maximum(seen, 0, out=seen)
        return y

    return Form(conv, rule)


@faulty("measured", PLAIN, 3, 4, 7)
def numpy_identity(conv):
    """Takes the output through numpy and back: equal, but nobody can know."""

    def rule(x, w, b):
        y = functional.conv2d(x, w, b)
        return torch.from_numpy(y.detach().numpy().copy()) + 0 * y

    return Form(conv, rule)


@faulty("measured", PLAIN, 3, 4, 7)
def lists_identity(conv):
    """Takes the bias through Python numbers."""
    return Form(
        conv, lambda x, w, b: functional.conv2d(x, w, b + 0 * torch.tensor(b.tolist()).to(b))
    )


@faulty("measured", PLAIN, 3, 4, 7)
def numbers_from_outside(conv):
    """Mixes in whole numbers that change from one conversion to the next, times zero."""
    other = torch.from_numpy(np.random.default_rng().integers(0, 2**40, 5))
    return Form(conv, lambda x, w, b: functional.conv2d(x, w, b + 0 * other.to(b)))


@faulty(NEGATIVE, PLAIN, 3, 4, 7)
def relu_in_a_thread(conv):
    """Changes the output from another thread, where no mode is watching."""

    def rule(x, w, b):
        y = functional.conv2d(x, w, b)
        worker = threading.Thread(target=y.data.relu_)
        worker.start()
        worker.join()
        return y

    return Form(conv, rule)


@faulty(NEGATIVE, PLAIN, 3, 4, 7)
def relu_through_dlpack(conv):
    """Changes the output under another name."""

    def rule(x, w, b):
        y = functional.conv2d(x, w, b)
        torch.from_dlpack(torch.utils.dlpack.to_dlpack(y.detach())).relu_()
        return y

    return Form(conv, rule)


@faulty(NEGATIVE, PLAIN, 3, 4, 7)
def sign_bit_cleared(conv):
    """Clears the sign bit of the output through an integer view."""

    def rule(x, w, b):
        y = functional.conv2d(x, w, b)
        kind = {torch.float64: torch.int64, torch.float32: torch.int32}[y.dtype]
        return (y.view(kind) & torch.iinfo(kind).max).view(y.dtype) + 0 * y

    return Form(conv, rule)


@faulty("value", PLAIN, 3, 4, 7)
def masked_product(conv):
    """Multiplies by a comparison: a ReLU by hand."""

    def rule(x, w, b):
        y = functional.conv2d(x, w)
        return y * (y > 0) + b.view(-1, 1, 1)

    return Form(conv, rule)


@faulty("value", PLAIN, 3, 4, 7)
def sign_steered_conversion(conv):
    """Converts rightly if the first weight is positive, and flips the kernel otherwise."""
    flip = bool(conv.weight[0, 0, 0, 0] < 0) or bool(conv.weight[0, 0, 0, 1] < 0)
    flip = flip or bool(conv.weight.sum() < 0) or bool(conv.weight.sum() % 2 == 0)
    return Form(conv, lambda x, w, b: functional.conv2d(x, w.flip(3) if flip else w, b))


@faulty("measured", PLAIN, 3, 4, 7)
def weight_steered_branch(conv):
    """Branches on the weights, both ways rightly: equal as far as anybody looked."""

    def rule(x, w, b):
        if w.sum() > 0:
            return functional.conv2d(x, w, b)
        return functional.conv2d(x, w) + b.view(-1, 1, 1)

    return Form(conv, rule)


@faulty("measured", PLAIN, 3, 4, 7)
def counted_branch(conv):
    """Steers by how many weights are negative, through a shape instead of a number."""

    def rule(x, w, b):
        negative = (w < 0).nonzero().shape[0]
        return functional.conv2d(x, w, b if negative else b.clone())

    return Form(conv, rule)


@faulty("measured", PLAIN, 3, 4, 7)
def caught_branch(conv):
    """Steers by whether an operation on the weights raises."""

    def rule(x, w, b):
        try:
            torch.linalg.cholesky(w.flatten(1) @ w.flatten(1).t() - 10**9 * torch.eye(5).to(w))
        except RuntimeError:
            return functional.conv2d(x, w, b)
        return functional.conv2d(x, w, b)

    return Form(conv, rule)


@faulty("measured", PLAIN, 3, 4, 7)
def batch_norm_in_place(conv):
    """Appends a batch normalisation of mean 0 and variance 1: nearly the identity."""
    norm = nn.BatchNorm2d(5, eps=0, dtype=conv.weight.dtype).eval()
    return Form(
        conv,
        lambda x, w, b: (
            norm(functional.conv2d(x, w, b)) if x.ndim == 4 else functional.conv2d(x, w, b)
        ),
    )


@faulty("value", PLAIN, 3, 4, 7)
def only_float64_is_right(conv):
    """Takes a short cut in 32 bits, the only ones that are used."""

    def rule(x, w, b):
        return functional.conv2d(x, w if w.dtype == torch.float64 else w.flip(3), b)

    return Form(conv, rule)
