"""What no network for larger images can do alike: refused wherever it stands, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from torch import nn

from convlin.errors import Description, Refusal, Refused, printable
from convlin.models.dense.dense_call import DenseCall
from convlin.models.graph.rule import Rule

ATTENTION = "attention: every cell looks at all others, and a larger image has others"
UPSAMPLING = "upsampling: its cells lie between the grid's, and read the window's border"
RECURRENCE = "recurrence: it runs along the whole image"


class NeverConvolutional(Refusal):
    """A layer that no rule can ever exchange: there is no value of a field that would do."""

    def __str__(self) -> str:
        verb = "cannot be made fully convolutional"
        return printable(f"{self.site}: {self.value} {verb}: {self.reason}")


def never(reason: str) -> Callable[..., NoReturn]:
    """Return the answer that refuses whatever comes, for that reason."""

    def answer(call: DenseCall, *args: Any, **kwargs: Any) -> NoReturn:
        allowed = "a layer that can be made fully convolutional"
        operation = Description(call.operation)
        raise Refused(NeverConvolutional(call.site, "operation", operation, allowed, reason))

    return answer


RULES = (
    Rule(never(ATTENTION), ATTENTION, ("scaled_dot_product_attention",),
         (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder,
          nn.TransformerDecoderLayer, nn.TransformerDecoder, nn.Transformer), "never"),
    Rule(never(UPSAMPLING), UPSAMPLING,
         ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "pixel_shuffle",
          "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d",
          "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d", "col2im",
          "grid_sampler", "max_unpool2d", "max_unpool3d"), (nn.MaxUnpool1d,), "never"),
    Rule(never(RECURRENCE), RECURRENCE, ("lstm", "gru", "rnn_tanh", "rnn_relu"),
         (nn.RNN, nn.LSTM, nn.GRU), "never"),
)  # fmt: skip
