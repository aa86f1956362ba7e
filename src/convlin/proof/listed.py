"""The list: operations whose results are known from their arguments.

With `convlin.proof.algebra`'s coefficients c and degrees::

    operation                             coefficient                       degree
    ------------------------------------  --------------------------------  -----------
    conv, mm, bmm, dot  (n = inner sum)   n·cₐ·c_b                          sum of both
    mul                                   cₐ·c_b                            sum of both
    add, sub, addmm's bias                cₐ + c_b                          maximum
    sum, fold           (n summands)      n·cₐ                              cₐ's
    view, permute, index, pad, cat, copy  maximum                           maximum

Not every argument fits: a factor that is not whole, a computed index, a sum scattered by index.
Steps that are exact on whole numbers all the same (a ReLU, a comparison) still allow
counterexamples to be trusted bit for bit; steps that round do not. Of some that round it is known
how often, and that they are affine in the inputs: a normalisation by running statistics, and what
folds its numbers into weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

from convlin.proof.algebra import Value, constant

__all__ = [
    "CHOICE", "COUNTED", "MOVES", "NORMALISATION", "PIECEWISE", "RULES", "SHAPE_ONLY", "products",
    "summands",
]  # fmt: skip

Arguments = Mapping[str, Any]
Rule = Callable[[Arguments, Callable[[Any], Value]], Value]
"""From an operation's arguments, by name, and what each of them is, to what its result is."""


def _scaled(value: Value, factor: Any) -> Value:
    """Return alpha·value; alpha = 1 costs no rounding."""
    return value if factor == 1 else value.times(constant(factor))


def _sum_of_two(sign: int, scaled: str = "other") -> Rule:
    """Hold for one argument plus or minus alpha times the `scaled` one."""
    plain = "self" if scaled == "other" else "other"

    def rule(args: Arguments, of: Callable[[Any], Value]) -> Value:
        total = of(args[plain]).plus(_scaled(of(args[scaled]), args["alpha"]))
        return replace(total, signed=total.signed or sign < 0)

    return rule


def _product(args: Arguments, of: Callable[[Any], Value]) -> Value:
    return of(args["self"]).times(of(args["other"]))


def _contraction(args: Arguments, of: Callable[[Any], Value]) -> Value:
    """Hold for mm, bmm, mv and dot: the last axis of the first runs with the second."""
    first, second, *_ = args.values()
    return of(first).times(of(second), first.shape[-1])


def _affine(args: Arguments, of: Callable[[Any], Value]) -> Value:
    """Hold for addmm, addmv and baddbmm: beta·bias + alpha·(left @ right)."""
    bias, left, right, *_ = args.values()
    product = _scaled(of(left).times(of(right), left.shape[-1]), args["alpha"])
    beta = args["beta"]
    return _with_bias(product, _scaled(of(bias), beta)) if beta else product


def _with_bias(product: Value, bias: Value) -> Value:
    """Return product + bias, stored once."""
    return replace(product.plus(bias), results=max(product.results, bias.results + 1))


def products(args: Arguments) -> int:
    """Return how many products an output of a convolution sums, at most."""
    # One for each tap and each channel of its group, whatever the stride. The weight is
    # (out, in/groups, *kernel), and (in, out/groups, *kernel) if transposed.
    weight = args["weight"]
    channels = weight.shape[0] // args["groups"] if args["transposed"] else weight.shape[1]
    return int(prod(weight.shape[2:]) * channels)


def summands(args: Arguments) -> int:
    """Return how many elements a sum or mean sums."""
    summed, axes = args["self"], args.get("dim")
    axes = [axes] if isinstance(axes, int) else axes
    return prod(summed.shape[axis] for axis in axes or range(summed.ndim))


def _convolution(args: Arguments, of: Callable[[Any], Value]) -> Value:
    product = of(args["input"]).times(of(args["weight"]), products(args))
    return product if args["bias"] is None else _with_bias(product, of(args["bias"]))


def _sum(args: Arguments, of: Callable[[Any], Value]) -> Value:
    summed = args["self"]
    return of(summed).summed(summands(args)) if summed.ndim else of(summed)


def _fold(args: Arguments, of: Callable[[Any], Value]) -> Value:
    # a pixel lies in no more windows than there are taps: each tap of it in one
    return of(args["self"]).summed(prod(args["kernel_size"]))


def _negative(args: Arguments, of: Callable[[Any], Value]) -> Value:
    return replace(of(args["self"]), signed=True)


def _one_of(*names: str) -> Rule:
    """Hold for results that are elements of these args."""

    def rule(args: Arguments, of: Callable[[Any], Value]) -> Value:
        return Value().join(*(of(args[name]) for name in names))

    return rule


def _zero(args: Arguments, of: Callable[[Any], Value]) -> Value:
    return Value()


def _one(args: Arguments, of: Callable[[Any], Value]) -> Value:
    return Value(coefficient=1)


NORMALISATION = 8
"""Roundings behind an element: v + ε, its root, that one's reciprocal, ·γ; mean·scale, β - that;
x·scale, the sum. With half a bound is below what float32 does, with twice it is no sharper."""
CANCELLING = "a quotient by what may be near 0"


def _batch_norm(args: Arguments, of: Callable[[Any], Value]) -> Value | None:
    """Hold for (x - mean)·(γ/√(v + ε)) + β, unless the statistics are the batch's own."""
    numbers = [args[name] for name in ("weight", "bias", "running_mean", "running_var")]
    mean, variance = numbers[2:]
    if args.get("training") or mean is None or variance is None:
        return None
    others = [of(number) for number in numbers if number is not None]
    if any(other.inputs for other in others):
        return None
    x = of(args["input"])
    behind = x.terms + sum(other.terms for other in others) + NORMALISATION
    value = replace(x.join(*others), terms=behind, results=x.results + 1)
    return value if _weighs(of(variance)) else replace(value, rough=CANCELLING)


def _quotient(args: Arguments, of: Callable[[Any], Value]) -> Value | None:
    above, below = of(args["self"]), of(args["other"])
    if args.get("rounding_mode") is not None or below.inputs:
        return None
    value = above.times(below)
    return value if _weighs(below) else replace(value, rough=CANCELLING)


def _root(args: Arguments, of: Callable[[Any], Value]) -> Value | None:
    # a relative error of n roundings has less of them behind a root, and as many in a reciprocal
    under = of(args["self"])
    if not _weighs(under):
        return None
    return replace(under, terms=under.terms + 2, results=under.results + 1)


def _weighs(value: Value) -> bool:
    """Whether numbers are computed from weights alone, and without cancellation.

    Then every rounding on the way moves them by its u-th part, and those who divide by them too.
    """
    return not (value.inputs or value.signed or value.below or value.rough or value.random)


COUNTED: dict[str, Callable[[Arguments, Callable[[Any], Value]], Value | None]] = {
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "cudnn_batch_norm": _batch_norm,
    "miopen_batch_norm": _batch_norm,
    "div": _quotient,
    "reciprocal": _root,
    "rsqrt": _root,
    "sqrt": _root,
}
"""Operations off the list whose results' roundings are counted; None where they are not."""

RULES: dict[str, Rule] = {
    "add": _sum_of_two(+1),
    "sub": _sum_of_two(-1),
    "rsub": _sum_of_two(-1, scaled="self"),
    "mul": _product,
    "mm": _contraction,
    "bmm": _contraction,
    "mv": _contraction,
    "dot": _contraction,
    "addmm": _affine,
    "addmv": _affine,
    "baddbmm": _affine,
    "_convolution": _convolution,
    "convolution": _convolution,
    "sum": _sum,
    "col2im": _fold,
    "neg": _negative,
    "zero": _zero,
    "zeros": _zero,
    "zeros_like": _zero,
    "new_zeros": _zero,
    "ones": _one,
    "ones_like": _one,
    "new_ones": _one,
    "eye": _one,
    "fill": _one_of("value"),
    "full": _one_of("fill_value"),
    "full_like": _one_of("fill_value"),
    "new_full": _one_of("fill_value"),
    "copy": _one_of("src"),
    "constant_pad_nd": _one_of("self", "value"),
    "masked_fill": _one_of("self", "value"),
    "where": _one_of("self", "other"),
}
"""What the results of an operation are, from what its arguments are."""

MOVES = frozenset({
    "_reshape_alias", "_to_copy", "_unsafe_view", "alias", "as_strided", "block_diag", "cat",
    "channel_shuffle", "clone", "detach", "diag_embed", "diagonal", "expand", "flip",
    "gather", "im2col", "index", "index_copy", "index_put", "index_select", "lift",
    "lift_fresh", "permute", "pixel_shuffle", "pixel_unshuffle", "reflection_pad1d",
    "reflection_pad2d", "reflection_pad3d", "repeat", "replication_pad1d",
    "replication_pad2d", "replication_pad3d", "roll", "rot90", "select", "select_scatter", "slice",
    "slice_scatter", "split", "split_with_sizes", "squeeze", "stack", "t", "transpose",
    "tril", "triu", "unbind", "unfold", "unsqueeze", "view",
})  # fmt: skip
"""Operations whose every result is one of their arguments' elements, or a whole constant."""

CHOICE = {
    "gather": "index",
    "index": "indices",
    "index_copy": "index",
    "index_put": "indices",
    "index_select": "index",
    "masked_fill": "mask",
    "where": "condition",
}
"""Which argument says where to look: off the list if it depends on weights or inputs."""

SHAPE_ONLY = frozenset({
    "_assert_tensor_metadata", "_has_compatible_shallow_copy_type", "_has_same_storage_numel",
    "empty", "empty_like", "empty_permuted", "empty_strided", "is_pinned", "is_same_size",
    "is_set_to", "new_empty", "new_empty_strided", "sym_numel", "sym_size", "sym_storage_offset",
    "sym_stride",
})  # fmt: skip
"""Operations that look at no number."""

PIECEWISE = frozenset({
    "abs", "amax", "amin", "clamp", "clamp_max", "clamp_min", "eq", "ge", "gt", "hardtanh",
    "le", "logical_and", "logical_not", "logical_or", "lt", "masked_fill", "max",
    "max_pool2d_with_indices", "max_pool3d_with_indices", "maximum", "min", "minimum", "ne",
    "relu", "sgn", "sign", "sort", "threshold", "topk", "where",
})  # fmt: skip
"""Operations off the list that do not round: whole numbers stay whole, and grow no larger."""
