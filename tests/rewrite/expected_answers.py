"""What a rewrite must answer for every layer, found without it: by classes, sizes and gradients.

In a copy of the model every layer with weights of its own is answered for by a frozen twin. A site
whose twin runs was called; a site whose own weight still gets a gradient was read by somebody else.
"""

import copy
from dataclasses import dataclass, field

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from rewrite.real_models import leaves, run

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
LINEARS = (nn.Linear, Conv1D)
CANDIDATES = {
    "linear": (*CONVOLUTIONS, Conv1D),
    "conv": LINEARS,
    "conv2d": (*LINEARS, nn.Conv1d, nn.Conv3d),
}


@dataclass
class Observed:
    """What one run showed of a layer."""

    read: bool = False
    inputs: list[torch.Tensor] = field(default_factory=list)
    outputs: list[torch.Tensor] = field(default_factory=list)


def observed(model: nn.Module, example) -> dict[str, Observed]:
    """Return by name what happens to every layer that holds all of its parameters, in one run."""
    model = copy.deepcopy(model).requires_grad_()
    seen: dict[str, Observed] = {}
    for name, layer in model.named_modules():
        own = [*layer.parameters(recurse=False)]
        if not own or len(own) < len([*layer.parameters()]):
            continue
        seen[name] = Observed()
        layer.forward = standing_in(copy.deepcopy(layer).requires_grad_(False), seen[name])
    total = sum(leaf.sin().sum() for leaf in leaves(run(model, example)))
    if total.requires_grad:
        total.backward()
    for name, layer in seen.items():
        own = model.get_submodule(name).parameters(recurse=False)
        layer.read = any(parameter.grad is not None for parameter in own)
    return seen


def standing_in(twin: nn.Module, record: Observed):
    def forward(*arguments, **options):
        result = twin(*arguments, **options)
        if isinstance(twin, (*CONVOLUTIONS, *LINEARS)):
            record.inputs.append(arguments[0].detach())
            record.outputs.append(result.detach())
        return result

    return forward


def has_the_form(layer: nn.Module, to: str, record: Observed) -> bool:
    """Whether a layer of PyTorch's own with these fields is equal to one of the other kind."""
    if isinstance(layer, LINEARS) or (to == "conv2d" and isinstance(layer, nn.Conv1d)):
        return True
    kernel, stride = layer.kernel_size, tuple(layer.stride)
    if to == "conv2d":
        return (kernel[0], layer.padding[0], layer.dilation[0]) == (stride[0], 0, 1)
    unpadded = layer.padding == "valid" or set(layer.padding) == {0}
    pointwise = set(kernel) == {1}
    patchify = kernel == stride and unpadded and set(layer.dilation) == {1}
    at_one_size = unpadded and set(layer.dilation) == {1}
    sizes = {tuple(x.shape[-len(kernel) :]) for x in record.inputs}
    return pointwise or patchify or (at_one_size and sizes == {kernel})


def is_what_its_class_is(layer: nn.Module, record: Observed) -> bool:
    """Whether the layer computed what PyTorch's own layer of its fields computes."""
    own = next(c for c in (*CONVOLUTIONS, *LINEARS) if isinstance(layer, c))
    with torch.no_grad():
        return all(
            (given := own.forward(layer, x)).shape == y.shape
            and torch.allclose(given, y, rtol=1e-9, atol=1e-12)
            for x, y in zip(record.inputs, record.outputs, strict=True)
        )


def tied_to_others(model: nn.Module, layer: nn.Module, to: str) -> bool:
    """Whether the layer's weight is also that of a layer of no such kind, as an embedding's."""
    return any(
        parameter is layer.weight
        for module in model.modules()
        if not isinstance(module, CANDIDATES[to])
        for parameter in module.parameters(recurse=False)
    )


def answers(model: nn.Module, example, to: str, keys: str) -> dict[str, set[str]]:
    """Return the answers that are right for every site of `to`, by its name.

    A parameter has one shape: what an embedding holds too cannot become a kernel of native keys.
    """
    expected = {}
    seen = observed(model, example)
    for name, layer in model.named_modules():
        if not isinstance(layer, CANDIDATES[to]):
            continue
        record = seen[name]
        stock = type(layer).__module__.startswith(("torch.nn", "transformers.pytorch_utils"))
        whole = stock or is_what_its_class_is(layer, record)
        if not has_the_form(layer, to, record):
            expected[name] = {"not exchanged"}
            if not record.inputs:
                expected[name] |= {"not reached", "read, not called"}
        elif not record.inputs:
            expected[name] = {"read, not called" if record.read else "not reached"}
        elif not whole or (keys == "native" and tied_to_others(model, layer, to)):
            expected[name] = {"not exchanged"}
        elif record.read:
            expected[name] = {"called and read"}
        else:
            expected[name] = {"exchanged"} if stock else {"exchanged", "not exchanged"}
    return expected
