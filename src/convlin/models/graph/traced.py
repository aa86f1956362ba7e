"""From a model to its graph: its own code runs at the window, twice, without numbers.

| run | batch | dtype | shows |
|---|---|---|---|
| 1 | 2 | the model's | what it does |
| 2 | 3 | another one | which numbers stand for the batch, which dtypes for the model's |
| 3, where those differ in more | 2 | the model's | what changes from call to call |
| 4 | 3 | the model's | which numbers stand for the batch |
| 5 | 2 | another one | which dtypes for the model's |

The second run begins with what the first one left behind, so that counters, caches and random
numbers differ in it too. The classifier only ever sees windows: what its code makes of the
window's size is right by definition, and a number in the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, fx, nn

from convlin.errors import Description, Refusal, Refused, one_line
from convlin.internals.fakes import fake_tensors, real_tensors
from convlin.layers.unchanged import same_random_numbers
from convlin.models.graph.aliases import Value
from convlin.models.graph.fake_model import fake_twin, named_tensors, twin
from convlin.models.graph.function_of_images import is_stock, require_function_of_images
from convlin.models.graph.known_numbers import known_numbers
from convlin.models.graph.recorder import Reads, Recorder, Wanted
from convlin.models.graph.two_runs import Both, side_by_side
from convlin.models.graph.varying import BATCH, MODEL_DTYPE, Batch
from convlin.models.trace import LayerCall, sample, watched

__all__ = ["Trace", "line_of", "record", "shape_of", "site_of", "trace"]


@dataclass(frozen=True)
class Trace:
    """The graph of a model: every node a call of an ATen operation or of a layer wanted whole.

    The only placeholder is the images; `get_attr` nodes name tensors of `model`, a twin of the one
    given, or numbers that its code made, which lie in `tensors` too. In arguments, `Batch` stands
    for numbers that grow with the batch, `ModelDtype` for the model's dtype.
    """

    graph: fx.Graph
    model: nn.Module
    tensors: dict[str, Tensor]
    dtype: torch.dtype

    def numbers(self, node: fx.Node) -> Tensor:
        """Return the tensor behind a `get_attr` node, or what the graph computes of such.

        Operations that have been found to compute nothing of images may read one for its dtype.
        """
        numbers: Tensor = known_numbers(node, self.tensors, self.dtype)
        return numbers


def trace(model: nn.Module, window: tuple[int, ...], wanted: Wanted) -> Trace:
    """Return the model's graph at the window (C, *spatial).

    Raises `Refused`, naming the layer and the line of code: what fails at that window, asks the
    images for numbers, or is not the same from call to call.
    """
    require_function_of_images(model)
    tensors, like = named_tensors(model), sample(model, (0,))
    with fake_tensors(), same_random_numbers():
        first = _merged(model, tensors, window, like, wanted)
    _require_no_state(first)
    made = twin(model)
    for node in first.graph.nodes:
        node.meta["layer"] = _layer(first, node)
    return Trace(first.graph, made, {**first.tensors, **named_tensors(made)}, like.dtype)


def record(
    model: nn.Module, shape: tuple[int, ...], wanted: Wanted, note: Callable[[LayerCall], None]
) -> fx.Graph:
    """Return the graph of one run in eval mode on a batch of this shape; `note` sees its calls.

    The run is that of a twin: nothing is computed, or allocated, or left behind in the model. The
    graph is that of this batch alone. Raises `Refused` as `trace` does.
    """
    tensors, like = named_tensors(model), sample(model, (0,))
    with fake_tensors(), same_random_numbers():
        fake = fake_twin(model)
        for layer in fake.modules():
            vars(layer)["training"] = False
        with watched(fake, note):
            return run_model(fake, tensors, shape, like, wanted).graph


def shape_of(node: fx.Node) -> Any:
    """Return the node's shape at the window, batch first; a tuple of them for several results."""
    value = node.meta["value"]
    return value.shape if isinstance(value, Value) else tuple(part.shape for part in value)


def site_of(node: fx.Node) -> str:
    """Return the layer's dotted name; for another operation, the module it ran in and its own."""
    if node.op == "get_attr" or node.meta["layer"] is not None:
        return str(node.target if node.op == "get_attr" else node.meta["layer"])
    site = node.meta["origin"].site
    return f"{site}.{node.name}" if site else node.name


def line_of(node: fx.Node) -> str:
    """Return the line of the model's own code that asked for it: file:number, or nothing."""
    return str(node.meta["origin"].line)


def run_model(
    model: nn.Module, tensors: dict[str, Tensor], shape: tuple[int, ...], like: Tensor,
    wanted: Wanted,
) -> Recorder:  # fmt: skip
    """Run a model without numbers on images of this shape, and return what it did."""
    # what its code holds on to in closures may still be the tensors of the model itself
    named = [*named_tensors(model).items(), *tensors.items()]
    names = {id(tensor): name for name, tensor in reversed(named)}
    whole = {id(layer) for layer in model.modules() if wanted.layer(layer)}
    recorder = Recorder(names, tensors, wanted.operations, whole)
    with watched(model, recorder.layer) as recorder.running, torch.inference_mode():
        try:
            images = torch.zeros(shape, dtype=like.dtype, device=like.device)
            recorder.begin(images)
            with Reads(recorder), recorder, torch.compiler.set_stance("force_eager"):
                recorder.end(model(images))
        except Exception as error:
            if not recorder.refusals:
                raise Refused(_failure(model, recorder.running, shape[0], error)) from error
    if recorder.refusals:
        raise Refused(recorder.refusals)
    for node in reversed(recorder.graph.nodes) if not wanted.unused else ():
        if not node.users and node.op not in ("placeholder", "output"):
            recorder.graph.erase_node(node)
    return recorder


def _merged(
    model: nn.Module, tensors: dict[str, Tensor], window: tuple[int, ...], like: Tensor,
    wanted: Wanted,
) -> Recorder:  # fmt: skip
    """Return a run, with what others on one image more, and in another dtype, show to be theirs.

    The next run begins on a twin of what the first left behind. Where it does not do the same, the
    code counts, or draws, or keeps what it computed, or has numbers of its own dtype.
    """
    fake = fake_twin(model)
    other = torch.float32 if like.dtype == torch.float64 else torch.float64

    def run(count: int = BATCH, dtype: torch.dtype = like.dtype) -> Recorder:
        twin = fake if dtype == like.dtype else fake_twin(fake, dtype)
        return run_model(twin, tensors, (count, *window), like.to(dtype), wanted)

    def beside(
        first: Recorder, both: Both, count: int = BATCH, dtype: torch.dtype = like.dtype
    ) -> None:
        second = run(count, dtype)
        with real_tensors():
            same = side_by_side(first, second, both)
        for node, its in same.items():
            node.meta |= {"larger": its.meta["value"]} if count > BATCH else {}
            node.meta |= {"other": its.meta["value"]} if dtype != like.dtype else {}

    first = run()
    try:
        beside(first, _Both(like.dtype, _multiple), BATCH + 1, other)
    except Refused:
        beside(first, _state)
        beside(first, _Both(like.dtype, Batch), BATCH + 1)
        with suppress(Refused):
            beside(first, _Both(like.dtype, lambda own, of_other: own), dtype=other)
    return first


def _state(node: fx.Node, first: Any, again: Any) -> NoReturn:
    """Refuse what differs from one call to the next."""
    raise _refused(node, "state", f"{first} at one call and {again} at the next", "the same at "
                   "every call", "it counts, keeps or draws something")  # fmt: skip


@dataclass(frozen=True)
class _Both:
    """What stands for both of a batch and of one more, in the model's dtype and in another one.

    `number` says it of numbers, None where nothing does.
    """

    dtype: torch.dtype
    number: Callable[[Any, Any], Any]

    def __call__(self, node: fx.Node, smaller: Any, larger: Any) -> Any:
        if isinstance(smaller, torch.dtype) and smaller == self.dtype:
            return MODEL_DTYPE
        if isinstance(smaller, Batch) and smaller.smaller == larger:
            return smaller
        if isinstance(smaller, Tensor) and isinstance(larger, Tensor):
            if smaller.dtype == self.dtype and smaller.shape == larger.shape:
                node.meta["numbers"] = MODEL_DTYPE
                return max(smaller, larger, key=lambda each: each.element_size())
        elif isinstance(smaller, int | float) and isinstance(larger, int | float):
            number = self.number(smaller, larger)
            if number is not None:
                return number
        raise _refused(
            node, "forward", f"{smaller} at batch {BATCH} and {larger} at batch {BATCH + 1}",
            "the same for every batch",
        )  # fmt: skip


def _multiple(smaller: Any, larger: Any) -> Batch | None:
    """Return what is so many for each image; other numbers may come of the dtype."""
    number = Batch(smaller, larger)
    return None if number.each is None else number


def _refused(node: fx.Node, field: str, value: str, allowed: str, reason: str = "") -> Refused:
    origin = node.meta.get("origin")
    site, line = (origin.site, origin.line) if origin else ("output", "")
    said = "; ".join(filter(None, (reason, line)))
    return Refused(Refusal(site or node.name, field, Description(value), allowed, said))


def _require_no_state(run: Recorder) -> None:
    """Refuse what is made of tensors that the model itself writes to."""
    live = {str(node.target) for node in run.graph.nodes if node.op == "get_attr"}
    if refusals := [refusal for name, refusal in run.state.items() if name in live]:
        raise Refused(refusals)


def _layer(run: Recorder, node: fx.Node) -> str | None:
    """Return the site of the layer of PyTorch's own whose only operation the node is."""
    if node.op == "call_module":
        return str(node.target)
    call = node.meta["origin"].call if "origin" in node.meta else None
    if call is None or not call.site or node.op != "call_function" or not run.is_alone(node):
        return None
    return str(call.site) if is_stock(call.layer) else None


def _failure(model: nn.Module, running: list[LayerCall], batch: int, error: Exception) -> Refusal:
    """Return why a model does not run at the window."""
    call = running[-1] if running else LayerCall("", model, [])
    shapes = Description(", ".join(str(tuple(tensor.shape)) for tensor in call.inputs))
    reason = f"at batch {batch}: {one_line(error)}"
    site = call.site or type(model).__name__
    return Refusal(site, "input", shapes, "a window that this layer can take", reason)
