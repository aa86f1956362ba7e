"""Layers that read one input, and whose outputs are added."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["BranchSum"]


class BranchSum(nn.ModuleList):
    """Σ scale_i · branch_i(x); a branch is a layer, or an nn.Sequential of some.

    >>> import torch
    >>> BranchSum([nn.Identity(), nn.Identity()], scales=(1, 0.5))(torch.ones(2))
    tensor([1.5000, 1.5000])
    """

    def __init__(self, branches: Sequence[nn.Module], scales: Sequence[float] = ()) -> None:
        super().__init__(branches)
        self.scales = tuple(scales) or (1.0,) * len(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of all branches, each times its scale."""
        outputs: list[Tensor] = [branch(x) for branch in self]
        first, *others = (
            output if scale == 1 else scale * output
            for output, scale in zip(outputs, self.scales, strict=True)
        )
        return sum(others, first)
