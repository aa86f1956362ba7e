"""What stands between a method and the runner, so that either can change alone.

The runner asks `cost(task)` and `reads(task)` before anything is read, then `run(task, read)`. The
method asks `read` for boxes of pixels, one after another: a task as tall as an image is never in
memory as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

__all__ = ["Box", "Cost", "Method", "Output", "Read", "Semantics", "Task"]

# [start, stop) along each spatial dimension, of pixels or of cells
Box: TypeAlias = tuple[tuple[int, int], ...]
# what a score is: the classifier's on that crop, or the network's on the whole image
Semantics: TypeAlias = Literal["window", "image"]


@dataclass(frozen=True)
class Output:
    """One output of a model: its name, and its shape at each window, (K,) for scores."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Task:
    """Some windows that are computed and stored together.

    cells: which, counted from the image's first window. first: whether no task comes before it
    whose rows it could go on from.
    """

    index: int
    cells: Box
    first: bool = True


@dataclass(frozen=True)
class Cost:
    """What a task takes: multiply-adds, pixels that it reads, and bytes at once beyond weights.

    cold: pixels that it reads besides, where the task before it was not run in the same process.
    """

    multiply_adds: int
    pixels: int
    memory: int
    cold: int = 0


class Read(Protocol):
    """Pixels as the model takes them, box by box."""

    def __call__(self, box: Box, owned: bool = True) -> Any:
        """Return the pixels (C, *box); zeros stand for those that are beyond the image or no data.

        owned: False for pixels that an earlier task has read too.
        """

    def skips(self, cells: Box) -> bool:
        """Whether none of these windows is asked for: what is computed of them is thrown away."""


class Method(Protocol):
    """One way to the scores of windows."""

    name: str
    outputs: tuple[Output, ...]

    def cost(self, task: Task) -> Cost:
        """Return what a task takes."""

    def reads(self, task: Task) -> Box:
        """Return the pixels that a task reads where none came before it."""

    def run(self, task: Task, read: Read) -> dict[str, Any]:
        """Return each output as an array (*shape, *cells)."""
