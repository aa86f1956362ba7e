"""`same_outputs`: which other weights of a layer give the same outputs on the same data?

All the mathematics is in `convlin.solutions`; `layer_data.py` reads layers and data into it, and
here its directions become layers again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from operator import attrgetter
from typing import Any, SupportsIndex

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from convlin.arguments import shown, whole
from convlin.display.html_view import as_html
from convlin.errors import Refusal, Refused
from convlin.layers.agreement import agreement
from convlin.layers.layer_data import (
    geometry_of,
    read_layer_data,
    require_finite_parameters,
    require_layer,
)
from convlin.numerics.roundoff import unit
from convlin.numerics.scaling import Scale
from convlin.proof.verdict import Rounding
from convlin.solutions import Basis, SolutionFamily
from convlin.solutions.reach import distinguishing_input

__all__ = ["SameOutputs", "same_outputs"]


# Below this fraction of the largest a singular value that counts is worth a word: data in float32
# are off by that. Half is silent of some, twice speaks of what no rounding explains.
UNCLEAR = 1e-6


def same_outputs(layer: nn.Module, data: Tensor | Shaped[np.ndarray, "*shape"]) -> SameOutputs:
    """Return the family of all weights with which `layer` gives the same outputs on `data`.

    `layer` is an nn.Linear, an nn.Conv or nn.ConvTranspose of any kind, or a LocallyConnected.
    `data` is what it takes: (N, C, *size), (C, *size), or (*, features) for an nn.Linear; a NumPy
    array will do.

    Raises `Refused` for data of another shape, without inputs, or not finite, for weights that are
    not finite, and for layers that compute more than their class says.

    Identity: outputs are linear in weight and bias, so the family is affine; its dimension is the
    number of unknowns less the rank of the data: C_out·(D - rank X) for a fully connected layer,
    (C_out/G)·Σ_g (K·C_in/G - rank U_g) for a convolution with windows U_g, and the sum over
    positions for a locally connected layer. A bias is one more unknown for each output, and a
    column of ones.

    >>> image = torch.eye(6).reshape(1, 36)
    >>> family = same_outputs(nn.Linear(36, 1, bias=False), image)
    >>> print(family)
    one FC output on 1 input: 35 of 36 directions free (rank 1)
    >>> print(same_outputs(nn.Conv2d(1, 2, 2, bias=False), image.view(1, 1, 6, 6)))
    2 convolution channels on 1 input: 2 of 8 directions free (rank 6)
    >>> other = family.another(seed=0)
    >>> bool(torch.allclose(other(image), family.layer(image), atol=1e-5))
    True
    """
    return SameOutputs(layer, data)


def _of_solutions(name: str) -> Any:
    """Return an attribute of a layer's solutions, as one of its own."""
    text = getattr(SolutionFamily, name).__doc__.partition(">>>")[0]  # its example needs its names
    return property(attrgetter(f"solutions.{name}"), doc=text)


class SameOutputs:
    """All weights of one layer that give the same outputs on the same data: an affine family.

    `layer` is the layer itself, `data` the inputs in its dtype, `solutions` the family in the
    layer's flattened parameters. The free directions depend on the data alone, so `another` starts
    from the weights that the layer has when it is asked.

    >>> family = same_outputs(nn.Conv2d(2, 1, 3), torch.rand(5, 2, 6, 6))
    >>> family.unique, family.dimension, family.unknowns, family.ranks
    (True, 0, 19, array([19]))
    >>> family.statement
    'no other weights give these outputs'
    """

    def __init__(self, layer: nn.Module, data: Tensor | Shaped[np.ndarray, "*shape"]) -> None:
        read = read_layer_data(layer, data)
        self.layer, self.data = layer, read.data
        self._noun, self._inputs = read.noun, len(read.rows)
        self.solutions = SolutionFamily(read.design, read.rows.double().cpu().numpy())

    dimension: int = _of_solutions("dimension")
    unknowns: int = _of_solutions("unknowns")
    rank: int = _of_solutions("rank")
    ranks: Int[np.ndarray, " blocks"] = _of_solutions("ranks")
    unique: bool = _of_solutions("unique")
    identifiable: int = _of_solutions("identifiable")
    gap: tuple[float, float] = _of_solutions("gap")
    certified: bool | None = _of_solutions("certified")
    basis: Basis = _of_solutions("basis")
    project: Callable[[np.ndarray], np.ndarray] = _of_solutions("project")
    rounding: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] = _of_solutions("rounding")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __str__(self) -> str:
        outputs, noun = self.solutions.design.out_channels, self._noun
        who = f"one {noun}" if outputs == 1 else f"{outputs} {noun}s"
        where = f"{self._inputs} input" + "s" * (self._inputs > 1)
        if self.unique:
            text = f"unique (rank {self.rank} of {self.unknowns})"
        else:
            text = str(self.solutions)
            if hidden := self.dimension - self.identifiable:
                text += f", {hidden} of them beyond the reach of any input"
        return f"{who} on {where}: {text}{self._doubt}"

    def _repr_html_(self) -> str:
        return as_html([str(self), self.statement])

    @property
    def _doubt(self) -> str:
        """What to say of a rank that small singular values decide; nothing where it is certain."""
        smallest, uncounted = self.gap
        if (smallest > UNCLEAR and self.solutions.complete) or self.certified:
            return ""
        denied = ", and exact arithmetic finds another" if self.certified is False else ""
        if smallest <= UNCLEAR or denied:
            return (
                f"; the rank is unclear: a singular value of {smallest:.2g} times the largest "
                f"counts, one of {uncounted:.2g} does not{denied}"
            )
        text = f"; a singular value of {uncounted:.2g} times the largest was taken for 0"
        return text if uncounted else ""

    @property
    def statement(self) -> str:
        """What follows: whether other weights exist, and whether any input tells them apart."""
        if self.unique:
            return "no other weights give these outputs"
        if not self.identifiable:
            return "other weights give these outputs, and then equal ones on every input"
        return "other weights give these outputs, and other ones on other inputs"

    def another(self, seed: SupportsIndex) -> nn.Module:
        """Return a copy of the layer with other weights, as far from its own as those are from 0.

        The direction is drawn uniformly among the free ones, and is the same for the same seed.
        Outputs on the data agree up to rounding: see `agreement`. Raises `Refused` where the
        weights are unique, for a seed that is no whole number ≥ 0, and where the other weights are
        too large for the layer's dtype.

        >>> layer = nn.Linear(3, 1, bias=False, dtype=torch.float64)
        >>> other = same_outputs(layer, torch.tensor([[1.0, 2, 3]])).another(seed=7)
        >>> distance = (other.weight - layer.weight).norm() / layer.weight.norm()
        >>> round(distance.item(), 9)
        1.0
        """
        if self.unique:
            site = type(self.layer).__name__
            raise Refused(Refusal(site, "dimension", 0, "≥ 1", self.statement))
        generator = np.random.default_rng(whole("another", "seed", seed, 0))
        self._require_same_kind(self.layer)
        weights = _flat(self.layer)
        direction = self.project(generator.standard_normal(self.unknowns))
        direction /= np.linalg.norm(direction)
        scale = Scale.of(float(abs(weights).max()))
        weights = scale.down(weights)
        with np.errstate(over="ignore"):  # refused below
            weights = scale.back(weights + direction * (np.linalg.norm(weights) or 1.0))
        other = _with_parameters(self.layer, weights)
        require_finite_parameters(other)
        return other

    def agreement(self, other: nn.Module) -> Rounding:
        """Return the largest deviation of `other` from the layer on the data, next to its bound.

        An output may deviate by the rounding of both layers (`agreement.py`), and by σ·‖w' - w‖
        times the size of its own row of the data, where σ ≤ 2·max(shape)·ε·σ_max is what the rank
        counts as 0 (features brought to one size). A layer of another family lies beyond the
        bound; so may one that is not run as a sum of products in some order (Winograd, FFT, TF32).

        >>> layer = nn.Conv2d(1, 1, 3, dtype=torch.float64)
        >>> family = same_outputs(layer, torch.ones(1, 1, 4, 5))
        >>> family.agreement(family.another(seed=0)).within
        True
        """
        self._require_same_kind(other)
        moved = self._moved(self.solutions.design.split(_flat(other) - _flat(self.layer)))
        return agreement(self.layer, other, self.data, self.solutions.design.unknowns, moved)

    def witness(self, other: nn.Module) -> Tensor | None:
        """Return an input, shaped like one of the data, on which layer and `other` clearly differ.

        None where no input tells them apart: their weights differ, if at all, by rounding or where
        no input reaches (taps that only meet padding, taps that coincide at every position).

        >>> family = same_outputs(nn.Linear(2, 1, bias=False), torch.tensor([[1.0, 0.0]]))
        >>> family.witness(family.another(seed=0)).abs()
        tensor([0., 1.])
        """
        self._require_same_kind(other)
        mine, theirs = (self.solutions.design.split(_flat(layer)) for layer in (self.layer, other))
        _, blur = self.rounding(theirs - mine)
        noise = unit(self.data.dtype) * (abs(mine) + abs(theirs)) + blur
        image = distinguishing_input(self.solutions.design, theirs - mine, noise)
        if image is None:
            return None
        if isinstance(self.layer, nn.Linear):
            shape, image = self.data.shape[self.data.ndim > 1 :], image[:, 0]
        else:
            shape = self.data.shape[-1 - len(geometry_of(self.layer).kernel) :]
            image = image.reshape(shape)
        return torch.from_numpy(image).to(self.data).expand(shape)

    def _require_same_kind(self, other: nn.Module) -> None:
        """Raise unless `other` is as good a layer, of the same class, numbers, dtype and device."""
        site = type(self.layer).__name__
        if type(other) is not type(self.layer):
            raise Refused(Refusal(site, "other", shown(other), repr(self.layer)))
        require_layer(other)
        if repr(other) != repr(self.layer):
            raise Refused(Refusal(site, "other", other, repr(self.layer)))
        for layer in (self.layer, other):
            require_layer(layer)
            for name, value in layer.named_parameters():
                for field in ("dtype", "device"):
                    own, fits = getattr(value, field), getattr(self.data, field)
                    if own != fits:
                        raise Refused(Refusal(site, f"{name}.{field}", own, f"{fits}, as before"))

    def _moved(
        self, difference: Float[np.ndarray, "blocks outputs unknowns"]
    ) -> Float[np.ndarray, "n outputs positions"]:
        """Return how far rounding may move every output, as the design numbers them."""
        moved, _ = self.rounding(difference)
        channels = self.solutions.design.out_channels
        if self.solutions.design.shared:
            return moved.reshape(channels, self._inputs, -1).swapaxes(0, 1)
        return moved.reshape(-1, channels, self._inputs).transpose(2, 1, 0)


def _parameters(layer: nn.Module) -> list[Tensor]:
    return [value for value in (layer.weight, layer.bias) if isinstance(value, Tensor)]


def _flat(layer: nn.Module) -> Float[np.ndarray, " unknowns"]:
    """Return weight, then bias, flattened in float64; a copy."""
    return torch.cat([p.detach().double().flatten() for p in _parameters(layer)]).cpu().numpy()


def _with_parameters(layer: nn.Module, flat: Float[np.ndarray, " unknowns"]) -> nn.Module:
    """Return a copy of the layer with these parameters."""
    twin = copy.deepcopy(layer)
    parameters = _parameters(twin)
    parts = torch.split(torch.from_numpy(flat), [parameter.numel() for parameter in parameters])
    with torch.no_grad():
        for parameter, values in zip(parameters, parts, strict=True):
            parameter.copy_(values.view(parameter.shape))
    return twin
