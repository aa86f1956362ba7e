"""Forwards that depend on more than their input: counters, chance, hooks, other code in a layer."""

import contextlib
import itertools
import random
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as all_modules
from traced_case import either, head, on_the_map, refused, right

# Counters: what a call leaves for the next.

COUNTED = itertools.count(1)
SHARED = [1.0]


def number(m, x):
    m.calls = getattr(m, "calls", 0) + 1
    return m.head(m.a(x).flatten(1) * m.calls)


def number_at_first(m, x):
    y = m.a(x)
    if not hasattr(m, "seen"):
        m.seen, y = True, y * 2
    return m.head(y.flatten(1))


def buffer(m, x):
    m.count += 1
    return m.head((m.a(x) * m.count).flatten(1))


def buffer_of_the_norm(m, x):
    return m.head((m.norm(m.a(x)) + m.norm.num_batches_tracked.add_(1)).flatten(1))


def growing_list(m, x):
    m.__dict__.setdefault("past", []).append(1)
    return m.head((m.a(x) + len(m.past)).flatten(1))


def last_map(m, x):
    y = m.a(x)
    before, m.before = getattr(m, "before", None), y
    return m.head((y if before is None else y * 2).flatten(1))


def running_mean(m, x):
    y = m.a(x)
    m.mean.mul_(0.5).add_(y.mean((0, 2, 3)), alpha=0.5)
    return m.head((y - m.mean.view(1, -1, 1, 1)).flatten(1))


def of_all_models(m, x):
    return m.head((m.a(x) * next(COUNTED)).flatten(1))


def in_a_global_list(m, x):
    SHARED[0] += 0.25
    return m.head((m.a(x) * SHARED[0]).flatten(1))


def counts_beside(m, x):
    m.calls = getattr(m, "calls", 0) + 1
    m.__dict__.setdefault("shapes", []).append(tuple(x.shape))
    return m.head(m.a(x).flatten(1))


def counts_in_a_buffer_beside(m, x):
    m.count.add_(1)
    return m.head(m.a(x).flatten(1))


def keeps_a_mean_beside(m, x):
    y = m.a(x)
    m.mean.copy_(y.detach().mean((0, 2, 3)))
    return m.head(y.flatten(1))


def fills_once(m, x):
    if getattr(m, "table", None) is None:
        m.table = torch.full((4, 1, 1), 0.5)
    return m.head((m.a(x) + m.table).flatten(1))


class WithBuffers(nn.Module):
    """What makes `m.count` and `m.mean` buffers of the model."""

    def __init__(self, inner):
        super().__init__()
        self.a, self.head, self.inner = inner.a, inner.head, (inner.run,)
        self.register_buffer("count", torch.ones(()))
        self.register_buffer("mean", torch.zeros(4))
        self.eval()

    def forward(self, x):
        return self.inner[0](self, x)


STATE = "calls|count|list|past|mul|add|sub|head|mean|copy|before|norm|state|Net|WithBuffers"
COUNTERS = {
    "number": number, "number-at-first": number_at_first, "growing-list": growing_list,
    "last-map": last_map, "of-all-models": of_all_models, "in-a-global-list": in_a_global_list,
}  # fmt: skip
CASES = {f"counter-{name}": refused(run, STATE, head=head()) for name, run in COUNTERS.items()}
CASES["counter-beside-number"] = right(counts_beside, head=head())
CASES["counter-filled-once"] = either(fills_once, STATE + "|full|table", head=head())
CASES["counter-buffer-of-the-norm"] = refused(
    buffer_of_the_norm, STATE, head=head(), norm=lambda: nn.BatchNorm2d(4)
)
for name, run in (("buffer", buffer), ("running-mean", running_mean)):
    CASES[f"counter-{name}"] = refused(run, STATE, wrap=WithBuffers, head=head())
for name, run in (("buffer", counts_in_a_buffer_beside), ("mean", keeps_a_mean_beside)):
    CASES[f"counter-beside-{name}"] = either(run, STATE, wrap=WithBuffers, head=head())

# Chance, on the way to the output and beside it.

ON_THE_WAY = {
    "rand": lambda y: y * torch.rand(()),
    "rand-like": lambda y: y + torch.rand_like(y),
    "randn": lambda y: y + torch.randn(4, 1, 1),
    "randint": lambda y: y * torch.randint(1, 10**6, (1,)),
    "randperm": lambda y: y[:, torch.randperm(4)],
    "bernoulli": lambda y: torch.bernoulli(y.sigmoid()),
    "normal-in-place": lambda y: y + torch.zeros(4, 1, 1).normal_(),
    "multinomial": lambda y: y * torch.multinomial(torch.ones(10**4), 1),
    "dropout": lambda y: functional.dropout(y, 0.5, training=True),
    "dropout-2d": lambda y: functional.dropout2d(y, 0.5),
    "random": lambda y: y * random.random(),
    "random-choice": lambda y: y * random.choice(range(1, 10**6)),
    "numpy": lambda y: y * float(np.random.rand()),
    "numpy-generator": lambda y: y * float(np.random.default_rng().random()),
    "generator": lambda y: y * torch.rand((), generator=GENERATOR),
    "time": lambda y: y * (time.perf_counter() % 1),
    "seeded-by-time": lambda y: y * random.Random(time.perf_counter_ns()).random(),
}
GENERATOR = torch.Generator().manual_seed(0)
CHANCE = "(?i)rand|bernoulli|normal|multinomial|dropout|mul|add|index|head|select|Net"


def beside(draw):
    def forward(m, x):
        draw()
        return m.head(m.a(x).flatten(1))

    return forward


def drawn_and_lost(y):
    y + torch.rand_like(y)
    return y


CASES |= {
    f"chance-{name}": refused(on_the_map(step), CHANCE, head=head())
    for name, step in ON_THE_WAY.items()
}
CASES |= {
    "chance-beside-torch": right(beside(lambda: torch.rand(3)), head=head()),
    "chance-beside-random": right(beside(random.random), head=head()),
    "chance-beside-numpy": right(beside(np.random.rand), head=head()),
    "chance-beside-a-map": either(on_the_map(drawn_and_lost), CHANCE, head=head()),
    "chance-times-nothing": either(on_the_map(lambda y: y + 0 * torch.rand(())), CHANCE, head=head()),
    "chance-seeded-anew": either(
        on_the_map(lambda y: y * float(np.random.default_rng(3).integers(2, 9))), CHANCE, head=head()
    ),
}  # fmt: skip

# Hooks of every module, and of one.


@contextlib.contextmanager
def everywhere(register, hook):
    handle = register(hook)
    try:
        yield
    finally:
        handle.remove()


def around_all(register, hook):
    return lambda: everywhere(register, hook)


FORWARD = all_modules.register_module_forward_hook
BEFORE = all_modules.register_module_forward_pre_hook


def doubled_after(module, args, output):
    return output * 2 if isinstance(module, nn.Conv2d) else None


def doubled_before(module, args):
    return (args[0] * 2,) if isinstance(module, nn.Conv2d) else None


def observed(*_):
    """Look, and change nothing."""


def hooked(register, hook, layer="a"):
    def wrap(model):
        getattr(getattr(model, layer) if layer else model, register)(hook)
        return model

    return wrap


HOOK = "(?i)hook"
CASES |= {
    "global-hook-changing": either(on_the_map(torch.relu), HOOK, head=head(), around=around_all(FORWARD, doubled_after)),
    "global-hook-before": either(on_the_map(torch.relu), HOOK, head=head(), around=around_all(BEFORE, doubled_before)),
    "global-hook-observing": either(on_the_map(torch.relu), HOOK, head=head(), around=around_all(FORWARD, observed)),
    "hook-changing": either(on_the_map(torch.relu), HOOK, wrap=hooked("register_forward_hook", doubled_after), head=head()),
    "hook-before": either(on_the_map(torch.relu), HOOK, wrap=hooked("register_forward_pre_hook", doubled_before), head=head()),
    "hook-observing": either(on_the_map(torch.relu), HOOK, wrap=hooked("register_forward_hook", observed), head=head()),
    "hook-on-the-model": either(on_the_map(torch.relu), HOOK, wrap=hooked("register_forward_hook", observed, ""), head=head()),
    "hook-backward": either(on_the_map(torch.relu), HOOK, wrap=hooked("register_full_backward_hook", observed), head=head()),
}  # fmt: skip

# A layer that does something else than its class and attributes say.


class Rectified(nn.Conv2d):
    def forward(self, x):
        return super().forward(x).relu()


class Pretends(nn.Conv2d):
    """A subclass whose name and module are PyTorch's own."""

    def forward(self, x):
        return super().forward(x) * 2


Pretends.__name__, Pretends.__qualname__, Pretends.__module__ = (
    "Conv2d",
    "Conv2d",
    nn.Conv2d.__module__,
)


def own(kind):
    return lambda: kind(4, 4, 1)


def replaced_forward(layer, run):
    def wrap(model):
        inner = getattr(model, layer)
        inner.forward = lambda y, plain=inner.forward: run(plain(y))
        return model

    return wrap


def replaced_method(model):
    model.a._conv_forward = lambda x, weight, bias: functional.conv2d(x, weight, bias, (2, 1)) * 2
    return model


@contextlib.contextmanager
def replaced_on_the_class():
    plain = nn.Tanh.forward
    nn.Tanh.forward = lambda self, y: plain(self, y) + 1
    try:
        yield
    finally:
        nn.Tanh.forward = plain


def script_of_a(model):
    model.a = torch.jit.script(model.a)
    return model


def training_b(model):
    model.b.train()
    return model


THROUGH_B = {"head": head(), "b": nn.Tanh}


def through_b(m, x):
    return m.head(m.b(m.a(x)).flatten(1))


LAYER = r"\ba\b|\bb\b|head|(?i:forward|script|compile|mul|run|Net)"
CASES |= {
    "subclass": either(through_b, LAYER, head=head(), b=own(Rectified)),
    "subclass-pretending": either(through_b, LAYER, head=head(), b=own(Pretends)),
    "forward-replaced": either(through_b, LAYER, wrap=replaced_forward("a", lambda y: y * 2), **THROUGH_B),
    "forward-replaced-activation": either(through_b, LAYER, wrap=replaced_forward("b", torch.neg), **THROUGH_B),
    "forward-replaced-head": either(through_b, LAYER, wrap=replaced_forward("head", torch.sigmoid), **THROUGH_B),
    "forward-replaced-on-the-class": either(through_b, LAYER, around=replaced_on_the_class, **THROUGH_B),
    "method-replaced": either(through_b, LAYER, wrap=replaced_method, **THROUGH_B),
    "scripted-layer": either(through_b, LAYER, wrap=script_of_a, **THROUGH_B),
    "compiled": either(through_b, LAYER, wrap=lambda m: torch.compile(m, backend="eager"), **THROUGH_B),
    "training-dropout": refused(through_b, "training", wrap=training_b, head=head(), b=nn.Dropout),
    "training-norm": refused(
        through_b, "training", wrap=training_b, head=head(), b=lambda: nn.BatchNorm2d(4)
    ),
    "training-activation": either(through_b, "training", wrap=training_b, **THROUGH_B),
}  # fmt: skip
