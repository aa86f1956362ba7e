"""What is promised of a written program is tried first, where it will be used: elsewhere.

The file is loaded in a new process by PyTorch alone and compared with the network: at the window
itself, where torch.export likes to assume more than one cell; at one cell more; at odd sizes; one
image at a time and three.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor

from convlin.errors import InputError
from convlin.models.dense import run_program
from convlin.models.dense.network import FullyConvolutional
from convlin.proof.rounding import beyond_rounding

__all__ = ["compare"]

Shape = tuple[int, ...]


def compare(network: FullyConvolutional, file: Path, name: str = "") -> tuple[float, list[Shape]]:
    """Return the largest difference between network and file, and the shapes they were run on.

    Raises `InputError`, naming the shape, if the file fails or differs on one of them; `name` is
    what it calls the file.
    """
    name = name or str(file)
    shapes = _shapes(network)
    like = next(network.parameters(), torch.empty(0))
    largest = 0.0
    for shape, result in zip(shapes, _elsewhere(file, name, shapes, like), strict=True):
        if isinstance(result, str):
            raise InputError(
                f"{name}: the program fails on images {shape}, and is not kept: {result}"
            )
        with torch.no_grad():
            images = run_program.noise(shape, like.dtype, str(like.device))
            own = list(run_program.tensors(network(images)))
        for mine, theirs in zip(own, result, strict=True):
            mine = mine.cpu()
            if mine.shape != theirs.shape or beyond_rounding(mine, theirs, mine.dtype).any():
                raise InputError(f"{name}: the program differs on images {shape}, and is not kept")
            largest = max(largest, float((mine - theirs).abs().max()))
    return largest, shapes


def _shapes(network: FullyConvolutional) -> list[Shape]:
    """Return batches (N, C, *size): one window, one cell more, odd sizes; of 1 and of 3."""
    channels, *window = network.window
    axes = list(enumerate(zip(window, network.stride, strict=True)))
    last = len(window) - 1
    # The window, where sizes of 1 are fixed; one cell more in one dimension alone; then, from
    # dimension to dimension, another number of cells and a rest that leaves pixels over.
    sizes = [
        (1, [n for _, (n, _) in axes]),
        (3, [n for _, (n, _) in axes]),
        (1, [n + s * (axis == last) for axis, (n, s) in axes]),
        (3, [n + s for _, (n, s) in axes]),
        (3, [n + (axis + 1) * s + 1 for axis, (n, s) in axes]),
        (1, [n + (3 - axis) * s + s // 2 + 1 for axis, (n, s) in axes]),
    ]
    return [(batch, channels, *size) for batch, size in sizes]


def _elsewhere(
    file: Path, name: str, shapes: list[Shape], like: Tensor
) -> list[list[Tensor] | str]:
    """Run the file on noise of these shapes in a new process."""
    arguments = [str(like.dtype).removeprefix("torch."), str(like.device)]
    arguments += ["x".join(map(str, shape)) for shape in shapes]
    # -P: no torch.py of the working directory is imported
    command = [sys.executable, "-P", str(Path(run_program.__file__)), str(file), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"{name}: cannot be loaded again: {lines[-1] if lines else 'no message'}")
    results: list[list[Tensor] | str] = torch.load(io.BytesIO(done.stdout), weights_only=True)
    return results
