"""The matrix as PyTorch tensors, built from the weight so that gradients reach it.

The one file of this room that imports torch, and only when a tensor is asked for or given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from convlin.errors import Description, Refusal, Refused
from convlin.matrix.dense import dense
from convlin.matrix.entries import Entries
from convlin.matrix.memory import require_own_memory

__all__ = ["LAYOUTS", "beside", "layout_name", "to_numpy"]


def to_numpy(weight: Tensor, name: str = "weight") -> Shaped[np.ndarray, "*shape"]:
    """Return a tensor as a NumPy array; floats of 16 bits or fewer, which SciPy lacks, widen.

    Raises `Refused` for a tensor without numbers, or without plain ones.
    """
    if weight.is_meta:
        raise Refused(Refusal(name, "device", weight.device, "a device that holds numbers"))
    if weight.is_quantized:
        raise Refused(Refusal(name, "dtype", weight.dtype, "numbers as they are: dequantize()"))
    if weight.layout != torch.strided or weight.is_nested:
        layout = "nested" if weight.is_nested else weight.layout
        raise Refused(Refusal(name, "layout", Description(layout), "plain numbers: to_dense()"))
    require_own_memory("matrix", name, weight)
    plain = weight.detach().cpu()
    if plain.dtype.is_floating_point and plain.dtype.itemsize < 4:
        plain = plain.float()
    elif plain.dtype == torch.complex32:
        plain = plain.to(torch.complex64)
    array: np.ndarray = plain.resolve_conj().resolve_neg().numpy()
    return array


def beside(weight: Shaped[np.ndarray, "*shape"], x: Tensor) -> Tensor:
    """Return a NumPy weight as a tensor on the device of `x`."""
    return torch.as_tensor(np.ascontiguousarray(weight), device=x.device)


def layout_name(layout: Any) -> str:
    """Return a layout's name in full; raise for one that a matrix does not have."""
    known = isinstance(layout, str | torch.layout)
    name = str(layout).removeprefix("torch.") if known else ""
    name = {"csr": "sparse_csr", "coo": "sparse_coo", "dense": "strided"}.get(name, name)
    if name not in LAYOUTS:
        raise Refused(Refusal("to_torch", "layout", layout, ", ".join(LAYOUTS)))
    return name


def sparse_csr(entries: Entries, weight: Any) -> Tensor:
    """Return the entries by position as a sparse CSR tensor."""
    kernel = torch.as_tensor(weight)
    values = _gathered(entries, kernel)
    starts, order = entries.members()
    if order is not None:
        sizes = torch.from_numpy(np.diff(starts)).to(kernel.device)
        group = torch.arange(len(sizes), device=kernel.device).repeat_interleave(sizes)
        summed = torch.zeros(len(sizes), dtype=kernel.dtype, device=kernel.device)
        values = summed.index_add(0, group, values[torch.from_numpy(order).to(kernel.device)])
    pointers, columns = (
        torch.from_numpy(array.astype(np.int64)).to(kernel.device)
        for array in (entries.by_position.row_pointers, entries.by_position.column_indices)
    )
    return torch.sparse_csr_tensor(
        pointers, columns, values, (entries.rows, entries.columns), check_invariants=False
    )


def sparse_coo(entries: Entries, weight: Any) -> Tensor:
    """Return one entry per (output, input, tap) as a sparse COO tensor; it may not be coalesced."""
    kernel = torch.as_tensor(weight)
    indices = torch.from_numpy(np.stack(entries.coordinates()).astype(np.int64, copy=False))
    return torch.sparse_coo_tensor(
        indices.to(kernel.device),
        _gathered(entries, kernel),
        (entries.rows, entries.columns),
        check_invariants=False,
    )


def strided(entries: Entries, weight: Any) -> Tensor:
    """Return the dense matrix."""
    matrix: Tensor = dense(entries.geometry, torch.as_tensor(weight), entries.input_size)
    return matrix


def _gathered(entries: Entries, kernel: Tensor) -> Tensor:
    """Return the weight of every entry."""
    index = torch.from_numpy(entries.weight_index()).to(kernel.device, torch.int64)
    return kernel.reshape(-1)[index]


# Of each layout: the bytes that values of so many bytes and indices of 8 take, and how it is made.
LAYOUTS: dict[str, tuple[Callable[[Entries, int], int], Callable[[Entries, Any], Tensor]]] = {
    "sparse_csr": (lambda entries, item: entries.by_position.count * (item + 8), sparse_csr),
    "sparse_coo": (lambda entries, item: entries.by_tap.count * (item + 16), sparse_coo),
    "strided": (lambda entries, item: entries.rows * entries.columns * item, strided),
}
