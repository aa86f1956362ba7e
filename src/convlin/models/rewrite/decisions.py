"""What is to become of each site, and why; and the proofs of what becomes of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import nn

from convlin.errors import Description, Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.internals.modules import ConvBase
from convlin.layers.unchanged import same_random_numbers
from convlin.models.claims import Claim, verdicts
from convlin.models.rewrite.calls_and_reads import Seen
from convlin.models.rewrite.code_reads import code_reads
from convlin.models.rewrite.identities import identity_of
from convlin.models.rewrite.native_entries import entries_of
from convlin.models.rewrite.rewrite_report import Answer, RewriteRow
from convlin.models.rewrite.sites import (
    Target,
    base_of,
    holders_of,
    is_form,
    strangeness,
    takes_one_input,
    unfit,
)
from convlin.models.rewrite.swap import Exchanged, Keys
from convlin.models.trace import sample
from convlin.proof import Proved, Refuted, Verdict

__all__ = ["Decision", "decisions", "proved"]

MANY = 3  # rows of an input to a Linear: any number would do, one alone would hide an order


@dataclass(frozen=True)
class Decision:
    """A site's row of the report, its layer, and what is done with it; None: nothing."""

    row: RewriteRow
    layer: nn.Module
    exchange: Exchanged | None = None

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Small input shapes of one sample, at which all of a geometry shows."""
        assert self.exchange is not None
        return _shapes(self.layer, self.exchange)

    def claims(self) -> list[Claim]:
        """Return that the form equals the layer, at each of these shapes."""
        assert self.exchange is not None
        made_of, layer = self.exchange.made_of, _without_hooks(self.layer)
        return [Claim(layer, made_of(layer), shape, made_of) for shape in self.shapes]


def decisions(
    model: nn.Module, sites: Mapping[str, nn.Module], target: Target, keys: Keys,
    seen: Mapping[str, Seen] | None,
) -> list[Decision]:  # fmt: skip
    """Return what is to become of each site, in order; nothing is changed."""
    reads = code_reads(model) if seen is None else {}
    decided = [
        _decision(name, layer, target, keys, None if seen is None else seen[name], reads.get(name))
        for name, layer in sites.items()
    ]
    if keys == "native":
        decided = _without_ties(model, decided)
    return _without_strangers(decided)


def proved(decided: Sequence[Decision], progress: Any) -> list[Decision]:
    """Return them with the verdict on every exchange that has none yet; what is refuted is none."""
    judged = list(decided)
    open_ = [
        index for index, d in enumerate(decided)
        if d.exchange and d.row.verdict is None and not is_form(d.layer)
    ]  # fmt: skip
    claims = [(decided[index].row.site, decided[index].claims()[0]) for index in open_]
    found = zip(open_, verdicts(claims, anew=True), strict=True)
    for done, (index, verdict) in enumerate(found, 1):
        decision = decided[index]
        if isinstance(verdict, Refuted):
            value, site = Description("not equal to what it was derived from"), decision.row.site
            refusal = Refusal(site, "form", value, "an equal one", str(verdict.counterexample))
            judged[index] = _refused(decision, refusal, verdict=verdict)
        else:
            judged[index] = replace(decision, row=replace(decision.row, verdict=verdict))
        if progress is not None:
            progress(decision.row.site or "the model", done, len(open_))
    return judged


def _decision(
    name: str, layer: nn.Module, target: Target, keys: Keys, seen: Seen | None,
    readers: Sequence[str] | None,
) -> Decision:  # fmt: skip
    row = RewriteRow(name, type(layer).__name__, "not exchanged")
    if seen is not None:
        row = replace(row, seen=seen.calls > 0, readers=seen.readers)
        if not seen.calls:
            answer: Answer = "read, not called" if seen.readers else "not reached"
            return Decision(replace(row, answer=answer), layer)
        if seen.readers:
            row = replace(row, answer="called and read")
    elif readers:
        row = replace(row, readers=tuple(reader or "the model" for reader in readers))
    try:
        exchange = _exchange(name, layer, target, keys, seen.inputs if seen else ())
    except Refused as refused:
        return Decision(replace(row, refusals=refused.refusals), layer)
    if row.readers and keys == "native":
        value = Description(f"read by {', '.join(map(str, row.readers))}")
        refusal = Refusal(name, "weight", value, "a layer that is only called, or keys='same'")
        return Decision(replace(row, refusals=(refusal,)), layer)
    answer = row.answer if row.answer == "called and read" else "exchanged"
    return Decision(replace(row, answer=answer, exchange=exchange.identity), layer, exchange)


def _exchange(
    name: str, layer: nn.Module, target: Target, keys: Keys, inputs: Sequence[tuple[int, ...]]
) -> Exchanged:
    """Return how a site is exchanged; raise `Refused` with everything in the way."""
    base = base_of(layer, target)
    if base is None:  # a form, which is given back
        return Exchanged(name, type(layer), target, keys, "given back")
    if refusals := tuple(unfit(name, layer)):
        raise Refused(refusals)
    identity = identity_of(name, layer, base, target, inputs)
    exchange = Exchanged(name, base, target, keys, identity, inputs)
    try:
        if keys == "native" and (lost := tuple(_lost(name, layer))):
            raise Refused(lost)
        list(entries_of([(layer, exchange)]))  # which makes the form
    except Refused as refused:
        raise Refused(replace(r, site=name or r.site) for r in refused.refusals) from refused
    return exchange


def _lost(name: str, layer: nn.Module) -> Iterator[Refusal]:
    """Yield what a layer holds that a form put in its place would not."""
    site = name or type(layer).__name__
    held = [key for key, _ in chain(layer.named_parameters(), layer.named_buffers())]
    for key in held:
        if key not in ("weight", "bias"):
            allowed = "a weight and a bias alone, or keys='same'"
            yield Refusal(site, key, Description("a tensor of the layer's own"), allowed)
    if type(layer).get_extra_state is not nn.Module.get_extra_state:
        value = Description("in its checkpoints")
        yield Refusal(site, "get_extra_state", value, "none, or keys='same'")
    for kind, hooks in vars(layer).items():
        if kind.endswith("_hooks") and "state_dict" in kind and hooks:
            yield Refusal(site, kind, Description(f"{len(hooks)} hooks"), "none, or keys='same'")


def _refused(decision: Decision, *refusals: Refusal, verdict: Verdict | None = None) -> Decision:
    answer: Answer = decision.row.answer
    answer = "not exchanged" if answer == "exchanged" else answer
    row = replace(decision.row, answer=answer, exchange="", refusals=refusals, verdict=verdict)
    return Decision(row, decision.layer)


def _without_ties(model: nn.Module, decided: Sequence[Decision]) -> list[Decision]:
    """Refuse sites whose weight others hold who would not get the same new one.

    A bias stays the parameter that it is.
    """
    holders = holders_of(model)
    shapes = {
        d.layer: next((e.new_shape for e in entries_of([(d.layer, d.exchange)])), None)
        for d in decided if d.exchange
    }  # fmt: skip
    checked = []
    for decision in decided:
        weight, refusals = decision.layer._parameters.get("weight"), []
        if decision.exchange is not None and weight is not None:
            for site, other, field in holders[id(weight)]:
                if shapes.get(other) != shapes[decision.layer]:
                    value = Description(f"tied to {site}.{field}")
                    allowed = "a parameter of its own, or keys='same'"
                    refusals.append(Refusal(decision.row.site, "weight", value, allowed))
        checked.append(_refused(decision, *refusals) if refusals else decision)
    return checked


def _without_strangers(decided: Sequence[Decision]) -> list[Decision]:
    """Refuse layers of classes that add code of their own, unless they are proved to be equal."""
    strangers: list[int] = []
    odd: dict[int, tuple[Refusal, ...]] = {}
    for index, d in enumerate(decided):
        if d.exchange and not is_form(d.layer):
            odd[index] = tuple(strangeness(d.row.site, d.layer, d.exchange.base))
            if odd[index]:
                strangers.append(index)
    claims = [
        (index, claim)
        for index in strangers
        if takes_one_input(decided[index].layer) and _steady(decided[index])
        for claim in decided[index].claims()
    ]  # fmt: skip
    named = [(decided[index].row.site, claim) for index, claim in claims]
    found: dict[int, list[Verdict]] = {index: [] for index in strangers}
    for (index, _), verdict in zip(claims, verdicts(named, anew=True), strict=True):
        found[index].append(verdict)
    checked = list(decided)
    for index, judged in found.items():
        unequal = next((verdict for verdict in judged if not isinstance(verdict, Proved)), None)
        if unequal is not None or not judged:
            checked[index] = _refused(decided[index], *odd[index], verdict=unequal)
        else:
            sizes = ", ".join(str(shape[1:]) for shape in decided[index].shapes)
            note = (
                f"the forward of {decided[index].row.layer} is not run any more: it is the base "
                f"class's, proved as its fields are now, at {sizes}"
            )
            row = replace(decided[index].row, verdict=judged[0], note=note)
            checked[index] = replace(decided[index], row=row)
    return checked


def _steady(decision: Decision) -> bool:
    """Whether a layer gives the same twice in training: what it draws there, no proof compares."""
    bare: Any = _without_hooks(decision.layer)
    vars(bare)["training"] = True
    x = sample(bare, (2, *decision.shapes[0])) + 1
    with same_random_numbers(), torch.no_grad():
        return x.is_meta or torch.equal(bare(x), bare(x))


def _without_hooks(layer: nn.Module) -> nn.Module:
    """Return a layer of the same parameters without the hooks, which run on both sides or not.

    They may count, print or keep what they see, and a proof calls a layer often.
    """
    bare = copy.copy(layer)
    for name, hooks in vars(layer).items():
        if name.endswith("_hooks") and hooks:
            vars(bare)[name] = type(hooks)()
    return bare


def _shapes(layer: nn.Module, exchange: Exchanged) -> list[tuple[int, ...]]:
    """Return small input shapes of one sample, sizes pairwise different.

    Of a stride there are three, with all pixels read, with one and with all but one left over.
    """
    if not isinstance(layer, ConvBase):
        features: Any = layer._parameters["weight"]
        rows_first = issubclass(exchange.base, nn.Linear)
        return [(MANY, features.shape[1 if rows_first else 0])]
    g = ConvGeometry.of(layer)
    if exchange.identity == "covering_kernel":
        return [(g.in_channels, *exchange.inputs[0][-g.ndim :])]
    least = [max(n, max(pads) + 1) for n, pads in zip(g.smallest_input, g.padding, strict=True)]
    spare = dict.fromkeys((0, 1, max(g.stride) - 1))
    return list(dict.fromkeys(
        (g.in_channels, *(
            n + s * (1 + dim) + min(more, s - 1)
            for dim, (n, s) in enumerate(zip(least, g.stride, strict=True))
        ))
        for more in spare
    ))  # fmt: skip
