"""Scores of pictures as files: one .npz of all, and a heat map of each."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlin.cli.class_scores import Classes
from convlin.cli.normalisation import Normalisation
from convlin.cli.written_files import check_output
from convlin.display.atomic import replacing
from convlin.errors import InputError, printable

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from convlin import SlidingWindow, WindowPlan

__all__ = ["Scored", "entries", "heat_maps", "picture_files", "write_all"]


@dataclass(frozen=True, eq=False)
class Scored:
    """A picture, what its windows cost, and what the model says of them, output by output.

    scores: of the classes as people read them, and what they are; None if no output is such.
    """

    path: Path
    pixels: Float[np.ndarray, "c h w"]
    plan: WindowPlan
    outputs: dict[str, np.ndarray]
    scores: tuple[Float[np.ndarray, "k h w"], str] | None


def picture_files(picture: Path | None, count: int, force: bool) -> list[Path]:
    """Return a file for each image's heat map, numbered where there are several."""
    if picture is None:
        return []
    if picture.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"{picture}: a heat map ends in .png, .svg or .pdf")
    numbers = range(count)
    files = [picture.with_stem(f"{picture.stem}_{n}") for n in numbers] if count > 1 else [picture]
    for file in files:
        check_output(file, picture.suffix, force)

    from convlin.figures import heat_map  # noqa: F401 - without matplotlib it raises, here

    return files


def entries(
    windows: SlidingWindow, scored: Sequence[Scored], normal: Normalisation, classes: Classes
) -> dict[str, Any]:
    """Return what the .npz holds, by name; the scores first."""
    named: dict[str, Any] = {}
    for number, each in enumerate(scored):
        own = "scores" if len(scored) == 1 else f"scores_{number}"
        named |= {f"{own}.{name}" if name else own: array for name, array in each.outputs.items()}
    field = windows.field
    named |= {"window": windows.window, "stride": field.stride, "offset": field.offset}
    named |= {"images": [str(each.path) for each in scored], "mean": normal.mean, "std": normal.std}
    return named | ({} if classes.names is None else {"classes": classes.names})


def heat_maps(
    windows: SlidingWindow, scored: Sequence[Scored], classes: Classes, files: Sequence[Path]
) -> dict[Path, bytes]:
    """Return the heat map of each picture as its file holds it."""
    if not files:
        return {}

    from convlin.figures import heat_map

    drawn = {}
    for each, file in zip(scored, files, strict=True):
        assert each.scores is not None
        scores, kind = each.scores
        figure = heat_map(
            scores, each.pixels, windows.field, classes=classes.wanted, names=classes.names,
            words={"image": printable(each.path.name), "values": kind},
        )  # fmt: skip
        stored = io.BytesIO()
        figure.savefig(stored, format=file.suffix[1:])
        drawn[file] = stored.getvalue()
    return drawn


def write_all(
    out: Path, named: Mapping[str, Any], pictures: Mapping[Path, bytes], force: bool
) -> None:
    """Write the files; none gets its name before all are written."""
    import numpy as np

    with ExitStack() as stack:
        np.savez(stack.enter_context(replacing(out, force=force)), **named)
        for path, content in pictures.items():
            stack.enter_context(replacing(path, force=force)).write(content)
