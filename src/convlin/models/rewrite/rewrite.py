"""`rewrite`: every layer of a model that has an equal form, exchanged for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from convlin.arguments import Progress, choice, flag, listener, shown
from convlin.display.blocks import Block
from convlin.display.shown import Shown
from convlin.errors import Description, Refusal, Refused, one_line
from convlin.layers.stock_layer import require_module
from convlin.models.mapping.mapping import WeightMapping
from convlin.models.permutes.permutes import cancelled
from convlin.models.rewrite.against_original import (
    Example,
    apart_in_float64,
    apart_in_own_dtype,
    undisturbed,
)
from convlin.models.rewrite.calls_and_reads import Seen, observed
from convlin.models.rewrite.copies import copied
from convlin.models.rewrite.decisions import decisions, proved
from convlin.models.rewrite.native_entries import entries_of
from convlin.models.rewrite.rewrite_report import RewriteReport
from convlin.models.rewrite.selection import Selection, selected
from convlin.models.rewrite.sites import Target, sites_of
from convlin.models.rewrite.swap import Exchanged, Keys, swap
from convlin.models.trace import tensors_in

__all__ = ["Rewritten", "rewrite"]


@dataclass(frozen=True, repr=False)
class Rewritten(Shown):
    """A rewritten model, a row for each of its sites, and how its weights relate to the original's.

    `model` is None where it was only planned. `graph` is for `to="conv2d"`: the inference of the
    model as one graph, the permutes that neighbours undo taken out.
    """

    model: nn.Module | None
    report: RewriteReport
    mapping: WeightMapping
    _graph: fx.GraphModule | Refused | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        exchanged = sum(row.exchanged for row in self.report.rows)
        return f"<Rewritten: {exchanged} of {len(self.report.rows)} sites exchanged>"

    def _blocks(self, width: int | None = None) -> Sequence[Block]:
        return self.report._blocks(width)

    @property
    def graph(self) -> fx.GraphModule:
        """The model's inference without the permutes that cancel; raise `Refused` if there is none.

        It shares the model's tensors, and holds for inputs of the example's shapes, of any batch if
        `report.permutes.batch` is None.
        """
        if isinstance(self._graph, fx.GraphModule):
            return self._graph
        if isinstance(self._graph, Refused):
            raise self._graph
        allowed = "rewrite(model, 'conv2d', example=…) of a model in eval mode"
        raise Refused(Refusal("rewrite", "graph", None, allowed))


def rewrite(
    model: nn.Module,
    to: Target = "linear",
    *,
    only: Selection = None,
    skip: Selection = None,
    keys: Keys = "same",
    plan: bool = False,
    example: Any = None,
    copy: bool = False,
    in_place: bool = False,
    proofs: bool = True,
    progress: Progress | None = None,
) -> Rewritten:
    """Exchange every layer of `model` that has an equal form of the kind `to`; prove each.

    - to="linear": pointwise, patchify and full-size convolutions, and transposed ones whose outputs
      do not overlap, as fully connected layers.
    - to="conv": every Linear (and GPT-2's `Conv1D`) as a 1×1 convolution.
    - to="conv2d": Linear, Conv1d, and Conv3d whose time folds, as Conv2d on images (B, C, 1, S).

    What stands for such a layer already is given back: `rewrite(rewritten, "linear")` undoes
    "conv". Any nn.Module will do, traceable or not. `only` and `skip` select sites: glob patterns
    on dotted names, types, a function of (name, module), or several of these.

    `keys="same"` changes only the layer's class, to a subclass whose forward computes the other
    form: parameters, names, hooks, optimizers and checkpoints stay. `keys="native"` puts a module
    in its place that holds a true nn.Linear or nn.Conv, for tools that look for those;
    `state_dict()` still has the old keys while that is plain, both layouts load, and `mapping`
    relates the two. Parameters are then others: an optimizer made before does not step them.

    The model given keeps its modules, and the result shares the tensors that these hold: training,
    freezing and `.double()` of parameters reach both (buffers, which `.to()` replaces, do not).
    Native weights are parameters of their own on the same memory: training alone reaches both, and
    before `.to()`, `.double()` or freezing, give the result a `copy`. `copy=True` gives it tensors
    of its own; `in_place=True` changes the model given.

    `example` (a tensor, a tuple of arguments, or a dict of named ones) is run, once observed, and
    with the result again: it tells what is called, and what others read without calling it, and
    what rounding does. A site that it does not reach stays as it is. Without it, calls are not
    observed, and the report says so. `plan=True` gives the rows, and changes nothing.

    Every exchange is proved for all weights, once for each geometry, unless `proofs` is False;
    `progress` is called with (what, done, total). Sites equal, all other code untouched and no
    parent reading a site's weight or type: the model is equal over the reals.

    Raises `Refused`: a selection that selects nothing, a model that cannot be copied (the attribute
    named), an example on which the two differ by more than rounding.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 5, 3))
    >>> result = rewrite(model, "linear", example=torch.ones(2, 3, 16, 20))
    >>> [(row.site, row.answer, row.exchange) for row in result.report.rows]
    [('0', 'exchanged', 'patchify'), ('2', 'not exchanged', '')]
    >>> result.model[0].weight is model[0].weight
    True
    """
    require_module("rewrite", "model", model)
    choice("rewrite", "to", to, ("linear", "conv", "conv2d"))
    choice("rewrite", "keys", keys, ("same", "native"))
    plan, proofs = flag("rewrite", "plan", plan), flag("rewrite", "proofs", proofs)
    copy, in_place = flag("rewrite", "copy", copy), flag("rewrite", "in_place", in_place)
    if copy and in_place:
        raise Refused(Refusal("rewrite", "in_place", True, "False with copy=True"))
    progress = listener("rewrite", progress)
    sites = sites_of(model, to)
    sites = {name: sites[name] for name in selected(sites, only, skip)}
    run = None if example is None else Example(example)
    seen, outputs = _observed(model, sites, run)
    decided = decisions(model, sites, to, keys, seen)
    if proofs and not plan:
        decided = proved(decided, progress)
    exchanged = [(d.layer, d.exchange) for d in decided if d.exchange]
    exchanges = [exchange for _, exchange in exchanged]
    mapping = WeightMapping(tuple(entries_of(exchanged)))
    report = RewriteReport(to, keys, tuple(d.row for d in decided), planned=plan,
                           mode=_mode(model) if run else "", unproved=not proofs)  # fmt: skip
    if plan:
        return Rewritten(None, report, mapping)
    wide = apart_in_float64(model, exchanges, run) if run else None
    rewritten = model if in_place else copied(model, sharing=not copy)
    swapped = swap(rewritten, exchanges, replaceable=not in_place)
    graph: fx.GraphModule | Refused | None = None
    try:
        if run is not None:
            names = [exchange.site for exchange in exchanges]
            seen_outputs = apart_in_own_dtype(swapped.model, outputs, run, wide, names)
            report = replace(report, outputs=seen_outputs)
        if run is not None and to == "conv2d" and not model.training:
            graph, report = _cancelled(swapped.model, run, exchanges, report)
    except BaseException:
        swapped.undo()
        raise
    return Rewritten(swapped.model, report, mapping, graph)


def _observed(
    model: nn.Module, sites: dict[str, nn.Module], run: Example | None
) -> tuple[dict[str, Seen] | None, list[Tensor]]:
    """Return what became of the sites in a run on the example, and what that returned."""
    if run is None:
        return None, []
    with undisturbed(model):
        try:
            seen, result = observed(model, sites, lambda: run(model))
        except Exception as error:
            given, reason = shown(run.named or run.args), one_line(error)
            refusal = Refusal("rewrite", "example", given, "what the model takes", reason)
            raise Refused(refusal) from error
    return seen, tensors_in(result)


def _mode(model: nn.Module) -> str:
    gradients = "with" if torch.is_grad_enabled() else "without"
    return f"{gradients} gradients, in {'train' if model.training else 'eval'} mode"


def _cancelled(
    model: nn.Module, run: Example, exchanges: list[Exchanged], report: RewriteReport
) -> tuple[fx.GraphModule | Refused, RewriteReport]:
    """Return the graph without the permutes that cancel, and the report that counts them."""
    try:
        graph, permutes = cancelled(model, run.args, run.named, [e.site for e in exchanges])
    except Refused as refused:
        return refused, report
    except Exception as error:  # of torch.export, on code that it was not made for
        value, allowed = Description(one_line(error)), "a model that torch.export takes"
        return Refused(Refusal("rewrite", "graph", value, allowed)), report
    return graph, replace(report, permutes=permutes)
