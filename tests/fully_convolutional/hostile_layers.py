"""Layers of PyTorch's own on tensors of the model: their input is not always what comes first."""

import torch
from torch import nn
from traced_case import head, right


class Table(nn.Module):
    """Holds indices, as position tables do."""

    def __init__(self):
        super().__init__()
        self.register_buffer("index", torch.tensor([2, 0, 1, 3]))
        self.register_buffer("later", torch.tensor([1, 3, 0, 2]), persistent=False)


def parameter(*shape):
    return lambda: nn.Parameter(torch.empty(shape))


def scaled(scale):
    """Return a forward that multiplies every channel of the map by its number of `scale`."""
    return lambda m, x: m.head((m.a(x) * scale(m, x).view(4, 1, 1)).flatten(1))


def looked_up(**options):
    return {"e": lambda: nn.Embedding(4, 1, **options), "t": Table}


P = {"p": parameter(4, 3), "q": parameter(4, 3)}

SCALES = {
    "embedding": (lambda m, x: m.e(m.t.index), looked_up()),
    "embedding-not-persistent": (lambda m, x: m.e(m.t.later), looked_up()),
    "embedding-padded": (lambda m, x: m.e(m.t.index), looked_up(padding_idx=1)),
    "embedding-made": (lambda m, x: m.e(torch.arange(4, device=x.device)), looked_up()),
    "embedding-twice": (lambda m, x: m.e(m.t.index) * m.e(m.t.later), looked_up()),
    "embedding-bag": (
        lambda m, x: m.e(m.t.index.view(4, 1)), {"e": lambda: nn.EmbeddingBag(4, 1), "t": Table},
    ),
    "bilinear": (lambda m, x: m.e(m.p, m.q), {"e": lambda: nn.Bilinear(3, 3, 1), **P}),
    "cosine": (lambda m, x: m.e(m.p, m.q), {"e": lambda: nn.CosineSimilarity(1), **P}),
    "distance": (lambda m, x: m.e(m.p, m.q), {"e": lambda: nn.PairwiseDistance(), **P}),
    "linear": (lambda m, x: m.e(m.p), {"e": lambda: nn.Linear(3, 1), **P}),
    "linear-of-a-sum": (lambda m, x: m.e(m.p + m.q), {"e": lambda: nn.Linear(3, 1), **P}),
    "relu": (lambda m, x: m.e(m.p).sum(1), {"e": nn.ReLU, **P}),
    "norm": (lambda m, x: m.e(m.p).sum(1), {"e": lambda: nn.LayerNorm(3), **P}),
    "convolution": (
        lambda m, x: m.e(m.p.T[None])[0, 0, :4], {"e": lambda: nn.Conv1d(3, 1, 1), **P},
    ),
    "indexed": (lambda m, x: m.p[m.t.index, 0], {"t": Table, **P}),
    "indexed-by-rows": (lambda m, x: m.p.index_select(0, m.t.later)[:, 1], {"t": Table, **P}),
    "masked": (lambda m, x: m.p[:, 0].masked_fill(m.t.index > 1, 0.5), {"t": Table, **P}),
}  # fmt: skip
CASES = {
    f"layers-{name}": right(scaled(scale), head=head(), **layers)
    for name, (scale, layers) in SCALES.items()
} | {
    "layers-indexed-map": right(
        lambda m, x: m.head(m.a(x)[:, m.t.index].flatten(1)), head=head(), t=Table),
    "layers-selected-map": right(
        lambda m, x: m.head(m.a(x).index_select(1, m.t.later).flatten(1)), head=head(), t=Table),
}  # fmt: skip
