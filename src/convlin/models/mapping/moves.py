"""What a mapping does to the names and shapes of a whole state, in one direction.

Names are those of the model. All of them may stand behind the same wrappers (`module.` of parallel
modules, `_orig_mod.` of compiled ones, `base_model.model.` of PEFT), and PEFT may have put parts
of its own inside (`SITE.lora_A.default.weight`, `SITE.base_layer.weight`); both stay where they
are. A name that the mapping has as it stands is never taken apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from convlin.errors import Description, Refusal, Refused
from convlin.models.mapping.lora_factors import FACTORS, factor
from convlin.models.mapping.mapping_entry import Entry, Move

__all__ = ["Moves"]

Shape = tuple[int, ...]
WRAPPERS = ("module.", "_orig_mod.", "base_model.model.")
HOLDERS = ("base_layer", "modules_to_save", "original_module")  # in which PEFT keeps a weight
LAYOUTS = {"original": "the original's", "native": "the rewritten model's"}


class Moves:
    """The moves towards one layout of what has these names, found by name and shape."""

    def __init__(self, entries: Iterable[Entry], to: str, names: Iterable[str]) -> None:
        self.to = to
        entries, names = tuple(entries), tuple(names)
        olds = {entry.old: entry for entry in entries}
        news = {entry.new: entry for entry in entries}
        self.sources, self.targets = (olds, news) if to == "native" else (news, olds)
        self.prefix = ""
        for prefix in _shared_wrappers(names):
            self.prefix = prefix
            if any(map(self._hit, names)):
                break

    def of(self, shapes: Mapping[str, Shape]) -> dict[str, Move]:
        """Return the moves of the names that the mapping has, by name.

        Raises `Refused` for every name whose shape does not fit or that is in the target layout
        already, and where the mapping has none of the names: nothing would be mapped.
        """
        found = {name: self.move(name, shape) for name, shape in shapes.items()}
        self._require_mapped(found)
        return {name: move for name, move in found.items() if isinstance(move, Move)}

    def renamed(self, names: Iterable[str]) -> dict[str, str]:
        """Return what the target layout calls each name; raises as `of` does, but for shapes."""
        hits = {name: self._hit(name) for name in names}
        self._require_mapped({
            name: hit and (hit[1] or self._already(name)) for name, hit in hits.items()
        })  # fmt: skip
        return {name: (hit and hit[1]) or name for name, hit in hits.items()}

    def entry(self, name: str) -> Entry | None:
        """Return the entry of the weight that a name belongs to, if the mapping has one."""
        hit = self._hit(name)
        return hit and hit[0]

    def _require_mapped(self, found: Mapping[str, object]) -> None:
        mapped = [k for k, v in found.items() if v and not isinstance(v, Refusal)]
        refusals = [refusal for refusal in found.values() if isinstance(refusal, Refusal)]
        if self.to == "original" and mapped:
            # A rewritten layer saves as the original does, until something quantizes, shards or
            # wraps the layer inside: whole layers may be in either layout.
            moved = set(map(self._layer, mapped))
            refusals = [r for r in refusals if r.field != "layout" or self._layer(r.site) in moved]
        if refusals:
            apart = f"map them apart from {mapped[0]}, which is not" if mapped else ""
            already = all(refusal.field == "layout" for refusal in refusals)
            raise Refused(refusals, (apart or "use it as it is") if already else "")
        if found and self.sources and not mapped:
            names = Description(", ".join([*map(repr, list(found)[:3]), "…"]))
            allowed = f"such as {next(iter(self.sources))!r}, with its own prefix or none"
            way_out = "mapping.prefixed('…') is the mapping under another prefix"
            raise Refused(Refusal("state", "keys", names, allowed), way_out)

    def move(self, name: str, shape: Shape) -> Move | Refusal | None:
        """Return how a tensor moves, why it cannot, or None if the mapping does not name it."""
        hit = self._hit(name)
        if hit is None:
            return None
        entry, target, part = hit
        leaf = name.rpartition(".")[2]
        move, back = (
            factor(entry, part, leaf, shape, to) if part in FACTORS else entry.toward(to)
            for to in (self.to, _other(self.to))
        )
        if target is not None and shape == move.shape:
            return replace(move, source=name, target=target)
        if shape == back.shape and (target is None or move.source == back.source):
            return self._already(name)
        return Refusal(name, "shape", shape, f"{(back if target is None else move).shape}")

    def _layer(self, name: str) -> str:
        entry = self.entry(name)
        return "" if entry is None else entry.old.rpartition(".")[0]

    def _already(self, name: str) -> Refusal:
        return Refusal(name, "layout", Description(LAYOUTS[self.to]), LAYOUTS[_other(self.to)])

    def _hit(self, name: str) -> tuple[Entry, str | None, str] | None:
        """Return the entry of a name, its name in the target layout (None: it is), and its part."""
        for weight, inner in _readings(name.removeprefix(self.prefix)):
            if weight in self.sources:
                entry = self.sources[weight]
                target = self.prefix + _within(entry.toward(self.to).target, inner)
                return entry, target, inner.split(".")[0]
            if weight in self.targets:
                return self.targets[weight], None, inner.split(".")[0]
        return None


def _other(to: str) -> str:
    return "original" if to == "native" else "native"


def _readings(name: str) -> Iterator[tuple[str, str]]:
    """Yield which weight a name may be of, and what PEFT put between its layer and its own name.

    >>> list(_readings("a.lora_A.default.weight"))
    [('a.lora_A.default.weight', ''), ('a.weight', 'lora_A.default.weight')]
    """
    yield name, ""
    words = name.split(".")
    for at in range(len(words) - 1, 0, -1):
        if words[at] in FACTORS + HOLDERS:
            leaf = "weight" if words[at] in FACTORS else words[-1]
            yield ".".join([*words[:at], leaf]), ".".join(words[at:])
            return


def _shared_wrappers(names: Collection[str]) -> Iterator[str]:
    """Yield what may stand before all names: nothing, their first wrapper, the first two.

    >>> list(_shared_wrappers(["module._orig_mod.a.weight", "module._orig_mod.b.weight"]))
    ['', 'module.', 'module._orig_mod.']
    """
    prefix: str | None = ""
    while prefix is not None:
        yield prefix
        longer = [prefix + wrapper for wrapper in WRAPPERS]
        fits = (p for p in longer if names and all(name.startswith(p) for name in names))
        prefix = next(fits, None)


def _within(target: str, inner: str) -> str:
    """Return the name of what PEFT keeps inside the layer of a weight."""
    if not inner:
        return target
    module, _, leaf = target.rpartition(".")
    words = inner.split(".")
    if words[0] in HOLDERS:
        words[-1] = leaf
    return ".".join([module, *words])
