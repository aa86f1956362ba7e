"""The size of a feature map, as callers give it, that a Linear reads flattened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import SupportsIndex

from convlin.arguments import wholes
from convlin.errors import Refusal, Refused
from convlin.exchange.flatten_order import AXIS_LETTERS

__all__ = ["map_size"]


def map_size(site: str, feature_size: Sequence[SupportsIndex], features: int) -> tuple[int, ...]:
    """Return (C, *spatial) as integers that multiply to the number of features.

    >>> map_size("to_conv", (3, 4, 6), 60)
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: to_conv: feature_size is (3, 4, 6), expected sizes whose product is 60 (in_features, and not 72)
    """  # noqa: E501
    allowed = "(C, L), (C, H, W) or (C, D, H, W)"
    size = wholes(site, "feature_size", feature_size, allowed=allowed)
    if len(size) - 1 not in AXIS_LETTERS or min(size) < 1:
        raise Refused(Refusal(site, "feature_size", size, allowed))
    if math.prod(size) != features:
        raise Refused(
            Refusal(site, "feature_size", size, f"sizes whose product is {features}",
                    f"in_features, and not {math.prod(size)}")
        )  # fmt: skip
    return size
