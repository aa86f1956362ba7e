"""A state of the page: a link, read, checked, and written again as short as it can be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

import numpy as np
from jaxtyping import Int

from convlin.display.languages import language
from convlin.errors import Description, Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.teach.pictures import PICTURES
from convlin.teach.scenes import decimals
from convlin.teach.scenes.decimals import SCALE, shortened, written
from convlin.teach.scenes.page_limits import ALONG, BOUNDS, PAIRS, bounded
from convlin.teach.scenes.pins import Pin
from convlin.teach.scenes.presets import PRESETS, preset
from convlin.teach.scenes.shown_numbers import link_of, own_image, own_weights, values_of

__all__ = ["LONGEST", "State"]

# Characters of a link, which servers and browsers take; a 32×32 image of own digits has 2,047.
LONGEST = 8192
DEFAULTS = {
    "size": "6x6", "in": "1", "out": "1", "kernel": "3x3", "stride": "1x1", "padding": "0x0",
    "mode": "zeros", "dilation": "1x1", "groups": "1", "transposed": "0",
}  # fmt: skip
OPTIONAL = ("image", "weights", "along", "at", "preset", "picture", "lang")
PAIR = re.compile(r"([0-9]{1,4})(?:[x×]([0-9]{1,4}))?")


@dataclass(frozen=True, eq=False)
class State:
    """What the page shows. Image, weights and `along` are whole thousandths.

    `fields` are the numbers of the geometry by their names in links; `named` is the preset that
    has this geometry, if there is one; `picture` is the one that the image begins as, if one.

    >>> state = State.of("?size=7&padding=1&along=0.50&stride=1x1")
    >>> state.geometry.output_size(state.size), state.link
    ((7, 7), '?size=7x7&padding=1x1&along=0.5')
    """

    fields: Mapping[str, Any]
    geometry: ConvGeometry
    size: tuple[int, int]
    image: Int[np.ndarray, "c h w"]
    weights: Int[np.ndarray, "a b kh kw"]
    along: int
    at: Pin | None
    named: str | None
    picture: str | None
    lang: str

    @classmethod
    def of(cls, link: str) -> State:
        """Return the state of a link, or of its query; `Refused`, naming the field, if it is none.

        What a preset says holds where the link itself says nothing.
        """
        texts = {name: text for name, text in _fields(link).items() if text or name not in OPTIONAL}
        asked = texts.get("preset")
        base = preset(asked) if asked else {}
        drawn = texts.get("picture")
        fields = _numbers(DEFAULTS | base | (_sized(drawn) if drawn else {}) | texts)
        geometry, size = bounded(fields)
        shape = (geometry.in_channels, *size)
        if (drawn and PICTURES[drawn].shape != shape[1:]) or geometry.in_channels > 1:
            drawn = None
        along = decimals.read("along", texts.get("along", "0"))
        if not ALONG[0] * SCALE <= along <= ALONG[1] * SCALE:
            allowed = f"a number from {ALONG[0]} to {ALONG[1]}"
            raise Refused(Refusal("explore", "along", Description(written(along)), allowed))
        alike = [name for name, own in PRESETS.items() if _numbers(DEFAULTS | own) == fields]
        pinned = texts.get("at", base.get("at") if asked in alike else None)
        return cls(
            fields, geometry, size,
            values_of("image", texts.get("image", ""), begun(shape, drawn)),
            values_of("weights", texts.get("weights", ""), own_weights(geometry.weight_shape)),
            along,
            Pin.read(pinned, geometry, size) if pinned else None,
            asked if asked in alike else _named(alike, pinned),
            drawn,
            language("explore", texts.get("lang", "en")),
        )  # fmt: skip

    @property
    def texts(self) -> dict[str, str | None]:
        """Every field as a link writes it; None where a link need not say it."""
        geometry = {name: _written(value) for name, value in self.fields.items()}
        return geometry | {
            "image": link_of(
                self.image, begun((self.geometry.in_channels, *self.size), self.picture)
            ),
            "weights": link_of(self.weights, own_weights(self.geometry.weight_shape)),
            "along": written(self.along),
            "preset": self.named,
            "picture": self.picture,
            "lang": self.lang,
            "at": None if self.at is None else str(self.at),
        }

    @property
    def link(self) -> str:
        """The link of this state: a query with everything that is not the default."""
        defaults = DEFAULTS | {"along": "0", "lang": "en"}
        texts = {
            name: text
            for name, text in self.texts.items()
            if text is not None and name != "preset" and text != defaults.get(name)
        }
        return _query(texts)

    @property
    def geometry_link(self) -> str:
        """The link of the geometry alone."""
        texts = {name: _written(value) for name, value in self.fields.items()}
        return _query({name: text for name, text in texts.items() if text != DEFAULTS[name]})


def begun(shape: tuple[int, int, int], picture: str | None) -> Int[np.ndarray, "c h w"]:
    """Return the image, in thousandths, that a state of this shape begins with."""
    return own_image(shape) if picture is None else PICTURES[picture][None].astype(int) * SCALE


def _sized(picture: str) -> dict[str, str]:
    """Return the fields that a picture settles; `Refused` for a name that none has."""
    if picture not in PICTURES:
        raise Refused(Refusal("explore", "picture", shortened(picture), ", ".join(PICTURES)))
    height, width = PICTURES[picture].shape
    return {"size": f"{height}x{width}", "in": "1"}


def _query(texts: Mapping[str, str]) -> str:
    return "?" + "&".join(f"{name}={quote(text, safe=',:')}" for name, text in texts.items())


def _fields(link: str) -> dict[str, str]:
    """Return the fields of a link; `Refused` for what is no query, and for names that are none."""
    query = link.partition("#")[0]
    query = query.partition("?")[2] if "?" in query else query
    if not query:
        return {}
    if len(query) > LONGEST:
        raise Refused(
            Refusal(
                "explore", "link", Description(f"{len(query):,} characters"), f"at most {LONGEST:,}"
            )
        )
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=64
        )
    except ValueError:
        allowed = "field=value&field=value, in UTF-8"
        raise Refused(Refusal("explore", "link", shortened(query), allowed)) from None
    fields: dict[str, str] = {}
    for name, text in pairs:
        if name not in DEFAULTS and name not in OPTIONAL:
            allowed = ", ".join((*DEFAULTS, *OPTIONAL))
            raise Refused(Refusal("explore", shortened(name), shortened(text), f"one of {allowed}"))
        if name in fields:
            raise Refused(Refusal("explore", name, shortened(text), "each field once"))
        fields[name] = text
    return fields


def _numbers(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the geometry as numbers, each within its bounds."""
    return {name: _number(name, texts[name]) for name in DEFAULTS}


def _number(name: str, text: str) -> Any:
    if name == "mode":
        return text if len(text) < 20 else shortened(text)
    if name == "transposed":
        if text not in ("0", "1"):
            raise Refused(Refusal("explore", name, shortened(text), "0 or 1"))
        return text == "1"
    low, high = BOUNDS[name]
    match = PAIR.fullmatch(text)
    numbers = [int(part) for part in match.groups() if part] if match else []
    many = name in PAIRS
    if not numbers or (len(numbers) > 1 and not many) or any(not low <= n <= high for n in numbers):
        allowed = f"a whole number from {low} to {high}" + ", or height × width, such as 5x4" * many
        raise Refused(Refusal("explore", name, shortened(text), allowed))
    return (numbers[0], numbers[-1]) if many else numbers[0]


def _written(value: Any) -> str:
    """Return a field of the geometry as links write it."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return str(int(value)) if isinstance(value, bool) else str(value)


def _named(alike: list[str], pinned: str | None) -> str | None:
    """Return which preset of this geometry it is: the one pinned there, else the first."""
    there = [name for name in alike if PRESETS[name].get("at") == pinned]
    return next(iter(there + alike), None)
