"""A network for images of any size as a `torch.export` program for images of any size.

torch.export traces one batch of images and notes as an assertion whatever the shapes of that one
let it assume. Two such assumptions are none of the network's own, and are kept out of the program:

- The strides of a convolution's result. PyTorch picks a memory format for it by questions like
  "is this more than one cell?", and asserts the answer, though the program calls the convolution
  itself, which asks anew. So a file would fail on an image that is one window.
- The kernel of `max_pool1d` takes a fixed size, that of `max_pool2d` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.export import Dim, ExportedProgram
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from convlin.internals.exporting import any_size, is_assertion
from convlin.models.dense.network import FullyConvolutional

__all__ = ["export"]


def export(network: FullyConvolutional) -> ExportedProgram:
    """Return the network as a program that takes any batch of any images ≥ the window.

    >>> import torch
    >>> from convlin import fully_convolutional
    >>> layers = torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 6 * 4, 5)
    >>> network = fully_convolutional(torch.nn.Sequential(*layers).eval(), (3, 8, 6), proofs=False)
    >>> export(network).module()(torch.zeros(3, 3, 8, 11)).shape
    torch.Size([3, 5, 1, 6])
    """
    channels, *window = network.window
    like = next(network.parameters(), torch.empty(0))
    # Four cells and a rest: a size that is 1 anywhere, or fits exactly, is what tracing fixes.
    sizes = [size + 3 * step + 1 for size, step in zip(window, network.stride, strict=True)]
    images = torch.zeros(2, channels, *sizes, dtype=like.dtype, device=like.device)
    names = ("depth", "height", "width")[3 - len(window) :]
    dims = {
        axis: Dim(name, min=least)
        for axis, (name, least) in enumerate(zip(names, window, strict=True), 2)
    }
    # Without the patch, sizes of 1 (an image that is one window) would be excluded by guards.
    with any_size(), _LinePools():
        program = torch.export.export(
            network, (images,), dynamic_shapes=({0: Dim("batch", min=1), **dims},),
            prefer_deferred_runtime_asserts_over_guards=True,
        )  # fmt: skip
    for node in list(program.graph.nodes):
        node.meta.pop("stack_trace", None)  # it names files of the machine that exported
        if is_assertion(node):
            program.graph.erase_node(node)
    program.graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


class _LinePools(TorchFunctionMode):
    """Runs every max pool over a line as one over a plane of one row."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        if func in (functional.max_pool1d, torch.max_pool1d):
            return _max_pool_line(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _max_pool_line(
    x: torch.Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> torch.Tensor:  # fmt: skip
    """Return `max_pool1d` of (N, C, L) by the kernel for planes; nothing here takes its indices."""
    kernel, padding, dilation = _one(kernel_size), _one(padding), _one(dilation)
    step = _one(stride) if stride else kernel
    plane = x.unsqueeze(-2)
    pooled = functional.max_pool2d(
        plane, (1, kernel), (1, step), (0, padding), (1, dilation), ceil_mode
    )
    return pooled.squeeze(-2)


def _one(number: Any) -> int:
    return int(number[0] if isinstance(number, Sequence) else number)
