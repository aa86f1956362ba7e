"""All rules, in one plain table: by ATen's name of the operation, without overload and final `_`."""

from __future__ import annotations

from convlin.models.cells.rules import every_cell, neighbours, other_names, several_maps
from convlin.models.cells.rules.every_cell import Rule

__all__ = ["RULES", "WANTED"]

RULES: dict[str, Rule] = {
    **neighbours.RULES,
    **other_names.RULES,
    **every_cell.RULES,
    **several_maps.RULES,
}

# Run for every window, and whole: what PyTorch makes of them looks at the device, or is many.
WHOLE = ("scaled_dot_product_attention", "lstm", "gru", "rnn_tanh", "rnn_relu", "group_norm",
         "instance_norm", "einsum", "baddbmm", "bmm", "addmm", "upsample_bilinear2d",
         "upsample_linear1d", "upsample_trilinear3d", "upsample_bicubic2d", "pixel_shuffle",
         "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")  # fmt: skip

WANTED = frozenset({*RULES, *WHOLE} - {"getitem"})
