"""The state of an optimizer in the other layout: what it keeps for a weight moves as the weight.

Adam's moments, SGD's momentum and everything else of the weight's own shape moves; step counters
have nothing to move. What is of another shape (Adafactor's rows and columns, maxima of blocks,
L-BFGS's one row of everything) means something in one layout only, and is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from convlin.arguments import shown
from convlin.errors import Description, Refusal, Refused
from convlin.models.mapping.mapped_states import sharing
from convlin.models.mapping.mapping_entry import Entry, Move
from convlin.models.mapping.moves import Moves

__all__ = ["is_optimizer_state", "map_optimizer"]

# L-BFGS keeps these in the state of its first parameter, for all parameters in one row.
IN_ONE_ROW = ("prev_flat_grad", "old_dirs")


def is_optimizer_state(thing: Mapping[str, Any]) -> bool:
    """Return whether a mapping is what an optimizer's `state_dict()` returns."""
    return isinstance(thing.get("state"), Mapping) and isinstance(thing.get("param_groups"), list)


def map_optimizer(
    state: Mapping[str, Any],
    entries: Iterable[Entry],
    to: str,
    names: Sequence[str] | None,
    target_names: Sequence[str] | None,
) -> dict[str, Any]:
    """Return an optimizer's state for the parameters of the target layout.

    `names` are those of the parameters in the order of the groups, `target_names` those of the
    optimizer that will load it, where its groups have another order.
    """
    groups = [dict(group) for group in state["param_groups"]]
    entries = tuple(entries)
    if not entries and target_names is None:
        return {**state}  # whatever its parameters are called
    name_of = _names(groups, names)
    moves = Moves(entries, to, name_of.values())
    renamed = moves.renamed(name_of.values())
    new_name = {key: renamed[name] for key, name in name_of.items()}
    for group in groups:
        keys = _sorted(group["params"], new_name, target_names)
        group["params"] = [new_name[key] if isinstance(key, str) else key for key in keys]
        if "param_names" in group:
            group["param_names"] = [new_name[key] for key in keys]
    found = _moves(state["state"], name_of, moves)
    moved = sharing()
    kept = {}
    for key, slots in state["state"].items():
        new_slots = {
            slot: moved(found[key, slot], value) if (key, slot) in found else value
            for slot, value in slots.items()
        }
        kept[new_name.get(key, key) if isinstance(key, str) else key] = new_slots
    return {**state, "state": kept, "param_groups": groups}


def _names(groups: Sequence[Mapping[str, Any]], names: Sequence[str] | None) -> dict[Any, str]:
    """Return the name of each parameter: given, in the groups, or what the state calls it."""
    keys = [key for group in groups for key in group["params"]]
    if names is None and all(isinstance(key, str) for key in keys):
        names = keys
    if names is None and all("param_names" in group for group in groups):
        names = [name for group in groups for name in group["param_names"]]
    if names is None or len(names := list(names)) != len(keys):
        value = shown(names) if names is None else Description(f"a list of {len(names)}")
        allowed = f"the names of its {len(keys)} parameters in the order of its groups"
        way_out = "names=[name for name, _ in model.named_parameters()] if it steps all of them"
        raise Refused(Refusal("optimizer state", "names", value, allowed), way_out)
    return dict(zip(keys, names, strict=True))


def _sorted(
    keys: Sequence[Any], new_name: Mapping[Any, str], target_names: Sequence[str] | None
) -> list[Any]:
    """Return the parameters of a group in the order of the optimizer that will load them."""
    if target_names is None:
        return list(keys)
    rank = {name: at for at, name in enumerate(target_names)}
    missing = [new_name[key] for key in keys if new_name[key] not in rank]
    if missing:
        allowed = f"names with {missing[0]!r} among them"
        value = Description(f"a list of {len(rank)} without it")
        raise Refused(Refusal("optimizer state", "target_names", value, allowed))
    return sorted(keys, key=lambda key: rank[new_name[key]])


def _moves(
    state: Mapping[Any, Mapping[str, Any]], name_of: Mapping[Any, str], moves: Moves
) -> dict[tuple[Any, str], Move]:
    """Return how each tensor moves that the optimizer keeps for a weight that moves."""
    found, refusals = {}, []
    for key, slots in state.items():
        name = name_of.get(key, "")
        for slot, value in slots.items():
            site = f"optimizer state of {name}"
            if slot in IN_ONE_ROW:
                value = Description("one row of all parameters")
                refusals.append(Refusal(site, slot, value, "a tensor for each parameter"))
            if not isinstance(value, Tensor):
                continue
            move = moves.move(name, tuple(value.shape))
            if isinstance(move, Move):
                found[key, slot] = move
            elif move is not None and value.numel() != 1:  # a step counter has nothing to move
                allowed = f"{move.allowed}, the shape of the weight"
                refusals.append(Refusal(site, slot, shown(value), allowed))
    if refusals:
        raise Refused(refusals, "continue with a new optimizer")
    return found
