"""A convolution in a few words: what is not usual of it."""

from __future__ import annotations

from collections.abc import Sequence

from convlin.geometry.conv import ConvGeometry

__all__ = ["short", "short_at"]


def short(geometry: ConvGeometry) -> str:
    """Return channels, kernel, stride, padding, dilation, groups: those that are not the default.

    Padding that differs by side reads before+after.

    >>> short(ConvGeometry(4, 6, kernel=(3, 5), stride=2, padding=1, groups=2))
    '4→6 k3×5 s2 p1 g2'
    >>> short(ConvGeometry(1, 1, (3, 3), padding=((1, 0), (2, 2)), padding_mode="reflect"))
    '1→1 k3 p1+0×2 reflect'
    """
    sides = [str(lo) if lo == hi else f"{lo}+{hi}" for lo, hi in geometry.padding]
    parts = [f"{geometry.in_channels}→{geometry.out_channels}", f"k{_by(geometry.kernel)}"]
    parts += [f"s{_by(geometry.stride)}"] * (max(geometry.stride) > 1)
    parts += [f"p{_by(sides)}"] * (set(sides) != {"0"})
    parts += [f"d{_by(geometry.dilation)}"] * (max(geometry.dilation) > 1)
    parts += [f"g{geometry.groups}"] * (geometry.groups > 1)
    parts += [geometry.padding_mode] * (geometry.padding_mode != "zeros")
    return " ".join(parts)


def short_at(geometry: ConvGeometry, input_size: tuple[int, ...]) -> str:
    """Return a convolution at one input size in a few words.

    >>> short_at(ConvGeometry(4, 6, kernel=(3, 5), stride=2), (8, 9))
    'Conv2d 4→6 k3×5 s2 on (8, 9)'
    """
    return f"{geometry.kind} {short(geometry)} on {input_size}"


def _by(sizes: Sequence[int] | Sequence[str]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "×".join(map(str, sizes))
