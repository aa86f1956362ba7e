"""How the parameters of native forms relate to those of the layers that they stand for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from convlin.errors import Refusal, Refused
from convlin.layers.forms.stands_for import StandsFor
from convlin.models.mapping.lora_factors import no_adapter
from convlin.models.mapping.mapping_entry import Entry
from convlin.models.rewrite.swap import Exchanged

__all__ = ["entries_of"]


def entries_of(exchanged: Iterable[tuple[nn.Module, Exchanged]]) -> Iterator[Entry]:
    """Yield an entry for every parameter that a native form holds under another name."""
    for layer, exchange in exchanged:
        form = exchange.made_of(layer)
        prefix = f"{exchange.site}." if exchange.site else ""
        if isinstance(layer, StandsFor):
            yield from _given_back(prefix, layer, form)
        if not isinstance(form, StandsFor) or isinstance(layer, StandsFor):
            continue
        for name, path in form.held.items():
            old = layer._parameters.get(name)
            if old is not None and path != name:
                new = form.get_parameter(path)
                order = _permuted(old, new)
                if order == ():
                    shape, value = tuple(new.shape), tuple(old.shape)
                    allowed = f"axes that are {shape} in another order, or keys='same'"
                    raise Refused(Refusal(exchange.site, f"{name}.shape", value, allowed))
                yield Entry(f"{prefix}{name}", f"{prefix}{path}", tuple(old.shape),
                            order, tuple(new.shape),
                            no_adapter(layer) if name == "weight" else "")  # fmt: skip


def _given_back(prefix: str, form: StandsFor, layer: nn.Module) -> Iterator[Entry]:
    """Yield an entry for every parameter that a form held, where axes in another order say it."""
    for name, path in form.held.items():
        new = layer._parameters.get(name)
        if new is not None and path != name:
            old = form.get_parameter(path)
            order = _permuted(old, new)
            if order != ():
                yield Entry(f"{prefix}{path}", f"{prefix}{name}", tuple(old.shape), order,
                            tuple(new.shape))  # fmt: skip


def _permuted(old: Tensor, new: Tensor) -> tuple[int, ...] | None:
    """Return the order of axes in which `old`, reshaped, is its view `new`; () if there is none."""
    there = torch.empty_strided(old.shape, old.stride(), device="meta")
    for order in itertools.permutations(range(old.ndim)):
        try:
            view = there.permute(order).view(new.shape)
        except RuntimeError:
            continue
        steps = zip(new.shape, view.stride(), new.stride(), strict=True)
        if all(size == 1 or step == other for size, step, other in steps):
            return None if order == tuple(range(old.ndim)) else order
    return ()
