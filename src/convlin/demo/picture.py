"""The picture of the demo: the sheet, the heat map and the digits found, and a closer look."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageColor, ImageDraw, ImageFont

from convlin.demo.one_pass import Reading
from convlin.demo.sheet import Digit
from convlin.display import atomic
from convlin.errors import InputError
from convlin.figures import palette

__all__ = ["check", "draw", "write"]

PANEL = 1000  # pixels of a panel's longer side: a digit is 23 high on a sheet of 1024, 12 at half
LEAST = 520  # pixels of a column: its captions are up to 547 wide, and a gap follows
# Sheet pixels across the closer look, some eight digits; and its height over its width: three rows.
CLOSE, ASPECT = 230, 0.42
GAP, TOP, KEY = 40, 136, 92  # pixels: between columns, of the title's two lines, of the captions'
BACKGROUND, INK, QUIET, RIM = (250, 250, 248), (34, 34, 34), (105, 105, 105), (190, 190, 190)
# Colours that differ for every kind of colour vision (Okabe and Ito, 2008).
RIGHT, WRONG, MISSED = (0, 114, 178), (213, 94, 0), (176, 60, 130)
# Log-odds at which the heat map's colours end. 95 in 100 digits of a sheet have more than 14, half
# of them more than 25: at double, that half would look unsure.
SURE = 12.0
RAMP = np.array([ImageColor.getrgb(color) for color in palette.RAMP])


@dataclass(frozen=True)
class View:
    """A part of the sheet, (left, top, width, height) in its pixels, drawn at a scale."""

    box: tuple[int, int, int, int]
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in the picture."""
        return max(1, round(self.box[2] * self.scale)), max(1, round(self.box[3] * self.scale))

    def cut(self, image: Image.Image) -> Image.Image:
        """Return this part of an image that is as large as the sheet, scaled."""
        left, top, width, height = self.box
        part = image.crop((left, top, left + width, top + height))
        return part.resize(self.size, Image.Resampling.LANCZOS)

    def at(self, y: float, x: float) -> tuple[float, float]:
        """Return where (y, x) of the sheet lies in this view: x, then y."""
        return (x - self.box[0]) * self.scale, (y - self.box[1]) * self.scale


def draw(reading: Reading, title: str, subtitle: str) -> Image.Image:
    """Return three panels under a title, the heat map in its place, and a closer look below.

    Where the truth is known, digits found wrongly and digits missed are marked.
    """
    paper = Image.fromarray((reading.image * 255).round().astype(np.uint8)).convert("RGB")
    whole = View((0, 0, *paper.size), PANEL / max(paper.size))
    column = max(LEAST, whole.size[0])
    foot = TOP + whole.size[1]
    close = _closer_look(reading, column) if max(paper.size) > 2 * CLOSE else None
    views = [(TOP, whole), *([(foot + KEY, close)] if close else [])]
    bottom = foot + KEY + (close.size[1] + GAP if close else 0)
    canvas = Image.new("RGB", (3 * column + 4 * GAP, bottom), BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    pen.text((GAP, 28), title, INK, _font(38))
    pen.text((GAP, 82), subtitle, QUIET, _font(24))
    for number, image in enumerate((paper, _heat(paper, reading), paper)):
        left = GAP + number * (column + GAP)
        for top, view in views:
            panel = view.cut(image)
            if number == 2:
                panel = _marked(panel, view, reading)
            if view is whole and close:
                _outline(panel, close, whole)
            canvas.paste(panel, (left, top))
            pen.rectangle((left - 1, top - 1, left + panel.width, top + panel.height), outline=RIM)
    _captions(canvas, reading, column, foot + 14, close is not None)
    return canvas


def _captions(canvas: Image.Image, reading: Reading, column: int, top: int, closer: bool) -> None:
    """Say below each panel what it shows, and what its colours mean."""
    pen = ImageDraw.Draw(canvas)
    height, width = reading.image.shape
    rows, columns = reading.odds.shape
    pen.text((GAP, top), f"the sheet, {width} x {height} pixels", INK, _font(22))
    if closer:
        pen.text((GAP, top + 34), "below: the framed part, closer", QUIET, _font(18))
    _ramp_key(canvas, (2 * GAP + column, top), f"{columns} x {rows} = {columns * rows:,} windows")
    _mark_key(pen, (3 * GAP + 2 * column, top), reading.result is not None)


def check(path: Path) -> str:
    """Return the format a picture's name ends in; `InputError` if there is none, or no writing."""
    form = Image.registered_extensions().get(path.suffix.lower())
    if form not in ("PNG", "JPEG", "WEBP"):
        raise InputError(f"{path}: a picture ends in .png, .jpg or .webp")
    target = atomic.destination(path)
    nearest = next(folder for folder in target.parents if folder.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise InputError(f"{path}: cannot be written below {nearest}")
    return form


def write(picture: Image.Image, path: Path) -> None:
    """Write a picture whole, in the format its name ends in; missing folders are made.

    Raises `InputError` if it cannot be written there.
    """
    form = check(path)
    encoded = io.BytesIO()  # of a full disk, Pillow's JPEG encoder knows a number only
    try:
        picture.save(encoded, form)
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    atomic.write(path, encoded.getvalue())


def _closer_look(reading: Reading, width: int) -> View:
    """Choose a part to enlarge: around the first mistake, else around the surest digit."""
    h, w = reading.image.shape
    across, along = min(CLOSE, w), min(round(CLOSE * ASPECT), h)
    centres = [(detection.y, detection.x) for detection in reading.detections[:1]]
    centres[:0] = [(missed.y, missed.x) for missed in _missed(reading)[:1]]
    y, x = centres[0] if centres else (h / 2, w / 2)
    left = min(max(0, round(x - across / 2)), w - across)
    top = min(max(0, round(y - along / 2)), h - along)
    return View((left, top, across, along), width / across)


def _heat(paper: Image.Image, reading: Reading) -> Image.Image:
    """Colour every cell in the middle of its window; the rim is the middle of none.

    The ink shines through: light where the colours are dark, dark where they are light.
    """
    field, odds = reading.field, reading.odds
    level = (odds / SURE + 1) / 2 * (len(RAMP) - 1)
    cells = Image.fromarray(_colours(level))
    (down, right), (tall, wide) = field.stride, field.size
    image = Image.new("RGB", paper.size, tuple(int(c) for c in RAMP[0]))
    corner = (field.offset[1] + (wide - right) // 2, field.offset[0] + (tall - down) // 2)
    blown_up = (cells.width * right, cells.height * down)
    image.paste(cells.resize(blown_up, Image.Resampling.NEAREST), corner)
    coloured = np.asarray(image, dtype=np.float32)
    ink = np.clip(0.8 - reading.image, 0, 0.5)[..., None]
    contrast = np.where(coloured.mean(-1, keepdims=True) < 128, 255, 0)
    return Image.fromarray((coloured + (contrast - coloured) * ink).astype(np.uint8))


def _colours(level: Float[np.ndarray, "*n"]) -> np.ndarray:
    """Return the ramp's colours at levels from 0 to its last index."""
    channels = [np.interp(level, range(len(RAMP)), RAMP[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _marked(panel: Image.Image, view: View, reading: Reading) -> Image.Image:
    """Box every digit found, its name on a tag at the corner; circle those missed."""
    panel = Image.blend(panel, Image.new("RGB", panel.size, "white"), 0.35)
    pen = ImageDraw.Draw(panel)
    half, line = 12.5 * view.scale, max(1, round(1.4 * view.scale))
    wrong = set(reading.result.false) if reading.result else set()
    for missed in _missed(reading):
        x, y = view.at(missed.y, missed.x)
        r = half * 1.6
        pen.ellipse((x - r, y - r, x + r, y + r), outline=MISSED, width=2 * line)
    for index, detection in enumerate(reading.detections):
        x, y = view.at(detection.y, detection.x)
        colour = WRONG if index in wrong else RIGHT
        pen.rectangle((x - half, y - half, x + half, y + half), outline=colour, width=line)
        tag = 9.5 * view.scale
        right, top = x + half, y - half
        pen.rectangle((right - tag, top - tag / 2, right + line, top + tag / 2), colour)
        middle = (right - (tag - line) / 2, top)
        pen.text(middle, str(detection.digit), "white", _font(max(8, round(tag))), anchor="mm")
    return panel


def _missed(reading: Reading) -> list[Digit]:
    """Return the true digits that were not found."""
    return (
        [reading.truth[i] for i in reading.result.missed]
        if reading.result and reading.truth
        else []
    )


def _outline(panel: Image.Image, inner: View, outer: View) -> None:
    """Frame the part that is shown closer."""
    left, top, width, height = inner.box
    pen = ImageDraw.Draw(panel)
    corners = (*outer.at(top, left), *outer.at(top + height - 1, left + width - 1))
    pen.rectangle(corners, outline="white", width=5)
    pen.rectangle(corners, outline=INK, width=3)


def _ramp_key(canvas: Image.Image, corner: tuple[int, int], text: str) -> None:
    """Draw the colour ramp with its ends named."""
    pen = ImageDraw.Draw(canvas)
    x, y = corner
    pen.text((x, y), f"is there a digit? {text}, one pass", INK, _font(22))
    y += 36
    pen.text((x, y - 2), "surely not", QUIET, _font(18))
    bar = np.tile(_colours(np.linspace(0, len(RAMP) - 1, 200)), (18, 1, 1))
    canvas.paste(Image.fromarray(bar), (x + 100, y))
    pen.text((x + 312, y - 2), "surely", QUIET, _font(18))


def _mark_key(pen: ImageDraw.ImageDraw, corner: tuple[int, int], known: bool) -> None:
    """Say what boxes and circles mean."""
    x, y = corner
    pen.text((x, y), "digits found, and what they were read as", INK, _font(22))
    y += 36
    pen.rectangle((x, y, x + 18, y + 18), outline=RIGHT, width=3)
    pen.text((x + 28, y - 2), "right" if known else "found", QUIET, _font(18))
    if known:
        pen.rectangle((x + 120, y, x + 138, y + 18), outline=WRONG, width=3)
        pen.text((x + 148, y - 2), "wrong", QUIET, _font(18))
        pen.ellipse((x + 250, y - 1, x + 270, y + 19), outline=MISSED, width=3)
        pen.text((x + 280, y - 2), "missed", QUIET, _font(18))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
