"""All layers of a model with their costs, and the sum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from convlin.costs.drawing import blocks, in_all
from convlin.costs.form import FORMS, Form, FormCost, total
from convlin.costs.row import LayerCost
from convlin.display.blocks import Block
from convlin.display.numbers import times
from convlin.display.shown import Shown

__all__ = ["CostTable", "LayerCost"]

UNTRACED = "run on zeros, products between layers not counted, since it cannot be traced"


@dataclass(frozen=True)
class CostTable(Shown):
    """What a layer or a model costs at one input size: `rows`, and their `total` per form.

    `total["linear"]` is the model with every convolution and Linear in that form, and every other
    layer as it is; `total["conv"]` is also the model as it is (a Linear and the convolution that
    it equals have the same numbers). Parameters that layers share are counted once, unless a form
    lays them out anew for each layer. Multiply-adds are those of convolutions, fully connected
    layers and the matrix products of other code; layers whose multiply-adds nobody counted are
    `uncounted`, and missing in the sum. Where the model's code could not be traced, so are products
    between layers: `untraced` says why.

    >>> from convlin.costs import linear_forms
    >>> layer = LayerCost("", "Linear 3→2", "linear", linear_forms(3, 2, bias=False))
    >>> table = CostTable("Linear", (3,), (layer,))
    >>> table.parameters["linear"], table.multiply_adds["linear"], table.uncounted
    (6, 6, ())
    """

    model: str
    input_shape: tuple[int, ...]
    rows: tuple[LayerCost, ...]
    untraced: str = ""

    @property
    def total(self) -> dict[Form, FormCost]:
        """The sum over all rows, in each form."""
        return {form: total(form, (row.beside_ties(form) for row in self.rows)) for form in FORMS}

    @property
    def parameters(self) -> dict[Form, int]:
        """Parameters in all, in each form."""
        return {form: cost.parameters for form, cost in self.total.items()}

    @property
    def stored_bytes(self) -> dict[Form, int]:
        """Bytes stored in all, in each form."""
        return {form: cost.stored_bytes for form, cost in self.total.items()}

    @property
    def multiply_adds(self) -> dict[Form, int]:
        """True multiply-adds of one sample, in each form; `uncounted` layers omitted."""
        return {form: cost.multiply_adds or 0 for form, cost in self.total.items()}

    @property
    def padded_multiply_adds(self) -> dict[Form, int]:
        """Multiply-adds of one sample, those with padded zeros counted too, in each form."""
        return {form: cost.padded_multiply_adds or 0 for form, cost in self.total.items()}

    @property
    def activation_bytes(self) -> int:
        """Bytes of all layers' outputs for one sample, the same in each form."""
        return self.total["conv"].activation_bytes

    @property
    def uncounted(self) -> tuple[str, ...]:
        """The layers whose true multiply-adds are not known."""
        return tuple(row.layer or row.operation for row in self.rows if not row.counted)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know, layer by layer; alike notes in one line."""
        untraced = (f"{UNTRACED}: {self.untraced}",) if self.untraced else ()
        return (*_noted(self.rows), *untraced)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "model": self.model,
            "input_shape": self.input_shape,
            "rows": [row.as_dict() for row in self.rows],
            "total": {row["form"]: row for row in in_all(self.rows, self.total).as_dicts()},
            "uncounted": self.uncounted,
            "notes": self.notes,
        }

    def _blocks(self, width: int | None = None) -> list[Block]:
        return blocks(self._heading, self.rows, self.total, self.notes, width)

    @property
    def _heading(self) -> str:
        what = self.rows[0].operation if len(self.rows) == 1 else self.model
        return f"{what}, one sample of {times(self.input_shape)}"


def _noted(rows: Iterable[LayerCost]) -> Iterable[str]:
    """Yield each note once, after the layers that it is about."""
    about: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            about.setdefault(row.note, []).append(row.layer or row.operation)
        if row.tied_parameters:
            about.setdefault("shares parameters with an earlier layer, counted once", []).append(
                row.layer or row.operation
            )
    for note, layers in about.items():
        more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
        yield f"{', '.join(layers[:3])}{more}: {note}"
