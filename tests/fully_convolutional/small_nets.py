"""Small padding-free classifiers, each with something of its own; sizes pairwise different."""

import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    """A module from a function, so that a case is one line."""

    def __init__(self, run, **layers):
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.run(self, x)


def residual(m, x):
    y = m.a(x).relu()
    y = y[:, :, 1:-1, 2:-1] + m.b(y)
    return m.head(y.flatten(1))


def branches(m, x):
    y = torch.relu(m.a(x))
    y = torch.cat([m.b(y), m.c(y)[:, :, :4, :5]], 1)  # c has another slack than b
    return m.head(y.transpose(1, 3).reshape(x.shape[0], -1))


def heads(m, x):
    y = m.a(x).permute(0, 3, 2, 1).contiguous()
    y = m.norm(m.fc(functional.dropout(y.view(y.size(0), -1), training=m.training)))
    y = functional.prelu(y, m.slope)
    return {"scores": m.one(y).softmax(-1), "boxes": [m.two(y), functional.normalize(y, dim=1)]}


def channels_last(m, x):
    y = m.a(x).permute(0, 2, 3, 1)
    y = m.grow(m.norm(y))
    y = m.shrink(functional.gelu(y)) * m.scale
    y = y.permute(0, 3, 1, 2) + m.a(x)
    return m.head(functional.layer_norm(y.mean((2, 3)), (6,)))


def shuffle(m, x):
    y = m.a(x)
    batch, channels, height, width = y.size()
    y = y.view(batch, 3, channels // 3, height, width).transpose(1, 2).contiguous()
    y = y.view(batch, -1, height, width)
    left, right = y.chunk(2, dim=1)
    y = torch.cat([left, m.b(right).sigmoid()], 1)
    return m.head(torch.flatten(functional.avg_pool2d(y, y.shape[2:]), 1))


def focus(m, x):
    parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
    return m.head(m.a(torch.cat(parts, 1)).flatten(1))


def functional_forms(m, x):
    y = functional.conv2d(x, m.kernel, None, (2, 1))
    y = functional.max_pool2d(functional.leaky_relu(y, 0.1), 2, stride=1)
    y = functional.hardswish(y.sub(0.5).div(2.0)) - m.offset
    return functional.linear(y.flatten(2).flatten(1), m.matrix, m.bias)


def hypercolumn(m, x):
    a = m.a(x)
    b = m.b(a)
    c = m.c(b)
    pooled = [a.mean((2, 3)), b.amax(dim=(2, 3)), c.mean(3).mean(2)]
    return m.head(torch.cat(pooled, 1)), m.other(pooled[0])


def flattened_space(m, x):
    y = m.a(x)
    return m.head(y.view(y.shape[0], y.shape[1], -1).mean(-1)).squeeze(1)


def adaptive(m, x):
    y = m.pool(m.a(x).relu())
    y = m.max(m.average(m.b(y).tanh()))
    return m.head(y.permute(0, 2, 3, 1).flatten(1))


def folded(m, x):
    y = m.pool(m.a(x).relu())
    return m.head(m.drop(y.permute(0, 3, 1, 2).flatten(1))).log_softmax(dim=1)


def strided_behind(m, x):
    y = m.pool(m.a(x.float().to(x.dtype)).relu())
    y = functional.conv2d(m.b(y), m.kernel, stride=(2, 1), dilation=(1, 2))
    return m.head(m.average(m.max(y)).flatten(1))


def halves(m, x):
    left, right = m.a(x).chunk(2, 1)
    return m.one(left.flatten(1)), m.two(right.permute(0, 2, 1, 3).flatten(1))


def in_place(m, x):
    y = m.relu(m.a(x))
    identity = y
    y = m.b(y)
    y += identity[:, :, 1:-1, :-1]
    y.mul_(2).clamp_(-1, 3)
    return m.head(m.relu(y).flatten(1))


def ceil_unread(m, x):
    return m.head(m.b(functional.max_pool2d(m.a(x), 3, 2, ceil_mode=True)).flatten(1))


def padding_cut_off(m, x):
    return m.head(m.a(x)[:, :, 2:-2, 1:-1].flatten(1))


def conv(i, o, k, d=2, **options):
    return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[d - 1](i, o, k, **options)


def norm(n):
    layer = nn.BatchNorm1d(n)
    layer.running_mean.uniform_(-1, 1)
    layer.running_var.uniform_(0.5, 2)
    return layer


def pooled_net(pool, kernel=2):
    features = pool(torch.zeros(1, 6, 8, 12))
    features = nn.MaxPool2d((1, 2))(nn.AvgPool2d(2, 1)(conv(6, 5, kernel)(features))).numel()
    return Net(adaptive, a=conv(3, 6, 3, stride=2), pool=pool, b=conv(6, 5, kernel),
               average=nn.AvgPool2d(2, 1), max=nn.MaxPool2d((1, 2)), head=nn.Linear(features, 9))  # fmt: skip


def folded_net(*out):
    return Net(folded, a=conv(3, 6, 3, stride=2), pool=nn.AdaptiveAvgPool2d(out), drop=nn.Dropout(),
               head=nn.Linear(6 * out[0] * out[1], 9))  # fmt: skip


# name: (model, window, images' sizes)
NETS = {
    "1d-two-linear": (
        lambda: nn.Sequential(
            conv(2, 4, 3, 1), nn.ELU(), nn.MaxPool1d(2), conv(4, 5, 4, 1, dilation=2), nn.Flatten(),
            nn.Linear(5 * 3, 8), norm(8), nn.GLU(), nn.Linear(4, 6),
        ),
        (2, 20), [(20,), (33,), (46,)],
    ),
    "1d-glu": (
        lambda: nn.Sequential(
            conv(2, 6, 3, 1, stride=2), nn.GLU(dim=1), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(3 * 4, 5)
        ),
        (2, 18), [(18,), (33,), (46,)],
    ),
    "3d-bn-heads": (
        lambda: nn.Sequential(
            conv(2, 4, (1, 3, 2), 3), nn.AvgPool3d((1, 2, 2)), nn.BatchNorm3d(4), nn.ReLU(),
            nn.Flatten(2), nn.Flatten(1), nn.Linear(4 * 3 * 3 * 4, 6), norm(6), nn.Linear(6, 3),
        ),
        (2, 3, 8, 9), [(3, 8, 9), (5, 11, 12)],
    ),
    "residual-crop": (
        lambda: Net(residual, a=conv(3, 6, 3), b=conv(6, 6, (3, 4)), head=nn.Linear(6 * 9 * 7, 4)),
        (3, 13, 12), [(13, 12), (15, 14), (18, 13)],
    ),
    "branches-cat": (
        lambda: Net(branches, a=conv(3, 6, 3), b=conv(6, 5, (3, 2), stride=2),
                    c=conv(6, 4, 2, stride=2), head=nn.Linear(9 * 4 * 5, 6)),
        (3, 11, 13), [(11, 13), (12, 14), (15, 18), (20, 29)],
    ),
    "heads-permuted": (
        lambda: Net(heads, a=conv(3, 5, 3, stride=2), fc=nn.Linear(5 * 4 * 6, 8), norm=norm(8),
                    slope=nn.Parameter(torch.rand(8)), one=nn.Linear(8, 3), two=nn.Linear(8, 7)),
        (3, 9, 13), [(9, 13), (12, 16), (15, 23)],
    ),
    "channels-last": (
        lambda: Net(channels_last, a=conv(3, 6, 3, stride=2), norm=nn.LayerNorm(6),
                    grow=nn.Linear(6, 11), shrink=nn.Linear(11, 6),
                    scale=nn.Parameter(torch.rand(6)), head=nn.Linear(6, 4)),
        (3, 9, 11), [(9, 11), (12, 14), (17, 13)],
    ),
    "channel-shuffle": (
        lambda: Net(shuffle, a=conv(3, 12, 3, stride=(1, 2), groups=3), b=conv(6, 6, 1, groups=2),
                    head=nn.Linear(12, 5)),
        (3, 8, 11), [(8, 11), (9, 14), (13, 17)],
    ),
    "focus-slices": (
        lambda: Net(focus, a=conv(12, 5, (2, 3)), head=nn.Linear(5 * 4 * 3, 6)),
        (3, 10, 10), [(10, 10), (13, 12), (15, 17)],
    ),
    "functional-forms": (
        lambda: Net(functional_forms, kernel=nn.Parameter(torch.randn(4, 3, 3, 2)),
                    offset=nn.Parameter(torch.randn(4, 1, 1)),
                    matrix=nn.Parameter(torch.randn(6, 4 * 3 * 7)), bias=nn.Parameter(torch.randn(6))),
        (3, 9, 9), [(9, 9), (12, 10), (15, 13)],
    ),
    "hypercolumn-strides": (
        lambda: Net(hypercolumn, a=conv(3, 5, 3), b=conv(5, 6, 2, stride=2), c=conv(6, 7, 2, stride=2),
                    head=nn.Linear(18, 4), other=nn.Linear(5, 2)),
        (3, 12, 14), [(12, 14), (17, 19), (21, 26)],
    ),
    "mean-of-flattened-space": (
        lambda: Net(flattened_space, a=conv(3, 5, (3, 2), stride=3), head=nn.Linear(5, 1)),
        (3, 10, 12), [(10, 12), (15, 18)],
    ),
    "adaptive-divides": (
        lambda: pooled_net(nn.AdaptiveAvgPool2d((4, 6))), (3, 17, 25), [(17, 25), (19, 26), (24, 33)],
    ),
    "adaptive-divides-one-way": (
        lambda: pooled_net(nn.AdaptiveAvgPool2d((None, 4))), (3, 17, 25), [(17, 25), (20, 30)],
    ),
    "adaptive-divides-one-way-then-strides": (
        lambda: Net(strided_behind, a=conv(3, 6, 3), pool=nn.AdaptiveAvgPool2d((None, 6)),
                    b=conv(6, 5, (3, 1), stride=(2, 1)), kernel=nn.Parameter(torch.randn(4, 5, 2, 2)),
                    max=nn.MaxPool2d((2, 1), (2, 1)), average=nn.AvgPool2d((1, 2), (2, 2)),
                    head=nn.Linear(4 * 2 * 2, 3)),
        (3, 30, 20), [(30, 20), (41, 23), (57, 26)],
    ),
    "halves-flattened": (
        lambda: Net(halves, a=conv(3, 10, 3, stride=2), one=nn.Linear(5 * 4 * 6, 3), two=nn.Linear(5 * 4 * 6, 2)),
        (3, 10, 14), [(10, 14), (13, 19)],
    ),
    "weight-norm": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(conv(3, 4, 3)), nn.Flatten(),
                              nn.Linear(4 * 6 * 5, 3)),
        (3, 8, 7), [(8, 7), (10, 12)],
    ),
    "adaptive-max-divides": (
        lambda: pooled_net(nn.AdaptiveMaxPool2d((4, 6))), (3, 17, 25), [(17, 25), (20, 30)],
    ),
    "adaptive-folded-down": (lambda: folded_net(3, 5), (3, 17, 25), [(17, 25), (20, 33)]),
    "adaptive-folded-up": (lambda: folded_net(11, 5), (3, 17, 25), [(17, 25), (20, 33)]),
    "in-place": (
        lambda: Net(in_place, a=conv(3, 4, 2), b=conv(4, 4, (3, 2)), relu=nn.ReLU(inplace=True),
                    head=nn.Linear(4 * 7 * 6, 3)),
        (3, 10, 8), [(10, 8), (12, 11)],
    ),
    "ceil-cell-never-read": (
        lambda: Net(ceil_unread, a=conv(3, 4, 2), b=conv(4, 5, 2, stride=2), head=nn.Linear(5 * 2 * 2, 3)),
        (3, 11, 11), [(11, 11), (15, 19), (18, 24)],
    ),
    "padding-cut-off": (
        lambda: Net(padding_cut_off, a=conv(3, 4, (5, 3), padding=(2, 1)), head=nn.Linear(4 * 6 * 7, 3)),
        (3, 10, 9), [(10, 9), (12, 11)],
    ),
}  # fmt: skip
