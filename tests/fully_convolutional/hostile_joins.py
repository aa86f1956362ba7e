"""Values that meet, join or overwrite others of another shape, dtype or order of axes.

A rule that knows channels and cells, and not the shape and dtype that the model has, loses those.
"""

import torch
from torch import nn
from torch.nn import functional
from traced_case import (
    MAPS,
    head,
    narrow,
    on_the_map,
    refused,
    right,
    saying,
    table,
    the_output,
    to_scores,
)

FLAT = 120  # the map's numbers


def parameter(*shape):
    return lambda: nn.Parameter(torch.empty(shape))


def vector():
    """A Linear for the flattened map that returns as many scores as that has channels."""
    return nn.Linear(FLAT, MAPS[2][0])


def on_the_vector(step):
    """Return a forward that ends with `step` on four scores."""
    return lambda m, x: step(m.vector(m.a(x).flatten(1)))


# A part of the map is written into another, or over another tensor.


def square(y):
    return y[:, :, :5].clone()


def transposed_half(y):
    y = square(y)
    y[:, :2] = y[:, 2:].transpose(2, 3)
    return y


def transposed_channel(y):
    y = square(y)
    y[:, 0] = y[:, 1].transpose(1, 2)
    return y


def transposed_steps(y):
    y = square(y)
    y[:, ::2] = y[:, ::2].transpose(2, 3).relu()
    return y


def other_axes(y):
    y = y[:, :, :4, :4].clone()
    y.permute(0, 2, 3, 1)[..., :2] = y[..., :2]
    return y


def transposed_all(y):
    y = square(y)
    y[:] = y.transpose(2, 3).relu()
    return y


def copied_to_integers(y):
    y = y * 5
    return y * torch.zeros_like(y, dtype=torch.int).copy_(y)


def channels_to_integers(y):
    y = y * 5
    whole = torch.zeros_like(y, dtype=torch.int)
    whole[:, :2] = y[:, :2]
    return whole * y


def channel_to_integers(y):
    y = y * 5
    whole = torch.zeros_like(y, dtype=torch.int)
    whole[:, 1] = y[:, 1]
    return whole * y


def written_to_truths(y):
    truths = torch.zeros_like(y, dtype=torch.bool)
    truths[...] = y.relu()
    return truths * y


INTO_ANOTHER_DTYPE = {
    "copied-to-integers": copied_to_integers, "channels-to-integers": channels_to_integers,
    "channel-to-integers": channel_to_integers, "written-to-truths": written_to_truths,
}  # fmt: skip
TURNED = {
    "transposed-half": transposed_half, "transposed-channel": transposed_channel,
    "transposed-steps": transposed_steps,
}  # fmt: skip


def over_the_map(make, y):
    """Return the map times what is written over all of a copy of it."""
    return y.clone().copy_(make(y)) * y


WRITTEN_OVER = {
    "number": lambda y: over_the_map(lambda y: torch.tensor(2.0), y),
    "one": lambda y: over_the_map(lambda y: y.new_full((1,), 0.5), y),
    "one-of-four-axes": lambda y: over_the_map(lambda y: y.new_full((1, 1, 1, 1), 0.5), y),
    "one-as-a-map": lambda y: y.new_full((1, 1, 1), 0.5).expand_as(y) * y,
}

# Numbers that no floating point holds, and random ones.

NOT_FLOATING = {
    "sum-of-integers": lambda y: (y * 10).to(torch.int64).sum((2, 3)).to(y.dtype),
    "min-of-bytes": lambda y: (y * 10).to(torch.uint8).amin((2, 3)).to(y.dtype),
    "count": lambda y: (y > 0).sum((2, 3)).to(y.dtype),
    "any-by-max": lambda y: (y > 0).amax((2, 3)).to(y.dtype),
    "all-by-min": lambda y: (y > 0).amin((2, 3)).to(y.dtype),
}
COUNTED = {
    "mean-of-truths": lambda y: (y > 0).to(y.dtype).mean((2, 3)),
    "count-of-truths": lambda y: (y > 0).to(y.dtype).sum((2, 3)),
}


def dropped(drop):
    return lambda m, x: functional.linear(m.a(x).mean((2, 3)), drop(m.w))


RANDOM = {
    "dropped-weights": lambda w: functional.dropout(w, 0.5, True),
    "dropped-alpha": lambda w: functional.alpha_dropout(w, 0.5, True),
    "dropped-rows": lambda w: torch.feature_dropout(w, 0.5, True),
    "random-slopes": lambda w: functional.rrelu(w, 0.1, 0.9, True),
}

# A norm or a softmax over what is not the channels.


def branches(m, x):
    y = m.a(x)
    return torch.stack([y, m.b(y)], 1)


def weighed(weigh):
    """Return a forward that sums two branches, weighed against each other."""

    def forward(m, x):
        both = branches(m, x)
        return m.head((weigh(m, both) * both).sum(1).flatten(1))

    return forward


BRANCHES = {"b": lambda: nn.Conv2d(4, 4, 1), "head": head()}
WEIGHED = {
    "softmax": lambda m, both: both.softmax(1),
    "softmax-dtype": lambda m, both: both.softmax(1, dtype=both.dtype),
    "log-softmax": lambda m, both: both.log_softmax(1),
    "softmin": lambda m, both: (-both).softmax(1),
}
OVER_THE_BATCH = {
    "batch-and-channels": lambda y: y / y.norm(dim=(0, 1), keepdim=True),
    "everything": lambda y: y / y.norm(),
    "batch": lambda y: functional.normalize(y, dim=0),
}

# Products written by letters.


def einsum(equation, weights, shape, of=lambda y: y):
    """Return a case's forward and layers: an einsum of the map, or of what is made of it."""
    return lambda m, x: torch.einsum(equation, of(m.a(x)), weights(m.w, x)), {
        "w": parameter(*shape)
    }


def as_it_is(w, x):
    return w


def for_each_image(w, x):
    return w.expand(len(x), -1, -1)


def pooled(y):
    return y.mean((2, 3))


def sequence(y):
    return y.flatten(2).transpose(1, 2)


EINSUMS = {
    "letter-of-one": einsum("nchw,kc->nkhw", as_it_is, (7, 1)),
    "column-of-one": einsum("nchw,kch->nkw", as_it_is, (7, 4, 6), lambda y: y[..., :1]),
    "outer": einsum("nc,k->nck", as_it_is, (7,), pooled),
    "batch-in-the-weights": einsum("nc,nck->nk", for_each_image, (1, 4, 7), pooled),
    "batch-in-those-of-tokens": einsum("nlc,nck->nlk", for_each_image, (1, 4, 7), sequence),
    "no-arrow": einsum("bi,ij", as_it_is, (4, 7), pooled),
}  # fmt: skip

EINSUMS_OF_ONE = {
    "channel": einsum("nlc,kc->nkl", as_it_is, (3, 1), lambda y: sequence(y).mean(2, True)),
    "token": einsum("nlc,kc->nkl", as_it_is, (3, 4), lambda y: sequence(y).mean(1, True)),
}

# Values that grow as they meet others.

OUTER = {
    "mean-of-all": lambda v: (v[:, :, None] * v[:, None]).mean((1, 2)),
    "mean": lambda v: (v[:, :, None] * v[:, None]).mean(2),
    "sum": lambda v: (v[:, :, None] * v[:, None]).sum(1),
    "max": lambda v: (v[:, :, None] - v[:, None]).amax(2),
    "softmax": lambda v: (v[:, :, None] * v[:, None]).softmax(2),
    "index": lambda v: (v[:, :, None] * v[:, None])[:, 1],
    "flattened": lambda v: (v[:, :, None] * v[:, None]).flatten(1),
}
BROADCAST_UP = {
    "ones": lambda v: (v[:, None] * v.new_ones(6, 4)).sum(1),
    "ones-to-a-map": lambda v: (v[:, :, None, None] * v.new_ones(6, 5)).sum((2, 3)),
    "tokens": lambda v: torch.cat([v[:, None], v.new_zeros(len(v), 3, 4)], 1).mean(1),
    "tokens-of-ones": lambda v: torch.cat([v[:, None], v.new_ones(len(v), 3, 4)], 1).sum(1),
    "cells": lambda v: torch.cat([v[:, :, None, None], v.new_zeros(len(v), 4, 3, 1)], 2).mean((2, 3)),
    "batch-square": lambda v: torch.cat([v, v.new_zeros(len(v), len(v))], 1).mean(1),
}  # fmt: skip
ANOTHER_RANK = {
    "one-of-three-axes": lambda v: v + v.new_zeros(1, 1, 1),
    "one-of-four-axes": lambda v: v + v.new_zeros(1, 1, 1, 1),
    "rows-of-three-axes": lambda v: v + v.new_zeros(6, 1, 4),
}
GROWN_BY_WEIGHTS = {
    "expanded": lambda m, x: (m.vector(m.a(x).flatten(1))[:, None] * m.p.expand(6, 4)).sum(1),
    "repeated": lambda m, x: (m.vector(m.a(x).flatten(1))[:, None] * m.p.repeat(6, 1)).sum(1),
    "class-tokens": lambda m, x: torch.cat(
        [m.vector(m.a(x).flatten(1))[:, None], m.p.expand(len(x), 3, 4)], 1).mean(1),
    "class-tokens-repeated": lambda m, x: torch.cat(
        [m.vector(m.a(x).flatten(1))[:, None], m.p.repeat(len(x), 3, 1)], 1).mean(1),
}  # fmt: skip
LONGER = {
    "column": lambda y: torch.cat([y, y.new_zeros(len(y), 4, 6, 1)], 3),
    "column-max": lambda y: torch.cat([y, y.new_zeros(len(y), 4, 6, 1)], 3).amax((2, 3)),
    "tokens": lambda y: torch.cat([y.flatten(2), y.new_ones(len(y), 4, 2)], 2).mean(2),
    "numbers": lambda y: torch.cat([y.flatten(1), y.new_ones(len(y), 3)], 1),
}
AS_LONG = {
    "ones": lambda y: torch.cat([y.flatten(1, 2), y.new_ones(len(y), 24, 5)], 1),
    "ones-between": lambda y: torch.cat([y.flatten(1, 2), y.new_ones(len(y), 24, 5), -y.flatten(1, 2)], 2),
    "ones-in-a-stack": lambda y: torch.stack([y.flatten(1), y.new_ones(len(y), FLAT)], 2).sum(2),
    "half-the-channels": lambda y: torch.cat([y, y.new_ones(len(y), 2, 6, 5)], 1).flatten(1),
}  # fmt: skip

# Weights of more axes than the map has, elements of another dtype, parts of a pool, two batches.


def scaled(axis, *shape):
    """Return a forward and its layers: a map with an axis more, times weights with as many."""
    return lambda m, x: m.head((m.a(x).unsqueeze(axis) * m.w).flatten(1)), {
        "w": parameter(*shape), "head": head()
    }  # fmt: skip


SCALED = {
    "in-front": scaled(1, 1, 1, 4, 1, 1),
    "behind-the-channels": scaled(2, 1, 4, 1, 1, 1),
    "at-the-end": scaled(4, 4, 1, 1, 1),
}
DTYPE_OF_ANOTHER = {
    "integers": lambda y: y.to(torch.float64).view(torch.int64).to(y.dtype),
    "and-back": lambda y: (y.double().view(torch.int64) & 1023).view(torch.float64).to(y.dtype),
}
CUT_BEHIND_A_POOL = {
    "columns": lambda y: functional.adaptive_avg_pool2d(y, 4)[:, :, 1:],
    "narrow": lambda y: functional.adaptive_avg_pool2d(y, 4).narrow(3, 1, 2),
    "steps": lambda y: functional.adaptive_avg_pool2d(y, 4)[:, :, ::2, ::2],
    "rows-of-channels-last": lambda y: functional.adaptive_avg_pool2d(y, 4).permute(0, 2, 3, 1)[:, 1:],
}  # fmt: skip
STACKED_BATCH = {
    "first": lambda y: torch.stack([y, y.relu()], 0)[0],
    "unbound": lambda y: torch.stack([y, y.relu()], 0).unbind(0)[1],
    "softmax": lambda y: torch.stack([y, y.relu()]).softmax(0).sum(0),
    "kept": lambda y: torch.stack([y, y.relu()]).mean(0, keepdim=True)[0],
}


SHAPE = "one image's|tokens are no map"

CASES = (
    table(INTO_ANOTHER_DTYPE, right, on_the_map, "joins-", head=head())
    | table(WRITTEN_OVER, right, on_the_map, "joins-over-", head=head())
    | table(TURNED, saying("lying as what they are written to"), on_the_map, "joins-",
            head=lambda: nn.Linear(100, 7))
    | table(NOT_FLOATING, saying("dtype is .*, expected floating point"), to_scores, "joins-",
            narrow=narrow)
    | table(COUNTED, right, to_scores, "joins-", narrow=narrow)
    | table(RANDOM, saying("it draws random numbers"), dropped, "joins-", w=parameter(7, 4))
    | table(WEIGHED, right, weighed, "joins-branches-", **BRANCHES)
    | table(OVER_THE_BATCH, saying("expected any but the batch"), on_the_map, "joins-norm-",
            head=head())
    | table(OUTER, saying("expected maps whose axes lie alike"), on_the_vector, "joins-outer-",
            vector=vector)
    | table(BROADCAST_UP, saying(SHAPE), on_the_vector, "joins-up-", vector=vector)
    | table(ANOTHER_RANK, saying("expected at most 2 axes"), on_the_vector, "joins-", vector=vector)
    | table(LONGER, saying(SHAPE), the_output, "joins-longer-")
    | table(AS_LONG, right, the_output, "joins-as-long-")
    | table(DTYPE_OF_ANOTHER, saying("operation is view"), on_the_map, "joins-view-", head=head())
    | table(CUT_BEHIND_A_POOL, saying("pool"), the_output, "joins-pool-")
    | table(STACKED_BATCH, saying("values stacked in front of the batch"), on_the_map,
            "joins-stacked-", head=head())
)  # fmt: skip
CASES |= {
    **{f"joins-{name}": refused(forward, SHAPE, vector=vector, p=parameter(1, 4))
       for name, forward in GROWN_BY_WEIGHTS.items()},
    **{f"joins-scaled-{name}": right(forward, **layers)
       for name, (forward, layers) in SCALED.items()},
    **{f"joins-einsum-{name}": refused(forward, "einsum: (equation|result) is", **layers)
       for name, (forward, layers) in EINSUMS.items()},
    "joins-transposed-all": right(on_the_map(transposed_all), head=lambda: nn.Linear(100, 7)),
    "joins-other-axes": refused(
        on_the_map(other_axes), "lying as what they are written to", head=lambda: nn.Linear(64, 7)),
    "joins-branches-softmin-layer": refused(
        weighed(lambda m, both: m.softmin(both)), "softmin: dim is 1, expected the channels",
        softmin=lambda: nn.Softmin(1), **BRANCHES),
    "joins-branches-stacked-output": refused(
        lambda m, x: torch.stack([m.a(x), m.a(x)]), "values stacked in front of the batch"),
    **{
        f"joins-einsum-of-one-{name}": right(forward, **layers)
        for name, (forward, layers) in EINSUMS_OF_ONE.items()
    },
    "joins-up-where": refused(
        on_the_vector(lambda v: torch.where(v.new_ones(6, 4) > 0, v[:, None], 0.0).sum(1)),
        "one number per channel", vector=vector,
    ),
    "joins-vector-times-weights": refused(
        lambda m, x: functional.linear(m.a(x).mean((2, 3)), m.w), "weight is .*expected a matrix",
        w=parameter(4)),
    "joins-vector-times-computed": refused(
        lambda m, x: functional.linear(m.a(x).mean((2, 3)), m.w * 2),
        "weight is .*expected a matrix", w=parameter(4)),
}  # fmt: skip
