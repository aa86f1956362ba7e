"""A rule: what an editor makes of one operation, and why.

Rules are entered in a plain tuple; `Table` finds the one for a node, and says what a trace has to
keep whole for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import fx, nn

from convlin.models.graph.operations import name_of
from convlin.models.graph.recorder import Wanted

__all__ = ["Kind", "Rule", "Table"]

Kind = Literal["compute", "reshape", "never"]


@dataclass(frozen=True)
class Rule:
    """`answer` takes a `Call` and the operation's arguments; returns what is known of its result.

    `operations` are ATen's, without overload and final `_`: its arguments come in ATen's order.
    `layers` are modules that run several operations and are one to a person: their input comes.
    `why` says in a line why the answer is right. Kinds: `compute` makes a row in the report,
    `reshape` only says where elements lie, `never` refuses whatever it takes. One `of_constants`
    answers where all that is taken are tensors of the model too, which else stay as they are.
    """

    answer: Callable[..., Any]
    why: str
    operations: tuple[str, ...] = ()
    layers: tuple[type[nn.Module], ...] = ()
    kind: Kind = "compute"
    of_constants: bool = False


class Table:
    """All rules, by operation and by layer; no two may answer for the same.

    >>> keep = Rule(lambda call, x: x, "every element alike", ("relu", "sigmoid"), (nn.Softsign,))
    >>> Table([keep]).operation("sigmoid").why, Table([keep]).operation("fft")
    ('every element alike', None)
    """

    def __init__(
        self, rules: Sequence[Rule], whole: Callable[[nn.Module], bool] | None = None
    ) -> None:
        self._operations = {name: rule for rule in rules for name in rule.operations}
        self._layers = {layer: rule for rule in rules for layer in rule.layers}
        self._whole = whole or self.is_layer
        names = [name for rule in rules for name in (*rule.operations, *rule.layers)]
        assert len(names) == len({*names}), "one operation, one rule"

    def operation(self, name: str) -> Rule | None:
        """Return the rule for ATen's operation of this name."""
        return self._operations.get(name)

    def is_layer(self, module: nn.Module) -> bool:
        """Whether there is a rule for the whole of such a layer."""
        return type(module) in self._layers

    def of(self, node: fx.Node, layer: nn.Module | None) -> Rule | None:
        """Return the rule for a node of a trace; `layer` is what it calls, if it calls one."""
        if node.op == "call_module":
            return self._layers.get(type(layer))  # type: ignore[arg-type]
        return self._operations.get(name_of(node.target))

    @property
    def wanted(self) -> Wanted:
        """What a trace has to keep whole."""
        return Wanted(self._operations.keys(), self._whole)
