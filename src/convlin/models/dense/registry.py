"""Which rule answers for which operation: the table that the rule files fill.

Kinds: `compute` makes a row in the report; `reshape` and `shape` only look at where elements lie;
`output` is the end; `never` refuses whatever it takes.

A rule takes a `Call` and what the operation took, and returns what is known of its result. A rule
for functions has the parameter names of the function, so that Python itself binds the arguments.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from convlin.internals.dispatch import COMPILED_FUNCTIONS

__all__ = ["KINDS", "Kind", "Rule", "find", "function", "layer", "name_of"]

Rule = Callable[..., Any]
Decorated = TypeVar("Decorated", bound=Rule)
Kind = Literal["compute", "reshape", "shape", "output", "never"]

LAYERS: dict[type[nn.Module], Rule] = {}
FUNCTIONS: dict[str, Rule] = {}
KINDS: dict[Rule, Kind] = {}
_HOMES = (torch, functional, operator, COMPILED_FUNCTIONS, torch.special)


def layer(*types: type[nn.Module], kind: Kind = "compute") -> Callable[[Decorated], Decorated]:
    """Let a rule answer for modules of these types."""

    def register(rule: Decorated) -> Decorated:
        LAYERS.update(dict.fromkeys(types, rule))
        KINDS[rule] = kind
        return rule

    return register


def function(*names: str, kind: Kind = "compute") -> Callable[[Decorated], Decorated]:
    """Let a rule answer for PyTorch's functions, operators and tensor methods of these names."""

    def register(rule: Decorated) -> Decorated:
        FUNCTIONS.update(dict.fromkeys(names, rule))
        KINDS[rule] = kind
        return rule

    return register


def find(node: fx.Node, module: nn.Module | None) -> Rule | None:
    """Return the rule for the node, if there is one."""
    if node.op == "output":
        return FUNCTIONS["output"]
    if module is not None:
        return next((LAYERS[cls] for cls in type(module).__mro__ if cls in LAYERS), None)
    name = name_of(node)
    # in place is a matter of memory, not of mathematics; the rule for the name without `_` knows
    name = name.removesuffix("_") if name else None
    return FUNCTIONS.get(name) if name else None


def name_of(node: fx.Node) -> str | None:
    """Return the name of PyTorch's (or torchvision's) function; None for anybody else's."""
    target = node.target
    if node.op == "call_method":
        return str(target) if hasattr(Tensor, str(target)) else None
    if target is getattr:
        return f"getattr {node.args[1]}"
    name = getattr(target, "__name__", "")
    if any(getattr(home, name, None) is target for home in _HOMES):
        return name
    if str(getattr(target, "__module__", "")).startswith("torchvision.ops"):
        return f"torchvision {name}"
    return None
