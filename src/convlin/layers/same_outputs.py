"""`same_outputs`: which other weights of a layer give the same outputs on the same data?

All the mathematics is in `convlin.solutions`; `wired.py` reads layers and data into it, and here
its directions become layers again.
"""

from __future__ import annotations

import copy
import html
from typing import SupportsIndex

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from convlin.arguments import shown, whole
from convlin.errors import Refusal, Refused
from convlin.layers.layer_data import (
    geometry_of,
    read_wired,
    require_finite_parameters,
    require_layer,
)
from convlin.numerics.roundoff import gamma, unit
from convlin.numerics.scaling import Scale
from convlin.proof.verdict import Rounding
from convlin.solutions import SolutionFamily
from convlin.solutions.reach import distinguishing_input

__all__ = ["SameOutputs", "same_outputs"]


UNCLEAR = 1e-6  # singular values below this fraction of the largest are worth a word


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


class SameOutputs(SolutionFamily):
    """All weights of one layer that give the same outputs on the same data: an affine family.

    `layer` is the layer itself, `data` the inputs in its dtype. The free directions depend on the
    data alone, so `another` starts from the weights that the layer has when it is asked.

    >>> family = same_outputs(nn.Conv2d(2, 1, 3), torch.rand(5, 2, 6, 6))
    >>> family.unique, family.dimension, family.unknowns, family.ranks
    (True, 0, 19, array([19]))
    >>> family.statement
    'no other weights give these outputs'
    """

    def __init__(self, layer: nn.Module, data: Tensor | Shaped[np.ndarray, "*shape"]) -> None:
        wired = read_wired(layer, data)
        self.layer, self.data = layer, wired.data
        self._noun, self._inputs = wired.noun, len(wired.rows)
        super().__init__(wired.wiring, wired.rows.double().cpu().numpy())

    def __str__(self) -> str:
        outputs, noun = self.wiring.out_channels, self._noun
        who = f"one {noun}" if outputs == 1 else f"{outputs} {noun}s"
        where = f"{self._inputs} input" + "s" * (self._inputs > 1)
        if self.unique:
            text = f"unique (rank {self.rank} of {self.unknowns})"
        else:
            text = f"{self.dimension} of {self.unknowns} directions free (rank {self.rank})"
            if hidden := self.dimension - self.identifiable:
                text += f", {hidden} of them beyond the reach of any input"
        return f"{who} on {where}: {text}{self._doubt}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(str(self))}</p><p>{html.escape(self.statement)}</p>"

    @property
    def _doubt(self) -> str:
        """What to say of a rank that small singular values decide; nothing where it is certain."""
        kept, dropped = self.gap
        if (kept > UNCLEAR and self._spaces.complete) or self.certified:
            return ""
        denied = ", and exact arithmetic finds another" if self.certified is False else ""
        if kept <= UNCLEAR or denied:
            return (
                f"; the rank is unclear: a singular value of {kept:.2g} times the largest counts, "
                f"one of {dropped:.2g} does not{denied}"
            )
        found = f"; a singular value of {dropped:.2g} times the largest was taken for 0"
        return found if dropped else ""

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

        An output may deviate by γₙ·(|U|·|w| + |U|·|w'|), for two sums of n products each; by
        u·|U|·|w'|, as other weights are rounded to the layer's dtype; by σ·‖w' - w‖ times the size
        of its own row of U, where σ ≤ 2·max(shape)·ε·σ_max is what the rank counts as 0 in the data
        (features brought to one size); and, in 16 bits, by the rounding of both results. Judged for
        every output; the two numbers are those of the largest deviation. A layer of another family
        lies beyond the bound; so may one that is not run as a sum of products in some order
        (Winograd, FFT, TF32).

        >>> layer = nn.Conv2d(1, 1, 3, dtype=torch.float64)
        >>> family = same_outputs(layer, torch.ones(1, 1, 4, 5))
        >>> family.agreement(family.another(seed=0)).within
        True
        """
        self._require_same_kind(other)
        with torch.no_grad(), torch.autocast(self.data.device.type, enabled=False):
            mine, theirs = (self._outputs(layer(self.data)) for layer in (self.layer, other))
            sizes = [self._magnitudes(layer) for layer in (self.layer, other)]
        dtype = self.data.dtype
        name, u = str(dtype).removeprefix("torch."), unit(dtype)
        deviation = abs(mine - theirs)
        worst = np.unravel_index(deviation.argmax(), deviation.shape)
        scale = float(abs(mine).max())
        summing = gamma(self.wiring.unknowns, min(u, unit(torch.float32)))
        if summing is None:
            note = f"n·u ≥ 1 for {self.wiring.unknowns} summands in {name}"
            return Rounding(float(deviation[worst]), None, scale, name, note)
        difference = self.wiring.split(_flat(other) - _flat(self.layer))
        bound = summing * (sizes[0] + sizes[1]) + u * sizes[1] + self._moved(difference)
        if u > unit(torch.float32):
            bound += u * (abs(mine) + abs(theirs))
        if not np.isfinite(deviation + bound).all():
            note = f"numbers beyond the range of {name}"
            return Rounding(float(deviation[worst]), None, scale, name, note, within=False)
        within = bool((deviation <= bound).all())
        note = "" if within else "beyond the bound: no order of summation explains it"
        return Rounding(float(deviation[worst]), float(bound[worst]), scale, name, note, within)

    def witness(self, other: nn.Module) -> Tensor | None:
        """Return an input, shaped like one of the data, on which layer and `other` clearly differ.

        None where no input tells them apart: their weights differ, if at all, by rounding or where
        no input reaches (taps that only meet padding, taps that coincide at every position).

        >>> family = same_outputs(nn.Linear(2, 1, bias=False), torch.tensor([[1.0, 0.0]]))
        >>> family.witness(family.another(seed=0)).abs()
        tensor([0., 1.])
        """
        self._require_same_kind(other)
        mine, theirs = (self.wiring.split(_flat(layer)) for layer in (self.layer, other))
        _, blur = self.rounding(theirs - mine)
        noise = unit(self.data.dtype) * (abs(mine) + abs(theirs)) + blur
        found = distinguishing_input(self.wiring, theirs - mine, noise)
        if found is None:
            return None
        if isinstance(self.layer, nn.Linear):
            shape, found = self.data.shape[self.data.ndim > 1 :], found[:, 0]
        else:
            shape = self.data.shape[-1 - len(geometry_of(self.layer).kernel) :]
            found = found.reshape(shape)
        return torch.from_numpy(found).to(self.data).expand(shape)

    def _require_same_kind(self, other: nn.Module) -> None:
        """Raise unless `other` is as good a layer, of the same class, numbers, dtype and device."""
        site = type(self.layer).__name__
        if type(other) is not type(self.layer):
            raise Refused(Refusal(site, "other", shown(other), repr(self.layer)))
        require_layer(other)
        if repr(other) != repr(self.layer):
            raise Refused(Refusal(site, "other", repr(other), repr(self.layer)))
        for layer in (self.layer, other):
            require_layer(layer)
            for name, value in layer.named_parameters():
                for field in ("dtype", "device"):
                    if (found := getattr(value, field)) != (fits := getattr(self.data, field)):
                        raise Refused(Refusal(site, f"{name}.{field}", found, f"{fits}, as before"))

    def _outputs(self, y: Tensor) -> Float[np.ndarray, "n outputs positions"]:
        """Return the layer's outputs as the wiring numbers them."""
        channels = self.wiring.out_channels
        if isinstance(self.layer, nn.Linear):
            return y.reshape(-1, channels, 1).double().cpu().numpy()
        return y.reshape(self._inputs, channels, -1).double().cpu().numpy()

    def _magnitudes(self, layer: nn.Module) -> Float[np.ndarray, "n outputs positions"]:
        """Return |U|·|w|: the layer's outputs, were everything positive, in float64."""
        sizes = {name: value.double().abs() for name, value in layer.named_parameters()}
        y = torch.func.functional_call(layer, sizes, (self.data.double().abs(),))
        return self._outputs(y)

    def _moved(
        self, difference: Float[np.ndarray, "blocks outputs unknowns"]
    ) -> Float[np.ndarray, "n outputs positions"]:
        """Return how far rounding may move every output, as the wiring numbers them."""
        moved, _ = self.rounding(difference)
        channels = self.wiring.out_channels
        if self.wiring.shared:
            return moved.reshape(channels, self._inputs, -1).swapaxes(0, 1)
        return moved.reshape(-1, channels, self._inputs).transpose(2, 1, 0)


def _flat(layer: nn.Module) -> Float[np.ndarray, " unknowns"]:
    """Return weight, then bias, flattened in float64; a copy."""
    parts = [parameter.detach().double().flatten() for parameter in _parameters(layer)]
    return torch.cat(parts).cpu().numpy()


def _parameters(layer: nn.Module) -> list[Tensor]:
    return [value for value in (layer.weight, layer.bias) if isinstance(value, Tensor)]


def _with_parameters(layer: nn.Module, flat: Float[np.ndarray, " unknowns"]) -> nn.Module:
    """Return a copy of the layer with these parameters."""
    twin = copy.deepcopy(layer)
    start = 0
    with torch.no_grad():
        for parameter in _parameters(twin):
            values = flat[start : start + parameter.numel()]
            parameter.copy_(torch.from_numpy(values).view(parameter.shape))
            start += parameter.numel()
    return twin
