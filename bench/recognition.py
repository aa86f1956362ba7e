"""Refusing a matrix that is nearly a convolution, beside accepting one of its size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array, random_array
from tables import show_race

import convlin


def recognize(matrix: object, shape: tuple[int, ...], kind: type[object]) -> None:
    """Recognize a matrix; stop the bench where that does not end as it has to."""
    try:
        answer: object = convlin.recognize(matrix, shape)
    except convlin.Refused as refused:
        answer = refused
    if not isinstance(answer, kind):
        raise SystemExit(f"recognize {shape}: {answer}")


def race(
    title: str, shape: tuple[int, ...], right: object, wrong: Mapping[str, object], rounds: int
) -> None:
    """Race a convolution's own matrix against others of its size."""
    accepted, refused = convlin.RecognizedConv, convlin.Refused
    contenders = {"accepted: the convolution's own": lambda: recognize(right, shape, accepted)}
    for name, matrix in wrong.items():
        contenders[f"refused: {name}"] = lambda m=matrix: recognize(m, shape, refused)
    show_race(title, contenders, rounds)


def run() -> None:
    """Race a full ring, a full matrix of several channels, and a sparse one."""
    rng = np.random.default_rng(0)
    ring, turns = rng.standard_normal(1_000), np.arange(1_000)
    circulant = ring[(turns - turns[:, None]) % 1_000]
    doubled, swapped = circulant.copy(), circulant.copy()
    doubled[500, 300] *= 2
    swapped[[400, 401]] = swapped[[401, 400]]
    race(
        "recognize: circulant of 1,000², float64, no output shape given", (1, 1_000), circulant,
        {
            "an entry doubled": doubled, "two rows swapped": swapped,
            "random": rng.standard_normal(circulant.shape),
        },
        rounds=3,
    )  # fmt: skip
    full = convlin.ConvGeometry(5, 5, (20, 20), padding=[(9, 10)] * 2, padding_mode="circular")
    dense = convlin.ConvMatrix(full, rng.standard_normal(full.weight_shape), (20, 20)).toarray()
    doubled = dense.copy()
    doubled[700, 800] *= 2
    race(
        "recognize: 2,000², every entry read, no output shape given", (5, 20, 20), dense,
        {"an entry doubled": doubled, "random": rng.standard_normal(dense.shape)}, rounds=3,
    )  # fmt: skip
    layer = convlin.ConvGeometry(16, 16, (3, 3), padding=1)
    sparse = convlin.ConvMatrix(layer, rng.standard_normal(layer.weight_shape), (32, 32)).tocsr()
    broken: csr_array = sparse.copy()
    broken.data[sparse.nnz // 2] *= 2
    scattered = random_array(sparse.shape, density=sparse.nnz / np.prod(sparse.shape), rng=rng)
    race(
        "recognize: Conv2d 16→16 k3 p1 on 32×32 as CSR, no output shape given", (16, 32, 32),
        sparse, {"an entry doubled": broken, "random": scattered.tocsr()}, rounds=3,
    )  # fmt: skip
