"""Layers with a name: those of lessons, and the kinds of layers that have one."""

from __future__ import annotations

from convlin.errors import Refusal, Refused
from convlin.teach.scenes.decimals import shortened

__all__ = ["PRESETS", "preset"]

# What differs from the first lesson; its image and weights are those of its shape.
PRESETS: dict[str, dict[str, str]] = {
    "lesson1": {"at": "output:0,0,0"},
    "lesson2": {"at": "output:0,0,1"},
    "lesson3": {"size": "3x3", "in": "3", "out": "2", "kernel": "1x1", "at": "output:0,1,1"},
    "lesson4": {"size": "3x3", "in": "3", "out": "3", "at": "output:1,0,0"},
    "lesson5": {"size": "3x3", "in": "3", "out": "4", "kernel": "1x1", "at": "output:2,1,1"},
    "pointwise": {"size": "5x6", "in": "2", "out": "4", "kernel": "1x1"},
    "patchify": {"size": "8x8", "in": "3", "out": "4", "kernel": "4x4", "stride": "4x4"},
    "full": {"size": "4x5", "in": "2", "out": "5", "kernel": "4x5"},
    "depthwise": {
        "size": "6x6", "in": "3", "out": "3", "padding": "1x1", "groups": "3",
    },
    "strided": {"size": "7x7", "stride": "2x2", "padding": "1x1"},
    "dilated": {"size": "8x8", "padding": "2x2", "dilation": "2x2"},
    "circular": {"size": "6x6", "padding": "1x1", "mode": "circular"},
    "transposed": {"size": "4x4", "stride": "2x2", "padding": "1x1", "transposed": "1"},
}  # fmt: skip


def preset(name: str) -> dict[str, str]:
    """Return the fields of a preset; `Refused` for a name that none has."""
    if name not in PRESETS:
        raise Refused(Refusal("explore", "preset", shortened(name), ", ".join(PRESETS)))
    return PRESETS[name]
