"""State dicts in the other layout: renamed, reshaped and permuted, shared as they were."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from torch import Tensor

from convlin.arguments import shown
from convlin.errors import Description, Refusal, Refused, one_line
from convlin.internals.storages import storage_id
from convlin.models.mapping.mapping_entry import Entry, Move
from convlin.models.mapping.moves import Moves

__all__ = ["map_state", "sharing"]


def map_state(state: Mapping[str, Any], entries: Iterable[Entry], to: str) -> dict[str, Any]:
    """Return a state dict in the target layout; what the mapping does not name passes unchanged."""
    strange = [name for name in state if not isinstance(name, str)]
    if strange:
        raise Refused(Refusal("state", "key", shown(strange[0]), "the name of a tensor, a string"))
    values = dict(state)  # once: a lazy mapping makes its tensors anew each time
    shapes = {k: tuple(v.shape) for k, v in values.items() if isinstance(v, Tensor)}
    found = Moves(entries, to, shapes).of(shapes)
    moved = sharing()
    mapped: OrderedDict[str, Any] = OrderedDict()
    for name, value in values.items():
        if name in found:
            mapped[found[name].target] = moved(found[name], value)
        else:
            mapped[name] = value
    if hasattr(state, "_metadata"):  # the versions that load_state_dict() goes by
        mapped._metadata = state._metadata  # type: ignore[attr-defined]
    return mapped


def sharing() -> Callable[[Move, Tensor], Tensor]:
    """Return a function that moves tensors, and the same memory to the same memory every time.

    A tied weight stays one weight even where moving it must copy it.
    """
    done: dict[Hashable, Tensor] = {}

    def moved(move: Move, tensor: Tensor) -> Tensor:
        key = (_memory(tensor), move.between, move.order, move.result)
        if key not in done:
            try:
                done[key] = move(tensor.detach() if tensor.requires_grad else tensor)
            except Exception as error:  # of a tensor subclass, whatever it has no operation for
                value = Description(f"{type(tensor).__name__}, {one_line(error)}")
                allowed = "a tensor that can be reshaped and permuted"
                way_out = "map the weights before they are quantized or sharded"
                raise Refused(Refusal(move.source, "type", value, allowed), way_out) from error
        return done[key]

    return moved


def _memory(tensor: Tensor) -> Hashable:
    """Return what tensors have in common that hold the same numbers in the same memory."""
    try:
        where = (storage_id(tensor), tensor.storage_offset(), tensor.stride(), tensor.dtype)
    except Exception:  # a subclass without a memory of its own
        return id(tensor)
    return (*where, tensor.shape)
