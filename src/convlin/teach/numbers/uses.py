"""Lesson 5: place, any size, channels, and where the non-linearity comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Num
from torch import nn

from convlin.costs import convolution_forms
from convlin.geometry import ConvGeometry
from convlin.layers import to_linear, unroll
from convlin.proof import Verdict, prove
from convlin.teach.article_examples import MAP, MIXING, RAISING
from convlin.teach.numbers.given_layers import conv_holding, linear_holding, linear_of

__all__ = ["Channels", "Collapse", "Locality", "Size", "Uses", "uses"]

SIZES = ((3, 3), (5, 7), (12, 4))
WIDE_SIZE, WIDE_IN, WIDE_OUT = (448, 448), 100, 20
SECOND = np.array([[1, -1, 0, 2], [0, 1, 1, -2]])
PIXELS = np.array([2, -1, 1]), np.array([-1, 2, -1])


@dataclass(frozen=True)
class Locality:
    """How many positions of the map one output reads, and what shuffling the pixels does.

    shuffled: whether an FC layer with its weights shuffled like the pixels gives the same outputs.
    """

    positions: int
    pointwise: int
    flattened: int
    shuffled: bool


@dataclass(frozen=True)
class Size:
    """A map of this size: what comes out of the 1×1 convolution, and whether the FC layer runs."""

    size: tuple[int, int]
    pointwise: tuple[int, int]
    flattened: bool


@dataclass(frozen=True)
class Channels:
    """A wide map through few kernels: shapes, weights and multiply-adds, the FC layer's too."""

    input: tuple[int, int, int]
    output: tuple[int, int, int]
    reads: int
    weights: int
    multiply_adds: int
    flattened: int


@dataclass(frozen=True, eq=False)
class Collapse:
    """Two 1×1 convolutions and the one that they are; with a ReLU between, they are none.

    apart, together: of two pixels, the sum of the outputs and the output of the sum, of the pair
    with a ReLU; plain: both are this without one.
    """

    first: Num[np.ndarray, "4 3"]
    second: Num[np.ndarray, "2 4"]
    product: Num[np.ndarray, "2 3"]
    proof: Verdict
    pixels: tuple[Num[np.ndarray, " 3"], Num[np.ndarray, " 3"]]
    plain: tuple[Num[np.ndarray, " 2"], Num[np.ndarray, " 2"]]
    activated: tuple[Num[np.ndarray, " 2"], Num[np.ndarray, " 2"]]


@dataclass(frozen=True)
class Uses:
    """The four uses, one after the other."""

    locality: Locality
    sizes: tuple[Size, ...]
    channels: Channels
    collapse: Collapse


def uses() -> Uses:
    """Compute lesson 5.

    >>> lesson = uses()
    >>> lesson.channels.output, lesson.channels.weights
    ((20, 448, 448), 2000)
    >>> lesson.collapse.product.tolist()
    [[4, -3, 4], [-3, 5, -3]]
    """
    return Uses(_locality(), _sizes(), _channels(), _collapse())


def _flattened(size: tuple[int, int]) -> nn.Linear:
    """Return an FC layer on the flattened map, with the outputs of the 1×1 convolution."""
    rows, columns = (channels * size[0] * size[1] for channels in MIXING.shape)
    return linear_holding(np.arange(rows * columns).reshape(rows, columns) % 7 + 1)


def _locality() -> Locality:
    conv, size = conv_holding(MIXING[:, :, None, None]), MAP.shape[1:]
    wired = {wire.input[1:] for wire in unroll(conv, size).wires((0, 1, 2))}
    linear = _flattened(size)
    image = torch.tensor(MAP, dtype=torch.float64).flatten()
    shuffle = torch.randperm(len(image), generator=torch.Generator().manual_seed(0))
    shuffled = linear_holding(linear.weight.detach()[:, shuffle].numpy())
    # Whole numbers: sums in another order are the same to the last bit.
    same = torch.equal(linear(image), shuffled(image[shuffle]))
    reached = (linear.weight[5].detach() != 0).reshape(MAP.shape).any(0)
    return Locality(size[0] * size[1], len(wired), int(reached.sum()), same)


def _sizes() -> tuple[Size, ...]:
    conv = conv_holding(MIXING[:, :, None, None])
    flattened = nn.Sequential(nn.Flatten(), _flattened(SIZES[0]))
    cases = []
    for size in SIZES:
        image = torch.zeros(1, MIXING.shape[1], *size, dtype=torch.float64)
        with torch.no_grad():
            height, width = conv(image).shape[2:]
        cases.append(Size(size, (height, width), _runs(flattened, image)))
    return tuple(cases)


def _runs(layer: nn.Module, image: torch.Tensor) -> bool:
    try:
        layer(image)
    except RuntimeError:  # PyTorch's word for shapes that do not fit
        return False
    return True


def _channels() -> Channels:
    geometry = ConvGeometry(WIDE_IN, WIDE_OUT, (1, 1))
    cost, _, flattened, _ = convolution_forms(geometry, WIDE_SIZE, bias=False)
    height, width = geometry.output_size(WIDE_SIZE)
    weight = np.zeros(geometry.weight_shape)
    reads = len(unroll(conv_holding(weight), WIDE_SIZE).wires((0, 0, 0)))
    assert cost.multiply_adds is not None
    return Channels(
        (WIDE_IN, *WIDE_SIZE), (WIDE_OUT, height, width), reads, cost.parameters,
        cost.multiply_adds, flattened.parameters,
    )  # fmt: skip


def _collapse() -> Collapse:
    first, second = (conv_holding(weight[:, :, None, None]) for weight in (RAISING, SECOND))
    with torch.no_grad():
        product = (linear_of(to_linear(second)).weight @ linear_of(to_linear(first)).weight).numpy()
    product = product.astype(int)
    plain, activated = nn.Sequential(first, second), nn.Sequential(first, nn.ReLU(), second)
    proof = prove(plain, conv_holding(product[:, :, None, None]), MAP.shape)
    return Collapse(
        RAISING, SECOND, product, proof, PIXELS, _additivity(plain), _additivity(activated)
    )  # fmt: skip


def _additivity(layer: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of two pixels' outputs, and the output of their sum."""
    one, other = (torch.tensor(pixel, dtype=torch.float64)[:, None, None] for pixel in PIXELS)
    with torch.no_grad():
        apart, together = layer(one) + layer(other), layer(one + other)
    return tuple(y.flatten().numpy().astype(int) for y in (apart, together))
