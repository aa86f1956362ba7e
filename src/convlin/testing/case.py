"""One layer that a conversion is tried on, and the input it is judged at: numbers, no weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convlin.geometry import ConvGeometry

__all__ = ["BUFFER", "CONTIGUOUS", "LAST", "Case", "doubled"]

CONTIGUOUS, LAST, BUFFER = "contiguous", "channels_last", "views of one buffer"


@dataclass(frozen=True)
class Case:
    """A layer by its arguments and its state; as text, the Python that makes it.

    kind: nn.Linear, whose sizes per dimension are all (), or a class of convolutions. size: the
    spatial size of the input, or what a Linear's has in front of its features. memory: how the
    parameters lie, `BUFFER` as FSDP and DDP lay them. subclassed: a subclass with a `forward` of
    its own, as layers that standardise their weights or bring an activation along.

    >>> case = Case(nn.Conv2d, (1, 3), (1, 2), stride=(2, 2), size=(1, 4), frozen=True)
    >>> print(case)
    nn.Conv2d(1, 3, (1, 2), stride=2).requires_grad_(False)
    >>> case.input_shape, case.layer().weight.shape
    ((1, 1, 4), torch.Size([3, 1, 1, 2]))
    """

    kind: type[nn.Module]
    channels: tuple[int, int]
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] | str = ()
    dilation: tuple[int, ...] = ()
    output_padding: tuple[int, ...] = ()
    groups: int = 1
    padding_mode: str = "zeros"
    bias: bool = True
    dtype: torch.dtype = torch.float32
    memory: str = CONTIGUOUS
    frozen: bool = False
    frozen_bias: bool = False
    training: bool = True
    subclassed: bool = False
    size: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Write one number per dimension where none was given."""
        for field, usual in {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}.items():
            if getattr(self, field) == ():
                object.__setattr__(self, field, (usual,) * self.ndim)

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions; 0 for a Linear."""
        return len(self.kernel)

    @property
    def transposed(self) -> bool:
        """Whether it is a transposed convolution."""
        return "Transpose" in self.kind.__name__

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without a batch."""
        channels = self.channels[0]
        return (channels, *self.size) if self.ndim else (*self.size, channels)

    @property
    def geometry(self) -> ConvGeometry:
        """The geometry of a convolution; raises `GeometryError` where PyTorch has no such layer."""
        fields = {name: getattr(self, name) for name in GEOMETRY}
        return ConvGeometry(*self.channels, transposed=self.transposed, **fields)

    def layer(self, seed: int = 0) -> nn.Module:
        """Return the layer, with PyTorch's usual random weights."""
        kind: Any = doubled(self.kind) if self.subclassed else self.kind
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed % 2**63)
            layer = kind(*self.channels, **self._arguments())
        if self.memory == LAST:
            formats: dict[int, Any] = {2: torch.channels_last, 3: torch.channels_last_3d}
            layer.to(memory_format=formats[self.ndim])
        elif self.memory == BUFFER:
            _lay_into_one_buffer(layer)
        made: nn.Module = layer.train(self.training).requires_grad_(not self.frozen)
        if self.frozen_bias and self.bias:
            made.get_parameter("bias").requires_grad_(False)
        return made

    def _arguments(self) -> dict[str, Any]:
        """Return the keyword arguments behind the channels, as PyTorch calls them."""
        names = GEOMETRY if self.ndim else ()
        values = {name: getattr(self, name) for name in (*names, "bias", "dtype")}
        if self.ndim:
            values["kernel_size"] = values.pop("kernel")
        if not self.transposed:
            values.pop("output_padding", None)
        return values

    def __str__(self) -> str:
        """Return the layer in Python, with those arguments that are not usual."""
        usual = Case(self.kind, (1, 1), self.kernel)._arguments()
        arguments = [*map(str, self.channels), *([_short(self.kernel)] if self.ndim else [])]
        arguments += [
            f"{name}={_short(value)}"
            for name, value in self._arguments().items()
            if value != usual[name]
        ]
        name = f"{'Doubled' if self.subclassed else 'nn.'}{self.kind.__name__}"
        return f"{name}({', '.join(arguments)})" + "".join(self._state())

    def _state(self) -> Iterator[str]:
        if self.memory == LAST:
            yield f".to(memory_format=torch.channels_last{'_3d' * (self.ndim == 3)})"
        if not self.training:
            yield ".eval()"
        if self.frozen:
            yield ".requires_grad_(False)"
        if self.frozen_bias and self.bias:
            yield ".apply(lambda layer: layer.bias.requires_grad_(False))"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the Python leaves out."""
        name = self.kind.__name__
        doubles = f"Doubled{name}: a subclass of nn.{name} whose forward gives twice as much"
        buffer = "its parameters are views of one buffer, one behind the other"
        return (doubles,) * self.subclassed + (buffer,) * (self.memory == BUFFER)


GEOMETRY = (
    "kernel", "stride", "padding", "output_padding", "dilation", "groups", "padding_mode",
)  # fmt: skip


def doubled(kind: type[nn.Module]) -> type[nn.Module]:
    """Return a subclass of a layer whose `forward` gives twice what the layer does.

    >>> layer = doubled(nn.Linear)(2, 3, bias=False)
    >>> bool((layer(torch.ones(1, 2)) == 2 * layer.weight.sum(1)).all())
    True
    """

    def forward(self: nn.Module, x: Tensor) -> Tensor:
        y: Tensor = kind.forward(self, x)
        return 2 * y

    return type(f"Doubled{kind.__name__}", (kind,), {"forward": forward})


def _lay_into_one_buffer(layer: nn.Module) -> None:
    """Make the parameters views of one buffer, one behind the other, as FSDP and DDP do."""
    parameters = dict(layer.named_parameters())
    first = next(iter(parameters.values()))
    flat = first.new_zeros(1 + sum(p.numel() for p in parameters.values()))
    start = 1  # so that none begins where its storage does
    for name, parameter in parameters.items():
        view = flat[start : start + parameter.numel()].view(parameter.shape)
        view.copy_(parameter.detach())
        setattr(layer, name, nn.Parameter(view))
        start += parameter.numel()


def _short(value: Any) -> str:
    """Return an argument as people write it: one number where all are equal."""
    if isinstance(value, tuple) and len(set(value)) == 1:
        return repr(value[0])
    return repr(value)
