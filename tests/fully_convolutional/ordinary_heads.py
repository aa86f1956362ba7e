"""What classifiers do behind their convolutions: reductions, products, tokens, norms, pools."""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize
from traced_case import MAPS, either, head, narrow, on_the_map, refused, right, table, to_scores

# A map becomes a vector, in each way that people write it.

REDUCED = {
    "sum": lambda y: y.sum((2, 3)),
    "sum-keyword": lambda y: y.sum(dim=(-2, -1)),
    "sum-keepdim": lambda y: y.sum((2, 3), keepdim=True).flatten(1),
    "mean-list": lambda y: y.mean([-1, -2]),
    "mean-of-mean": lambda y: y.mean(-1).mean(-1),
    "mean-function": lambda y: torch.mean(y, dim=(2, 3)),
    "mean-of-flattened": lambda y: y.flatten(2).mean(-1),
    "mean-of-viewed": lambda y: y.view(y.shape[0], y.shape[1], -1).mean(dim=2),
    "sum-over-count": lambda y: y.sum((2, 3)) / (y.shape[2] * y.shape[3]),
    "amax": lambda y: y.amax((2, 3)),
    "amin": lambda y: torch.amin(y, dim=(-1, -2)),
    "max-index": lambda y: y.max(-1)[0].max(-1)[0],
    "max-values": lambda y: torch.max(y.flatten(2), dim=2).values,
    "max-unpacked": lambda y: (lambda values, _: values)(*y.flatten(2).max(2)),
    "min-index": lambda y: y.flatten(2).min(-1)[0],
    "max-keepdim": lambda y: y.max(3, keepdim=True)[0].amax(2).squeeze(-1),
    "pool-of-the-shape": lambda y: functional.avg_pool2d(y, y.shape[2:]).flatten(1),
    "pool-of-the-size": lambda y: (
        functional.avg_pool2d(y, kernel_size=y.size()[-2:]).squeeze(-1).squeeze(-1)
    ),
    "pool-of-the-size-max": lambda y: functional.max_pool2d(y, (y.size(2), y.size(3)))[:, :, 0, 0],
    "adaptive": lambda y: functional.adaptive_avg_pool2d(y, 1).reshape(y.shape[0], -1),
    "adaptive-max": lambda y: functional.adaptive_max_pool2d(y, (1, 1)).flatten(1),
    "both": lambda y: y.mean((2, 3)) + y.amax((2, 3)),
}
REDUCED_ODDLY = {
    "gem": lambda y: y.clamp(min=0.125).pow(3).mean((2, 3)).pow(1 / 3),
    "logsumexp": lambda y: y.logsumexp((2, 3)),
    "norm": lambda y: y.norm(dim=(2, 3)),
    "var": lambda y: y.var((2, 3)),
    "median": lambda y: y.flatten(2).median(-1)[0],
    "softmax-over-space": lambda y: (y.flatten(2).softmax(-1) * y.flatten(2)).sum(-1),
    "corner": lambda y: y[:, :, 0, 0],
    "last-corner": lambda y: y[..., -1, -1],
    "cumsum": lambda y: y.cumsum(-1)[..., -1].mean(-1),
    "sum-of-all-but-channels": lambda y: torch.einsum("nchw->nc", y),
    "sorted": lambda y: y.flatten(2).sort(-1)[0][..., -1],
    "weighted-by-place": lambda y: (y * torch.linspace(0, 1, 5, dtype=y.dtype)).sum((2, 3)),
    "matmul-with-itself": lambda y: (y.flatten(2) @ y.flatten(2).transpose(1, 2)).mean(-1),
}

# Two maps become one.

JOINED = {
    "max": lambda y: torch.max(y, y.relu() - 1),
    "max-method": lambda y: y.max(y.tanh() * 2),
    "maximum": lambda y: torch.maximum(y, y * 0.5),
    "min": lambda y: torch.min(y, y.sigmoid()),
    "stack-sum": lambda y: torch.stack([y, y.relu(), y.tanh()]).sum(0),
    "stack-mean": lambda y: torch.stack([y, y.relu()], dim=1).mean(1),
    "stack-max": lambda y: torch.stack((y, y.neg()), 0).max(0)[0],
    "stack-last": lambda y: torch.stack([y, y.sigmoid()], -1).amax(-1),
    "stack-flattened": lambda y: torch.stack([y[:, :2], y[:, 2:]], 2).flatten(1, 2),
    "sum-of-list": lambda y: sum([y, y.relu(), y.tanh()]) / 3,
}
JOINED_ODDLY = {
    "stack-unbound": lambda y: torch.stack([y, y.relu()], 2).unbind(2)[1],
    "maxout": lambda y: y.view(y.shape[0], 2, 2, *y.shape[2:]).max(2)[0].repeat(1, 2, 1, 1),
    "addcmul": lambda y: torch.addcmul(y, y, y.sigmoid()),
    "lerp": lambda y: torch.lerp(y, y.relu(), 0.25),
    "chained-comparison": lambda y: y * (y > 0) * (y < 2),
}

# Products with weights that are no layer.


def weights(*shape):
    return lambda: nn.Parameter(torch.empty(shape))


def flat_cosine(m, x):
    y = functional.normalize(m.a(x).mean((2, 3)))
    return functional.linear(y, functional.normalize(m.w)) * m.scale


FLAT = {"w": weights(7, 120), "b": weights(7)}
PRODUCTS = {
    "at": (lambda m, x: m.a(x).flatten(1) @ m.w.T + m.b, FLAT),
    "at-t": (lambda m, x: m.a(x).flatten(1) @ m.w.t() + m.b, FLAT),
    "matmul": (lambda m, x: torch.matmul(m.a(x).flatten(1), m.w.transpose(0, 1)) + m.b, FLAT),
    "linear": (lambda m, x: functional.linear(m.a(x).flatten(1), m.w, m.b), FLAT),
    "linear-computed": (lambda m, x: functional.linear(m.a(x).flatten(1), m.w * 2, m.b), FLAT),
    "linear-weight-standardised": (
        lambda m, x: functional.linear(m.a(x).flatten(1), m.w - m.w.mean(1, keepdim=True), m.b), FLAT,
    ),
    "linear-of-two": (
        lambda m, x: functional.linear(m.a(x).flatten(1), torch.cat([m.w, m.v])),
        {"w": weights(3, 120), "v": weights(4, 120)},
    ),
    "linear-part": (lambda m, x: functional.linear(m.a(x).flatten(1), m.w[:5], m.b[:5]), FLAT),
    "addmm": (lambda m, x: torch.addmm(m.b, m.a(x).flatten(1), m.w.t()), FLAT),
    "mm": (lambda m, x: m.a(x).mean((2, 3)).mm(m.w), {"w": weights(4, 7)}),
    "pooled-at": (lambda m, x: m.a(x).amax((2, 3)) @ m.w, {"w": weights(4, 7)}),
    "cosine": (flat_cosine, {"w": weights(7, 4), "scale": weights()}),
    "weight-of-a-layer": (
        lambda m, x: m.a(x).flatten(1) @ m.fc.weight.T + m.fc.bias, {"fc": lambda: nn.Linear(120, 7)},
    ),
    "einsum-pointwise": (
        lambda m, x: m.head(torch.einsum("nchw,dc->ndhw", m.a(x), m.w).flatten(1)),
        {"w": weights(4, 4), "head": head()},
    ),
    "einsum-pointwise-computed": (
        lambda m, x: m.head(torch.einsum("oc,ncij->noij", m.w.tanh(), m.a(x)).flatten(1)),
        {"w": weights(4, 4), "head": head()},
    ),
    "einsum-whole-map": (lambda m, x: torch.einsum("nchw,kchw->nk", m.a(x), m.w), {"w": weights(7, 4, 6, 5)}),
    "tensordot": (lambda m, x: torch.tensordot(m.a(x), m.w, 3), {"w": weights(4, 6, 5, 7)}),
    "channels-last-at": (
        lambda m, x: m.head((m.a(x).permute(0, 2, 3, 1) @ m.w).permute(0, 3, 1, 2).flatten(1)),
        {"w": weights(4, 4), "head": head()},
    ),
    "conv-by-matmul": (
        lambda m, x: m.head((m.w @ m.a(x).flatten(2)).flatten(1)), {"w": weights(4, 4), "head": head()},
    ),
}  # fmt: skip
PRODUCTS_MAY_STOP = {"linear-of-two", "einsum-whole-map", "tensordot", "conv-by-matmul", "mm"}

# Tokens: the map as a sequence.


def tokens(y):
    return y.flatten(2).transpose(1, 2)


def residual_tokens(m, x):
    y = tokens(m.a(x))
    return m.narrow((y + m.mix(m.norm(y))).mean(dim=1))


def attention(m, x):
    y = tokens(m.a(x))
    y = functional.scaled_dot_product_attention(y, y, y)
    return m.narrow(y.mean(1))


def norm():
    return nn.LayerNorm(4)


TOKENS = {
    "normed": (
        lambda m, x: m.narrow(m.norm(tokens(m.a(x))).mean(1)),
        {"norm": norm, "narrow": narrow},
    ),
    "mlp": (
        lambda m, x: m.out(functional.gelu(m.grow(m.norm(tokens(m.a(x))))).mean(1)),
        {"norm": norm, "grow": lambda: nn.Linear(4, 9), "out": lambda: nn.Linear(9, 7)},
    ),
    "residual": (
        residual_tokens,
        {"norm": norm, "narrow": narrow, "mix": lambda: nn.Linear(4, 4)},
    ),
    "flattened": (
        lambda m, x: m.flat(m.norm(tokens(m.a(x))).flatten(1)),
        {"norm": norm, "flat": lambda: nn.Linear(120, 7)},
    ),
    "there-and-back": (
        lambda m, x: m.head(m.norm(tokens(m.a(x))).transpose(1, 2).reshape(-1, 4, 6, 5).flatten(1)),
        {"norm": norm, "head": head()},
    ),
}

# Layers whose weight is computed.


class Halved(nn.Module):
    def forward(self, weight):
        return weight / 2


def halved(layer):
    parametrize.register_parametrization(layer, "weight", Halved())
    return layer


PARAMETRIZED = {
    "weight-norm": parametrizations.weight_norm,
    "spectral-norm": parametrizations.spectral_norm,
    "own": halved,
    "own-twice": lambda layer: halved(halved(layer)),
}

# Norms and pools.

INNER = {
    "batch-norm": (right, lambda: nn.BatchNorm2d(4)),
    "group-norm": (refused, lambda: nn.GroupNorm(2, 4)),
    "instance-norm": (refused, lambda: nn.InstanceNorm2d(4)),
    "layer-norm-of-the-map": (refused, lambda: nn.LayerNorm((4, 6, 5))),
    "local-response": (either, lambda: nn.LocalResponseNorm(2)),
    "channel-shuffle": (either, lambda: nn.ChannelShuffle(2)),
    "softmax-of-channels": (right, lambda: nn.Softmax(1)),
    "softmax-of-rows": (refused, lambda: nn.Softmax(2)),
    "softmax-2d": (either, nn.Softmax2d),
    "upsample": (either, lambda: nn.Upsample(size=(6, 5))),
    "padded-conv": (refused, lambda: nn.Conv2d(4, 4, 3, padding=1)),
    "padded-pool": (refused, lambda: nn.AvgPool2d(3, 1, padding=1)),
    "transposed-conv": (either, lambda: nn.ConvTranspose2d(4, 4, 1)),
}
SITE = r"\bb\b|\d_norm|padding"


def squeeze_and_excite(y):
    return y * y.mean((2, 3), keepdim=True).sigmoid()


def pooled_by_the_shape(m, x):
    y = m.a(x)
    y = functional.avg_pool2d(y, (y.shape[2] // 3, y.shape[3]))
    return m.thirds(y.flatten(1))


def max_pooled_by_the_shape(m, x):
    y = m.a(x)
    y = functional.max_pool2d(y, y.shape[2] // 2, stride=1)
    return m.quarters(y.flatten(1))


def adaptive_by_the_shape(m, x):
    y = m.a(x)
    y = functional.adaptive_avg_pool2d(y, (y.size(2) // 2, y.size(3)))
    return m.thirds(y.flatten(1))


CASES = {
    **table(REDUCED, right, to_scores, "reduced-", narrow=narrow),
    **table(REDUCED_ODDLY, either, to_scores, "reduced-", narrow=narrow),
    **table(JOINED, right, on_the_map, "joined-", head=head()),
    **table(JOINED_ODDLY, either, on_the_map, "joined-", head=head()),
    **{f"product-{n}": (either if n in PRODUCTS_MAY_STOP else right)(run, **layers)
       for n, (run, layers) in PRODUCTS.items()},
    **{f"tokens-{n}": right(run, **layers) for n, (run, layers) in TOKENS.items()},
    **{f"parametrized-{n}": right(lambda m, x: m.head(m.a(x).flatten(1)), head=lambda f=f: f(nn.Linear(120, 7)))
       for n, f in PARAMETRIZED.items()},
    **{f"parametrized-pointwise-{n}": right(lambda m, x: m.narrow(m.a(x).mean((2, 3))), narrow=lambda f=f: f(narrow()))
       for n, f in PARAMETRIZED.items()},
    **{f"layer-{n}": kind(lambda m, x: m.head(m.b(m.a(x)).flatten(1)), head=head(), b=make,
                          **({"words": SITE} if kind is refused else {}))
       for n, (kind, make) in INNER.items()},
    "tokens-attention": either(attention, narrow=narrow),
    "tokens-position-embedding": either(
        lambda m, x: m.narrow((tokens(m.a(x)) + m.where).relu().mean(1)), narrow=narrow, where=weights(1, 30, 4)
    ),
    "tokens-mixed-over-space": either(
        lambda m, x: m.fc(m.mix(m.a(x).flatten(2)).flatten(1)),
        mix=lambda: nn.Linear(30, 2), fc=lambda: nn.Linear(8, 7),
    ),
    "squeeze-and-excite": either(on_the_map(squeeze_and_excite), head=head()),
    "padded-by-function": refused(
        lambda m, x: m.fc(functional.pad(m.a(x), (1, 1)).flatten(1)), "pad", fc=lambda: nn.Linear(4 * 6 * 7, 7)
    ),
    "pool-by-the-shape": right(pooled_by_the_shape, thirds=lambda: nn.Linear(4 * 3, 7)),
    "pool-by-the-shape-max": right(max_pooled_by_the_shape, quarters=lambda: nn.Linear(4 * 4 * 3, 7)),
    "pool-by-the-shape-adaptive": right(adaptive_by_the_shape, thirds=lambda: nn.Linear(4 * 3 * 5, 7)),
}  # fmt: skip
for ndim in (1, 3):
    space = tuple(range(2, ndim + 2))
    pool = {1: functional.avg_pool1d, 3: functional.max_pool3d}[ndim]
    CASES |= {
        f"reduced-sum-{ndim}d": right(to_scores(lambda y, s=space: y.sum(s)), ndim=ndim, narrow=narrow),
        f"reduced-max-{ndim}d": right(to_scores(lambda y: y.flatten(2).max(-1)[0]), ndim=ndim, narrow=narrow),
        f"reduced-pool-{ndim}d": right(
            to_scores(lambda y, pool=pool: pool(y, y.shape[2:]).flatten(1)), ndim=ndim, narrow=narrow
        ),
        f"joined-stack-{ndim}d": right(on_the_map(JOINED["stack-mean"]), ndim=ndim, head=head(ndim)),
        f"tokens-mlp-{ndim}d": right(TOKENS["mlp"][0], ndim=ndim, **TOKENS["mlp"][1]),
        f"product-at-{ndim}d": right(
            PRODUCTS["at"][0], ndim=ndim, w=weights(7, torch.Size(MAPS[ndim]).numel()), b=weights(7)
        ),
    }  # fmt: skip
