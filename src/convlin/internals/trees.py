"""Nested containers, flattened as PyTorch itself flattens them.

Private: `torch.utils._pytree`. Seen in torch 2.13 and 2.14.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch.utils._pytree import (
    TreeSpec,
    tree_flatten,
    tree_flatten_with_path,
    tree_leaves,
    tree_map,
)

__all__ = ["TreeSpec", "named_leaves", "tree_flatten", "tree_leaves", "tree_map"]


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """Return every leaf behind its keys, indices and attributes, with dots between them.

    >>> named_leaves({"a": 1, "b": (2, [3])}), named_leaves(4)
    ([('a', 1), ('b.0', 2), ('b.1.0', 3)], [('', 4)])
    """
    leaves, _ = tree_flatten_with_path(tree)
    return [(".".join(map(_step, path)), leaf) for path, leaf in leaves]


def _step(entry: Any) -> str:
    """Return one entry of a path: each of the three kinds is a dataclass of a single field."""
    (step,) = dataclasses.astuple(entry)
    return str(step)
