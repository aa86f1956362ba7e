"""Grouped convolutions in float64, all groups at once.

PyTorch's CPU kernels take them a group at a time in float64, which makes a depthwise network tens
of times slower to check than to run. Unfolded, the groups are one batched product:

    y[n, g] = W[g] · cols[n, g],   cols = unfold(x) as (N, G, C/G·k, L)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["AllGroupsAtOnce"]


class AllGroupsAtOnce(TorchFunctionMode):
    """Runs grouped `conv2d` in float64 on the CPU as one product.

    >>> x, w = torch.ones(1, 4, 3, 3).double(), torch.ones(4, 1, 2, 2).double()
    >>> with AllGroupsAtOnce():
    ...     functional.conv2d(x, w, groups=4).unique()
    tensor([4.], dtype=torch.float64)
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        return (_grouped if func is torch.conv2d else func)(*args, **(kwargs or {}))


def _grouped(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1,  # noqa: A002
    padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    suits = groups > 1 and input.ndim == 4 and not isinstance(padding, str)
    if not (suits and input.dtype == weight.dtype == torch.float64 and input.device.type == "cpu"):
        return functional.conv2d(input, weight, bias, stride, padding, dilation, groups)
    steps, pads, apart = _pair(stride), _pair(padding), _pair(dilation)
    kernel = (weight.shape[2], weight.shape[3])
    each = zip(input.shape[2:], kernel, steps, pads, apart, strict=True)
    sides = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in each]
    columns = functional.unfold(input, kernel, apart, pads, steps)
    parts = columns.reshape(len(input), groups, -1, columns.shape[-1])
    product = weight.reshape(groups, len(weight) // groups, -1) @ parts
    result = product.reshape(len(input), len(weight), *sides)
    return result if bias is None else result + bias.view(-1, 1, 1)


def _pair(number: Any) -> tuple[int, int]:
    return (number, number) if isinstance(number, int) else tuple(number) * (2 // len(number))
