"""`convlin explain`: six lessons on convolutions and fully connected layers, computed as told."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from convlin.arguments import shown as quoted
from convlin.cli.images import read_image
from convlin.cli.terminal import output, shown
from convlin.cli.written_files import check_output
from convlin.display.atomic import write
from convlin.display.inputs import existing
from convlin.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from convlin.teach.example import Example

__all__ = ["explain"]

ROWS = re.compile(r"[\s\d.,;+\-eE]*\d[\s\d.,;+\-eE]*")
EXAMPLE = "rows of equally many numbers, such as '1 0 0; 0 1 0'"


def explain(
    lang: Annotated[Literal["en", "zh"], typer.Option(help="English or Chinese.")] = "en",
    lesson: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=1, max=6, help="Only this lesson; may be repeated."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write one HTML file instead, with linked views; needs the extra `teach`.",
        ),
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Wait for your answer before each ruling.")
    ] = False,
    image: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME|ROWS", help="Your own image, for lessons 1 and 2: a "
                     "picture, which is made small; digits, scene or noise; or rows of numbers "
                     "such as '1 0 0; 0 1 0'."),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(metavar="NAME|ROWS", help="Your own kernel: edge, blur, sharpen, article, or "
                     "rows of numbers."),
    ] = None,
    stride: Annotated[str, typer.Option(metavar="N", help="One number, or down,across.")] = "1",
    padding: Annotated[
        str, typer.Option(metavar="N", help="Zeros around the image, likewise.")
    ] = "0",
    dilation: Annotated[
        str, typer.Option(metavar="N", help="Step between the kernel's taps.")
    ] = "1",
    force: Annotated[bool, typer.Option(help="Overwrite the HTML file.")] = False,
) -> None:  # fmt: skip
    """Explain in six lessons how convolutions and fully connected layers relate.

    1: a convolution is a sparse FC layer. 2: shared weights. 3: 1x1 convolutions and FC layers.
    4: kernels as large as the map. 5: what 1x1 convolutions are for. 6: why share, and what for.
    Every number is computed now, each ruling is asked first, and every claim of the article is
    ruled right, right with a correction, dependent on which FC layer, or answered.
    """
    if html is not None:
        if ask:
            raise InputError(
                "--ask waits in the terminal, and --html writes a page, which asks by itself"
            )
        _check_page(html, force)
    steps = (
        _pair(stride, "--stride", 1),
        _pair(padding, "--padding", 0),
        _pair(dilation, "--dilation", 1),
    )
    pixels = None if image is None else _image(image)
    weights = None if kernel is None else _kernel(kernel)

    from convlin.teach.lessons import NUMBERS, lessons

    example = _example(pixels, weights, steps)
    document = lessons(lang, sorted(set(lesson or NUMBERS)), example)
    if html is not None:
        from convlin.teach.web.one_file import one_file

        write(html, one_file(document).encode(), force=force)
        output().print(f"wrote {shown(html)} ({html.stat().st_size:,} bytes)")
        return

    if ask:
        from convlin.teach.terminal.asking import ask as ask_and_wait

        ask_and_wait(document, output(), input)
        return

    from convlin.teach.terminal.lesson_terminal import Screen

    output().print(Screen(document))


def _example(
    image: Float[np.ndarray, "h w"] | None,
    kernel: Float[np.ndarray, "kh kw"] | None,
    steps: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
) -> Example:
    """Return the reader's example; the article's image or kernel where they gave none."""
    from convlin.teach.example import Example, article_example

    article = article_example()
    if image is None and kernel is None and steps == ((1, 1), (0, 0), (1, 1)):
        return article
    image = article.image if image is None else image
    return Example(image, article.kernel if kernel is None else kernel, *steps)


def _image(text: str) -> Float[np.ndarray, "h w"]:
    """Return a grey picture, made small, as whole numbers from 0 to 255; or rows as written."""
    if ROWS.fullmatch(text):
        return _rows(text, "--image")
    from convlin.teach.pictures import PICTURES, shrunk

    if text in PICTURES:
        return PICTURES[text].astype(float)
    try:
        file = existing(Path(text))
    except InputError:
        wanted = f"a picture file, {', '.join(PICTURES)}, or {EXAMPLE}"
        raise InputError(f"--image is {quoted(text)}, expected {wanted}") from None
    grey = read_image(file, 1, (1, 1))[0]
    pixels: np.ndarray = (grey * 255).round().astype(float)
    small: np.ndarray = shrunk(pixels)
    return small


def _kernel(text: str) -> Float[np.ndarray, "kh kw"]:
    """Return a kernel that has a name, or rows as they are written."""
    from convlin.teach.pictures import KERNELS

    if text in KERNELS:
        return KERNELS[text].astype(float)
    return _rows(text, "--kernel", f"{', '.join(KERNELS)}, or {EXAMPLE}")


def _rows(text: str, option: str, wanted: str = EXAMPLE) -> Float[np.ndarray, "h w"]:
    """Return rows of numbers, with spaces or commas between them and semicolons between rows."""
    import numpy as np

    wrong = f"{option} is {quoted(text)}, expected {wanted}"
    rows = [row.replace(",", " ").split() for row in text.split(";")]
    try:
        numbers = [[float(item) for item in row] for row in rows]
    except ValueError:
        raise InputError(wrong) from None
    lengths = [len(row) for row in rows]
    if 0 in lengths or len(set(lengths)) > 1:
        raise InputError(f"{wrong} (numbers in each row: {', '.join(map(str, lengths))})")
    return np.array(numbers)


def _pair(text: str, option: str, least: int) -> tuple[int, int]:
    """Return one number for both directions, or two.

    >>> _pair("2", "--stride", 1), _pair("2,1", "--stride", 1)
    ((2, 2), (2, 1))
    """
    match = re.fullmatch(r"\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?", text)
    pair = (int(match[1]), int(match[2] or match[1])) if match else (-1, -1)
    if min(pair) < least:
        wanted = f"one or two whole numbers from {least} to 999, such as 2 or 2,1"
        raise InputError(f"{option} is {quoted(text)}, expected {wanted}")
    return pair


def _check_page(html: Path, force: bool) -> None:
    check_output(html, ".html", force)
    if find_spec("matplotlib") is None:
        raise InputError('--html draws with matplotlib: pip install "convlin[teach]"')
