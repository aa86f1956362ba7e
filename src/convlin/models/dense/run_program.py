"""Run a .pt2 as whoever gets it will: in a new process, with nothing but PyTorch.

    python run_program.py FILE DTYPE DEVICE SHAPE…

Each SHAPE, such as 3x1x28x28, is a batch of seeded noise. Writes a list to standard output with
`torch.save`: for every shape the tensors that came out, or the error in words.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch

__all__ = ["main", "noise", "tensors"]


def noise(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> torch.Tensor:
    """Return the noise of that shape: the same in every process."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator).to(device, dtype)


def tensors(outputs: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of a model's outputs, in order."""
    if isinstance(outputs, torch.Tensor):
        yield outputs
    elif isinstance(outputs, Mapping):
        yield from tensors(list(outputs.values()))
    elif isinstance(outputs, list | tuple):
        for output in outputs:
            yield from tensors(output)


def main(file: str, dtype: str, device: str, *shapes: str) -> None:
    """Run the program on every shape."""
    program = torch.export.load(file).module()
    results: list[Any] = []
    for shape in shapes:
        images = noise(tuple(map(int, shape.split("x"))), getattr(torch, dtype), device)
        try:
            with torch.no_grad():
                results.append([leaf.cpu() for leaf in tensors(program(images))])
        except Exception as error:  # a program may fail in any way
            results.append(f"{type(error).__name__}: {error}".splitlines()[0])
    stream = io.BytesIO()
    torch.save(results, stream)
    sys.stdout.buffer.write(stream.getvalue())


if __name__ == "__main__":
    main(*sys.argv[1:])
