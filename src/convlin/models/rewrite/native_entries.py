"""How the parameters of native forms relate to those of the layers that they stand for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from convlin.layers.forms.stands_for import StandsFor
from convlin.models.rewrite.lora_factors import no_adapter
from convlin.models.rewrite.mapping_entry import Entry

if TYPE_CHECKING:
    from convlin.models.rewrite.decisions import Decision

__all__ = ["entries_of"]


def entries_of(decided: Iterable[Decision]) -> Iterator[Entry]:
    """Yield an entry for every parameter that a native form holds under another name."""
    for decision in decided:
        if decision.exchange is None:
            continue
        form = decision.exchange.made_of(decision.layer)
        if not isinstance(form, StandsFor):
            continue
        for name, path in form.held.items():
            old = decision.layer._parameters.get(name)
            if old is not None:
                new = form.get_parameter(path)
                prefix = f"{decision.row.site}." if decision.row.site else ""
                yield Entry(f"{prefix}{name}", f"{prefix}{path}", tuple(old.shape),
                            _permuted(old, new), tuple(new.shape),
                            no_adapter(decision.layer) if name == "weight" else "")  # fmt: skip


def _permuted(old: Tensor, new: Tensor) -> tuple[int, ...] | None:
    """Return the order of axes in which `old`, reshaped, is `new`, a view of the same memory."""
    there = torch.empty_strided(old.shape, old.stride(), device="meta")
    for order in itertools.permutations(range(old.ndim)):
        try:
            view = there.permute(order).view(new.shape)
        except RuntimeError:
            continue
        if view.stride() == new.stride():
            return None if order == tuple(range(old.ndim)) else order
    raise AssertionError("a form holds no view of its layer's weight")
