"""One run of a model on a sample without values, and what each module did in it.

A product belongs to the module whose code asked for it, the innermost that was running. In a
convolution or Linear that is counted by its sizes, it is the one that was counted.
"""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from convlin.errors import Description, Refusal, Refused, first_line
from convlin.layers.unchanged import same_random_numbers, unchanged
from convlin.models.cost.products import WHOLE, Product, product_of
from convlin.models.cost.sample import geometry_of
from convlin.models.graph.recorder import Wanted
from convlin.models.graph.traced import record
from convlin.models.trace import LayerCall, sample, watched

__all__ = ["Tally", "observe", "uncompiled"]


@dataclass
class Tally:
    """What a layer did: `uses` counts, for each (input shape, output shape), the samples.

    products: what its own code multiplied, beside the layers that it calls; None: nobody saw.
    """

    calls: int = 0
    output_bytes: int = 0
    uses: Counter[tuple[torch.Size, torch.Size]] = field(default_factory=Counter)
    products: list[Product] | None = None

    def note(self, call: LayerCall) -> None:
        """Note one call, once it has returned."""
        if call.outputs is None:
            return
        self.calls += 1
        self.output_bytes += sum(output.nbytes for output in call.outputs)
        if call.inputs and call.outputs:
            self.uses[call.inputs[0].shape, call.outputs[0].shape] += 1


def uncompiled(model: Any) -> Any:
    """Return the module that `torch.compile` wrapped, or what it is given."""
    wrapped = getattr(model, "_orig_mod", None) if isinstance(model, nn.Module) else None
    return uncompiled(wrapped) if isinstance(wrapped, nn.Module) else model


def observe(model: nn.Module, shape: tuple[int, ...]) -> tuple[dict[nn.Module, Tally], str]:
    """Run the model on one sample; return what each of its modules did, and why no trace shows it.

    A model that cannot be traced runs on zeros.
    """
    try:
        return _traced(model, (1, *shape)), ""
    except Refused as refused:  # it may look at values; the run on zeros will tell
        untraced = str(refused.refusals[0])
    return _on_zeros(model, shape), untraced


def _traced(model: nn.Module, shape: tuple[int, ...]) -> dict[nn.Module, Tally]:
    """Run the model without values, and note its products too."""
    layers = dict(model.named_modules())  # the run is that of a twin
    tallies = {layer: Tally(products=[]) for layer in layers.values()}
    wanted = Wanted(WHOLE, lambda layer: False, unused=True)
    graph = record(model, shape, wanted, lambda call: tallies[layers[call.site]].note(call))
    for node in graph.nodes:
        if (product := product_of(node)) is not None:
            products = tallies[layers[node.meta["origin"].site]].products
            assert products is not None
            products.append(product)
    return tallies


def _on_zeros(model: nn.Module, shape: tuple[int, ...]) -> dict[nn.Module, Tally]:
    """Run the model on zeros, or refuse the shape and say where it failed."""
    tallies = {layer: Tally() for layer in model.modules()}
    with (
        unchanged(model),
        same_random_numbers(model.parameters()),
        watched(model, lambda call: tallies[call.layer].note(call)) as running,
        torch.no_grad(),
        torch.compiler.set_stance("force_eager"),
    ):
        for layer in model.modules():
            vars(layer)["training"] = False
        try:
            model(sample(model, (1, *shape)))
        except Exception as error:
            site = running[-1].site if running else ""
            raise Refused(_refusal(model, shape, site, error)) from error
    return tallies


def _refusal(model: nn.Module, shape: tuple[int, ...], site: str, error: Exception) -> Refusal:
    """Return why the model does not run on one sample of this shape; `site` is where it failed."""
    name = type(model).__name__
    inputs = _required(model)
    if len(inputs) > 1:
        allowed = "one tensor; a module that takes one may call the model with what else it needs"
        return Refusal(name, "input", Description(f"({', '.join(inputs)})"), allowed)
    layer = model.get_submodule(site)
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        value = f"indices that {site or name} ({type(layer).__name__}) looks up"
        allowed = "numbers: the part of the model behind the embedding"
        return Refusal(name, "input", Description(value), allowed)
    reason = first_line(error)
    allowed = "the shape of a sample that it can take"
    first = next(filter(None, map(geometry_of, model.modules())), None)
    if first is not None and len(shape) != first.ndim + 1:
        axes = ", ".join(("depth", "height", "width")[-first.ndim :])
        allowed += f"; its first convolution takes ({first.in_channels}, {axes})"
    return Refusal(site or name, "input of the model", shape, allowed, reason)


def _required(model: nn.Module) -> list[str]:
    """Return the names of the inputs that a model cannot do without."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):  # TorchScript tells none
        return []
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in several]
