"""The network being written: its graph, and the modules and tensors that are called in it.

Names stay the model's: a layer, kept or exchanged, is called by its dotted name, a tensor read by
the name that it has in the model's `state_dict`. Operations are written as PyTorch's public
functions, so that what comes out can be read, scripted and exported.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from convlin.internals.modules import ConvBase, NormBase
from convlin.models.graph.operations import name_of

__all__ = ["Writer", "name_groups", "public"]

# Numbers that are written into the graph's code: twice as many fill a screen with them, half is
# fewer than one for each of a thousand classes.
LITERAL = 1024
# what makes a new tensor, and does not keep it for the gradient: a sigmoid does
MAKERS = (ConvBase, NormBase, nn.Linear, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d,
          nn.AvgPool2d, nn.AvgPool3d)  # fmt: skip


class Writer:
    """Writes calls of modules and functions, under the `names` that the model has for its parts.

    At `leaves`, other layers may stand in the end.
    """

    def __init__(self, leaves: Collection[str], names: Collection[str] = ()) -> None:
        self._graph = fx.Graph()
        self._modules: dict[str, Any] = {}
        self._leaves = leaves
        self._names = names
        self.images = self._graph.placeholder("images")
        self._like: dict[str, fx.Node] = {}

    def module(self, name: str, module: nn.Module, *inputs: Any) -> fx.Node:
        """Write a call of a module, under its name or, if another one has that, the next free."""
        return self._graph.call_module(self._named(name, module), inputs)

    def _named(self, name: str, part: Any) -> str:
        """Return the name for a part: the one asked for, or the next that nothing else has."""
        free, count = name, 1
        while self._modules.get(free, part) is not part or (count > 1 and free in self._names):
            count += 1
            free = f"{name}_{count}"
        self._modules[free] = part
        return free

    def function(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """Write a call of a function."""
        return self._graph.call_function(target, args, kwargs)

    def tensor(self, name: str, tensor: Tensor) -> fx.Node:
        """Read a tensor by its name; by another one if its owner's may now be another layer's."""
        if name.rpartition(".")[0] in self._leaves:
            name = f"_{name.replace('.', '_')}"
        return self._graph.get_attr(self._named(name, tensor))

    def numbers(self, name: str, tensor: Tensor, in_models_dtype: bool) -> fx.Node:
        """Write numbers that the model's code made, on the images' device."""
        if tensor.numel() > LITERAL:
            return self.tensor(name, tensor.detach())
        dtype = self.like_images("dtype") if in_models_dtype else tensor.dtype
        device = self.like_images("device")
        return self.function(torch.tensor, tensor.tolist(), dtype=dtype, device=device)

    def like_images(self, name: str) -> fx.Node:
        """Read the images' dtype or device."""
        if name not in self._like:
            with self._graph.inserting_after(self.images):
                self._like[name] = self._graph.call_function(getattr, (self.images, name))
        return self._like[name]

    def finish(self, outputs: Any, model: nn.Module) -> fx.GraphModule:
        """Return what was written, as a module whose parts are called as the model's are."""
        self._graph.output(outputs)
        for node in reversed(self._graph.nodes):
            if not node.users and node.op not in ("placeholder", "output"):
                self._graph.erase_node(node)
        self._write_in_place()
        # from a dict its parts come in the order of their depth, from a module in that of the graph
        parts = fx.GraphModule(self._modules, self._graph)
        network = fx.GraphModule(parts, self._graph, type(model).__name__).eval()
        names = model.state_dict().keys()
        for name in {node.target for node in self._graph.nodes if node.op == "get_attr"} - names:
            owner, _, last = str(name).rpartition(".")
            network.get_submodule(owner)._non_persistent_buffers_set.add(last)
        network.meta["groups"] = {
            path: type(module).__name__ for path, module in model.named_modules()
        }
        name_groups(network)
        return network

    def _write_in_place(self) -> None:
        """Let layers overwrite their input as in the model, where nothing else reads it."""
        calls: dict[str, list[bool]] = {}
        for node in self._graph.nodes:
            if node.op == "call_module":
                read: Any = node.args[0]
                made = read.op == "call_module" and isinstance(
                    self._modules[str(read.target)], MAKERS)  # fmt: skip
                calls.setdefault(str(node.target), []).append(made and len(read.users) == 1)
        for name, alone in calls.items():
            module = self._modules[name]
            if getattr(module, "inplace", False):
                module.inplace = all(alone)


class Group(nn.Module):
    """Holds parts of a network, and is called as what held them in the model."""

    called = "Module"

    def _get_name(self) -> str:
        return self.called


def name_groups(network: fx.GraphModule) -> None:
    """Let containers be called as the model's: fx makes new ones of them, in every copy too."""
    for path, module in network.named_modules():
        called = network.meta.get("groups", {}).get(path)
        if called is not None and module is network:
            type(network).__name__ = called  # every graph has a class of its own
        elif called is not None and type(module) in (nn.Module, Group):
            module.__class__ = Group
            module.called = called


def public(operation: Any) -> Any:
    """Return the function that PyTorch's documentation has for an operation of ATen.

    >>> public(torch.ops.aten.relu.default) is torch.relu
    True
    >>> public(torch.ops.aten.avg_pool2d.default) is functional.avg_pool2d
    True
    """
    name = name_of(operation)
    for home in (torch, functional, torch.special):
        found = getattr(home, name, None)
        # others are Python, with arguments of their own
        if inspect.isbuiltin(found):
            return found
    return getattr(operation, "overloadpacket", operation)
