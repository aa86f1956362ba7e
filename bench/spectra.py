"""Largest singular values: against ARPACK by itself, and against power iteration.

The same library solver, `svds`, multiplies by the sparse matrix, built included, or by PyTorch's
convolution in float64. It has neither an upper bound nor a second look for equal values. Power
iteration is a hundred steps of what spectral normalisation takes one of, on the layer itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from rich.table import Table
from scipy.sparse.linalg import LinearOperator, svds
from tables import console
from timing import side_by_side
from torch import Tensor, nn

import convlin

STEPS = 100
Values = np.ndarray


def pair(layer: nn.Module, size: tuple[int, ...]) -> tuple[Callable[[Tensor], Tensor], ...]:
    """Return the layer and its adjoint, by PyTorch: what its gradient by the input is."""
    x = torch.zeros(1, layer.in_channels, *size, dtype=torch.float64, requires_grad=True)
    zero = torch.zeros_like(x)
    with torch.no_grad():
        shape = layer(zero).shape

    def ahead(v: Tensor) -> Tensor:
        with torch.no_grad():
            return layer(v.view(x.shape)).flatten()

    def back(u: Tensor) -> Tensor:
        with torch.enable_grad():
            return torch.autograd.grad(layer(x), x, u.view(shape))[0].flatten()

    return ahead, back


def by_convolution(layer: nn.Module, size: tuple[int, ...], k: int) -> Values:
    """Return singular values by `svds` with PyTorch's convolution as its product."""
    ahead, back = pair(layer, size)
    rows, columns = convlin.unroll(layer, size).shape
    products = [lambda x, run=run: run(torch.from_numpy(x.copy())).numpy() for run in (ahead, back)]
    operator = LinearOperator((rows, columns), *products, dtype=np.float64)
    return svds(operator, k=k, return_singular_vectors=False, rng=0)[::-1]


def by_csr(layer: nn.Module, size: tuple[int, ...], k: int) -> Values:
    """Return singular values by `svds` on the sparse matrix."""
    matrix = convlin.unroll(layer, size).tocsr()
    return svds(matrix, k=k, return_singular_vectors=False, rng=0)[::-1]


def by_power(layer: nn.Module, size: tuple[int, ...], k: int) -> Values:
    """Return what the largest one is after so many steps of the power iteration."""
    ahead, back = pair(layer, size)
    generator = torch.Generator().manual_seed(0)
    columns = convlin.unroll(layer, size).shape[1]
    v = torch.randn(columns, generator=generator, dtype=torch.float64)
    for _ in range(STEPS):
        v = back(ahead(v / v.norm()))
    return np.array([float(ahead(v / v.norm()).norm())])


def race(title: str, layer: nn.Module, size: tuple[int, ...], k: int, rounds: int) -> None:
    """Time all ways side by side, and say how far their values are from ours."""
    contenders: dict[str, Callable[[], Values]] = {
        "svds, PyTorch's convolution": lambda: by_convolution(layer, size, k),
        "svds, our CSR": lambda: by_csr(layer, size, k),
        "singular_values(…)": lambda: convlin.singular_values(layer, size, k=k).values,
        "singular_values(…, tolerance=1e-3)": lambda: (
            convlin.singular_values(layer, size, k=k, tolerance=1e-3).values
        ),
    }
    if k == 1:
        contenders[f"power iteration, {STEPS} steps"] = lambda: by_power(layer, size, k)
    with console.status(title):
        timings = side_by_side(contenders, rounds)
    ours = contenders["singular_values(…)"]()
    table = Table(title=f"{title}: {k} largest", title_justify="left")
    table.add_column("way")
    for heading in ("median", "of svds", "quartiles", "off by"):
        table.add_column(heading, justify="right")
    for timing in timings:
        slow, middle, fast = (1 / ratio for ratio in timing.ratio)
        off = float(abs(contenders[timing.name]() - ours).max() / ours[0])
        table.add_row(
            timing.name, f"{timing.median:.3f} s", f"{middle:.2f}×", f"{fast:.2f}–{slow:.2f}",
            f"{off:.0e}",
        )  # fmt: skip
    console.print(table)


def run() -> None:
    """Run the races: those of one value, of several, and of several that are equal."""
    torch.manual_seed(0)

    def plain(kind: type[nn.Module], *sizes: int, **fields: object) -> nn.Module:
        return kind(*sizes, bias=False, dtype=torch.float64, **fields).requires_grad_(False)

    square = plain(nn.Conv2d, 16, 16, 3, padding=1)
    wide = plain(nn.Conv2d, 64, 64, 3, padding=1)
    strided = plain(nn.Conv2d, 64, 64, 3, padding=1, stride=2)
    turned = plain(nn.ConvTranspose2d, 32, 16, 4, padding=1, stride=2)
    alike = plain(nn.Conv2d, 16, 64, 3, padding=1, groups=8)
    alike.weight[:] = alike.weight[:8].repeat(8, 1, 1, 1)
    race("Conv2d 16→16 k3 p1 on 32×32", square, (32, 32), 1, rounds=5)
    race("Conv2d 64→64 k3 p1 on 14×14", wide, (14, 14), 1, rounds=5)
    race("Conv2d 64→64 k3 p1 on 28×28", wide, (28, 28), 1, rounds=3)
    race("Conv2d 64→64 k3 s2 p1 on 28×28", strided, (28, 28), 1, rounds=5)
    race("ConvTranspose2d 32→16 k4 s2 p1 on 14×14", turned, (14, 14), 1, rounds=5)
    race("Conv2d 1→1 k7 p3 on 200×200", plain(nn.Conv2d, 1, 1, 7, padding=3), (200, 200), 1, 3)
    race("Conv2d 64→64 k3 p1 on 14×14", wide, (14, 14), 4, rounds=5)
    race("Conv2d 16→64 k3 p1, 8 equal groups, on 20×20", alike, (20, 20), 4, rounds=3)


if __name__ == "__main__":
    run()
