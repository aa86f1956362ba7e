"""oneDNN's product with a matrix, which on some processors is twice as fast as the BLAS's.

Private: `torch.ops.mkldnn._linear_pointwise`, which PyTorch's own compiler writes. Seen in torch
2.13 and 2.14.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

__all__ = ["linear"]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x @ weight.T + bias; on the CPU, in float32 and without gradients, by oneDNN.

    Where a mode looks on, it sees the operation that it knows.

    >>> linear(torch.ones(2, 3), torch.ones(1, 3))
    tensor([[3.],
            [3.]])
    """
    suits = (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel()
        and not torch.is_grad_enabled()
        and _get_current_dispatch_mode() is None
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )
    if not suits:
        return torch.nn.functional.linear(x, weight, bias)
    product: Any = torch.ops.mkldnn._linear_pointwise
    made: Tensor = product(x, weight, bias, "none", [], "")
    return made
