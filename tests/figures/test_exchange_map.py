"""`exchange_map` shows every row of a report, and what is known of it by colour and mark."""

import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Circle

import convlin
from convlin import Measured, Proved, Refuted
from convlin.figures import exchange_map
from convlin.figures.palette import MARKS, VERDICTS
from convlin.models.dense.report import Report, Row
from convlin.proof import Counterexample
from figures.drawn import texts

ROWS = (
    Row("stem", "Conv2d", "kept", None, False, "padding ((1, 1), (1, 1)): the window sees padding"),
    Row("pool", "MaxPool2d", "ceil_mode ⇒ floor", None, True, ""),
    Row("act", "ReLU", "kept", None, True, ""),
    Row("a", "Linear", "Linear 6→5 ⇒ Conv2d 6→5 k1", Proved("all", 2, 1e-9, None), True, ""),
    Row("b", "Linear", "Linear 5→4 ⇒ Conv2d 5→4 k1", Measured("why", None), True, ""),
    Row(
        "c",
        "Linear",
        "Linear 4→3 ⇒ Conv2d 4→3 k1",
        Refuted(Counterexample("bias", 1, 0)),
        False,
        "because",
    ),
)
STATES = [["refused"], ["exchanged"], [], ["proved"], ["measured"], ["refused", "refuted"]]


def report(rows, exact=False):
    return Report(tuple(rows), exact, None, 1234, 56789)


def marks(figure):
    """Each mark in a box, as (height, mark, colour), from the top down."""
    axes = figure.axes[0]
    circles = [patch for patch in axes.patches if isinstance(patch, Circle) and patch.radius > 0.1]
    found = []
    for circle in circles:
        here = [t.get_text() for t in axes.texts if t.get_position() == tuple(circle.center)]
        found.append((circle.center[1], *here, to_hex(circle.get_facecolor())))
    return sorted(found, key=lambda mark: mark[0])


def test_each_state_has_its_colour_and_its_mark():
    expected = [(MARKS[state], VERDICTS[state].lower()) for states in STATES for state in states]
    assert [mark[1:] for mark in marks(exchange_map(report(ROWS)))] == expected


def test_every_layer_its_exchange_and_its_reason_are_there():
    shown = texts(exchange_map(report(ROWS)))
    for row in ROWS:
        assert f"{row.layer}: {row.operation}" in shown
        assert ("unchanged" if row.exchange == "kept" else row.exchange) in shown
    together = " ".join(shown)
    assert "padding ((1, 1), (1, 1)): the window sees padding" in together
    for state in ("proved", "measured", "refuted", "differs from the sliding window"):
        assert state in shown
    assert "not every window's output equals the classifier's" in shown
    assert "parameters: 1,234 before, 56,789 after" in shown


def test_a_real_model():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(2 * 4 * 6, 5)
    )
    made = convlin.fully_convolutional(model.eval(), window=(1, 6, 8)).report
    shown = texts(exchange_map(made))
    assert "Linear 48→5 ⇒ Conv2d 2→5 k4×6" in shown
    assert "every window's output equals the classifier's" in shown
    assert len(marks(exchange_map(made))) == 1


def test_runs_of_kept_layers_become_one_box_only_where_there_are_many():
    few = [Row(f"block.{n}", "ReLU", "kept", None, True, "") for n in range(9)]
    assert sum(text.startswith("block.") for text in texts(exchange_map(report(few)))) == 9
    many = [Row(f"block.{n}", "ReLU", "kept", None, True, "") for n in range(60)]
    shown = texts(exchange_map(report([*many[:30], ROWS[3], *many[30:]])))
    assert shown.count("30 layers unchanged") == 2
    assert {"block.0 … block.29", "block.30 … block.59", "a: Linear"} <= set(shown)


@pytest.mark.parametrize("rows", [(), (Row("", "N" * 99, "kept", None, True, ""),)])
def test_no_rows_and_long_names_fit(rows):
    figure = exchange_map(report(rows, exact=True), words={"title": "Plan"})
    assert "Plan" in texts(figure)
    assert max(map(len, texts(figure))) < 60
