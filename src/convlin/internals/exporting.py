"""Export without guards on sizes of 0 and 1, and the assertions that it writes.

Private: `torch.fx.experimental._config.backed_size_oblivious`, `aten._assert_scalar`. Seen in torch
2.13 and 2.14.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import fx
from torch.fx.experimental import _config

__all__ = ["any_size", "is_assertion"]


def any_size() -> AbstractContextManager[Any]:
    """Return a context in which torch.export takes no size for granted.

    Otherwise it guards against sizes of 1, such as that of an image that is one window.
    """
    return _config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined, no-any-return]


def is_assertion(node: fx.Node) -> bool:
    """Whether a node of a program asserts something of its sizes."""
    return node.target is torch.ops.aten._assert_scalar.default
