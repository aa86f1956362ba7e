"""All rules, in one plain tuple."""

from __future__ import annotations

from torch import nn

from convlin.internals.modules import ConvBase
from convlin.models.dense.rules import (
    arithmetic,
    computed_weights,
    creation,
    elementwise,
    joins,
    linear,
    neighbourhoods,
    never,
    normalisation,
    pooling,
    reductions,
    reshapes,
)
from convlin.models.graph.function_of_images import is_stock
from convlin.models.graph.rule import Rule, Table

__all__ = ["RULES", "TABLE"]

RULES: tuple[Rule, ...] = (
    *neighbourhoods.RULES,
    *pooling.RULES,
    *reductions.RULES,
    *reshapes.RULES,
    *linear.RULES,
    *computed_weights.RULES,
    *normalisation.RULES,
    *elementwise.RULES,
    *arithmetic.RULES,
    *joins.RULES,
    *creation.RULES,
    *never.RULES,
)


def _whole(layer: nn.Module) -> bool:
    """Whether a layer is one node of the trace: one rule for all of its operations."""
    padded = not isinstance(layer, ConvBase) or layer.padding_mode != "zeros"
    return is_stock(layer) and padded and TABLE.is_layer(layer)


TABLE = Table(RULES, _whole)
