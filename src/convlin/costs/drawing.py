"""The table of costs in a terminal, 80 columns wide or more, and in HTML.

In a terminal, a line for each convolution and Linear, and one for each kind of other layers. HTML
has all layers, and exact numbers.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from convlin.costs.amounts import bytes_of, count, overhead
from convlin.costs.form import FORMS, Form, FormCost, total
from convlin.costs.row import LayerCost

__all__ = ["as_html", "in_terminal"]

WIDE = 110  # columns from which there is room for what each layer is
CAPTION = "params in each form; mul-adds, others' excess and output of the layer as it is"
NAME = 26  # characters of a layer's name, its last, where there is no room
NAMES = ("layer", "operation", "form", "in all, as")  # columns of words
EXACT = 10_000_000  # the sum has room for exact numbers below


def in_terminal(
    heading: str,
    rows: Sequence[LayerCost],
    sums: Mapping[Form, FormCost],
    notes: Sequence[str],
    width: int,
) -> RenderableType:
    """Return the layers, the sum in each form, and the notes, to be printed."""
    parts: list[RenderableType] = [Text(heading, "bold")]
    if len(rows) > 1:
        parts += [Text(CAPTION, "dim"), _layers(rows, width >= WIDE), Text()]
    parts.append(_sums(rows, sums))
    parts += [Text(note, "dim") for note in notes]
    return Group(*parts)


def _layers(rows: Sequence[LayerCost], wide: bool) -> Table:
    """Return the table of layers: parameters in each form, the rest as the layer is."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for name in ("layer", "operation") if wide else ("layer",):
        table.add_column(name, overflow="fold")
    for name in (*FORMS, "mul-adds", "others", "output"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in _shown(rows):
        own = row.own
        same = row.form is None  # in every form: said once
        forms = [count(row.in_form(form).parameters) for form in FORMS[: 1 if same else None]]
        others = overhead(own.padding_overhead)
        if own.multiply_adds is None and own.padded_multiply_adds is not None:
            others = count(own.padded_multiply_adds)
        name = (row.layer or row.operation) if wide else _short(row)
        name += f" ×{row.calls}" if row.calls > 1 else ""
        table.add_row(
            Text(name),
            *([Text("" if row.operation in name else row.operation)] if wide else []),
            *(forms if own.parameters else [""]),
            *([""] * 3 if same else []),
            "" if own.multiply_adds == 0 else count(own.multiply_adds),
            Text(others, "yellow"),
            bytes_of(own.activation_bytes) if own.activation_bytes else "",
            style="dim" if same and row.counted else "",
        )
    return table


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


def _shown(rows: Sequence[LayerCost]) -> list[LayerCost]:
    """Return the rows that have a form, and one row for each kind of the others, their sum."""
    shown = [row for row in rows if row.form]
    others = sorted((row for row in rows if not row.form), key=lambda row: row.counted)
    kinds = dict.fromkeys((row.counted, row.operation) for row in others)
    for counted, kind in kinds:
        alike = [row for row in others if (row.counted, row.operation) == (counted, kind)]
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


def _sums(rows: Sequence[LayerCost], sums: Mapping[Form, FormCost]) -> Table:
    """Return the table of forms: everything in each."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("form" if len(rows) == 1 else "in all, as")
    for name in ("parameters", "stored", "multiply-adds", "as others count", "output"):
        table.add_column(name, justify="right", no_wrap=True)
    least = "" if all(row.counted for row in rows) else "≥ "
    alone = rows[0].own if len(rows) == 1 else None  # then what is not counted is not known at all
    for form, cost in sums.items():
        if alone is not None and not rows[0].counted:
            adds, others, excess = "–", count(alone.padded_multiply_adds, EXACT), ""
        else:
            adds = least + count(cost.multiply_adds, EXACT)
            others = least + count(cost.padded_multiply_adds, EXACT)
            excess = "" if least else overhead(cost.padding_overhead)
        table.add_row(
            Text(form, "bold"),
            count(cost.parameters, EXACT),
            bytes_of(cost.stored_bytes),
            adds,
            Text.assemble(others, (f" {excess}" if excess else "", "yellow")),
            bytes_of(cost.activation_bytes),
        )
    return table


def as_html(
    heading: str,
    rows: Sequence[LayerCost],
    sums: Mapping[Form, FormCost],
    notes: Sequence[str],
) -> str:
    """Return everything as plain HTML: two tables and the notes."""
    figures = ("parameters", "stored bytes", "multiply-adds", "as others count", "output bytes")
    by_layer = [
        [row.layer, row.operation, cost.form if row.form else "", *_exact(cost)]
        for row in rows
        for cost in (row.costs if row.form else (row.own,))
    ]
    in_all = [[form, *_exact(cost)] for form, cost in sums.items()]
    parts = [f"<p><b>{html.escape(heading)}</b></p>"]
    if len(rows) > 1:
        parts.append(_table(("layer", "operation", "form", *figures), by_layer))
    parts.append(_table(("in all, as", *figures), in_all))
    parts += [f"<p>{html.escape(note)}</p>" for note in notes]
    return "".join(parts)


def _exact(cost: FormCost) -> list[str]:
    numbers = (
        cost.parameters, cost.stored_bytes, cost.multiply_adds, cost.padded_multiply_adds,
        cost.activation_bytes,
    )  # fmt: skip
    return ["–" if number is None else f"{number:,}" for number in numbers]


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    sides = ["left" if title in NAMES else "right" for title in head]
    titles = _cells("th", sides, head)
    lines = "".join(f"<tr>{_cells('td', sides, line)}</tr>" for line in body)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def _cells(tag: str, sides: Sequence[str], texts: Sequence[str]) -> str:
    """Return a row's cells, each aligned as its column."""
    return "".join(
        f'<{tag} style="text-align:{side}">{html.escape(text)}</{tag}>'
        for side, text in zip(sides, texts, strict=True)
    )
