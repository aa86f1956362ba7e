"""What of a model's outputs is stored: which of them, which classes, as what numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convlin.errors import Description, Refusal, Refused
from convlin.scanning.plan.method_contract import Output

__all__ = ["DTYPES", "Selection"]

DTYPES = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Selection:
    """Names of outputs and numbers of classes, None for all; softmax over all classes first."""

    outputs: tuple[str, ...] | None = None
    classes: tuple[int, ...] | None = None
    softmax: bool = False
    dtype: str = "float32"

    def of(self, outputs: tuple[Output, ...]) -> tuple[Output, ...]:
        """Return the outputs as they are stored; raise `Refused` for what the model has not."""
        known = [output.name for output in outputs]
        missing = [name for name in self.outputs or () if name not in known]
        if missing:
            allowed = f"among {', '.join(known)}"
            raise Refused(Refusal("scan", "outputs", Description(", ".join(missing)), allowed))
        found = []
        for output in outputs:
            if self.outputs is not None and output.name not in self.outputs:
                continue
            if self.classes is not None or self.softmax:
                if not output.shape:
                    allowed = f"None: {output.name} is one number for each window"
                    raise Refused(Refusal("scan", "classes", self.classes, allowed))
                most = output.shape[0]
                if any(not 0 <= number < most for number in self.classes or ()):
                    allowed = f"numbers from 0 to {most - 1}, the classes of {output.name}"
                    raise Refused(Refusal("scan", "classes", self.classes, allowed))
            shape = output.shape
            if self.classes is not None:
                shape = (len(self.classes), *output.shape[1:])
            found.append(replace(output, shape=shape))
        return tuple(found)

    def __call__(self, name: str, scores: np.ndarray) -> np.ndarray:
        """Return what is stored of an output (K, …)."""
        if self.softmax:
            top = scores.max(axis=0, keepdims=True)
            scores = np.exp(scores - top)
            scores /= scores.sum(axis=0, keepdims=True)
        if self.classes is not None:
            scores = scores[list(self.classes)]
        with np.errstate(over="ignore"):
            return scores.astype(self.dtype, copy=False)
