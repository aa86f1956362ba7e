"""Forwards in which one tensor has several names: what is written through one, another reads.

A tracer that records values, and not memory, loses that.
"""

import torch
from torch import nn
from traced_case import either, head, on_the_map, right, table


def added_to_its_alias(y):
    skip = y
    y += y.relu()
    return y + skip


def multiplied_alias(y):
    skip = y
    y *= 2
    return skip - y + y.tanh()


def subtracted_alias(y):
    skip, y = y, y
    y -= 1.5
    return skip.relu() + y


def aliases_in_a_list(y):
    held = [y, y.relu(), y]
    held[0] += held[1]
    return held[2]


def alias_in_a_dict(y):
    held = {"y": y}
    held["y"] /= 2
    return y + 1


def alias_of_an_argument(y):
    def change(z):
        z += 1
        z *= z

    change(y)
    return y


def alias_by_detach(y):
    other = y.detach()
    other.relu_()
    return y + 1


def alias_by_data(y):
    y.data.mul_(2)
    return y + 1


def alias_by_contiguous(y):
    other = y.contiguous()
    other.mul_(2)
    return y + 1


def alias_by_identity(m, x):
    y = m.a(x)
    other = m.same(y)
    other.mul_(2)
    return m.head((y + 1).flatten(1))


def alias_by_dropout(m, x):
    y = m.a(x)
    other = m.drop(y)
    other.add_(0.5)
    return m.head((y + other).flatten(1))


def alias_by_to(y):
    other = y.to(y.dtype)
    other.mul_(-1)
    return y + 1


def alias_by_chunk(y):
    first, second = y.chunk(2, 1)
    first += second
    return y


def alias_by_split(y):
    first, second = torch.split(y, [1, 3], 1)
    second.mul_(first)
    return y.relu()


def alias_by_unbind(y):
    channels = y.unbind(1)
    channels[2].neg_()
    return y


def copied_before(y):
    skip = y.clone()
    y += 1
    return y * skip


def old_value_in_a_view(y):
    first = y[:, :1]
    changed = y.add_(1)
    return torch.cat([first, changed], 1)[:, :4]


def in_place_layer(m, x):
    y = m.a(x)
    skip = y
    y = m.relu(y)
    return m.head((y - 2 * skip + skip.tanh()).flatten(1))


def swapped(y):
    left, right = y[:, :2], y[:, 2:]
    kept = left.clone()
    left.copy_(right)
    right.copy_(kept)
    return y


RIGHT = {
    "alias-iadd": added_to_its_alias, "alias-imul": multiplied_alias, "alias-isub": subtracted_alias,
    "alias-list": aliases_in_a_list, "alias-dict": alias_in_a_dict, "alias-argument": alias_of_an_argument,
    "alias-detach": alias_by_detach, "alias-clone": copied_before,
}  # fmt: skip
EITHER = {
    "alias-data": alias_by_data, "alias-contiguous": alias_by_contiguous, "alias-to": alias_by_to, "alias-chunk": alias_by_chunk,
    "alias-split": alias_by_split, "alias-unbind": alias_by_unbind, "alias-view-of-old": old_value_in_a_view,
    "alias-swap": swapped,
}  # fmt: skip

CASES = table(RIGHT, right, on_the_map, head=head()) | table(
    EITHER, either, on_the_map, head=head()
)
CASES |= {
    "alias-identity": either(alias_by_identity, head=head(), same=nn.Identity),
    "alias-dropout": either(alias_by_dropout, head=head(), drop=nn.Dropout),
    "alias-relu-layer": either(in_place_layer, head=head(), relu=lambda: nn.ReLU(True)),
    **{
        f"{name}-{ndim}d": right(on_the_map(RIGHT[name]), ndim=ndim, head=head(ndim))
        for name in ("alias-iadd", "alias-imul") for ndim in (1, 3)
    },
}  # fmt: skip
