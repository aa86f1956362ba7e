"""Scores of classes as people read them: as probabilities, the best first, with their names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlin.arguments import shown
from convlin.display.inputs import existing
from convlin.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from convlin.geometry import ReceptiveField

__all__ = ["Classes", "as_people_read", "class_output", "parse_classes"]

# Classes of the table, unless the user names them: half hide what else is there, twice scroll.
ROWS = 5
# How far from 1 the sum of a window's probabilities may be: of a thousand, bfloat16 rounds each by
# 0.4 %. Other scores do not come so near in every window.
NEARLY = 0.01


@dataclass(frozen=True)
class Classes:
    """What the user says of the classes: which to show, and what they are called."""

    wanted: tuple[int, ...] | None = None
    names: tuple[str, ...] | None = None

    def require(self, count: int | None, *, drawn: bool) -> None:
        """Raise unless these are of a model with so many classes; None: it has none to draw."""
        asked = {"--classes": self.wanted, "--names": self.names, "--picture": drawn or None}
        for option, value in asked.items():
            if count is None and value is not None:
                raise InputError(f"{option}: no output of the model is a score for each class")
        if count is None:
            return
        if self.names is not None and len(self.names) != count:
            raise InputError(
                f"--names has {len(self.names)} lines, expected {count}, one for each class"
            )
        if self.wanted is not None and max(self.wanted) >= count:
            raise InputError(f"--classes has {max(self.wanted)}, expected 0 to {count - 1}")

    def rows(
        self, scores: Float[np.ndarray, "k h w"], field: ReceptiveField
    ) -> list[dict[str, Any]]:
        """Return each class that is shown: its best score, and the pixels of that window."""
        from convlin.figures.standings import standings

        return [
            {
                "class": each.number,
                "name": self.names[each.number] if self.names else None,
                "best": each.best,
                "highest_in": each.wins,
                "window": field.reads(each.cell),
            }
            for each in standings(scores, self.wanted)[: ROWS if self.wanted is None else None]
        ]


def parse_classes(wanted: str | None, names: Path | None) -> Classes:
    """Return what `--classes`, numbers with commas, and `--names`, a line for each, say.

    >>> parse_classes("285,281", None)
    Classes(wanted=(285, 281), names=None)
    """
    numbers = None
    if wanted is not None:
        if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9}){0,63}", wanted):
            allowed = "numbers of classes with commas, at most 64, such as 281,285"
            raise InputError(f"--classes is {shown(wanted)}, expected {allowed}")
        numbers = tuple(map(int, wanted.split(",")))
    if names is None:
        return Classes(numbers)
    try:
        text = existing(names).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{names}: not a text of names, a line for each class") from error
    return Classes(numbers, tuple(text.removesuffix("\n").split("\n")))


def class_output(outputs: Mapping[str, np.ndarray]) -> Float[np.ndarray, "k h w"] | None:
    """Return the first output that is a score for each class and window, if one is."""
    fits = (scores for scores in outputs.values() if scores.ndim == 3 and scores.dtype.kind == "f")
    return next(fits, None)


def as_people_read(
    scores: Float[np.ndarray, "k h w"], raw: bool
) -> tuple[Float[np.ndarray, "k h w"], str]:
    """Return scores and what they are: probabilities, by softmax unless they are it already.

    raw: they are shown as they are; so is the score of a single class, whose softmax is 1.
    """
    import numpy as np
    from scipy.special import softmax

    if raw or len(scores) == 1:
        return scores, "score"
    values = scores.astype(np.float64)
    if (values >= 0).all() and (np.abs(values.sum(0) - 1) < NEARLY).all():
        return values, "probability"
    return softmax(values, axis=0), "probability"
