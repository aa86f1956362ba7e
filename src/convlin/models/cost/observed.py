"""One run of a model on a sample without values, and what each module did in it."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal, Refused
from convlin.internals.fakes import fake_tensors
from convlin.internals.trees import tree_leaves
from convlin.layers.unchanged import unchanged
from convlin.models.cost.sample import geometry_of

__all__ = ["Seen", "observe", "uncompiled"]


@dataclass
class Seen:
    """What a layer did: `uses` counts, for each (input shape, output shape), the samples."""

    calls: int = 0
    output_bytes: int = 0
    uses: Counter[tuple[torch.Size, torch.Size]] = field(default_factory=Counter)

    def note(self, given: Any, output: Any) -> None:
        """Note one call."""
        self.calls += 1
        results = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        self.output_bytes += sum(result.nbytes for result in results)
        taken = [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]
        if taken and results:
            self.uses[taken[0].shape, results[0].shape] += 1


def uncompiled(model: Any) -> Any:
    """Return the module that `torch.compile` wrapped, or what it is given."""
    wrapped = getattr(model, "_orig_mod", None) if isinstance(model, nn.Module) else None
    return uncompiled(wrapped) if isinstance(wrapped, nn.Module) else model


def observe(model: nn.Module, shape: tuple[int, ...]) -> dict[nn.Module, Seen]:
    """Run the model on one sample and return what each of its modules did."""
    try:
        # Fake tensors: nothing is computed, and nothing of the input's size allocated.
        with unchanged(model), fake_tensors():
            return _pass(model, shape)
    except Refused:
        pass  # the run on zeros will tell
    with unchanged(model):
        return _pass(model, shape)


def _pass(model: nn.Module, shape: tuple[int, ...]) -> dict[nn.Module, Seen]:
    """Run the model on zeros, or refuse the shape and say where it failed."""
    tensors = chain(model.parameters(), model.buffers())
    like = next((t for t in tensors if t.is_floating_point()), torch.empty(0))
    seen = {layer: Seen() for layer in model.modules()}
    running: list[str] = []
    with _watched(model, seen, running), _at_rest(model), torch.no_grad():
        try:
            model(torch.zeros(1, *shape, dtype=like.dtype, device=like.device))
        except Exception as error:
            site = running[-1] if running else ""
            raise Refused(_refusal(model, shape, site, error)) from error
    return seen


def _refusal(model: nn.Module, shape: tuple[int, ...], site: str, error: Exception) -> Refusal:
    """Return why the model does not run on one sample of this shape; `site` is where it failed."""
    name = type(model).__name__
    inputs = _required(model)
    if len(inputs) > 1:
        allowed = "one tensor: a module that takes it and calls the model with what else it needs"
        return Refusal(name, "input", Description(f"({', '.join(inputs)})"), allowed)
    layer = model.get_submodule(site)
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        value = f"indices that {site or name} ({type(layer).__name__}) looks up"
        allowed = "numbers: the part of the model behind the embedding"
        return Refusal(name, "input", Description(value), allowed)
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
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
def _watched(model: nn.Module, seen: dict[nn.Module, Seen], running: list[str]) -> Iterator[None]:
    """Let hooks note every call in `seen`; `running` names the modules that have not returned."""
    handles = []
    try:
        for name, layer in model.named_modules():

            def enter(_layer: Any, _args: Any, name: str = name) -> None:
                running.append(name)

            def leave(layer: Any, args: Any, named: Any, output: Any) -> None:
                running.pop()
                seen[layer].note((args, named), output)

            handles.append(layer.register_forward_pre_hook(enter))
            handles.append(layer.register_forward_hook(leave, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


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
