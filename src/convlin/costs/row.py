"""One layer of a model, and what it costs in each form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from convlin.costs.form import FORMS, Form, FormCost

__all__ = ["LayerCost"]


@dataclass(frozen=True)
class LayerCost:
    """One layer: its costs in every form, in the order of `FORMS`.

    form: the form it has, None for a layer that is the same in all of them. calls: how often it
    runs in one pass; multiply-adds and activations are those of all calls, parameters are stored
    once. tied_parameters, tied_bytes: the part of them that an earlier layer holds already.
    note: what a reader has to know about these numbers.

    >>> from convlin.costs import linear_forms
    >>> layer = LayerCost("head", "Linear 3→2", "linear", linear_forms(3, 2, bias=False))
    >>> layer.own.parameters, layer.in_form("matrix").stored_bytes
    (6, 60)
    """

    layer: str
    operation: str
    form: Form | None
    costs: tuple[FormCost, ...]
    calls: int = 1
    tied_parameters: int = 0
    tied_bytes: int = 0
    note: str = ""

    @property
    def own(self) -> FormCost:
        """The layer as it is."""
        return self.in_form(self.form or "conv")

    @property
    def counted(self) -> bool:
        """Whether its true multiply-adds are known."""
        return self.own.multiply_adds is not None

    def in_form(self, form: Form) -> FormCost:
        """Return the costs in this form, also of what an earlier layer holds."""
        return self.costs[FORMS.index(form)]

    def beside_ties(self, form: Form) -> FormCost:
        """Return the costs in this form, without what earlier layers hold already.

        A form that lays the same weights out anew, as `local` does, holds nothing of theirs.
        """
        cost = self.in_form(form)
        if form not in ("conv", self.form) and self.form is not None:
            return cost
        return replace(
            cost,
            parameters=cost.parameters - self.tied_parameters,
            stored_bytes=cost.stored_bytes - self.tied_bytes,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {**vars(self), "costs": {cost.form: cost.as_dict() for cost in self.costs}}
