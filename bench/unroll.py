"""The sparse matrix of a convolution: against its peers, and against writing the same bytes.

Every contender makes the same CSR matrix, which is checked before anything is timed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from einconv import index_pattern
from pylops.signalprocessing import Convolve2D
from rich.table import Table
from scipy.linalg import convolution_matrix
from scipy.sparse import csr_array, diags_array, vstack
from tables import console, show_race
from timing import side_by_side
from torch import Tensor, nn
from torch.nn import functional

import convlin

BATCH = 256


def probe(conv: nn.Conv2d, size: tuple[int, int]) -> csr_array:
    """Return the matrix from the layer's outputs for unit vectors, a batch of them at a time."""
    shape = (conv.in_channels, *size)
    inputs = math.prod(shape)
    columns = []
    for start in range(0, inputs, BATCH):
        units = torch.zeros(min(BATCH, inputs - start), inputs)
        units[:, start:].fill_diagonal_(1)
        y = functional.conv2d(units.reshape(-1, *shape), conv.weight, padding=conv.padding)
        columns.append(csr_array(y.flatten(1).numpy()))
    return vstack(columns).T.tocsr()


def by_einsum(conv: nn.Conv2d, size: tuple[int, int], patterns: tuple[Tensor, Tensor]) -> csr_array:
    """Return the matrix from one 0/1 tensor (tap, output, input) per dimension, multiplied out."""
    high, wide = patterns
    dense = torch.einsum("ocab,ayh,bxw->oyxchw", conv.weight, high, wide)
    return csr_array(dense.reshape(-1, conv.in_channels * math.prod(size)).numpy())


def own_patterns(conv: nn.Conv2d, size: tuple[int, int]) -> tuple[Tensor, ...]:
    """Return, per dimension, a one where tap k of output o reads input i; padding apart."""
    patterns = []
    for n, k, pad in zip(size, conv.kernel_size, conv.padding, strict=True):
        tap, out, pixel = np.ogrid[:k, : n + 2 * pad - k + 1, :n]
        patterns.append(torch.from_numpy(out + tap - pad == pixel).float())
    return tuple(patterns)


def einconv_patterns(conv: nn.Conv2d, size: tuple[int, int]) -> tuple[Tensor, ...]:
    """Return the same tensors as the package einconv makes them."""
    sizes = zip(size, conv.kernel_size, conv.padding, strict=True)
    return tuple(index_pattern(n, k, padding=p, dtype=torch.float32) for n, k, p in sizes)


def race(title: str, contenders: Mapping[str, Callable[[], csr_array]], rounds: int) -> None:
    """Check that all contenders make one and the same matrix, then race them."""
    first, *others = (run() for run in contenders.values())
    for name, other in zip(list(contenders)[1:], others, strict=True):
        error = abs(first - other).max() / abs(first).max()
        if other.shape != first.shape or error > 1e-6:
            raise SystemExit(f"{title}: {name} differs by {error:.1e}")
    show_race(title, contenders, rounds)


def layers() -> None:
    """16→16 channels, 3×3, on 32×32: against probing, and against dense index patterns."""
    torch.manual_seed(0)
    conv, size = nn.Conv2d(16, 16, 3, padding=1, bias=False).requires_grad_(False), (32, 32)
    race(
        "CSR matrix of Conv2d 16→16 k3 p1 on 32×32, float32",
        {
            f"conv2d on unit vectors, {BATCH} at a time": lambda: probe(conv, size),
            "einsum of index patterns, dense, to CSR": lambda: by_einsum(
                conv, size, own_patterns(conv, size)
            ),
            "einconv's index patterns, dense, to CSR": lambda: by_einsum(
                conv, size, einconv_patterns(conv, size)
            ),
            "convlin.unroll(…).tocsr()": lambda: convlin.unroll(conv, size).tocsr(),
        },
        rounds=5,
    )


def one_channel() -> None:
    """Race PyLops and SciPy at what they can do: one channel, stride 1."""
    kernel = np.random.default_rng(0).standard_normal((7, 5))
    turned = kernel[None, None, ::-1, ::-1].copy()  # they flip the kernel, a layer does not
    plane = convlin.ConvGeometry(1, 1, kernel=(7, 5), padding=(3, 2))
    pylops = Convolve2D((64, 64), kernel, offset=(3, 2), method="direct")
    race(
        "CSR matrix of a 7×5 kernel, one channel, on 64×64, float64",
        {
            "PyLops Convolve2D(…).tosparse()": lambda: csr_array(pylops.tosparse()),
            "ConvMatrix(…).tocsr()": lambda: convlin.ConvMatrix(plane, turned, (64, 64)).tocsr(),
        },
        rounds=3,
    )
    n, taps = 4096, kernel.ravel()
    line = convlin.ConvGeometry(1, 1, kernel=(35,))
    race(
        f"CSR matrix of 35 taps, one channel, on {n} pixels, float64",
        {
            "scipy.linalg.convolution_matrix, dense, to CSR": lambda: csr_array(
                convolution_matrix(taps, n - 34).T  # transposed, so that it is a layer's
            ),
            "scipy.sparse.diags_array(…).tocsr()": lambda: diags_array(
                taps, offsets=np.arange(35), shape=(n - 34, n)
            ).tocsr(),
            "ConvMatrix(…).tocsr()": lambda: convlin.ConvMatrix(line, taps[None, None], n).tocsr(),
        },
        rounds=15,
    )


def written(like: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Write arrays of these sizes into fresh memory, as plainly as NumPy can."""
    fresh = [np.empty(array.shape, array.dtype) for array in like]
    for array in fresh:
        array.fill(1)
    return fresh


def at_scale(rounds: int = 9) -> None:
    """64→64 channels, 3×3, on 56×56: building against writing what was built."""
    torch.manual_seed(0)
    conv, size = nn.Conv2d(64, 64, 3, padding=1, bias=False).requires_grad_(False), (56, 56)
    first = convlin.unroll(conv, size)
    csr = first.tocsr()
    parts = (csr.data, csr.indices, csr.indptr)
    other = torch.randn_like(conv.weight)
    again = first.with_kernel(other).tocsr()
    if not np.shares_memory(again.indices, csr.indices):
        raise SystemExit("with_kernel does not share the index arrays")
    del again
    table = Table(
        title=f"{first!r}"[1:-1] + f", float32: {first.needed_bytes / 2**20:,.0f} MiB",
        title_justify="left",
    )
    for heading in ("", "same bytes", "built", "ratio", "quartiles", "limit"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, arrays, build in (
        ("unroll(conv, size).tocsr()", parts, lambda: convlin.unroll(conv, size).tocsr()),
        ("with_kernel(w).tocsr()", parts[:1], lambda: first.with_kernel(other).tocsr()),
    ):
        with console.status(name):
            # Built first: a baseline of which the ratio says how often writing fits into it.
            timings = side_by_side({"built": build, "written": lambda a=arrays: written(a)}, rounds)
        built, plain = timings
        low, middle, high = plain.ratio
        table.add_row(
            name, f"{plain.median * 1e3:.0f} ms", f"{built.median * 1e3:.0f} ms", f"{middle:.2f}×",
            f"{low:.2f}–{high:.2f}", "2× " + ("kept" if middle <= 2 else "MISSED"),
        )  # fmt: skip
    console.print(table)


def run() -> None:
    """Run the races, small to large."""
    layers()
    one_channel()
    at_scale()
