"""A layer of weight (in, out), GPT-2's `Conv1D`, written as a Linear."""

from __future__ import annotations

from jaxtyping import Shaped
from torch import Tensor, nn

from convlin.exchange.in_out import InOut
from convlin.layers.forms.linear_forms import LinearForm
from convlin.layers.gpt2_layer import gpt2_layer
from convlin.layers.parameters import alias, layer_with
from convlin.layers.stock_layer import require_stock_layer

__all__ = ["GPT2Linear"]


class GPT2Linear(LinearForm):
    """One `linear` on rows (..., in) → (..., out); its weight is the layer's own, transposed."""

    exchange: InOut

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, exchange: InOut) -> None:
        super().__init__(exchange)
        self.linear = layer_with(
            nn.Linear, weight.shape[1], weight.shape[0], weight=weight, bias=bias
        )

    def extra_repr(self) -> str:
        """Return what no child shows."""
        return f"{self.exchange}, for Conv1D"

    def forward(self, x: Shaped[Tensor, "*rows c"]) -> Shaped[Tensor, "*rows o"]:
        """Apply the Linear to every row."""
        y: Tensor = self.linear(x)
        return y

    def to_conv(self) -> nn.Module:
        """Return the `Conv1D` again, sharing the Linear's current weights."""
        require_stock_layer(self, type(self))
        require_stock_layer(self.linear, nn.Linear)
        weight = alias(self.linear.weight, self.exchange.kernel)
        return gpt2_layer(weight, self.linear.bias).train(self.training)
