"""How a rewritten model's weights relate to the original's: plain data, in both directions.

The file that `save` writes is JSON, {"version": 1, "entries": [{"old", "new", "old_shape",
"permute", "new_shape", "no_adapter"}, …]}, and says all there is to know without convlin:

    new[e["new"]] = old[e["old"]].transpose(e["permute"]).reshape(e["new_shape"])

What both models call alike and lay out alike has no entry.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convlin.arguments import as_path, shown
from convlin.display import atomic
from convlin.errors import InputError, Refusal, Refused, one_line
from convlin.models.mapping.mapped_states import map_state
from convlin.models.mapping.mapping_entry import Entry
from convlin.models.mapping.optimizer_states import is_optimizer_state, map_optimizer

__all__ = ["WeightMapping"]

VERSION = 1


@dataclass(frozen=True)
class WeightMapping:
    """The weights that a rewritten model names or lays out in another way than the original.

    >>> import torch
    >>> entry = Entry("conv.weight", "conv.linear.weight", (4, 2, 3), None, (4, 6))
    >>> mapping = WeightMapping((entry,))
    >>> native = mapping.from_original({"conv.weight": torch.zeros(4, 2, 3)})
    >>> {name: tuple(tensor.shape) for name, tensor in native.items()}
    {'conv.linear.weight': (4, 6)}
    """

    entries: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        given: Any = self.entries
        if not isinstance(given, Sequence):
            raise Refused(Refusal("mapping", "entries", shown(given), "a tuple of Entries"))
        object.__setattr__(self, "entries", tuple(given))
        for index, entry in enumerate(self.entries):
            if not isinstance(entry, Entry):
                raise Refused(Refusal("mapping", f"entries[{index}]", shown(entry), "an Entry"))
            if entry.old == entry.new and entry.old_shape == entry.new_shape:
                allowed = "another name or shape than the old one, by which to tell the two apart"
                raise Refused(Refusal("mapping", "new", entry.new, allowed))
        counts = Counter(name for entry in self.entries for name in {entry.old, entry.new})
        for name, count in counts.items():
            if count > 1:
                raise Refused(Refusal("mapping", "names", name, "each name in one entry"))

    def to_original(
        self,
        thing: Mapping[str, Any],
        *,
        names: Sequence[str] | None = None,
        target_names: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Return a state of the rewritten model as the original has it.

        `thing` is a state dict (plain, of a wrapped model, of a PEFT model or adapter) or an
        optimizer's; tensors are views where a view will do, so copy what is to change on its own,
        and shared where they were. All names may stand behind `module.`, `_orig_mod.` and
        `base_model.model.`; for others see `prefixed`. What the mapping does not name passes
        unchanged.

        An optimizer's state needs `names`, its parameters' in the order of its groups, unless it
        was made with `named_parameters()`; `target_names` puts them into the order of another.

        Raises `Refused` for shapes that do not fit, for a state (or a part of one) in the
        original's layout, and for one without any name of the mapping.
        """
        return self._map("original", thing, names, target_names)

    def from_original(
        self,
        thing: Mapping[str, Any],
        *,
        names: Sequence[str] | None = None,
        target_names: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Return a state of the original as the rewritten model has it; see `to_original`."""
        return self._map("native", thing, names, target_names)

    def _map(
        self,
        to: str,
        thing: Any,
        names: Sequence[str] | None,
        target_names: Sequence[str] | None,
    ) -> dict[str, Any]:
        if not isinstance(thing, Mapping):
            allowed = "the state dict of a model, of an adapter or of an optimizer"
            raise Refused(Refusal("mapping", "state", shown(thing), allowed))
        if is_optimizer_state(thing):
            return map_optimizer(thing, self.entries, to, names, target_names)
        return map_state(thing, self.entries, to)

    def prefixed(self, prefix: str) -> WeightMapping:
        """Return the mapping of a model that has this one as a part.

        >>> entry = Entry("weight", "linear.weight", (4, 2, 3), None, (4, 6))
        >>> WeightMapping((entry,)).prefixed("model.").entries[0].new
        'model.linear.weight'
        """
        if not isinstance(prefix, str):
            raise Refused(Refusal("mapping", "prefix", shown(prefix), "a text, such as 'model.'"))
        return WeightMapping(
            tuple(replace(e, old=prefix + e.old, new=prefix + e.new) for e in self.entries)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the mapping as JSON has it."""
        return {"version": VERSION, "entries": [entry.as_dict() for entry in self.entries]}

    @classmethod
    def from_dict(cls, data: Any) -> WeightMapping:
        """Return the mapping that `as_dict` wrote; raise `Refused` for anything else."""
        if not isinstance(data, Mapping) or set(data) != {"version", "entries"}:
            value = sorted(map(str, data)) if isinstance(data, Mapping) else data
            raise Refused(Refusal("mapping", "fields", shown(value), "version, entries"))
        if data["version"] != VERSION:
            raise Refused(Refusal("mapping", "version", shown(data["version"]), str(VERSION)))
        if not isinstance(data["entries"], list):
            raise Refused(Refusal("mapping", "entries", shown(data["entries"]), "a list"))
        entries = enumerate(data["entries"])
        return cls(tuple(Entry.from_dict(entry, f"entries[{index}]") for index, entry in entries))

    def save(self, path: str | Path) -> None:
        """Write the mapping as JSON: whole, or not at all."""
        text = json.dumps(self.as_dict(), indent=1) + "\n"
        atomic.write(as_path("mapping", "path", path), text.encode())

    @classmethod
    def load(cls, path: str | Path) -> WeightMapping:
        """Return the mapping in a file; raise `InputError`, in one line, for what is none."""
        file = as_path("mapping", "path", path)
        try:
            return cls.from_dict(json.loads(file.read_bytes()))
        except Refused as refused:
            raise InputError(f"{path}: {refused.refusals[0]}") from refused
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: no readable mapping: {one_line(error)}") from error


def require_mapping(site: str, value: Any) -> None:
    """Raise unless the argument `mapping` of a function is one."""
    if not isinstance(value, WeightMapping):
        raise Refused(Refusal(site, "mapping", shown(value), "a WeightMapping"))
