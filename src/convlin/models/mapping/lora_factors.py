"""LoRA and DoRA of one weight in two layouts, as PEFT lays them out.

Beside a weight with O outputs, PEFT keeps (r the rank):

| of | lora_A | lora_B | magnitude |
|---|---|---|---|
| Linear (O, I), GPT-2's Conv1D (I, O) | (r, I) | (O, r) | (O) |
| convolution (O, I, *k) | (r, I, *k) | (O, r, 1, …) | (1, O, 1, …) |

lora_A is the layer itself with r outputs, so it moves as the weight does, its outputs first;
lora_B and the magnitude have nothing to permute. W + s·B·A and the norms over all but the outputs
are then the same numbers in both layouts, at whatever positions.
"""

from __future__ import annotations

from torch import nn

from convlin.errors import Description, Refusal, Refused
from convlin.models.mapping.mapping_entry import Entry, Move

__all__ = ["FACTORS", "factor", "no_adapter"]

FACTORS = ("lora_A", "lora_B", "lora_magnitude_vector")
WAY_OUT = "merge the adapter where it was trained, and map the merged weights"


def factor(entry: Entry, part: str, leaf: str, shape: tuple[int, ...], to: str) -> Move:
    """Return how `part` of the LoRA of a weight moves; `shape` is there to tell its rank.

    Raises `Refused` where PEFT's LoRA of one layer is not PEFT's LoRA of the other.
    """
    _require_same_function(entry)
    old, new, order = entry.old_shape, entry.new_shape, entry.order
    outputs, ones = new[0], [(1,) * (len(weight) - 2) for weight in (old, new)]
    if part == "lora_A":
        r = shape[0] if shape else 0
        inputs = [axis for axis in range(len(old)) if axis != order[0]]
        permute = (0, *(1 + inputs.index(axis) for axis in order[1:]))
        shapes = (r, *(old[axis] for axis in inputs)), (r, *new[1:])
        return _entry(entry, shapes, permute).toward(to)
    if part == "lora_B" and leaf == "bias":
        shapes = (outputs,), (outputs,)
    elif part == "lora_B":
        r = shape[1] if len(shape) > 1 else 0
        shapes = (outputs, r, *ones[0]), (outputs, r, *ones[1])
    else:
        old_shape, new_shape = ((1, outputs, *o) if o else (outputs,) for o in ones)
        shapes = old_shape, new_shape
    return _entry(entry, shapes, None).toward(to)


def _entry(
    entry: Entry, shapes: tuple[tuple[int, ...], tuple[int, ...]], permute: tuple[int, ...] | None
) -> Entry:
    return Entry(entry.old, entry.new, shapes[0], permute, shapes[1])


def _require_same_function(entry: Entry) -> None:
    out = entry.order[0] if entry.old_shape else 0
    whole = len(entry.old_shape) > 1 < len(entry.new_shape)
    # A convolution has its outputs first and Conv1D second; a transposed one has its inputs first.
    first = out == 0 or len(entry.old_shape) == 2
    if not (whole and first and entry.old_shape[out] == entry.new_shape[0]):
        fields = f"{entry.old_shape} ↔ {entry.new_shape}"
        allowed = "a layer with its outputs on one axis in both layouts, which PEFT can adapt"
        raise Refused(Refusal(entry.old, "shape", Description(fields), allowed), WAY_OUT)
    if entry.no_adapter:
        allowed = "a layer whose LoRA is the same function in both layouts"
        raise Refused(Refusal(entry.old, "layer", Description(entry.no_adapter), allowed), WAY_OUT)


def no_adapter(layer: nn.Module) -> str:
    """Return why PEFT's LoRA on a layer is no LoRA of its weight; empty where it is one.

    PEFT makes lora_A of channels, kernel, stride and padding, and of nothing else.

    >>> no_adapter(nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"))
    "padding_mode='reflect', and PEFT's lora_A pads with zeros"
    >>> no_adapter(nn.Conv2d(3, 8, 3, padding=1))
    ''
    """
    kernel, dilation = getattr(layer, "kernel_size", ()), getattr(layer, "dilation", ())
    mode, padding = getattr(layer, "padding_mode", "zeros"), getattr(layer, "padding", ())
    pads = max(kernel, default=1) > 1 if padding == "same" else padding != "valid" and any(padding)
    if mode != "zeros" and pads:
        return f"padding_mode={mode!r}, and PEFT's lora_A pads with zeros"
    if any(taps > 1 < step for taps, step in zip(kernel, dilation, strict=True)):
        return f"dilation={tuple(dilation)}, and PEFT's lora_A has none"
    if getattr(layer, "groups", 1) > 1:
        return f"groups={layer.groups}, and PEFT's lora_A joins all channels"
    return ""
