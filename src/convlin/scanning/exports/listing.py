"""A list of windows: which are in it, and what each of them is called."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from convlin.arguments import index, shown, wholes
from convlin.errors import Description, Refusal, Refused
from convlin.scanning.exports.chosen import hits

__all__ = ["Listed", "Listing"]


class Listed(NamedTuple):
    """A window in the list: of which output and class, and where."""

    output: str
    number: int
    name: str
    score: float
    cell: tuple[int, ...]


@dataclass(frozen=True)
class Listing:
    """Windows of `threshold` or more, the `top` best of each class, or both.

    classes: numbers of the stored classes, where they are some of the model's. names: of all of
    the model's classes, by number.

    >>> import numpy as np
    >>> its = Listing(top=1, classes=(2,), names=("cat", "cow", "dog"))
    >>> [*its.of({"scores": np.array([[1.0, 3.0, 2.0]])}, 1, Path("a.csv"))]
    [Listed(output='scores', number=2, name='dog', score=3.0, cell=(1,))]
    """

    threshold: float | None = None
    top: int | None = None
    classes: Sequence[int] | None = None
    names: Sequence[str] | None = None

    def require(self, arrays: Mapping[str, Any], ndim: int, path: Path) -> None:
        """Refuse a list of everything, and numbers or names that are not those of the classes."""

        def refused(field: str, value: Any, allowed: str) -> Refused:
            return Refused(Refusal(path.name, field, value, allowed))

        if self.threshold is None and self.top is None:
            raise refused("windows", None, "a threshold, or top: the best of each class")
        if self.threshold is not None and math.isnan(self.threshold):
            raise refused("threshold", self.threshold, "a number")
        if self.top is not None and (index(self.top) is None or self.top < 1):
            raise refused("top", shown(self.top), "a whole number ≥ 1")
        require_names(self.classes, self.names, arrays, ndim, path)

    def of(self, arrays: Mapping[str, Any], ndim: int, path: Path) -> Iterator[Listed]:
        """Yield the windows of each output, class by class, the highest score first."""
        for output, scores in arrays.items():
            for hit in hits(scores, ndim, self.threshold, self.top, path.parent):
                number = hit.kind if self.classes is None else self.classes[hit.kind]
                name = "" if self.names is None else self.names[number]
                yield Listed(output, number, name, hit.score, hit.cell)


def require_names(
    classes: Sequence[int] | None, names: Sequence[str] | None, arrays: Mapping[str, Any],
    ndim: int, path: Path,
) -> None:  # fmt: skip
    """Refuse numbers and names of classes that are not one for each class that is stored."""
    for output, scores in arrays.items():
        many = scores.shape[0] if len(scores.shape) > ndim else 1
        numbers = range(many) if classes is None else classes
        if classes is not None:
            wholes(path.name, "classes", tuple(classes)[:8], 0)
        if len(numbers) != many:
            allowed = f"{many} numbers, one for each class of {output}"
            raise Refused(Refusal(path.name, "classes", shown(tuple(numbers)), allowed))
        if isinstance(names, str):
            raise Refused(Refusal(path.name, "names", shown(names), "a list of names"))
        if names is not None and len(names) <= max(numbers):
            said = Description(f"{len(names)} names")
            allowed = f"one for each class of the model, up to {max(numbers)}"
            raise Refused(Refusal(path.name, "names", said, allowed))
