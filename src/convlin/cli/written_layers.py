"""Layers as people write them on a command line: `Conv2d:3,5,k=3x5,s=2`, read and never evaluated.

The letters are those in which convlin itself writes a convolution, such as `3→5 k3×5 s2 p1 g2`
(`geometry/short_form.py`): k kernel, s stride, p padding, d dilation, g groups, mode, bias,
output_padding; of a Linear only bias.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from convlin.arguments import shown
from convlin.errors import GeometryError, InputError
from convlin.geometry import ConvGeometry

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CLASSES", "is_written_out", "parse_layer"]

CLASSES = (
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Linear",
)  # fmt: skip
NAMES = {
    "k": "kernel_size", "s": "stride", "p": "padding", "d": "dilation", "g": "groups",
    "mode": "padding_mode", "bias": "bias", "output_padding": "output_padding",
}  # fmt: skip
MODES = ("zeros", "reflect", "replicate", "circular")
MOST = 2**26
"""Weights of a layer, 256 MiB: an audit copies them several times. Half of it refuses VGG's widest
layer by an order of ten only; twice of it lets a slip of the keyboard fill the memory."""
EXAMPLE = "such as Conv2d:3,5,k=3x5,s=2 or Linear:3,5,bias=false"


def is_written_out(spec: str) -> bool:
    """Whether a layer is given by its numbers, and by no import path."""
    return spec.partition(":")[0] in CLASSES


def parse_layer(spec: str) -> nn.Module:
    """Return the layer that a text describes, with PyTorch's usual random weights.

    Channels come first; sizes are one number, or one per dimension with an x between them.

    >>> parse_layer("Conv2d:4,6,k=3x5,s=2,p=1,g=2,mode=reflect,bias=false")  # doctest: +ELLIPSIS
    Conv2d(4, 6, kernel_size=(3, 5), stride=(2, 2), padding=(1, 1), groups=2, bias=False, ...)
    >>> parse_layer("Conv2d:__import__('os')")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    convlin.errors.InputError: layer is "Conv2d:__import__('os')", expected in,out channels, ...
    """
    from torch import nn

    name, _, rest = spec.partition(":")
    inputs, outputs, *others = rest.split(",") if rest.count(",") else ("", "")
    if not all(re.fullmatch(r"[0-9]{1,9}", number) for number in (inputs, outputs)):
        raise _wrong(spec, f"in,out channels, {EXAMPLE}")
    options = _options(spec, others, linear=name == "Linear")
    channels = int(inputs), int(outputs)
    if name == "Linear":
        if not 0 < math.prod(channels) <= MOST:
            raise _wrong(spec, f"at least 1 and at most {MOST:,} weights")
        return nn.Linear(*channels, **options)
    if "kernel_size" not in options:
        raise _wrong(spec, f"a kernel, k=, {EXAMPLE}")
    _require_geometry(spec, name, channels, options)
    layer: nn.Module = getattr(nn, name)(*channels, **options)
    return layer


def _options(spec: str, parts: list[str], *, linear: bool) -> dict[str, Any]:
    """Return what stands behind the channels, as PyTorch calls it."""
    options: dict[str, Any] = {}
    for part in parts:
        key, _, text = part.partition("=")
        if key not in NAMES or (linear and key != "bias"):
            known = "bias=" if linear else ", ".join(f"{key}=" for key in NAMES)
            raise _wrong(spec, f"of {known} where {shown(part)} stands")
        if NAMES[key] in options:
            raise _wrong(spec, f"{key}= once")
        options[NAMES[key]] = _value(spec, key, text)
    return options


def _value(spec: str, key: str, text: str) -> Any:
    """Return what stands behind an equals sign."""
    words = {"mode": MODES, "bias": ("true", "false"), "p": ("same", "valid")}.get(key, ())
    if text in words:
        return text == "true" if key == "bias" else text
    sizes = re.fullmatch(r"[0-9]{1,9}([x×][0-9]{1,9})*", text)
    if sizes is None or key in ("mode", "bias") or (key == "g" and not text.isdigit()):
        sorts = [*words, *["numbers such as 2 or 2x3"] * (key not in ("mode", "bias", "g"))]
        raise _wrong(spec, f"{key}= {' or '.join(sorts) or 'a number'}")
    numbers = tuple(map(int, re.split("[x×]", text)))
    return numbers[0] if len(numbers) == 1 else numbers


def _require_geometry(
    spec: str, name: str, channels: tuple[int, int], options: dict[str, Any]
) -> None:
    """Raise, in one line, unless there is such a convolution, of a size that can be audited."""
    ndim, transposed = int(name[-2]), "Transpose" in name
    fields = {key: value for key, value in options.items() if key not in ("kernel_size", "bias")}
    kernel = options["kernel_size"]
    if transposed and isinstance(fields.get("padding"), str):
        raise _wrong(spec, "padding in numbers for a transposed convolution")
    if not transposed and "output_padding" in fields:
        raise _wrong(spec, "output_padding= for a transposed convolution only")
    try:
        sizes = (kernel,) * ndim if isinstance(kernel, int) else kernel
        if len(sizes) != ndim:
            raise _wrong(spec, f"k= 1 or {ndim} numbers")
        geometry = ConvGeometry(*channels, sizes, transposed=transposed, **fields)
    except GeometryError as error:
        wrong = error.refusals[0]
        raise _wrong(spec, f"{wrong.field} {wrong.allowed}") from None
    if math.prod(geometry.weight_shape) > MOST:
        raise _wrong(spec, f"at most {MOST:,} weights")


def _wrong(spec: str, allowed: str) -> InputError:
    return InputError(f"layer is {shown(spec)}, expected {allowed}")
