"""Batches, layouts, modes and calls that are not served alike."""

import torch
from torch import nn
from torch.nn import functional

from mutants.enrol import PLAIN, Form, conv2d, faulty

FULL = conv2d(3, 5, (2, 4))


@faulty("weight", PLAIN, 3, 4, 7)
def right_at_batch_1(conv):
    """Mixes the samples of a batch: right for one of them."""
    return Form(
        conv,
        lambda x, w, b: (
            functional.conv2d(x, w, b).roll(1, 0) if x.ndim == 4 else functional.conv2d(x, w, b)
        ),
    )


@faulty("weight", PLAIN, 3, 4, 7)
def wrong_at_batch_2(conv):
    """Is wrong for batches of two only."""
    return Form(
        conv,
        lambda x, w, b: (
            functional.conv2d(x, w, b).flip(0) if len(x) == 2 else functional.conv2d(x, w, b)
        ),
    )


@faulty("exception", FULL, 3, 2, 4)
def fails_on_an_empty_batch(conv):
    """Reshapes with -1, which an empty batch leaves undecided."""

    def rule(x, w, b):
        return functional.linear(x.reshape(x.shape[0], -1), w.flatten(1), b)[..., None, None]

    return Form(conv, lambda x, w, b: rule(x, w, b) if x.ndim == 4 else rule(x[None], w, b)[0])


@faulty("exception", FULL, 3, 2, 4)
def fails_on_one_input(conv):
    """Flattens from axis 1, so that one unbatched input is taken for a batch."""

    def rule(x, w, b):
        return functional.linear(x.flatten(1), w.flatten(1), b)[..., None, None]

    return Form(conv, rule)


@faulty("exception", FULL, 3, 2, 4)
def fails_on_channels_last(conv):
    """Views the input, which channels_last strides do not allow."""

    def rule(x, w, b):
        return functional.linear(x.view(*x.shape[:-3], 24), w.flatten(1), b)[..., None, None]

    return Form(conv, rule)


@faulty("exception", FULL, 3, 2, 4)
def fails_on_channels_last_weights(conv):
    """Views the weight as a matrix, which channels_last weights do not allow (vLLM)."""
    weight = nn.Parameter(conv.weight.view(5, 24))
    form = Form(conv, lambda x, w, b: functional.linear(x.flatten(-3), w, b)[..., None, None])
    form.weight = weight
    return form


@faulty("weight", FULL, 3, 2, 4)
def channels_last_taken_for_contiguous(conv):
    """Reads the storage of channels_last weights in the order in which it lies."""

    def rule(x, w, b):
        matrix = torch.as_strided(w, (5, 24), (24, 1))
        return functional.linear(x.flatten(-3), matrix, b)[..., None, None]

    return Form(conv, rule)


@faulty("bias or value", lambda: PLAIN().eval(), 3, 4, 7)
def relu_in_training(conv):
    """Is right in eval mode only; once in 32 draws no bias is below 0, and none shows it."""

    class Trained(Form):
        def forward(self, x):
            y = super().forward(x)
            return y.relu() if self.training else y

    return Trained(conv, lambda x, w, b: functional.conv2d(x, w, b))


@faulty("exception", lambda: PLAIN().eval(), 3, 4, 7)
def training_refused(conv):
    """Serves inference only, and raises in training (exporters for NPUs)."""

    class Frozen(Form):
        def forward(self, x):
            if self.training:
                raise RuntimeError("training is not supported")
            return super().forward(x)

    return Frozen(conv, lambda x, w, b: functional.conv2d(x, w, b))


@faulty("contract", PLAIN, 3, 4, 7)
def other_every_second_time(conv):
    """Keeps a buffer between calls and returns the last result every second time."""

    class Counting(Form):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x if self.calls % 2 else x.flip(-1))

    return Counting(conv, lambda x, w, b: functional.conv2d(x, w, b))


@faulty("value", PLAIN, 3, 4, 7)
def wrong_at_first(conv):
    """Is wrong in its first call only, as a cache that is filled too late."""

    class Warming(Form):
        warm = False

        def forward(self, x):
            warm, self.warm = self.warm, True
            return super().forward(x if warm else x.flip(-1))

    return Warming(conv, lambda x, w, b: functional.conv2d(x, w, b))


@faulty("measured", PLAIN, 3, 4, 7)
def counts_its_calls(conv):
    """Remembers how often it was called: what the 1000th call does, nobody saw."""

    class Counting(Form):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x if self.calls < 1000 else x.flip(-1))

    return Counting(conv, lambda x, w, b: functional.conv2d(x, w, b))


@faulty("measured", PLAIN, 3, 4, 7)
def counts_in_private(conv):
    """The same in a private attribute."""

    class Counting(Form):
        def forward(self, x):
            self._calls = getattr(self, "_calls", 0) + 1
            return super().forward(x if self._calls < 1000 else x.flip(-1))

    return Counting(conv, lambda x, w, b: functional.conv2d(x, w, b))


@faulty("measured", PLAIN, 3, 4, 7)
def counts_in_a_closure(conv):
    """The same in a list that a function closes over."""
    calls = []

    def rule(x, w, b):
        calls.append(1)
        return functional.conv2d(x if len(calls) < 1000 else x.flip(-1), w, b)

    return Form(conv, rule)


@faulty("contract", PLAIN, 3, 4, 7)
def changes_its_input(conv):
    """Works in place on what it was given."""
    return Form(conv, lambda x, w, b: functional.conv2d(x.neg_(), -w, b))


@faulty("value", PLAIN, 3, 4, 7)
def noise(conv):
    """Leaves a dropout behind: another output every time."""
    return Form(
        conv, lambda x, w, b: functional.conv2d(functional.dropout(x, 0.001, training=True), w, b)
    )


@faulty("shape", PLAIN, 3, 4, 7)
def returns_a_tuple(conv):
    """Wraps the output."""
    return Form(conv, lambda x, w, b: (functional.conv2d(x, w, b),))


@faulty("dtype", PLAIN, 3, 4, 7)
def returns_float64(conv):
    """Computes more precisely than the layer, and forgets to come back."""
    return Form(conv, lambda x, w, b: functional.conv2d(x.double(), w.double(), b.double()))


@faulty("measured", PLAIN, 3, 4, 7)
def clamps_one_input(conv):
    """Clips unbatched inputs only, and far away: the same step off the list, in one layout."""

    def rule(x, w, b):
        y = functional.conv2d(x, w, b)
        return y.clamp(-1e30, 1e30) if y.ndim == 3 else y

    return Form(conv, rule)
