"""Forwards that write in place: through views, into given outputs, into the images themselves."""

import torch
from torch.nn import functional
from traced_case import either, head, narrow, on_the_images, on_the_map, right, table, to_scores

# Writes through a view that is not kept. The rest of the tensor stays.


def sliced(y):
    y[:, :3] += 1
    return y


def sliced_from_behind(y):
    y[:, -2:] *= 2
    return y


def set_to_zero(y):
    y[:, 0] = 0
    return y


def set_to_another_channel(y):
    y[:, 1] = y[:, 3].relu()
    return y


def set_by_a_list(y):
    y[:, [0, 2]] = 1.5
    return y


def set_by_a_mask(y):
    y[y < 0] = 0.25
    return y


def set_by_where(y):
    y.masked_fill_(y > 1, 1.0)
    return y


def set_every_channel(y):
    y[...] = y.tanh()
    return y


def every_other_channel(y):
    y[:, ::2].neg_()
    return y


def edge_of_the_window(y):
    y[:, :, 0] = 0
    return y


def corner_of_the_window(y):
    y[:, :, :2, 1:] += 1
    return y


def through_a_view(y):
    y.view(len(y), 2, 2, 6, 5)[:, 1].mul_(2)
    return y


def through_a_transposed(y):
    y.transpose(1, 2).mul_(2)
    return y


def through_a_transposed_slice(y):
    y.transpose(1, 2)[:, :, 1].mul_(2)
    return y


def through_a_permuted(y):
    y.permute(0, 2, 3, 1).add_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    return y


def through_a_flattened(y):
    y.flatten(2).relu_()
    return y


def through_an_unsqueezed(y):
    y.unsqueeze(1)[:, :, 2].sub_(1)
    return y


def through_select_and_narrow(y):
    y.narrow(1, 1, 2).select(1, 0).add_(3)
    return y


def through_a_view_of_a_view(y):
    y[:, 1:][:, 1:].permute(0, 2, 3, 1)[..., 0].exp_()
    return y


def through_a_reshape_that_copies(y):
    y.permute(0, 2, 3, 1).reshape(len(y), -1).mul_(2)
    return y


def view_taken_before(y):
    rows = y.permute(0, 2, 3, 1)
    y.relu_()
    return rows.permute(0, 3, 1, 2)


def shifted_onto_itself(y):
    y[:, 1:] = y[:, :-1].clone()
    return y


# `out=`: to a new tensor, to a view, to a tensor that is read elsewhere.


def out_to_an_empty(y):
    result = torch.empty_like(y)
    torch.mul(y, 2, out=result)
    return result


def out_to_a_new_one_of_another_shape(y):
    result = y.new_empty(0)
    torch.add(y, 1, out=result)
    return result


def out_returned(y):
    return torch.clamp(y, -1, 1, out=torch.zeros_like(y)) + y


def out_to_a_view(y):
    result = torch.zeros_like(y)
    torch.exp(y[:, :2], out=result[:, 2:])
    return result + y


def out_to_itself(y):
    torch.tanh(y, out=y)
    return y


def out_to_an_alias(y):
    skip = y
    torch.add(y, 1, out=y)
    return skip * 2


def out_of_cat(y):
    result = y.new_empty(len(y), 8, 6, 5)
    torch.cat([y, y.relu()], 1, out=result)
    return result[:, 2:6]


# Into the images. They are the caller's, but the forward reads what it wrote.


def images_shifted(x):
    x -= 0.5
    return x


def images_scaled(x):
    x.mul_(2)[:, 1].add_(1)
    return x


def a_channel_dropped(x):
    x[:, 0] = 0
    return x


def images_as_output(x):
    torch.relu(x, out=x)
    return x


def images_then_read(m, x):
    y = m.a(x)
    x.zero_()
    return m.head((y + m.a(x)).flatten(1))


def filled_channel_by_channel(y):
    result = torch.zeros_like(y)
    for channel in range(y.shape[1]):
        result[:, channel] = y[:, -1 - channel] * channel
    return result


def accumulated(y):
    total = torch.zeros_like(y)
    for step in (y, y.relu(), y.tanh()):
        total += step
    return total


def normalised_in_place(y):
    pooled = y.mean((2, 3))
    pooled /= 2
    pooled[:, 1] += 1
    return pooled


def named(*functions):
    return {function.__name__.replace("_", "-"): function for function in functions}


RIGHT = named(
    sliced, set_to_zero, through_a_transposed, through_a_permuted, view_taken_before, out_to_an_empty,
    out_to_itself, accumulated,
)  # fmt: skip
EITHER = named(
    sliced_from_behind, set_to_another_channel, set_every_channel, every_other_channel, through_a_view,
    through_a_transposed_slice, through_a_flattened, through_an_unsqueezed, through_select_and_narrow,
    through_a_view_of_a_view, through_a_reshape_that_copies, shifted_onto_itself, set_by_a_list,
    set_by_a_mask, set_by_where, edge_of_the_window, corner_of_the_window,
    out_to_a_new_one_of_another_shape, out_returned, out_to_a_view, out_to_an_alias, out_of_cat,
    filled_channel_by_channel,
)  # fmt: skip
IMAGES = named(images_scaled, a_channel_dropped, images_as_output)

CASES = table(RIGHT, right, on_the_map, head=head()) | table(
    EITHER, either, on_the_map, head=head()
)
CASES |= table(IMAGES, either, on_the_images, head=head())
CASES |= {
    "images-shifted": right(on_the_images(images_shifted), head=head()),
    "images-then-read": either(images_then_read, head=head()),
    "pooled-in-place": either(to_scores(normalised_in_place), narrow=narrow),
    "functional-inplace": right(on_the_map(lambda y: functional.relu(y, inplace=True) + y), head=head()),
    **{
        f"{name}-{ndim}d": either(on_the_map(RIGHT[name]), ndim=ndim, head=head(ndim))
        for name in ("sliced", "through-a-transposed", "out-to-an-empty") for ndim in (1, 3)
    },
}  # fmt: skip
