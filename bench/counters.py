"""Multiply-adds by popular counters, side by side with the entries of the matrix.

Counters multiply sizes, so they also count multiplications by padded zeros; the matrix has an
entry exactly where a weight meets an input.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable

import calflops
import fvcore.nn
import ptflops
import thop
import torch
import torchinfo
from rich.table import Table
from tables import console
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import convlin


def by_torch(conv: nn.Module, x: Tensor) -> float:
    """Return the half of torch's FLOPs, which count a multiply-add as two."""
    with FlopCounterMode(display=False) as counter:
        conv(x)
    return counter.get_total_flops() / 2


def by_ptflops(conv: nn.Module, x: Tensor) -> float:
    """Return what ptflops calls MACs."""
    quiet = {"as_strings": False, "print_per_layer_stat": False, "verbose": False}
    return ptflops.get_model_complexity_info(conv, tuple(x.shape[1:]), **quiet)[0]


def by_calflops(conv: nn.Module, x: Tensor) -> float:
    """Return what calflops calls MACs."""
    quiet = {"print_results": False, "print_detailed": False, "output_as_string": False}
    return calflops.calculate_flops(conv, input_shape=tuple(x.shape), **quiet)[1]


COUNTERS: dict[str, Callable[[nn.Module, Tensor], float]] = {
    "torch.utils.flop_counter, halved": by_torch,
    "fvcore": lambda conv, x: fvcore.nn.FlopCountAnalysis(conv, x).total(),
    "thop": lambda conv, x: thop.profile(conv, (x,), verbose=False)[0],
    "ptflops": by_ptflops,
    "torchinfo": lambda conv, x: torchinfo.summary(conv, input_data=x, verbose=0).total_mult_adds,
    "calflops": by_calflops,
}
CASES = {
    "Conv2d 3→8 k3 p1 on 16×16": (lambda: nn.Conv2d(3, 8, 3, padding=1, bias=False), 16),
    "Conv2d 3→8 k7 d3 p9 on 8×8": (
        lambda: nn.Conv2d(3, 8, 7, dilation=3, padding=9, bias=False),
        8,
    ),
}


def run() -> None:
    """Print every counter's number, and how much of it is not there."""
    logging.disable(logging.WARNING)
    table = Table(title="Multiply-adds, by counter", title_justify="left")
    table.add_column("")
    for name in CASES:
        table.add_column(name, justify="right")
    made = [(make(), n) for make, n in CASES.values()]
    true = [convlin.unroll(conv, (n, n)).tocsr().nnz for conv, n in made]
    table.add_row("entries of convlin.unroll(…)", *(f"{entries:,}" for entries in true))
    for name, count in COUNTERS.items():
        cells = []
        for (make, n), entries in zip(CASES.values(), true, strict=True):
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                found = count(make().eval(), torch.zeros(1, 3, n, n))
            cells.append(f"{found:,.0f} ({found / entries:.2f}×)")
        table.add_row(name, *cells)
    logging.disable(logging.NOTSET)
    console.print(table)
