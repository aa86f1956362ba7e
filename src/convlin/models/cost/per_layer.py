"""What each layer of a model costs in every form, given what it did in one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from math import prod
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from convlin.costs import (
    FORMS,
    Form,
    FormCost,
    LayerCost,
    across,
    convolution_forms,
    implied,
    known,
    linear_forms,
    unchanged,
)
from convlin.errors import GeometryError
from convlin.geometry import ConvGeometry, short
from convlin.internals.modules import NormBase
from convlin.internals.trees import tree_leaves
from convlin.layers.behaviour import misdescribed
from convlin.layers.forms.linear_forms import BatchedLinear
from convlin.layers.forms.local import LocallyConnected
from convlin.layers.stock_layer import CONVOLUTIONS, Conv
from convlin.models.cost.observed import Tally
from convlin.models.cost.sample import geometry_of

__all__ = ["rows"]

# Layers that use their parameters without a matrix product: their multiply-adds are none.
WITHOUT_PRODUCTS = (
    NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.PReLU,
    nn.Embedding, nn.EmbeddingBag,
)  # fmt: skip

Address: TypeAlias = tuple[int, ...]  # of a tensor's numbers and how many, or of the tensor itself

REGISTERED = ("_parameters", "_buffers", "_modules")  # what a module keeps there is seen

FORM_OF: dict[type[nn.Module], Form] = {
    Conv: "conv", nn.Linear: "linear", BatchedLinear: "linear", LocallyConnected: "local",
}  # fmt: skip
# The forms whose parameters serve every input size that a layer runs at.
SHARED: dict[Form, frozenset[Form]] = {
    "conv": frozenset({"conv"}),
    "linear": frozenset({"conv", "linear", "matrix"}),
    "local": frozenset(FORMS),
}

# Numbers in an input that a layer of an unknown forward is run on, to be counted: 1 GiB in float64,
# which a laptop has beside the model. At half of it an image of 8192×4096 colours is not counted.
LARGEST_RUN = 2**27

NEVER_CALLED = "never called (or only its weights used): multiply-adds not counted"
NEVER_RAN = "never called: a product with its weights counts where it is"
OTHER_CODE = "uses its parameters in code of its own: multiply-adds not counted"
MULTIPLIES = "multiplies in code of its own, which is counted"
UNCOUNTED = "multiply-adds not counted"
OWN_FORWARD = "a forward of its own: counted as what it is derived from"
OWN_PADDING = "a forward of its own: counted with the zero padding that its output implies"
OTHER_OUTPUT = "its output is no such convolution's: true multiply-adds and forms not counted"
HIDDEN = "keeps weights that are no parameters: neither they nor multiply-adds counted"
COMPUTED = "its weight is computed from other parameters, which are those counted"


def rows(model: nn.Module, tallies: dict[nn.Module, Tally]) -> Iterator[LayerCost]:
    """Yield the costs of every layer that ran or holds something."""
    counted: set[Address] = set()
    for name, layer in _layers(model, tallies):
        if tallies[layer].calls or _own_tensors(layer):
            yield _row(name.replace("._orig_mod", ""), layer, tallies, counted)


def _layers(model: nn.Module, tallies: dict[nn.Module, Tally]) -> Iterator[tuple[str, nn.Module]]:
    """Yield every layer once: modules without children, and those with something of their own.

    That is what they hold, and what they multiply. The parametrizations of a weight belong to their
    layer, as do packed weights.
    """
    inside = {
        part
        for layer in model.modules()
        if is_parametrized(layer)
        for part in layer.parametrizations.modules()  # type: ignore[union-attr]
    }
    for name, layer in model.named_modules():
        if layer in inside:
            continue
        parts = all(child in inside for child in layer.children())
        if _own_tensors(layer) or parts or tallies[layer].products or _hides(layer, tallies):
            yield name, layer


def _own_tensors(layer: nn.Module) -> dict[Address, Tensor]:
    """Return the parameters and saved buffers that a layer itself holds, by where they lie."""
    tensors: dict[Address, Tensor] = {}
    for part in _itself(layer):
        saved = [b for n, b in part._buffers.items() if n not in part._non_persistent_buffers_set]
        for tensor in chain(part._parameters.values(), saved):
            if tensor is not None:
                # Layers made to share weights hold different tensors at the same address.
                addressed = tensor.layout == torch.strided and not tensor.is_meta
                address = tensor.data_ptr() if addressed else 0
                tensors[(address, tensor.numel()) if address else (id(tensor),)] = tensor
    return tensors


def _itself(layer: nn.Module) -> list[nn.Module]:
    """Return a layer and the parametrizations of its weights."""
    if not is_parametrized(layer):
        return [layer]
    return [layer, *layer.parametrizations.modules()]  # type: ignore[union-attr]


def _hides(layer: nn.Module, tallies: dict[nn.Module, Tally]) -> bool:
    """Return whether a layer that ran has weights that are no parameters, or may have.

    Those are packed ones, as quantized layers hold, and tensors in attributes, or matrices in
    buffers, of layers that PyTorch does not know. Parts that never ran are its own.
    """
    parts = list(layer.modules())
    if not tallies[layer].calls or any(tallies[part].calls for part in parts[1:]):
        return False
    for part in parts:
        leaves = tree_leaves([v for name, v in vars(part).items() if name not in REGISTERED])
        if any(isinstance(leaf, torch.ScriptObject) or _weighty(leaf) for leaf in leaves):
            return True
        if not type(part).__module__.startswith("torch.nn.modules.") and any(
            _weighty(buffer) and sum(n > 1 for n in buffer.shape) > 1
            for buffer in part.buffers(recurse=False)
        ):
            return True
    return False


def _weighty(value: Any) -> bool:
    """Return whether these are numbers that may be weights, not indices, flags or one scale."""
    indices = (torch.bool, torch.int16, torch.int32, torch.int64)
    return isinstance(value, Tensor) and value.dtype not in indices and value.numel() > 1


def _row(
    name: str, layer: nn.Module, tallies: dict[nn.Module, Tally], counted: set[Address]
) -> LayerCost:
    """Return the costs of one layer; what it holds joins what was `counted` before."""
    tensors = _own_tensors(layer)
    parameters, stored = _amount(tensors.values())
    tied = _amount(tensor for address, tensor in tensors.items() if address in counted)
    counted.update(tensors)
    form, costs, note = _costs(layer, tallies, parameters, stored)
    if form is not None:
        computed = getattr(layer, "weight", None) is not layer._parameters.get("weight")
        note = note or (COMPUTED if computed else "")
        own = ("conv", form)
        costs = tuple(
            replace(each, parameters=parameters, stored_bytes=stored) if each.form in own else each
            for each in costs
        )
    return LayerCost(name, _operation(layer), form, costs, tallies[layer].calls, *tied, note)


def _amount(tensors: Iterable[Tensor]) -> tuple[int, int]:
    """Return how many parameters these are, and the bytes of all of them, buffers included."""
    listed = list(tensors)
    parameters = sum(t.numel() for t in listed if isinstance(t, nn.Parameter))
    return parameters, sum(t.numel() * t.element_size() for t in listed)


def _costs(
    layer: nn.Module, tallies: dict[nn.Module, Tally], parameters: int, stored: int
) -> tuple[Form | None, tuple[FormCost, ...], str]:
    """Return the form of a layer (None: the same in all of them), its costs, and what to know."""
    did = tallies[layer]
    form = next((form for kind, form in FORM_OF.items() if isinstance(layer, kind)), None)
    if form is not None and did.uses:
        uses, notes = zip(*(_use(layer, *use) for use in _uses(layer, did)), strict=True)
        if None not in uses:
            return form, across(uses, SHARED[form]), next(filter(None, notes), "")
        padded = _padded(layer, did) if isinstance(layer, Conv) else None
        costs = unchanged(parameters, stored, None, padded, did.output_bytes)
        return None, costs, next(filter(None, notes), OTHER_OUTPUT)
    if not parameters and _hides(layer, tallies):
        adds, padded, note = None, None, f"{_operation(layer)} {HIDDEN}"
    else:
        adds, padded, note = _own_products(layer, tallies, parameters)
    inner = any(tallies[part].calls for part in layer.modules() if part is not layer)
    costs = unchanged(parameters, stored, adds, padded, 0 if inner else did.output_bytes)
    return None, costs, note


def _own_products(
    layer: nn.Module, tallies: dict[nn.Module, Tally], parameters: int
) -> tuple[int | None, int | None, str]:
    """Return the multiply-adds of a layer's own code, those with padded zeros, and what to know."""
    called, seen = tallies[layer].calls, tallies[layer].products
    if seen is None:
        if isinstance(layer, WITHOUT_PRODUCTS) or not parameters:
            return 0, 0, ""
        return None, None, OTHER_CODE if called else NEVER_CALLED
    products = [each for part in _itself(layer) for each in tallies[part].products or ()]
    names = ", ".join(sorted({product.operation for product in products}))
    adds = known(product.multiply_adds for product in products)
    padded = known(product.padded_multiply_adds for product in products)
    if products:
        return adds, padded, f"{MULTIPLIES if adds is not None else UNCOUNTED}: {names}"
    return 0, 0, "" if called or not parameters else NEVER_RAN


Use: TypeAlias = "tuple[tuple[int, ...], tuple[int, ...], int]"


def _uses(layer: nn.Module, did: Tally) -> list[Use]:
    """Return (input size, output size, times) of each size at which the layer ran.

    For Linear layers, the sizes are the number of vectors.
    """
    times: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    for (taken, output), samples in did.uses.items():
        if isinstance(layer, nn.Linear):
            rows = (prod(taken[:-1]),)
            times[rows, rows] += samples
        else:
            geometry = geometry_of(layer)
            assert geometry is not None
            size, result = tuple(taken[-geometry.ndim :]), tuple(output[-geometry.ndim :])
            times[size, result] += samples * (prod(taken) // (geometry.in_channels * prod(size)))
    return [(*sizes, often) for sizes, often in times.items()]


def _use(
    layer: nn.Module, size: tuple[int, ...], output: tuple[int, ...], times: int
) -> tuple[tuple[FormCost, ...] | None, str]:
    """Return the costs of a layer at one size, None if it does not do what its class does."""
    weight: Any = layer.matrices if isinstance(layer, BatchedLinear) else layer.weight
    if lie := _lie(layer, weight):
        return None, lie
    options = {"bias": layer.bias is not None, "itemsize": weight.element_size(), "times": times}
    if isinstance(layer, nn.Linear):
        note = "" if type(layer).forward is nn.Linear.forward else OWN_FORWARD
        return linear_forms(layer.in_features, layer.out_features, rows=size[0], **options), note
    if isinstance(layer, BatchedLinear):  # a group's columns to all outputs: out/groups each
        rows, columns = prod(output), weight.shape[-1]
        return linear_forms(columns, layer.geometry.out_channels, rows=rows, **options), ""
    if isinstance(layer, LocallyConnected):
        _, local, linear, matrix = convolution_forms(layer.geometry, size, **options)
        return (replace(local, form="conv"), local, linear, matrix), ""
    assert isinstance(layer, Conv)
    geometry, note = _seen_geometry(layer, size, output)
    costs = None if geometry is None else convolution_forms(geometry, size, **options)
    return costs, note


def _lie(layer: nn.Module, weight: Tensor) -> str:
    """Return what a layer that runs PyTorch's own code says of itself, and is not so."""
    kinds: tuple[type[nn.Module], ...] = (nn.Linear, *CONVOLUTIONS.values())
    base = next((kind for kind in kinds if isinstance(layer, kind)), None)
    methods = ("forward", "_conv_forward")
    if base is None or any(getattr(type(layer), m, 0) is not getattr(base, m, 0) for m in methods):
        return ""
    bias: Any = layer.bias
    lies = [f"{lie.field} = {lie.value}, not {lie.allowed}"
            for lie in misdescribed(layer, base, weight, bias)]  # fmt: skip
    return f"{'; '.join(lies)}: true multiply-adds and forms not counted" if lies else ""


def _seen_geometry(
    layer: Conv, size: tuple[int, ...], output: tuple[int, ...]
) -> tuple[ConvGeometry | None, str]:
    """Return the geometry with which the layer makes this output of this input, if any does."""
    geometry = ConvGeometry.of(layer)
    lengths = tuple(geometry.output_length(dim, n) for dim, n in enumerate(size))
    kinds = CONVOLUTIONS.values()
    plain = any(type(layer).forward is kind.forward for kind in kinds) and any(
        type(layer)._conv_forward is kind._conv_forward for kind in kinds
    )
    if not plain:
        reads = _reads(layer, size)
        padded = implied(geometry, size, output, reads) if reads is not None else None
        if padded is not None:
            return padded, OWN_PADDING
        return (geometry, OWN_FORWARD) if lengths == output else (None, "")
    if geometry.transposed and lengths != output:  # called with an output_size of its own
        extra = zip(geometry.output_padding, output, lengths, strict=True)
        try:
            return replace(geometry, output_padding=tuple(p + o - n for p, o, n in extra)), ""
        except GeometryError:
            return None, ""
    return (geometry if lengths == output else None), ""


def _reads(layer: Conv, size: tuple[int, ...]) -> int | None:
    """Return how many (output, tap) pairs read an input, by running the layer on ones.

    With ones for weights and input, each output is the number of its taps that read an input,
    times the channels of its group. None where the layer is not linear in weights and input, or the
    input too large to run.
    """
    if layer.in_channels * prod(size) > LARGEST_RUN:
        return None
    one = torch.ones((), dtype=torch.float64, device=layer.weight.device)
    shape = (1, layer.in_channels, *size)  # expanded: a layer that crops first needs none of it
    weights = {"weight": torch.ones_like(layer.weight, dtype=torch.float64)}
    if layer.bias is not None:
        weights["bias"] = torch.zeros_like(layer.bias, dtype=torch.float64)
    try:
        with torch.no_grad():
            once = torch.func.functional_call(layer, weights, (one.expand(shape),))
            weights["weight"] = 2 * weights["weight"]
            six_times = torch.func.functional_call(layer, weights, ((3 * one).expand(shape),))
            reads, rest = divmod(
                int(once.sum()), layer.in_channels * layer.out_channels // layer.groups
            )
            return reads if torch.equal(six_times, 6 * once) and not rest else None
    except Exception:  # code of others, on weights of another type: then nothing is known
        return None


def _padded(layer: Conv, did: Tally) -> int:
    """Return the multiply-adds counting padded zeros: weights times output (or input) positions."""
    positions = sum(
        prod(size if layer.transposed else output) * times
        for size, output, times in _uses(layer, did)
    )
    return layer.weight.numel() * positions


def _operation(layer: nn.Module) -> str:
    """Return what a layer is, in short: Conv2d 3→64 k7 s2 p3."""
    name: str = layer._get_name()  # type: ignore[no-untyped-call]
    if isinstance(layer, nn.Linear):
        return f"{name} {layer.in_features}→{layer.out_features}"
    geometry = geometry_of(layer)
    return name if geometry is None else f"{name} {short(geometry)}"
