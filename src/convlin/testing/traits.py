"""What is remarkable about a layer, in the words of the table of what was tried."""

from __future__ import annotations

from collections.abc import Iterator

from convlin.testing.case import BUFFER, LAST, Case

__all__ = ["TRAITS", "traits"]

TRAITS = (
    "kernel 1", "kernel = stride", "kernel = input", "other kernels", "stride > 1",
    "stride > kernel", "a remainder", "padding", "padding ≥ kernel", "padding='same'",
    "padding='valid'", "output_padding", "reflect", "replicate", "circular", "dilation", "groups",
    "depthwise", "in = out channels", "no bias", "float64", "bfloat16", "channels_last",
    "one buffer", "frozen", "eval mode", "own forward", "further axes",
)  # fmt: skip


def traits(case: Case) -> list[str]:
    """Return what is remarkable about a layer, in the order of `TRAITS`.

    >>> from torch import nn
    >>> traits(Case(nn.Conv2d, (3, 5), (2, 2), stride=(2, 2), bias=False, size=(5, 7)))
    ['kernel = stride', 'stride > 1', 'a remainder', 'no bias']
    """
    found = {*_state(case), *(_geometry(case) if case.ndim else ())}
    return [trait for trait in TRAITS if trait in found]


def _geometry(case: Case) -> Iterator[str]:
    geometry = case.geometry
    kernel, stride = geometry.kernel, geometry.stride
    cells = geometry.output_size(case.size)
    if kernel == stride and geometry.taps > 1:
        yield "kernel = stride"
    elif set(kernel) == {1}:
        yield "kernel 1"
    else:
        yield "kernel = input" if set(cells) == {1} else "other kernels"
    if max(stride) > 1:
        yield "stride > 1"
    if any(s > k > 1 for s, k in zip(stride, kernel, strict=True)):
        yield "stride > kernel"
    padded = [n + sum(sides) for n, sides in zip(case.size, geometry.padding, strict=True)]
    rests = zip(padded, geometry.extent, stride, strict=True)
    if not case.transposed and any((n - extent) % s for n, extent, s in rests):
        yield "a remainder"
    if isinstance(case.padding, str):
        yield f"padding='{case.padding}'"
    elif any(case.padding):
        yield "padding"
        if all(p >= k for p, k in zip(case.padding, kernel, strict=True)):
            yield "padding ≥ kernel"
    if any(case.output_padding):
        yield "output_padding"
    if max(case.dilation) > 1:
        yield "dilation"
    yield case.padding_mode
    if case.groups > 1:
        yield "depthwise" if case.groups == case.channels[0] else "groups"


def _state(case: Case) -> Iterator[str]:
    words = {
        "in = out channels": case.channels[0] == case.channels[1],
        "no bias": not case.bias,
        "channels_last": case.memory == LAST,
        "one buffer": case.memory == BUFFER,
        "frozen": case.frozen,
        "eval mode": not case.training,
        "own forward": case.subclassed,
        "further axes": not case.ndim and bool(case.size),
    }
    yield from (word for word, so in words.items() if so)
    yield str(case.dtype).removeprefix("torch.")
