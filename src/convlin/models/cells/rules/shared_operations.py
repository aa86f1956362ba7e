"""All rules, in plain tables: by ATen's name, without overload and final `_`; by layer."""

from __future__ import annotations

from torch import nn

from convlin.models.cells.rules import (
    between_cells,
    every_cell,
    neighbouring,
    other_names,
    several_maps,
)
from convlin.models.cells.rules.every_cell import Rule

__all__ = ["LAYERS", "RULES", "WANTED"]

RULES: dict[str, Rule] = {
    **neighbouring.RULES,
    **between_cells.RULES,
    **other_names.RULES,
    **every_cell.RULES,
    **several_maps.RULES,
}

# Of layers that are run whole: their operations reshape space.
LAYERS: dict[type[nn.Module], Rule] = {nn.LocalResponseNorm: every_cell.over_channels}

# Run for every window, and whole: what PyTorch makes of them depends on the device or the dtype.
WHOLE = ("fft_fft", "fft_fft2", "fft_fftn", "fft_rfft", "fft_rfft2", "fft_rfftn", "fft_ifft",
         "fft_ifft2", "fft_irfft", "fft_irfft2", "stft",
         "scaled_dot_product_attention", "lstm", "gru", "rnn_tanh", "rnn_relu", "group_norm",
         "instance_norm", "einsum", "baddbmm", "bmm", "addmm", "upsample_bicubic2d")  # fmt: skip

WANTED = frozenset({*RULES, *WHOLE} - {"getitem"})
