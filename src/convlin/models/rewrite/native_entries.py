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
    """Yield an entry for every parameter that changes its name with the exchange.

    Raises `Refused` where no order of axes makes a native form's weight of the layer's; the way
    back has no entry then.
    """
    for layer, exchange in exchanged:
        made = exchange.made_of(layer)
        back = isinstance(layer, StandsFor)
        form, plain = (layer, made) if back else (made, layer)
        if not isinstance(form, StandsFor):
            continue
        prefix = f"{exchange.site}." if exchange.site else ""
        for name, path in form.held.items():
            own = plain._parameters.get(name)
            if own is None or path == name:
                continue
            sides = (name, own), (path, form.get_parameter(path))
            (old_name, old), (new_name, new) = reversed(sides) if back else sides
            order = _order(old, new)
            if order is not None:
                reason = no_adapter(layer) if name == "weight" and not back else ""
                yield Entry(f"{prefix}{old_name}", f"{prefix}{new_name}", tuple(old.shape), order,
                            tuple(new.shape), reason)  # fmt: skip
            elif not back:
                allowed = f"axes that are {tuple(new.shape)} in another order, or keys='same'"
                raise Refused(Refusal(exchange.site, f"{name}.shape", tuple(old.shape), allowed))


def _order(old: Tensor, new: Tensor) -> tuple[int, ...] | None:
    """Return the order of axes in which `old`, reshaped, is its view `new`; None if none is."""
    there = torch.empty_strided(old.shape, old.stride(), device="meta")
    for order in itertools.permutations(range(old.ndim)):
        try:
            view = there.permute(order).view(new.shape)
        except RuntimeError:
            continue
        steps = zip(new.shape, view.stride(), new.stride(), strict=True)
        if all(size == 1 or step == other for size, step, other in steps):
            return order
    return None
