"""What the forms have in common that are another convolution of the same weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from convlin.errors import Refusal, Refused
from convlin.exchange.kernel_matrix import flattens
from convlin.exchange.reshaped import Reshaped
from convlin.geometry import short
from convlin.layers.forms.stands_for import StandsFor
from convlin.layers.parameters import alias, conv_with, same_bias
from convlin.layers.scripting import TracedOnly
from convlin.layers.stock_layer import CONVOLUTIONS, Conv, require_stock_layer

__all__ = ["ReshapedConv"]


class ReshapedConv(TracedOnly, StandsFor):
    """A convolution written as another, `conv`, of the same weight: drop-in, with its way back.

    `strides` are the layer's weight's steps in memory and `spelling` its padding in its own words:
    what the way back needs to give the same layer bit for bit.
    """

    side = "weight"
    held: ClassVar[Mapping[str, str]] = {"weight": "conv.weight", "bias": "conv.bias"}

    exchange: Reshaped  # type: ignore[assignment]  # of two convolutions, but with the same maps

    def __init__(
        self, conv: Conv, exchange: Reshaped, strides: tuple[int, ...], spelling: Any
    ) -> None:
        super().__init__()
        self.conv = conv
        self.exchange = exchange
        self.geometry = exchange.geometry
        self.strides = strides
        self.spelling = spelling

    @classmethod
    def of(cls, layer: Conv, exchange: Reshaped, spelling: Any, copy: bool) -> Self:
        """Return the form of a layer, the other convolution's padding spelled so.

        Raises `Refused` where no view of the layer's weight is the other's, and `copy` is False.
        """
        if not copy and not flattens(layer.weight, *exchange.merged):
            raise Refused(
                Refusal(type(layer).__name__, "weight.stride()", layer.weight.stride(), "copy=True",
                        "no view of this storage has its taps beside its channels")
            )  # fmt: skip
        weight = alias(layer.weight, exchange.kernel, copy)
        conv = conv_with(exchange.target, spelling, weight, same_bias(layer.bias, copy))
        form = cls(conv.train(layer.training), exchange, layer.weight.stride(), layer.padding)
        return form.stand_for(layer).train(layer.training)

    def extra_repr(self) -> str:
        """Return what no child shows: the exchange, and the convolution that it was made for."""
        return f"{self.exchange}, for {self.geometry.kind} {short(self.geometry)}"

    def to_original(self) -> Conv:
        """Return the convolution that this was made from again, sharing the current weights."""
        require_stock_layer(self, type(self))
        other = self.exchange.target
        require_stock_layer(self.conv, CONVOLUTIONS[other.ndim, other.transposed])
        weight = alias(self.conv.weight, self.exchange.weight)
        bias = same_bias(self.conv.bias)
        conv = conv_with(self.geometry, self.spelling, weight, bias, self.strides)
        return conv.train(self.training)
