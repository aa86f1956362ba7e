"""What no network for larger images can do alike: refused wherever it stands, with the reason."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import nn

from convlin.errors import Description, Refusal, Refused, printable
from convlin.models.dense.call import Call
from convlin.models.dense.registry import function, layer

REASONS = {
    "attention": "every cell looks at all others, and a larger image has others",
    "upsampling": "its cells lie between the grid's, and read the window's border",
    "recurrence": "it runs along the whole image",
}


@layer(nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder,
       nn.TransformerDecoderLayer, nn.TransformerDecoder, nn.Transformer, kind="never")  # fmt: skip
@function("scaled_dot_product_attention", "multi_head_attention_forward", kind="never")
def attention(call: Call, *args: Any, **kwargs: Any) -> NoReturn:
    """Refuse attention."""
    _refuse(call, "attention")


@layer(nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, nn.PixelShuffle,
       nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.MaxUnpool1d, nn.MaxUnpool2d,
       nn.MaxUnpool3d, nn.Fold, kind="never")  # fmt: skip
@function("interpolate", "upsample", "pixel_shuffle", "grid_sample", "conv_transpose1d",
          "conv_transpose2d", "conv_transpose3d", "fold", kind="never")  # fmt: skip
def upsampling(call: Call, *args: Any, **kwargs: Any) -> NoReturn:
    """Refuse upsampling."""
    _refuse(call, "upsampling")


@layer(nn.RNN, nn.LSTM, nn.GRU, kind="never")
def recurrence(call: Call, *args: Any, **kwargs: Any) -> NoReturn:
    """Refuse recurrence."""
    _refuse(call, "recurrence")


class NeverConvolutional(Refusal):
    """A layer that no rule can ever exchange: there is no value of a field that would do."""

    def __str__(self) -> str:
        verb = "cannot be made fully convolutional"
        return printable(f"{self.site}: {self.value} {verb}: {self.reason}")


def _refuse(call: Call, kind: str) -> NoReturn:
    allowed = "a layer that can be made fully convolutional"
    reason = f"{kind}: {REASONS[kind]}"
    operation = Description(call.operation)
    raise Refused(NeverConvolutional(call.site, "operation", operation, allowed, reason))
