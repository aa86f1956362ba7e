"""Stride, padding, dilation, groups, remainder: the numbers around the weights."""

from torch import nn
from torch.nn import functional

from mutants.enrol import PLAIN, Form, conv2d, faulty

PADDED = conv2d(3, 5, (2, 4), padding=(1, 2))


@faulty("weight", PADDED, 3, 4, 7)
def shifted_padding(conv):
    """Pads one pixel more before, and one less after."""
    return Form(conv, lambda x, w, b: functional.conv2d(functional.pad(x, (3, 1, 2, 0)), w, b))


@faulty("weight", conv2d(3, 5, (2, 4), padding="same"), 3, 4, 7)
def same_padding_before(conv):
    """Puts the odd pixel of 'same' before, where PyTorch and TensorFlow put it after."""
    return Form(conv, lambda x, w, b: functional.conv2d(functional.pad(x, (2, 1, 1, 0)), w, b))


@faulty("weight", conv2d(3, 5, 3, padding=1, padding_mode="reflect"), 3, 4, 7)
def ignored_padding_mode(conv):
    """Pads with zeros whatever the mode."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w, b, padding=1))


@faulty("weight", conv2d(3, 5, 3, padding=1, padding_mode="reflect"), 3, 4, 7)
def replicated_for_reflected(conv):
    """Takes 'reflect' for 'replicate': equal but for the outermost pixels."""
    return Form(
        conv,
        lambda x, w, b: functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), w, b),
    )


@faulty("shape", conv2d(3, 5, 1, stride=2), 3, 6, 6)
def pointwise_without_stride(conv):
    """Checks the kernel size only: 6×6 for 3×3 (torchao)."""
    return Form(conv, _pointwise)


@faulty("shape", conv2d(3, 5, 1, padding=1), 3, 6, 8)
def pointwise_without_padding(conv):
    """Checks the kernel size only: 6×8 for 8×10 (torchao)."""
    return Form(conv, _pointwise)


@faulty("exception", conv2d(6, 4, 1, groups=2), 6, 3, 5)
def pointwise_without_groups(conv):
    """Checks the kernel size only, and crashes on groups (torchao)."""
    return Form(conv, _pointwise)


def _pointwise(x, w, b):
    return functional.linear(x.movedim(-3, -1), w.flatten(1), b).movedim(-1, -3)


@faulty("weight", conv2d(3, 5, 1, stride=2), 3, 6, 8)
def wrong_phase(conv):
    """Subsamples the odd pixels instead of the even ones."""
    return Form(conv, lambda x, w, b: functional.conv2d(x[..., 1::2, 1::2], w, b))


@faulty("weight", conv2d(3, 5, 2, stride=2, dilation=2), 3, 7, 7)
def patchified_without_dilation(conv):
    """Cuts patches where kernel = stride, and never looks at the dilation (vLLM): right shape."""
    return Form(conv, _patchify)


@faulty("weight", conv2d(3, 5, 2, stride=2), 3, 5, 7)
def remainder_dropped_before(conv):
    """Drops the remainder pixels at the beginning instead of the end."""
    return Form(conv, lambda x, w, b: _patchify(x[..., x.shape[-2] % 2 :, x.shape[-1] % 2 :], w, b))


@faulty("shape", conv2d(3, 5, 2, stride=2), 3, 5, 7)
def remainder_padded(conv):
    """Pads to whole patches instead of dropping the remainder: one row and column too many."""
    return Form(conv, lambda x, w, b: _patchify(functional.pad(x, (0, 1, 0, 1)), w, b))


@faulty("exception", conv2d(3, 5, 2, stride=2), 3, 5, 7)
def remainder_refused(conv):
    """Reshapes into whole patches, and crashes on a remainder that the convolution drops."""

    def rule(x, w, b):
        patches = x.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
        return _cut(patches.transpose(-2, -3), w, b)

    return Form(conv, rule)


def _patchify(x, w, b):
    return _cut(x.unfold(-2, 2, 2).unfold(-2, 2, 2), w, b)


def _cut(patches, w, b):
    rows = patches.movedim(-5, -3).flatten(-3)
    return functional.linear(rows, w.flatten(1), b).movedim(-1, -3)


@faulty("weight", PLAIN, 3, 5, 7)
def ignored_offset(conv):
    """Reads every window one pixel early (an off-by-one in the unfolding)."""

    def rule(x, w, b):
        return functional.conv2d(x.roll(1, -1), w, b)

    return Form(conv, rule)


@faulty("weight", lambda: nn.ConvTranspose2d(3, 5, 3, stride=2, output_padding=1), 3, 4, 5)
def output_padding_before(conv):
    """Adds the output padding at the wrong end."""

    def rule(x, w, b):
        return functional.conv_transpose2d(x, w, b, stride=2, output_padding=1).roll(
            (1, 1), (-1, -2)
        )

    return Form(conv, rule)
