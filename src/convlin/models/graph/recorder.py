"""One run of a model's own code, written down: every operation that ran, and for which layer.

The run is in inference mode, where a composite operation such as `conv2d` reaches a dispatch mode
whole; those that nobody wants whole are run as the parts that PyTorch makes of them. What is
written is a graph of values (`aliases.py`): operations in place, writes to views and `out=` are in
it as what they do. A layer that is wanted whole is one node, whatever it runs.

A model that asks the images for numbers is noted, even where it catches the error that comes of
that: it may go another way on others.
"""

from __future__ import annotations

import itertools
import operator
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate
from torch.overrides import TorchFunctionMode

from convlin import errors
from convlin.errors import Description, Refusal, Refused
from convlin.internals.dispatch import TorchDispatchMode, has_parts, is_operator, run_as_parts
from convlin.internals.fakes import NEEDS_NUMBERS, is_fake, real_tensors
from convlin.internals.storages import storage_id
from convlin.models.containers import opened
from convlin.models.graph.aliases import Aliases, Value, View
from convlin.models.graph.known_numbers import known_numbers
from convlin.models.graph.operations import (
    acts,
    by_layout,
    name_of,
    output_names,
    turns,
    without_writing,
    written_by,
)
from convlin.models.trace import LayerCall

__all__ = ["Origin", "Reads", "Recorder", "Wanted"]

aten = torch.ops.aten

LIBRARY, HERE = (f"{Path(home).parent}{os.sep}" for home in (torch.__file__, errors.__file__))
# operations, and methods that run none, by which Python asks a tensor for its numbers
NUMBERS = ("_local_scalar_dense", "is_nonzero", "equal", "item")
METHODS = ("numpy", "tolist", "__array__", "__dlpack__", "data_ptr", "storage", "untyped_storage")
MODEL_RUNS = "run_model"  # the function of convlin's that calls the model
# what divides a tensor along an axis; the axis is the second of their arguments
DIVIDES = ("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split")


@dataclass(frozen=True)
class Wanted:
    """What is wanted as one node: operations, by ATen's name without a final `_`, and layers.

    unused: whether operations are wanted whose results nobody uses.
    """

    operations: Collection[str]
    layer: Callable[[nn.Module], bool]
    unused: bool = False


@dataclass(frozen=True)
class Origin:
    """Where a node comes from: the module that was running, its call, and the line of its code.

    `composite` is the operation that this one is a part of, if it is.
    """

    site: str
    call: LayerCall | None
    line: str
    composite: str = ""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes `graph` while a model runs; `names` are those of its own tensors, by identity.

    `tensors` holds the numbers behind these names, and behind those that are met on the way;
    `operations` are recorded whole, and `whole` layers, by identity. `running` are the calls of
    layers that have begun and not returned.
    """

    def __init__(
        self, names: dict[int, str], tensors: dict[str, Tensor], operations: Collection[str],
        whole: Collection[int],
    ) -> None:  # fmt: skip
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = fx.Graph()
        self.tensors = dict(tensors)
        self.refusals: list[Refusal] = []
        self.state: dict[str, Refusal] = {}  # what is written to, of tensors that outlive the run
        self.running: list[LayerCall] = []
        self._names = names
        self._wanted = operations
        self._layers = whole
        self._aliases = Aliases(self._write)
        self._whole: tuple[LayerCall, tuple[fx.Node, ...]] | None = None
        self._composite = ""  # the outermost operation that is run as its parts
        self._of_images: set[fx.Node] = set()
        self._fresh: set[fx.Node] = set()  # numbers that Python makes a tensor of at every call
        self._calls: list[LayerCall] = []  # kept, so that no other one gets its id
        self._operations: Counter[int] = Counter()  # of each call, by its identity
        self._stand_ins: set[int] = set()  # tensors that are one and the same without a recorder

    def begin(self, images: Tensor) -> None:
        """Note the images."""
        node = self._noted(self.graph.placeholder("images"), Value.of(images))
        self._of_images.add(node)
        self._aliases.new(images, node)

    def end(self, outputs: Any) -> None:
        """Note what the model returned."""
        plain, container = opened(outputs)
        node = self._placed(self.graph.output(map_aggregate(plain, self._node)), None)
        node.meta |= {"container": container, "value": ()}

    def layer(self, call: LayerCall) -> None:
        """Note that a layer begins, or that it has returned."""
        if call.outputs is None:
            self._calls.append(call)
            for outer in self.running[-2:-1]:
                self._operations[id(outer)] += 2  # it is more than one operation
            if self._whole is None and id(call.layer) in self._layers:
                self._whole = call, tuple(map(self._node, call.inputs))
        elif self._whole is not None and self._whole[0].layer is call.layer:
            (begun, inputs), self._whole = self._whole, None
            node = self.graph.call_module(begun.site, inputs)
            one = len(call.outputs) == 1
            self._results(self._placed(node, begun), call.outputs[0] if one else call.outputs, [])

    def is_alone(self, node: fx.Node) -> bool:
        """Whether the node is all that its layer ran."""
        call = node.meta["origin"].call
        return call is not None and self._operations[id(call)] == 1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        named: dict[str, Any] = kwargs or {}
        if self._whole is not None or not acts(func):
            return func(*args, **named)
        name = name_of(func)
        if name in NUMBERS:
            return self._number(func, args, named)
        known = name.removesuffix("_") in self._wanted
        if not known and is_operator(func) and has_parts(func):
            outer, self._composite = self._composite, self._composite or name
            with self:
                result = run_as_parts(func, args, named)
            self._composite = outer
            return result
        return self._run(func, name, args, named)

    def _run(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operation, and note what it does."""
        if name in ("lift_fresh", "lift_fresh_copy") and args[0] not in self._aliases:
            with real_tensors(), torch.inference_mode(False):
                result = args[0].clone()  # numbers that Python has just made a tensor of
                node = self._outside(args[0].clone())
            self._fresh.add(node)
            self._aliases.new(result, node)
            return result
        if by_layout(func):
            raise self._refused("operation", name, "one that takes elements by their index")
        inputs = map_aggregate((args, kwargs), self._node)
        if name == "detach" and _is_made(inputs[0][0]):  # as torch.zeros does
            result = _execute(func, args, {})
            self._aliases.same(result, args[0])
            return result
        written = written_by(func, args, kwargs)
        if turns(func):
            return self._turned(func, name, args, inputs)
        if written:
            return self._written(func, name, (args, kwargs), inputs, written)
        operands = _tensors((args, kwargs))
        if name.endswith("dropout") and args[2] is False:  # in training it would be another tensor
            return self._passed(func, inputs, args[0])
        try:
            result = _execute(func, args, kwargs)
        except NEEDS_NUMBERS as error:
            if any(map(self.is_of_images, operands)):
                raise self.asked(name) from error
            raise
        if isinstance(result, bool | int | float):  # of a tensor's kind, and not of its numbers
            return result
        if any(result is tensor for tensor in operands):
            # in another dtype it would be another tensor
            return self._passed(func, inputs, result) if name in ("to", "contiguous") else result
        self._results(self._called(func, *inputs), result, operands)
        return result

    def _passed(self, func: Any, inputs: Any, tensor: Tensor) -> Tensor:
        """Note an operation that returns what it takes, by another name."""
        result = tensor.view_as(tensor)
        self._stand_ins |= {id(tensor), id(result)}
        self._results(self._called(func, *inputs), result, [tensor])
        return result

    def _turned(self, func: Any, name: str, args: tuple[Any, ...], inputs: Any) -> Any:
        """Let a tensor become another view of its memory."""
        before = Value.of(args[0])
        instead = without_writing(func)
        if instead is None or id(args[0]) in self._stand_ins:
            raise self._refused("operation", name, "one whose effect on other tensors is known")
        self._require_own([args[0]])
        result = _execute(func, args, {})
        if name != "detach_":
            node = self._noted(self._called(instead, *inputs), Value.of(args[0]))
            view = View(instead, inputs[0][1:], before, Value.of(args[0]))
            self._aliases.view(args[0], args[0], view, node)
        return result

    def _written(
        self, func: Any, name: str, given: tuple[Any, Any], inputs: Any, written: list[Tensor]
    ) -> Any:
        """Run what writes to tensors, and give them what it would return."""
        (args, kwargs), (nodes, named) = given, inputs
        instead = without_writing(func)
        outs = output_names(func)
        together = len(written) > 1 and _any_share_memory(_tensors(given))
        if instead is None or together:  # of several, the last sees what the first wrote
            raise self._refused("operation", name, "one whose effect on other tensors is known")
        self._require_own(written)
        kept = {key: kwargs[key] for key in kwargs if key not in outs}
        returned = _execute(instead, args, kept)
        before = [Value.of(tensor) for tensor in written]
        result = _execute(func, args, kwargs)
        node = self._called(instead, nodes, {key: named[key] for key in named if key not in outs})
        self._results(node, returned, [])
        for tensor, value, new in zip(written, before, _listed(returned), strict=False):
            if Value.of(tensor) != value or value.shape != tuple(new.shape):
                raise self._refused("out", value.shape, f"a tensor of {tuple(new.shape)}")
            last = self._node(new)
            if new.dtype != value.dtype:  # what is written takes the dtype of where it is written
                last = self._write(aten.to.dtype, (last, value.dtype), value)
            self._keeps(tensor)
            if (view := self._aliases.overwrite(tensor, last)) is not None:
                raise self._refused("operation", name, "one that writes to parts that lie apart",
                                    f"through {name_of(view.operation)}")  # fmt: skip
        return result

    def _require_own(self, written: list[Tensor]) -> None:
        """Refuse a write to a tensor that is neither the model's nor made in this run."""
        for tensor in written:
            first = self._aliases.first(tensor)
            if first.op == "get_attr" and first not in self._fresh and not is_fake(tensor):
                raise self._refused("state", f"{first.target}, a tensor from outside, written to",
                                    "tensors that stay as they are")  # fmt: skip

    def _keeps(self, tensor: Tensor) -> None:
        """Note that a tensor which outlives the run is written to."""
        first = self._aliases.first(tensor)
        if first.op == "get_attr" and first not in self._fresh:
            refusal = self._refusal(
                "state", f"written to by {self._line or 'its layer'}",
                "tensors that stay as they are", f"{first.target} is another one at the next call",
            )  # fmt: skip
            self.state.setdefault(str(first.target), refusal)

    def _results(self, node: fx.Node, result: Any, operands: list[Tensor]) -> None:
        """Name what a node returns, and note its shapes."""
        if isinstance(result, Tensor):
            self._name(result, self._noted(node, Value.of(result)), operands, node, ())
            return
        self._noted(node, tuple(Value.of(part) for part in _listed(result)))
        for index, part in enumerate(_listed(result)):
            item = self._noted(
                self.graph.call_function(operator.getitem, (node, index)), Value.of(part)
            )
            how: tuple[Any, ...] = ()
            if name_of(node.target) in DIVIDES:
                axis = _axis(node) % part.ndim
                # parts of tensor_split may overlap
                ahead = part.storage_offset() - operands[0].storage_offset()
                start = ahead // max(operands[0].stride(axis), 1)
                how = (aten.slice.Tensor, (axis, start, start + part.shape[axis]))
            elif name_of(node.target) == "unbind":
                how = (aten.select.int, (_axis(node) % (part.ndim + 1), index))
            self._name(part, item, operands, node, how)

    def _name(
        self, tensor: Tensor, node: fx.Node, operands: list[Tensor], made: fx.Node,
        how: tuple[Any, ...],
    ) -> None:  # fmt: skip
        """Name a tensor: a view of an operand, or one with memory of its own."""
        whole = next((each for each in operands if _share_memory(tensor, each)), None)
        if whole is None:
            self._aliases.new(tensor, node)
            return
        operation, args = how or (made.target, made.args[1:])
        view = View(operation, args, Value.of(whole), Value.of(tensor))
        self._aliases.view(tensor, whole, view, node)

    def _number(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return a number that Python asks for; refuse it of what is made of the images."""
        nodes = map_aggregate(args, self._node)
        of_images = [node for node in _nodes(nodes) if node in self._of_images]
        if of_images:
            raise self.asked(name_of(func).lstrip("_"))
        with real_tensors():
            return func(*known_numbers(nodes, self.tensors), **kwargs)

    def asked(self, how: str) -> Refused:
        """Note that the images are asked for numbers."""
        return self._refused(
            "forward", f"{how} of what is made of the images", "code that asks them for no numbers",
            "it may go another way on other images",
        )  # fmt: skip

    def replaced(self, tensor: Tensor) -> Refused:
        """Note that a tensor is given another one's memory."""
        return self._refused("data", f"set, of a tensor {tuple(tensor.shape)}", "copy_, or another "
                             "name", "who shares its memory is not known any more")  # fmt: skip

    def is_of_images(self, tensor: Tensor) -> bool:
        """Whether a tensor is made of the images."""
        return tensor in self._aliases and self._aliases.node(tensor) in self._of_images

    def _node(self, arg: Any) -> Any:
        """Return the node for a tensor; anything else as it is."""
        if not isinstance(arg, Tensor):
            return arg
        if arg not in self._aliases:
            name = self._names.get(id(arg))
            node = self._outside(arg) if name is None else self._noted(
                self.graph.get_attr(name), Value.of(arg))  # fmt: skip
            self._aliases.new(arg, node)
        return self._aliases.node(arg)

    def _outside(self, tensor: Tensor) -> fx.Node:
        """Return the node for numbers that the model has no name for."""
        count = itertools.count(len(self.tensors))
        name = next(free for n in count if (free := f"constant_{n}") not in self.tensors)
        self.tensors[name] = tensor
        node = self._noted(self.graph.get_attr(name), Value.of(tensor))
        node.meta["numbers"] = tensor.dtype
        return node

    def _called(self, func: Any, args: Any, kwargs: Any = None) -> fx.Node:
        """Write the call of an operation by the layer that is running."""
        if self.running:
            self._operations[id(self.running[-1])] += 1
        return self._created(func, tuple(args), kwargs or {})

    def _write(self, operation: Any, args: tuple[Any, ...], value: Value) -> fx.Node:
        """Write what no code of the model called."""
        return self._noted(self._created(operation, args, {}), value)

    def _created(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> fx.Node:
        name = name_of(func).rpartition("::")[2]
        node = self.graph.create_node("call_function", func, args, kwargs, name=name)
        return self._placed(node, self.running[-1] if self.running else None)

    def _noted(self, node: fx.Node, value: Value | tuple[Value, ...]) -> fx.Node:
        node.meta["value"] = value
        if any(operand in self._of_images for operand in node.all_input_nodes):
            self._of_images.add(node)
            node.meta["images"] = True
        return node if "origin" in node.meta else self._placed(
            node, self.running[-1] if self.running else None)  # fmt: skip

    def _placed(self, node: fx.Node, call: LayerCall | None) -> fx.Node:
        node.meta["origin"] = Origin(
            call.site if call else "", call, self._line, self._composite
        )  # fmt: skip
        return node

    def _refused(self, field: str, value: Any, allowed: str, reason: str = "") -> Refused:
        """Note a refusal, which the model's own code may catch, and return it to be raised."""
        self.refusals.append(self._refusal(field, value, allowed, reason))
        return Refused(self.refusals[-1:])

    def _refusal(self, field: str, value: Any, allowed: str, reason: str = "") -> Refusal:
        """Return the refusal of what the running layer does."""
        site = self.running[-1].site or type(self.running[-1].layer).__name__
        said = "; ".join(filter(None, (reason, self._line)))
        return Refusal(site, field, Description(value), allowed, said)

    @property
    def _line(self) -> str:
        """The innermost line of the model's own code that is running."""
        frame: Any = sys._getframe(1)
        while frame is not None:
            file = frame.f_code.co_filename
            if not file.startswith((LIBRARY, "<")):
                if not file.startswith(HERE):
                    return f"{Path(file).name}:{frame.f_lineno}"
                if frame.f_code.co_name == MODEL_RUNS:
                    return ""
            frame = frame.f_back
        return ""


class Reads(TorchFunctionMode):
    """Notes what runs no operation: methods that ask for numbers, and `x.data = y`."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in METHODS and self._recorder.is_of_images(args[0]):
            raise self._recorder.asked(name)
        if name == "__set__" and func.__self__ is Tensor.data:
            raise self._recorder.replaced(args[0])
        return func(*args, **(kwargs or {}))


def _execute(func: Any, args: Any, kwargs: Any) -> Any:
    """Run an operation; on numbers where it takes no tensors without, for caches may keep those.

    Such are trained with afterwards, which a tensor made in inference mode cannot be.
    """
    operands = _tensors((args, kwargs))
    if any(map(is_fake, operands)):
        return func(*args, **kwargs)
    inference = any(tensor.is_inference() for tensor in operands)  # may be written to there alone
    with real_tensors(), torch.inference_mode(inference), torch.no_grad():
        return func(*args, **kwargs)


def _listed(result: Any) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else [t for t in result if isinstance(t, Tensor)]


def _tensors(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    map_aggregate(value, lambda leaf: found.append(leaf) if isinstance(leaf, Tensor) else None)
    return found


def _nodes(value: Any) -> Iterable[fx.Node]:
    found: list[fx.Node] = []
    map_aggregate(value, lambda leaf: found.append(leaf) if isinstance(leaf, fx.Node) else None)
    return found


def _is_made(node: fx.Node) -> bool:
    """Whether it makes a tensor of numbers alone."""
    return node.op == "call_function" and not node.all_input_nodes


def _axis(node: fx.Node) -> int:
    """Return along which axis an operation divides a tensor."""
    place = 1 if name_of(node.target) == "unbind" else 2
    axis: Any = node.kwargs.get("dim", node.args[place] if len(node.args) > place else 0)
    return int(axis)


def _any_share_memory(tensors: list[Tensor]) -> bool:
    return any(_share_memory(*pair) for pair in itertools.combinations(tensors, 2))


def _share_memory(a: Tensor, b: Tensor) -> bool:
    try:
        return storage_id(a) == storage_id(b)
    except (RuntimeError, NotImplementedError):  # neither has one storage of its own
        return False
