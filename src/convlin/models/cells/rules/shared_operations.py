"""All rules, in one plain table: by ATen's name, without overload and final `_`."""

from __future__ import annotations

from convlin.models.cells.rules import (
    between_cells,
    every_cell,
    neighbouring,
    other_names,
    several_maps,
)
from convlin.models.cells.rules.every_cell import Rule

__all__ = ["RULES", "WANTED"]

RULES: dict[str, Rule] = {
    **neighbouring.RULES,
    **between_cells.RULES,
    **other_names.RULES,
    **every_cell.RULES,
    **several_maps.RULES,
}

# Run for every window, and whole: what PyTorch makes of them depends on the device or the dtype.
WHOLE = ("fft_fft", "fft_fft2", "fft_fftn", "fft_rfft", "fft_rfft2", "fft_rfftn", "fft_ifft",
         "fft_ifft2", "fft_irfft", "fft_irfft2", "stft",
         "scaled_dot_product_attention", "lstm", "gru", "rnn_tanh", "rnn_relu", "group_norm",
         "instance_norm", "einsum", "baddbmm", "bmm", "addmm", "upsample_bicubic2d")  # fmt: skip

WANTED = frozenset({*RULES, *WHOLE} - {"getitem"})
