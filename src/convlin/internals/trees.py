"""Nested containers, flattened as PyTorch itself flattens them.

Private: `torch.utils._pytree`. Seen in torch 2.13 and 2.14.
"""

from __future__ import annotations

from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_map

__all__ = ["TreeSpec", "tree_flatten", "tree_leaves", "tree_map"]
