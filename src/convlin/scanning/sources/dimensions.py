"""Which stored axis is a channel, a row, a column: by the letters that formats and callers give."""

from __future__ import annotations

from dataclasses import dataclass

from convlin.errors import Description, Refusal, Refused

__all__ = ["Dimensions"]

SPACE = {1: "X", 2: "YX", 3: "ZYX"}


@dataclass(frozen=True)
class Dimensions:
    """Places of the channels (None: there is one) and of each spatial axis among stored ones."""

    channels: int | None
    space: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], letters: str, ndim: int, *, asked: bool) -> Dimensions:
        """Return where what is read lies, by a letter for each stored axis; "" for (C, *spatial).

        C or S are channels; Z, Y and X, or T in one dimension, are space. Others must have length
        1. asked: whether a caller gave the letters.
        """
        if not letters:
            if len(shape) not in (ndim, ndim + 1):
                allowed = f"{ndim} or {ndim + 1} axes: ({'C, ' if ndim else ''}*spatial), or axes="
                raise Refused(Refusal("source", "shape", shape, allowed))
            letters = ("C" if len(shape) == ndim + 1 else "") + SPACE[ndim]
        letters = letters.upper()
        field = "axes" if asked else "source axes"
        if len(letters) != len(shape) or len(set(letters)) < len(letters):
            allowed = f"a letter for each of the {len(shape)} axes of {shape}, such as CYX"
            raise Refused(Refusal("scan", field, Description(letters), allowed))
        wanted = SPACE[ndim]
        if ndim == 1 and "X" not in letters:
            wanted = "T"
        missing = [letter for letter in wanted if letter not in letters]
        if missing:
            allowed = f"{', '.join(SPACE[ndim])} among them, for windows of {ndim} dimensions"
            raise Refused(Refusal("scan", field, Description(letters), allowed))
        channels = [place for place, letter in enumerate(letters) if letter in "CS"]
        many = [place for place in channels if shape[place] > 1]
        if len(many) > 1:
            allowed = "one axis of channels (C or S) that is longer than 1"
            raise Refused(Refusal("scan", field, Description(f"{letters} {shape}"), allowed))
        space = tuple(letters.index(letter) for letter in wanted)
        chosen = next(iter(many or channels), None)
        for place, letter in enumerate(letters):
            if place not in (*space, *channels) and shape[place] > 1:
                allowed = "1: it is neither channel nor space; if it is, name all with axes="
                raise Refused(Refusal("source", f"length of axis {letter}", shape[place], allowed))
        return cls(chosen, space)
