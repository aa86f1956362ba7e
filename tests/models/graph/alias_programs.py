"""Programs of views and of writes to them: each step takes tensors that lie at hand, and adds one.

What a step does follows from its numbers and from the shapes at hand, and never from the size of
the batch, of which there are two or more.
"""

import torch
from hypothesis import strategies as st
from torch import nn

WINDOW = (4, 6, 5)


def dim(t, n):
    """Choose an axis; that of the batch seldom, as in models."""
    return (1 + n % (t.ndim - 1)) if t.ndim > 1 and n % 7 else 0


def half(t, axis):
    return max(t.shape[axis] // 2, 1)


def alike(t, pool, n):
    """Choose an operand of the tensor's shape: another one, or a number."""
    others = [u for u in pool if u.shape == t.shape]
    return others[n % len(others)] if others and n % 3 else n % 5 - 2


def divided(parts, n):
    return parts[n % len(parts)]


def unflattened(t, n):
    axis = dim(t, n)
    return (
        t.unflatten(axis, (2, -1))
        if t.shape[axis] % 2 == 0 and axis
        else t.unflatten(axis, (-1, 1))
    )


VIEWS = {
    "slice": lambda t, p, n: t[(slice(None),) * dim(t, n) + (slice(n % 2, None, 1 + n % 3),)],
    "slice-end": lambda t, p, n: t[..., : max(t.shape[-1] - 1, 1)],
    "select": lambda t, p, n: t.select(dim(t, n), n % 2) if t.shape[dim(t, n)] > 1 else t[:],
    "index": lambda t, p, n: t[:, -1] if t.ndim > 1 else t[None],
    "transpose": lambda t, p, n: t.transpose(dim(t, n), dim(t, n // 3)),
    "swapaxes": lambda t, p, n: t.swapaxes(0, -1),
    "permute": lambda t, p, n: t.permute(*range(n % t.ndim, t.ndim), *range(n % t.ndim)),
    "movedim": lambda t, p, n: t.movedim(dim(t, n), -1),
    "mT": lambda t, p, n: t.mT if t.ndim > 1 else t.T,
    "view": lambda t, p, n: t.view(t.shape[0], -1),
    "reshape": lambda t, p, n: t.reshape(-1, t.shape[-1]),
    "reshape-rows": lambda t, p, n: t.reshape(len(t), -1),
    "flatten": lambda t, p, n: t.flatten(min(n % 2, t.ndim - 1)),
    "unflatten": lambda t, p, n: unflattened(t, n),
    "squeeze": lambda t, p, n: t.squeeze(dim(t, n)),
    "squeeze-all": lambda t, p, n: t.squeeze(),
    "unsqueeze": lambda t, p, n: t.unsqueeze(n % (t.ndim + 1)),
    "narrow": lambda t, p, n: t.narrow(k := dim(t, n), n % 2 if t.shape[k] > 1 else 0, half(t, k)),
    "chunk": lambda t, p, n: divided(t.chunk(2, dim(t, n)), n // 2),
    "split": lambda t, p, n: divided(t.split(half(t, k := dim(t, n)), k), n // 3),
    "split-sizes": lambda t, p, n: divided(t.split([1, t.shape[k := dim(t, n)] - 1], k), n),
    "tensor_split": lambda t, p, n: divided(torch.tensor_split(t, 3, dim(t, n)), n),
    "tensor_split-at": lambda t, p, n: divided(torch.tensor_split(t, (2, 1), -1), n),
    "unbind": lambda t, p, n: divided(t.unbind(dim(t, n)), n),
    "view_as": lambda t, p, n: t.view_as(t[None].flatten(0, 1)),
    "expand": lambda t, p, n: t.unsqueeze(-1).expand(*t.shape, 2),
    "diagonal": lambda t, p, n: t.diagonal(0, -2, -1),
    "unfold": lambda t, p, n: t.unfold(dim(t, n), 2, 1 + n % 2),
    "as_strided": lambda t, p, n: t.as_strided((2, 2), (1, 2)),
    "bits": lambda t, p, n: t.view(torch.int16 if t.element_size() == 2 else torch.int32),
    "contiguous": lambda t, p, n: t.contiguous(),
    "detach": lambda t, p, n: t.detach(),
    "data": lambda t, p, n: t.data,
    "to-own": lambda t, p, n: t.to(t.dtype),
    "type_as": lambda t, p, n: t.type_as(p[0]),
    "dropout": lambda t, p, n: nn.functional.dropout(t, 0.5, False),
    "alias": lambda t, p, n: p[n % len(p)],
}  # fmt: skip


def overwritten(t, new):
    """Write over a tensor by an assignment to an index, and have the tensor."""
    t[...] = new
    return t


def in_part(t, pool, n):
    t[:, n % 2] = alike(t[:, n % 2], pool, n)
    return t


def with_stride(t, pool, n):
    t[..., n % 2 :: 2] = n % 4
    return t


def where_positive(t, pool, n):
    t[t > 0] = n % 3
    return t


def cut_in_place(t, pool, n):
    for part in t.chunk(2, dim(t, n)):
        part.add_(n % 3)
    return t


WRITES = {
    "add_": lambda t, p, n: t.add_(alike(t, p, n)),
    "add_-alpha": lambda t, p, n: t.add_(alike(t, p, n), alpha=2),
    "add_-to-half": lambda t, p, n: t.half().add_((p[0].flatten()[0] + 1000) / 3),
    "copy_-to-half": lambda t, p, n: t.half().copy_(p[0].flatten()[n] / 3),
    "mul_-in-half": lambda t, p, n: t.half()[:, :1].mul_(t[:, :1] / 3),
    "mul_": lambda t, p, n: t.mul_(alike(t, p, n)),
    "sub_": lambda t, p, n: t.sub_(alike(t, p, n)),
    "copy_": lambda t, p, n: t.copy_(alike(t, p, n)) if n % 3 else t.copy_(t.flip(0)),
    "fill_": lambda t, p, n: t.fill_(n % 5 - 2),
    "zero_": lambda t, p, n: t.zero_(),
    "relu_": lambda t, p, n: t.relu_(),
    "relu": lambda t, p, n: nn.functional.relu(t, inplace=True),
    "clamp_": lambda t, p, n: t.clamp_(-2, 3),
    "masked_fill_": lambda t, p, n: t.masked_fill_(t > 1, n % 4),
    "setitem": lambda t, p, n: overwritten(t, alike(t, p, n)),
    "setitem-part": in_part,
    "setitem-stride": with_stride,
    "setitem-mask": where_positive,
    "chunks": cut_in_place,
    "foreach": lambda t, p, n: (torch._foreach_add_([t, p[n % len(p)]], 1), t)[1],
    "out-add": lambda t, p, n: torch.add(t, alike(t, p, n), out=t),
    "out-neg": lambda t, p, n: torch.neg(p[n % len(p)], out=t),
    "out-sort": lambda t, p, n: torch.sort(t, 0, out=(t.clone(), t.long()))[0],
    "index_add_": lambda t, p, n: t.index_add_(-1, torch.tensor([0]), t.narrow(-1, 0, 1) * 2),
    "out-where": lambda t, p, n: torch.where(t > 0, t, -t, out=t),
}  # fmt: skip
TURNS = {
    "transpose_": lambda t, p, n: t.transpose_(dim(t, n), dim(t, n // 2)),
    "swapaxes_": lambda t, p, n: t.swapaxes_(0, -1),
    "unsqueeze_": lambda t, p, n: t.unsqueeze_(n % (t.ndim + 1)),
    "squeeze_": lambda t, p, n: t.squeeze_(dim(t, n)),
    "t_": lambda t, p, n: t.t_(),
    "detach_": lambda t, p, n: t.detach_(),
    "as_strided_": lambda t, p, n: t.as_strided_((2, 2), (1, 2)),
    "resize_": lambda t, p, n: t.resize_(2, 3),
    "set_": lambda t, p, n: t.set_(p[n % len(p)]),
    "data": lambda t, p, n: (setattr(t, "data", p[n % len(p)]), t)[1],
}
MADE = {
    "relu": lambda t, p, n: t.relu(),
    "double": lambda t, p, n: t * 2,
    "clone": lambda t, p, n: t.clone(),
    "half": lambda t, p, n: t.half(),
    "int": lambda t, p, n: t.int(),
    "long": lambda t, p, n: t.long(),
    "sum": lambda t, p, n: t.sum(dim(t, n), keepdim=True),
    "stack": lambda t, p, n: torch.stack([t, t], n % (t.ndim + 1)),
    "zeros": lambda t, p, n: torch.zeros_like(t),
    "new": lambda t, p, n: t.new_full(t.shape, n % 3),
    "made": lambda t, p, n: torch.full(t.shape, n % 3, dtype=t.dtype),
    "plus": lambda t, p, n: t + n % 2,
}
STEPS = {
    f"{kind}-{name}": step
    for kind, steps in (("view", VIEWS), ("write", WRITES), ("turn", TURNS), ("new", MADE))
    for name, step in steps.items()
}


class Program(nn.Module):
    """Takes each step on one of the tensors at hand; returns all of them as they are at the end."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0]), requires_grad=False)

    def forward(self, x):
        pool = [x * self.scale[1], x]
        for name, which, number in self.steps:
            tensor = pool[-1 - which % len(pool)]
            pool.append(STEPS[name](tensor, pool, number))
        return tuple(pool)

    def __repr__(self):
        return "\n".join(f"{name}(pool[-1 - {w}], {n})" for name, w, n in self.steps)


KINDS = st.sampled_from(["view", "view", "view", "write", "write", "turn", "new"])
NAMES = KINDS.flatmap(lambda kind: st.sampled_from([n for n in STEPS if n.startswith(kind)]))
# the last tensor is taken oftener than others
PROGRAMS = st.lists(
    st.tuples(NAMES, st.sampled_from([0, 0, 0, 1, 2, 3]), st.integers(0, 60)),
    min_size=2,
    max_size=9,
)


def images(batch, dtype):
    """Return small integers, of which no two neighbours are equal."""
    count = batch * 4 * 6 * 5
    return ((torch.arange(count) * 7) % 11 - 5).reshape(batch, *WINDOW).to(dtype)


def runs(steps):
    """Whether PyTorch itself takes these steps, at every batch."""
    try:
        for batch in (2, 3):
            Program(steps)(images(batch, torch.float64))
    except (RuntimeError, IndexError, TypeError, ValueError, UserWarning):
        return False
    return True


def that_run(steps):
    """Return the steps without those that PyTorch refuses."""
    taken = []
    for step in steps:
        if runs([*taken, step]):
            taken.append(step)
    return taken
