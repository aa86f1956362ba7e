"""One table, three ways: the same columns, words and numbers in a terminal, a notebook and JSON."""

import json
import re
from html import unescape

import pytest
import torch
from torch import nn

import convlin
from convlin.display.badges import BADGES
from convlin.display.blocks import Column, Picture, Table, Toned
from convlin.display.html_view import as_html
from convlin.display.numbers import bytes_of, count
from convlin.display.terminal_view import as_text, renderable
from convlin.models.dense.report import Report, Row
from convlin.proof import Counterexample


def layer(name, parameters, stored):
    return {"name": name, "parameters": parameters, "stored": stored}


COLUMNS = (
    Column("layer <>", "name"),
    Column("parameters", "parameters", count, "right"),
    Column("stored", "stored", bytes_of, "right"),
)
LAYERS = [layer("<stem>", 9_408, 37_632), layer("[bold]head", 16_781_312, 67_125_248)]
TABLE = Table(COLUMNS, LAYERS)


def cells(page):
    """Return the texts of a page's table, row by row."""
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [[unescape(text) for text in re.findall(r">([^<]*)</t[dh]>", row)] for row in rows]


def test_the_same_columns_words_and_numbers():
    expected = [
        ["layer <>", "parameters", "stored"],
        ["<stem>", "9,408", "37.6 kB"],
        ["[bold]head", "16.8 M", "67.1 MB"],
    ]
    assert cells(as_html([TABLE])) == expected
    printed = as_text(renderable([TABLE])).splitlines()
    assert [re.split(r"\s{2,}", line) for line in printed] == expected
    assert json.loads(json.dumps(TABLE.as_dicts())) == LAYERS


def test_numbers_stand_on_the_right_and_are_never_folded():
    lines = as_text(renderable([TABLE]), width=30).splitlines()
    assert lines[-3].endswith("    9,408  37.6 kB") and lines[-2].endswith("   16.8 M  67.1 MB")
    assert lines[-2].startswith("[bold]hea ") and lines[-1] == "d"  # words are, to nine letters
    assert as_html([TABLE]).count("text-align:right") == 2 * 3
    narrow = as_text(renderable([TABLE]), width=24)
    assert "\n[bold]hea " in narrow and "\n<stem> " in narrow


def test_titles_are_folded_before_names():
    words = Column("is it equal to sliding?", "name"), Column("parameters by name", "name")
    table = Table(words, [layer("layer2.0.downsample.0", 1, 2), layer("head", 1, 2)])
    for width in (45, 44):
        lines = as_text(renderable([table], width), width=width).splitlines()
        assert lines[-2].split() == ["layer2.0.downsample.0"] * 2
    assert lines[0] == "is it equal to"
    assert lines[1].split() == ["sliding?", "parameters", "by", "name"]
    assert as_text(renderable([table], 46), width=46).splitlines()[0].startswith(words[0].title)


def test_a_table_without_titles_has_no_head():
    bare = Table((Column("", "name"), Column("", "stored", align="right")), LAYERS)
    assert "<thead>" not in as_html([bare])
    assert as_text(renderable([bare])).splitlines()[0].startswith("<stem>")


@pytest.mark.parametrize("kind", BADGES)
def test_a_badge_is_told_without_its_colour(kind):
    page = as_html([[Toned(kind, kind), ": a < b"]])
    assert f">{BADGES[kind].mark} {kind}</b> a &lt; b" in page
    assert as_text(renderable([[Toned(kind, kind), ": a < b"]])) == f"{kind}: a < b"
    assert len({badge.mark for badge in BADGES.values()}) == len(BADGES)


def test_what_differs_has_a_mark_of_its_own_in_a_page():
    assert as_html([Toned("no", "differs")]) == "<b>≠ no</b>"
    assert as_text(renderable([Toned("no", "differs")])) == "no"


def test_a_picture_is_for_pages_only():
    picture = Picture((4, 2), {0.5: [(0, 1, 2, 1)], 1.0: []}, 'a "label"', scale=10)
    page = as_html([picture])
    assert 'width="40" height="20"' in page and 'aria-label="a &quot;label&quot;"' in page
    assert page.count("<path") == 1 and "M0 1h2v1h-2z" in page
    assert as_text(renderable([picture, "and words"])) == "and words"


def test_every_line_of_a_report_is_in_the_terminal_and_in_the_page():
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 6 * 5, 4)
    ).eval()
    report = convlin.fully_convolutional(model, (1, 6, 5), allow_inexact=True).report
    words = re.sub(r"<[^>]*>", " ", re.sub(r"</?b\b[^>]*>", "", report._repr_html_()))
    page = re.sub(r"[✓≠:]", " ", unescape(words)).split()
    assert page == re.sub(":", " ", str(report)).split()
    assert [row["layer"] for row in report.as_dict()["rows"]] == [row.layer for row in report.rows]


@pytest.mark.parametrize("verdict", [
    convlin.Measured("it is not linear", None), convlin.Refuted(Counterexample("bias", 1, 0, (4,))),
], ids=lambda verdict: verdict.kind)  # fmt: skip
def test_what_is_not_proved_is_said_in_a_report_too(verdict):
    report = Report((Row("head", "Linear", "x ⇒ y", verdict, True, ""),), True, None, 1, 1)
    assert f"head {verdict}" in str(report)
    page = re.sub(r"</?b\b[^>]*>", "", report._repr_html_())
    assert f"head {BADGES[verdict.kind].mark} {verdict.kind} {verdict.details}" in page
    assert report.as_dict()["rows"][0]["verdict"] == verdict.as_dict()


def test_costs_have_a_line_for_each_layer_and_the_numbers_of_json():
    table = convlin.cost(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), (3, 9, 7))
    layers, sums = (block for block in table._blocks() if isinstance(block, Table))
    assert [row.layer for row in layers.rows] == ["0", "1"]
    assert {row["form"]: row for row in sums.as_dicts()} == table.as_dict()["total"]
    own, printed = table.total["conv"], as_text(table, width=80)
    for number in (own.parameters, own.multiply_adds, own.padded_multiply_adds):
        assert f"{number:,}" in printed and f"{number:,}" in table._repr_html_()


def test_a_spectrum_lists_the_largest_ten():
    found = convlin.singular_values(nn.Conv1d(1, 1, 2), 12)
    (table,) = (block for block in found._blocks() if isinstance(block, Table))
    assert len(found) == 11 and [row["rank"] for row in table.rows] == list(range(1, 11))
    assert [row["value"] for row in table.rows] == found.values[:10].tolist()
    assert f"{found[9]:.6g}" in as_text(found) and f"{found[9]:.6g}" in found._repr_html_()


def test_energies_say_the_same_in_a_line_and_in_a_table():
    torch.manual_seed(2)
    energy = convlin.nearest_conv(nn.Linear(35, 24), nn.Conv2d(1, 1, 2), (7, 5)).energy
    (table,) = (block for block in energy._blocks() if isinstance(block, Table))
    rows = [[column.cell(row) for column in table.columns] for row in table.rows]
    assert str(energy) == ", ".join(f"{share} {name}" for name, share in rows)
    assert [row["fraction"] for row in table.rows] == list(energy.fractions)
