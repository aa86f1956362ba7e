"""`merge_model`: every chain of a model's layers with nothing between them, as one layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from convlin.arguments import Progress, flag, listener
from convlin.display.blocks import Block
from convlin.display.shown import Shown
from convlin.errors import Description, Refusal, Refused
from convlin.layers.stock_layer import require_module
from convlin.models.merging.merge_report import MergeReport, MergeRow
from convlin.models.merging.merge_sites import (
    SubclassProofs,
    has_kernel,
    is_strange,
    kernel_of,
    merged_chain,
)
from convlin.models.merging.nothing_between import Neighbours, neighbours
from convlin.models.merging.seen_merged import apart, moved_by_rounding, require_equal
from convlin.models.rewrite.copies import copied
from convlin.models.trace import sample
from convlin.proof import Measured
from convlin.proof.entrance import checked_shape

__all__ = ["MergedModel", "merge_model"]


@dataclass(frozen=True, repr=False)
class MergedModel(Shown):
    """A model whose layers were merged, a row for each that had a neighbour, and what was seen.

    verdict: how far its outputs are from the model's, beside the bound of what rounding can do.
    """

    model: nn.Module
    report: MergeReport
    verdict: Measured

    def __repr__(self) -> str:
        return f"<MergedModel: {self.report}>"

    def _blocks(self, width: int | None = None) -> Sequence[Block]:
        return [*self.report._blocks(width), self.verdict.words]


def merge_model(
    model: nn.Module,
    input_shape: Sequence[int],
    *,
    everything: bool = False,
    progress: Progress | None = None,
) -> MergedModel:
    """Merge every chain of a model's layers with nothing between them; the model is not changed.

    input_shape: (C, *spatial), without a batch, on which the model's own code is run: to see which
    layers have nothing between them, and to compare. Nothing is said of other shapes, in which code
    that asks for sizes may take another way. `everything`: also what takes more multiply-adds
    merged, as a depthwise and a pointwise convolution do.

    Convolutions, Linear and BatchNorm in eval mode, of PyTorch's own classes, merge as in `merge`.
    A BatchNorm also merges into a layer of a subclass, which stays one, if a proof says that its
    code is a convolution of its weight and bias. The merged layer takes the place of the first one
    with a kernel, and nn.Identity that of the others. What is called twice, has two names, shares
    a parameter, or is read by other code stays, and the report says so.

    The result is a copy, with tensors of its own. It was run beside the model: in float64, where
    merges do not round, they agree; in the model's dtype the verdict says how far they are apart.

    Raises `Refused` for a model in training mode, and where the merges are not equal in float64.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()).eval()
    >>> result = merge_model(net, (3, 9, 11))
    >>> result.model
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
      (1): Identity()
      (2): ReLU()
    )
    >>> result.report.merged, result.verdict.rounding.within
    (1, True)
    """
    require_module("merge_model", "model", model)
    everything = flag("merge_model", "everything", everything)
    progress = listener("merge_model", progress)
    shape = checked_shape(input_shape)
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise Refused(Refusal(name, "device", parameter.device, "one that holds numbers"))
    plan = _Plan(model, everything)
    pairs = neighbours(model, shape)
    for done, pair in enumerate(pairs, 1):
        plan.add(pair)
        if progress is not None:
            progress(pair.site, done, len(pairs))
    x = _inputs(model, shape)
    require_equal(copied(model, sharing=False), plan.merged, x)
    merged = plan.merged(model)
    report = MergeReport(tuple(plan.rows))
    reason = f"{report}, for inputs of shape {shape}"
    if report.merged:
        moved = moved_by_rounding(copied(model, sharing=False), x)
        dtype = str(x.dtype).removeprefix("torch.")
        reason += f"; rounding all weights of the model to {dtype} anew moves it by {moved:.2g}"
    return MergedModel(merged, report, apart(model, merged, x, plan.weights, reason))


def _inputs(model: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Return one input, normal and the same every time."""
    numbers = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    return numbers.to(sample(model, ()))


class _Plan:
    """Which sites become one, decided in the order in which they run."""

    def __init__(self, model: nn.Module, everything: bool) -> None:
        self.model, self.everything = model, everything
        self.rows: list[MergeRow] = []
        self._chains: dict[str, tuple[str, ...]] = {}  # by their last site
        self._inputs: dict[str, tuple[int, ...]] = {}  # what their first sites take
        self._proofs = SubclassProofs()

    def add(self, pair: Neighbours) -> None:
        """Decide about a layer and the one before it."""
        kind = type(self.model.get_submodule(pair.site)).__name__
        row = MergeRow(pair.site, kind, pair.before, pair.refusals)
        if not pair.refusals:
            try:
                row = self._joined(pair, row)
            except Refused as refused:
                row = replace(row, refusals=refused.refusals)
        if row.merged and row.neighbour == row.site:  # a normalisation, merged into what follows it
            norm = type(self.model.get_submodule(pair.before)).__name__
            row = replace(row, site=pair.before, layer=norm)
            self.rows = [other for other in self.rows if other.site != pair.before]
        self.rows.append(row)

    def _joined(self, pair: Neighbours, row: MergeRow) -> MergeRow:
        """Put a layer behind the chain that ends before it; raise `Refused` for what cannot be."""
        chain = self._chains.get(pair.before, (pair.before,))
        taken = self._inputs.setdefault(chain[0], pair.taken)
        sites = (*chain, pair.site)
        *layers, last = self._layers(self.model, sites)
        if len(pair.given) == 2 and not any(map(has_kernel, (*layers, last))):
            allowed = "(N, C, L): no layer scales rows"
            raise Refused(Refusal(pair.site, "input.shape", pair.given, allowed))
        try:
            one = merged_chain([*layers, last])
        except Refused as refused:
            raise Refused(_named(refused.refusals, sites)) from None
        if is_strange(layers[0]):
            row = replace(row, identity=self._proofs(sites[0], layers[0]))
        if has_kernel(last) and any(map(has_kernel, layers)):
            before = merged_chain(layers).multiply_adds(taken)
            before += merged_chain([last]).multiply_adds(pair.given)
            after = one.multiply_adds(taken)
            row = replace(row, before=before, after=after)
            if after > before and not self.everything:
                value = Description(f"{before} → {after}")
                allowed = "no more than before, or everything=True"
                raise Refused(Refusal(pair.site, "multiply-adds", value, allowed))
        self._chains.pop(pair.before, None)
        self._chains[pair.site] = sites
        return replace(row, neighbour=sites[kernel_of([*layers, last])])

    def merged(self, model: nn.Module) -> nn.Module:
        """Return a copy of a model with these chains merged; of the model, or in another dtype."""
        other = copied(model, sharing=False)
        for sites in self._chains.values():
            layers = self._layers(other, sites)
            place = kernel_of(layers)
            for index, site in enumerate(sites):
                layer = merged_chain(layers).layer if index == place else nn.Identity()
                other.set_submodule(site, layer.train(layers[index].training))
        return other

    @property
    def weights(self) -> list[str]:
        """The names of the merged model's parameters that were merged, and so rounded."""
        return [
            f"{sites[kernel_of(self._layers(self.model, sites))]}.{name}"
            for sites in self._chains.values()
            for name in ("weight", "bias", "1.weight", "1.bias")  # behind a padding layer
        ]

    def _layers(self, model: nn.Module, sites: Iterable[str]) -> list[nn.Module]:
        return [model.get_submodule(site) for site in sites]


def _named(refusals: Iterable[Refusal], sites: Sequence[str]) -> Iterator[Refusal]:
    """Yield refusals with the layers' own names for the numbers of `merge`."""
    for refusal in refusals:
        number = refusal.site.partition(" ")[0]
        known = number.isdecimal() and int(number) < len(sites)
        yield replace(refusal, site=sites[int(number)]) if known else refusal
