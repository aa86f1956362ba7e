"""The table of costs, as blocks: a line for each layer, and one for each form of the whole.

A terminal has a line for each convolution and Linear, and one for each kind of other layers; 80
columns are room enough. A notebook has a line for each layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from convlin.costs.form import FORMS, Form, FormCost, total
from convlin.costs.row import LayerCost
from convlin.display.blocks import Block, Column, Table, Toned, Words
from convlin.display.numbers import bytes_of, count, excess

__all__ = ["blocks", "in_all"]

WIDE = 110  # letters from which to say what each layer is; with half of them every line is folded
NAME = 26  # letters of a name, its last, in a narrower terminal: numbers take the other 54 of 80
EXACT = 10_000_000  # numbers below are exact in the sum: no wider than "parameters" over them
CAPTION = "parameters in each form; as it is, the rest (padding: what its zeros would add)"


def blocks(
    heading: str,
    rows: Sequence[LayerCost],
    sums: Mapping[Form, FormCost],
    notes: Sequence[str],
    width: int | None,
) -> list[Block]:
    """Return the layers, the sum in each form, and the notes; width None: all there is to say."""
    parts: list[Block] = [Toned(heading, "strong")]
    if len(rows) > 1:
        listed = list(rows) if width is None else _by_kind(rows)
        wide = width is None or width >= WIDE
        parts += [Toned(CAPTION, "faint"), _layers(listed, wide), ""]
    return [*parts, in_all(rows, sums), *(Toned(note, "faint") for note in notes)]


def _layers(rows: Sequence[LayerCost], wide: bool) -> Table:
    """Return the table of layers: parameters in each form, the rest as the layer is."""
    words = [Column("layer", form=partial(_name, wide=wide))]
    if wide:
        words.append(Column("operation", form=_operation))
    forms = [Column(form, form=partial(_parameters, form=form), align="right") for form in FORMS]
    return Table(
        (
            *words,
            *forms,
            Column("mul-adds", form=_multiply_adds, align="right"),
            Column("padding", form=_padding, align="right"),
            Column("output", form=_output, align="right"),
        ),
        rows,
        gap=1,
    )


def _toned(row: LayerCost, text: str) -> Words:
    """Return a text of a row; rows that are the same in every form stand back."""
    return Toned(text, "faint") if row.form is None and row.counted else text


def _name(row: LayerCost, wide: bool) -> Words:
    name = (row.layer or row.operation) if wide else _short(row)
    return _toned(row, name + (f" ×{row.calls}" if row.calls > 1 else ""))


def _operation(row: LayerCost) -> Words:
    said = row.operation in row.layer or not row.layer
    return _toned(row, "" if said else row.operation)


def _parameters(row: LayerCost, form: Form) -> Words:
    once = row.form is None and form != FORMS[0]  # the same in every form: said once
    return _toned(
        row, "" if once or not row.own.parameters else count(row.in_form(form).parameters)
    )


def _multiply_adds(row: LayerCost) -> Words:
    return _toned(row, "" if row.own.multiply_adds == 0 else count(row.own.multiply_adds))


def _padding(row: LayerCost) -> Words:
    """Return what padded zeros add; where nobody knows the true number, the one with them."""
    if row.own.multiply_adds is None and row.own.padded_multiply_adds is not None:
        return Toned(count(row.own.padded_multiply_adds), "caution")
    return Toned(excess(row.own.padding_overhead), "caution")


def _output(row: LayerCost) -> Words:
    return _toned(row, bytes_of(row.own.activation_bytes) if row.own.activation_bytes else "")


def _short(row: LayerCost) -> str:
    """Return a layer's name where there is no room for its operation.

    A number says nothing of what the layer is, unless it has forms: then its class stands behind.
    """
    name = row.layer or row.operation
    if row.form is None and name.rpartition(".")[2].isdigit():
        kind = f" {row.operation}"
        return f"{name if len(name + kind) <= NAME else '…' + name.rpartition('.')[2]}:{kind}"
    head, space, operation = name.partition(" ")
    if space and head.isdigit() and len(name) > NAME:  # so many of a kind
        return f"{head} …{operation[len(head) + 2 - NAME :]}"
    return f"…{name[1 - NAME :]}" if "." in name and len(name) > NAME else name


def _by_kind(rows: Sequence[LayerCost]) -> list[LayerCost]:
    """Return the rows that have a form, and one row for each kind of the others, their sum."""
    shown = [row for row in rows if row.form]
    formless = sorted((row for row in rows if not row.form), key=lambda row: row.counted)
    kinds = dict.fromkeys((row.counted, row.operation) for row in formless)
    for counted, kind in kinds:
        alike = [row for row in formless if (row.counted, row.operation) == (counted, kind)]
        if len(alike) == 1:
            shown += alike
            continue
        costs = tuple(total(form, (row.beside_ties(form) for row in alike)) for form in FORMS)
        if not counted:
            padded = costs[0].padded_multiply_adds or None
            costs = tuple(
                replace(cost, multiply_adds=None, padded_multiply_adds=padded) for cost in costs
            )
        shown.append(LayerCost(f"{len(alike)} {kind}", kind, None, costs))
    return shown


def in_all(rows: Sequence[LayerCost], sums: Mapping[Form, FormCost]) -> Table:
    """Return the table of forms: everything in each."""
    counted = all(row.counted for row in rows)
    unknown = len(rows) == 1 and not counted  # of one layer alone not even the least is known
    least = "" if counted or unknown else "≥ "
    exact = partial(count, exact=EXACT)

    def adds(number: int) -> str:
        return least + exact(None if unknown else number)

    def padded(cost: FormCost) -> Words:
        share = excess(cost.padding_overhead) if counted else ""
        text = least + exact(cost.padded_multiply_adds or (None if unknown else 0))
        return [text, Toned(f" {share}", "caution")] if share else text

    return Table(
        (
            Column(
                "form" if len(rows) == 1 else "in all, as", "form", partial(Toned, tone="strong")
            ),
            Column("parameters", "parameters", exact, "right"),
            Column("stored", "stored_bytes", bytes_of, "right"),
            Column("multiply-adds", "multiply_adds", adds, "right"),
            Column("counting padded zeros", "", padded, "right"),
            Column("output", "activation_bytes", bytes_of, "right"),
        ),
        list(sums.values()),
    )
