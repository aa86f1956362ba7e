"""One run of a model on a sample without values, and what each module did in it."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from convlin.errors import Description, Refusal, Refused, first_line
from convlin.layers.unchanged import unchanged
from convlin.models.cost.sample import geometry_of
from convlin.models.trace import LayerCall, sample, shapes_alone, watched

__all__ = ["Tally", "observe", "uncompiled"]


@dataclass
class Tally:
    """What a layer did: `uses` counts, for each (input shape, output shape), the samples."""

    calls: int = 0
    output_bytes: int = 0
    uses: Counter[tuple[torch.Size, torch.Size]] = field(default_factory=Counter)

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


def observe(model: nn.Module, shape: tuple[int, ...]) -> dict[nn.Module, Tally]:
    """Run the model on one sample and return what each of its modules did."""
    try:
        with shapes_alone(model):
            return _pass(model, shape)
    except Refused:
        pass  # it may look at values; the run on zeros will tell
    with unchanged(model), torch.no_grad():
        return _pass(model, shape)


def _pass(model: nn.Module, shape: tuple[int, ...]) -> dict[nn.Module, Tally]:
    """Run the model on zeros, or refuse the shape and say where it failed."""
    tallies = {layer: Tally() for layer in model.modules()}
    with watched(model, lambda call: tallies[call.layer].note(call)) as running, _at_rest(model):
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


@contextmanager
def _at_rest(model: nn.Module) -> Iterator[None]:
    """Put every module in eval mode and out of its compiled form, and random numbers back.

    `unchanged` undoes what is set here.
    """
    with torch.random.fork_rng(devices=()):
        for layer in model.modules():
            vars(layer)["training"] = False
            vars(layer)["_compiled_call_impl"] = None
            if (eager := uncompiled(layer)) is not layer:
                vars(layer)["forward"] = eager
        yield
