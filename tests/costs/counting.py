"""The oracles: torch's own counter, and the matrix probed with unit vectors."""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from geometry_strategies import probe


def others(module, *shape):
    """What torch's own counter says of one sample: multiply-adds, of two operations each.

    It sees neither the fast path of attention nor its kernels for CPUs.
    """
    like = next(module.parameters())
    counter, fast = FlopCounterMode(display=False), torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            module(torch.zeros(1, *shape, dtype=like.dtype))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops() // 2


def wiring(layer, size):
    """The layer's matrix with 1 for every weight: how many taps of each output read each input."""
    with torch.no_grad():
        layer.weight.fill_(1)
    return probe(layer, size).numpy()
