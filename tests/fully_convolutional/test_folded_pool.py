"""A pool folded into the kernel behind it, against PyTorch's adaptive pool in front of it."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from convlin.exchange import folded_pool
from convlin.numerics.roundoff import gamma, unit
from rounding import agree

POOLS = {
    1: functional.adaptive_avg_pool1d,
    2: functional.adaptive_avg_pool2d,
    3: functional.adaptive_avg_pool3d,
}
CASES = {
    "1d-7-to-3": ((7,), (3,)),
    "1d-2-to-5": ((2,), (5,)),
    "2d-5x8-to-3x8": ((5, 8), (3, 8)),
    "2d-1x4-to-6x3": ((1, 4), (6, 3)),
    "3d-4x3x5-to-2x7x1": ((4, 3, 5), (2, 7, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_folded_kernel_equals_the_kernel_behind_the_pool(name):
    size, pooled = CASES[name]
    generator = torch.Generator().manual_seed(4)
    kernel = torch.randint(-9, 10, (2, 3, *pooled), generator=generator).double()
    image = torch.randint(-9, 10, (4, 3, *size), generator=generator).double()
    expected = POOLS[len(size)](image, pooled).flatten(1) @ kernel.flatten(1).T
    folded = folded_pool.fold(kernel, size)
    assert folded.shape == (2, 3, *size)
    found = image.flatten(1) @ folded.flatten(1).T
    terms = image.flatten(1)[0].numel()
    assert agree(found, expected, 2 * terms, 9 * 9 * kernel[0].numel())
    plain = folded_pool.fold(kernel.numpy(), size)
    assert isinstance(plain, np.ndarray)
    assert agree(plain, folded, 2 * kernel[0].numel(), 9 * kernel[0].numel())


@pytest.mark.parametrize("cells", range(1, 9))
@pytest.mark.parametrize("pooled", range(1, 9))
def test_the_weights_are_the_pool_of_the_unit_vectors(cells, pooled):
    units = torch.eye(cells, dtype=torch.float64)[None]
    expected = functional.adaptive_avg_pool1d(units, pooled)[0].T
    found = torch.tensor(folded_pool.weights(cells, pooled), dtype=torch.float64)
    assert agree(found, expected, 4, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", CASES)
def test_a_rounded_fold_lies_within_its_bound_of_the_exact_one(name, dtype):
    size, pooled = CASES[name]
    generator = torch.Generator().manual_seed(5)
    kernel = torch.randn((7, 3, *pooled), generator=generator).to(dtype)
    exact = folded_pool.fold(kernel.double(), size)
    off = (folded_pool.fold(kernel, size).double() - exact).abs()
    count = folded_pool.roundings(pooled)
    # the fold in float64 rounds too, 2^-29 times as much: hence the 1.001
    bound = 1.001 * gamma(count, unit(dtype)) * folded_pool.fold(kernel.double().abs(), size)
    assert (off <= bound).all()
    assert off.max() > 0 or size == (2,)  # a pool of single cells copies
