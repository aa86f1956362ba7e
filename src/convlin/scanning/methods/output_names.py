"""What a model returns, by name: `scores` where it is one thing, else names of its own."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from convlin.internals.trees import named_leaves

__all__ = ["named_outputs"]


def named_outputs(outputs: Any) -> dict[str, Tensor]:
    """Return the tensors that a model returns, by name.

    Names are those of folders and columns: letters, digits, `_`, `-` and dots.

    >>> import torch
    >>> list(named_outputs(torch.ones(1))), list(named_outputs({"box": (torch.ones(1),) * 2}))
    (['scores'], ['box.0', 'box.1'])
    >>> list(named_outputs((torch.ones(1), torch.ones(1))))
    ['scores_0', 'scores_1']
    """
    leaves = [(name, leaf) for name, leaf in named_leaves(outputs) if isinstance(leaf, Tensor)]
    if len(leaves) == 1:
        return {"scores": leaves[0][1]}
    named: dict[str, Tensor] = {}
    for number, (name, leaf) in enumerate(leaves):
        plain = re.fullmatch(r"[A-Za-z][\w.-]{0,63}", name, re.ASCII)
        named[name if plain and name not in named else f"scores_{number}"] = leaf
    return named
