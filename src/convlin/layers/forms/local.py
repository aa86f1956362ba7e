"""Locally connected layers: wired like a convolution, but every position has its own kernel.

::

    y[o, p] = Σ_c Σ_t w[p, o, c, t]·x[c, p·stride + t·dilation - before] + b[o, p]

A convolution is the case in which w[p] is the same for all p. All positions are one batched
matrix product, (windows of p)·w[p]ᵀ; the windows are cut, padding mode and all, as for every
other form that slides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, SupportsIndex

import torch
from jaxtyping import Shaped
from scipy import sparse
from torch import Tensor, compiler, fx, nn

from convlin.arguments import elements, flag, shown, whole
from convlin.errors import Description, GeometryError, Refusal, Refused, first_line
from convlin.geometry import ConvGeometry, short_at
from convlin.layers import sliding
from convlin.layers.behaviour import misdescribed
from convlin.layers.forms.local_matrix import local_matrix
from convlin.layers.matrices import ReadMatrix, read_matrix
from convlin.layers.nearest_conv import NearestLayer, nearest_conv
from convlin.layers.parameters import alias, layer_with
from convlin.layers.scripting import TracedOnly
from convlin.layers.stock_layer import CONVOLUTIONS, Conv, require_stock_layer
from convlin.matrix import MEMORY_LIMIT
from convlin.matrix.tensors import to_numpy

__all__ = [
    "LOCAL",
    "LocallyConnected",
    "LocallyConnected1d",
    "LocallyConnected2d",
    "LocallyConnected3d",
    "to_local",
]

# Numbers of a vector register. The products run fastest, up to seven times, if their inner axis
# fills one: the batch from this size on, below it the outputs.
VECTOR = 16


class LocallyConnected(TracedOnly, nn.Module):
    """What the layers of one, two and three dimensions have in common: everything.

    `weight` (*output_size, out_channels, in_channels/groups, *kernel): weight[p] is the kernel at
    output position p. `bias` (out_channels, *output_size), or None. Both start out as in nn.Conv.
    `spelling` is the padding in the words it was given in, such as "same".

    Raises `GeometryError`, listing every number that does not fit.
    """

    ndim: ClassVar[int]
    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        input_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Any = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        kernel = elements(kernel_size)
        if kernel is None:
            kernel = (kernel_size,) * self.ndim
        if len(kernel) != self.ndim:
            numbers = f"one number, or {self.ndim}"
            raise GeometryError(Refusal(type(self).__name__, "kernel_size", kernel, numbers))
        self.geometry = ConvGeometry(
            in_channels, out_channels, kernel, stride, padding, dilation, groups, padding_mode
        )
        self.spelling = padding
        self.input_size = self.geometry.sizes(input_size)
        self.output_size = self.geometry.output_size(self.input_size)
        shapes = {"weight": (*self.output_size, *self.geometry.weight_shape)}
        if flag(type(self).__name__, "bias", bias):
            shapes["bias"] = (self.geometry.out_channels, *self.output_size)
        for name in ("weight", "bias"):
            shape = shapes.get(name)
            made = None if shape is None else self._parameter(name, shape, device, dtype)
            self.register_parameter(name, made)
        self.reset_parameters()

    def _parameter(
        self, name: str, shape: tuple[int, ...], device: Any, dtype: Any
    ) -> nn.Parameter:
        """Return an uninitialised parameter, or refuse what no device can hold."""
        try:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        except Exception as error:  # each device has its own way to say no
            what = f"{math.prod(shape)} numbers, dtype {shown(dtype)}, device {shown(device)}"
            reason = first_line(error)[:200]
            allowed = "what a device of PyTorch holds, in floating point"
            raise Refused(
                Refusal(type(self).__name__, name, Description(what), allowed, reason)
            ) from None

    def reset_parameters(self) -> None:
        """Draw weight and bias anew: uniform up to 1/√(fan in), as nn.Conv does."""
        g = self.geometry
        limit = 1 / math.sqrt(g.in_channels // g.groups * g.taps)
        for parameter in self.parameters(recurse=False):
            nn.init.uniform_(parameter, -limit, limit)

    def forward(self, x: Shaped[Tensor, "*n c *size"]) -> Shaped[Tensor, "*n o *out"]:
        """Take images (N, C, *input_size) or (C, *input_size); return (N, O, *output_size) or so.

        Raises `GeometryError` for images of any other shape, `Refused` for those of another dtype.
        """
        g = self.geometry
        batch = _require_images(x, (g.in_channels, *self.input_size), self.weight)
        image = sliding.pad(batch, g.padding, g.padding_mode)
        windows = _windows(image, g.kernel, g.stride, g.dilation, g.groups)
        return sliding.as_image(_products(x, windows, self.weight, self.bias), x, windows, g.ndim)

    def matrix(self) -> sparse.csr_array:
        """Return the sparse matrix of the layer, bias apart: vec(y) = matrix @ vec(x).

        Rows are outputs (O, *output_size), columns inputs (C, *input_size), both in C order. Every
        wire is stored, also one that weighs 0; where padding makes several taps of one output
        read the same pixel, they are one wire and add up. 16-bit weights come as float32.

        Raises `Refused` for weights on a device that holds no numbers.

        >>> layer = LocallyConnected1d(1, 1, 2, input_size=3, bias=False)
        >>> layer.weight.data = torch.tensor([[[[1.0, 2]]], [[[3, 4]]]])
        >>> layer.matrix().toarray()
        array([[1., 2., 0.],
               [0., 3., 4.]], dtype=float32)
        """
        return local_matrix(self.geometry, to_numpy(self.weight), self.input_size)

    def nearest_conv(self) -> NearestLayer:
        """Return the nearest convolution, in the norm of the matrix, and how the energy splits.

        Weights that only ever meet padding do not count. The bias is each channel's mean. Raises
        `Refused` for a layer that computes more than its class says.

        >>> layer = to_local(nn.Conv2d(2, 3, 3, padding=1), input_size=(4, 5))
        >>> print(layer.nearest_conv().energy)
        100.0% shared, 0.0% local but not shared, 0.0% off the support
        """
        return nearest_conv(self, self.geometry, self.input_size)

    def extra_repr(self) -> str:
        """Return the constructor's arguments, those that are not the default."""
        g = self.geometry
        parts = [f"{g.in_channels}, {g.out_channels}", f"kernel_size={g.kernel}"]
        parts.append(f"input_size={self.input_size}")
        usual: dict[str, Any] = {"stride": (1,) * g.ndim, "dilation": (1,) * g.ndim, "groups": 1}
        for field, value in usual.items():
            if getattr(g, field) != value:
                parts.append(f"{field}={getattr(g, field)}")
        if any(map(any, g.padding)):
            parts.append(f"padding={self.spelling!r}")
        if g.padding_mode != "zeros":
            parts.append(f"padding_mode={g.padding_mode!r}")
        return ", ".join(parts + ["bias=False"] * (self.bias is None))


class LocallyConnected1d(LocallyConnected):
    """A convolution over a signal of one size, with a kernel of its own at every position.

    >>> LocallyConnected1d(2, 3, kernel_size=4, input_size=9, stride=2).weight.shape
    torch.Size([3, 3, 2, 4])
    """

    ndim = 1


class LocallyConnected2d(LocallyConnected):
    """A convolution over images of one size, with a kernel of its own at every position.

    >>> layer = LocallyConnected2d(3, 8, kernel_size=3, input_size=(6, 9), padding=1)
    >>> layer(torch.zeros(5, 3, 6, 9)).shape, layer.weight.shape, layer.bias.shape
    (torch.Size([5, 8, 6, 9]), torch.Size([6, 9, 8, 3, 3, 3]), torch.Size([8, 6, 9]))
    """

    ndim = 2


class LocallyConnected3d(LocallyConnected):
    """A convolution over volumes of one size, with a kernel of its own at every position.

    >>> LocallyConnected3d(1, 2, kernel_size=(1, 2, 3), input_size=4).output_size
    (4, 3, 2)
    """

    ndim = 3


LOCAL: dict[int, type[LocallyConnected]] = {
    cls.ndim: cls for cls in (LocallyConnected1d, LocallyConnected2d, LocallyConnected3d)
}


@misdescribed.register
def _(
    layer: LocallyConnected, base: type[nn.Module], weight: Tensor, bias: Tensor | None
) -> Iterable[Refusal]:
    size = layer.geometry.output_size(layer.input_size)
    shapes = {"weight": (weight, (*size, *layer.geometry.weight_shape))}
    if bias is not None:
        shapes["bias"] = (bias, (layer.geometry.out_channels, *size))
    for name, (value, shape) in shapes.items():
        if value.shape != shape:
            yield Refusal(type(layer).__name__, f"{name}.shape", tuple(value.shape), str(shape),
                          short_at(layer.geometry, layer.input_size))  # fmt: skip


@read_matrix.register
def _(matrix: LocallyConnected) -> ReadMatrix:
    require_stock_layer(matrix, *LOCAL.values())
    entries = LocallyConnected.matrix(matrix)
    bias = None if matrix.bias is None else to_numpy(matrix.bias, "bias").reshape(-1)
    return ReadMatrix(entries, bias, matrix.weight)


def to_local(
    conv: Conv,
    input_size: SupportsIndex | Sequence[SupportsIndex],
    *,
    memory_limit: int = MEMORY_LIMIT,
) -> LocallyConnected:
    """Return `conv` at one input size as a locally connected layer: (N, C, *size) → (N, O, *out).

    Its weights are copies, one kernel for each output position, free to be trained apart from one
    another. `input_size` is in pixels.

    Raises `Refused` for transposed convolutions, for layers that compute more than their class
    says (hooks, parametrizations, a subclass's own forward), and, with the number of bytes, above
    `memory_limit` bytes. Raises `GeometryError` where `input_size` is too small.

    Identity: w[p, o, c, t] = w[o, c, t] and b[o, p] = b[o] at every position p.

    >>> local = to_local(nn.Conv2d(1, 1, kernel_size=3, bias=False), input_size=(6, 6))
    >>> local
    LocallyConnected2d(1, 1, kernel_size=(3, 3), input_size=(6, 6), bias=False)
    >>> local.weight.numel()
    144
    """
    require_stock_layer(
        conv, *(cls for (_, transposed), cls in CONVOLUTIONS.items() if not transposed)
    )
    memory_limit = whole("to_local", "memory_limit", memory_limit)
    g = ConvGeometry.of(conv)
    size = g.sizes(input_size)
    out = g.output_size(size)
    parameters = conv.weight.numel() + (conv.bias is not None) * g.out_channels
    needed = math.prod(out) * parameters * conv.weight.element_size()
    if needed > memory_limit:
        reason = f"a kernel at each of {math.prod(out)} positions takes that"
        raise Refused(Refusal(g.kind, "memory_limit", memory_limit, f"≥ {needed} bytes", reason))
    weight = alias(conv.weight, lambda kernel: _copies(kernel.expand(*out, *kernel.shape)))
    bias = None
    if conv.bias is not None:
        bias = alias(
            conv.bias, lambda each: _copies(each.view(-1, *(1,) * g.ndim).expand(-1, *out))
        )
    layer = layer_with(
        LOCAL[g.ndim], g.in_channels, g.out_channels, g.kernel, size,
        stride=g.stride, padding=conv.padding, dilation=g.dilation, groups=g.groups,
        padding_mode=g.padding_mode, weight=weight, bias=bias,
    )  # fmt: skip
    return layer.train(conv.training)


def _copies(expanded: Tensor) -> Tensor:
    """Return an expanded view in memory of its own."""
    return expanded.clone(memory_format=torch.contiguous_format)


@fx.wrap
def _require_images(
    x: Tensor, shape: tuple[int, ...], weight: Tensor
) -> Shaped[Tensor, "n c *size"]:
    """Return images (N, *shape) or (*shape) with a batch axis; raise for any others."""
    if x.ndim not in (len(shape), len(shape) + 1) or x.shape[-len(shape) :] != shape:
        sizes = ", ".join(map(str, shape))
        raise GeometryError(Refusal("input", "shape", tuple(x.shape), f"(N, {sizes}) or ({sizes})"))
    if x.dtype != weight.dtype and not _cast_alike(x, weight):
        raise Refused(Refusal("input", "dtype", x.dtype, f"{weight.dtype}, as the layer's weight"))
    return x if x.ndim > len(shape) else x[None]


def _cast_alike(x: Tensor, weight: Tensor) -> bool:
    """Return whether autocast is on and brings both to one dtype."""
    casts = (torch.float32, torch.bfloat16, torch.float16)
    device = x.device.type
    if x.dtype not in casts or weight.dtype not in casts:
        return False
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


@fx.wrap
def _windows(
    image: Shaped[Tensor, "n c *size"],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Shaped[Tensor, "n groups *columns_out"]:
    """Return the windows as a view of an image whose batch axis is the innermost in memory.

    Windows are laid out position by position, where neighbours in memory would be far apart but
    for the batch: with the batch inside, that copy is up to ten times faster.
    """
    inside = image.movedim(0, -1).contiguous().movedim(-1, 0)
    order = tuple(range(1 + len(kernel)))
    return sliding.cut_windows(inside, kernel, stride, dilation, groups, order)


@fx.wrap
def _products(
    x: Shaped[Tensor, "*n c *size"],
    windows: Shaped[Tensor, "n groups *columns_out"],
    weight: Shaped[Tensor, "*out_o_columns"],
    bias: Shaped[Tensor, "*o_out"] | None,
) -> Shaped[Tensor, "*n o positions"]:
    """Return every output: the windows of each position and group times its own matrix."""
    ndim = windows.ndim // 2 - 1
    n, groups = windows.shape[:2]
    columns = windows.shape[2:-ndim].numel()
    positions = windows.shape[-ndim:].numel()
    own = weight.reshape(positions * groups, -1, columns)
    # (n, groups, c/groups, *kernel, *out) to (*out, groups, c/groups, *kernel, n): one matrix
    # (columns × n) for each position and group, as `own` has one (out/groups × columns).
    laid = windows.permute(*range(-ndim, 0), *range(1, 3 + ndim), 0)
    laid = laid.reshape(positions * groups, columns, n)
    added = None if bias is None else bias.flatten(1).T.reshape(positions * groups, -1, 1)
    # A traced batch may turn out to be any.
    if compiler.is_compiling() or n >= VECTOR:
        y = _product(own, laid, added).mT
    else:
        y = _product(laid.mT, own.mT, None if added is None else added.mT)
    image = torch.unflatten(y, 0, (positions, groups)).permute(2, 1, 3, 0).flatten(1, 2)
    return image if x.ndim == ndim + 2 else image[0]


def _product(
    left: Shaped[Tensor, "b i k"],
    right: Shaped[Tensor, "b k j"],
    added: Shaped[Tensor, "b _ _"] | None,
) -> Shaped[Tensor, "b i j"]:
    return torch.bmm(left, right) if added is None else torch.baddbmm(added, left, right)
