"""Figures save as SVG, PDF and PNG, the same bytes every time, and leave no trace."""

import io
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from convlin import ConvGeometry, ConvMatrix, ReceptiveField, figures
from convlin.models.dense.report import Report, Row
from convlin.structure import nearest

A = ConvMatrix(ConvGeometry(1, 2, (2, 2)), np.arange(8.0).reshape(2, 1, 2, 2), (4, 5))
POINT = ConvMatrix(ConvGeometry(2, 1, (1, 1)), np.ones((1, 2, 1, 1)), (3, 4))
DRAWN = {
    "neuron": lambda **words: figures.neuron(A, np.arange(20), 3, **words),
    "matrix": lambda **words: figures.matrix(A, **words),
    "forms": lambda **words: figures.forms(A, **words),
    "pointwise": lambda **words: figures.pointwise(POINT, np.arange(24), **words),
    "energy": lambda **words: figures.energy(nearest(A.toarray() + 1, A.geometry, (4, 5)).energy, **words),
    "exchange_map": lambda **words: figures.exchange_map(
        Report((Row("a", "ReLU", "kept", None, True, ""),), True, None, 1, 1), **words
    ),
    "heat_map": lambda **words: figures.heat_map(
        np.arange(24).reshape(2, 3, 4), np.ones((8, 10)), ReceptiveField((4, 4), (2, 2), (0, 0)), **words
    ),
}  # fmt: skip


def saved(figure, kind):
    stored = io.BytesIO()
    figure.savefig(stored, format=kind)
    return stored.getvalue()


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
@pytest.mark.parametrize("name", DRAWN)
def test_the_same_bytes_twice(name, kind):
    first = saved(DRAWN[name](), kind)
    assert first == saved(DRAWN[name](), kind)
    assert first.startswith({"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[kind])


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_stands_outside_the_picture(name):
    figure = DRAWN[name]()
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    for axes in figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text


def test_the_same_bytes_in_another_process(tmp_path):
    code = (
        "import sys, numpy as np; from convlin import ConvGeometry, ConvMatrix, ReceptiveField, figures;"
        "A = ConvMatrix(ConvGeometry(1, 2, (2, 2)), np.arange(8.0).reshape(2, 1, 2, 2), (4, 5));"
        "figures.matrix(A).savefig(sys.argv[1])"
    )
    for number in (1, 2):
        subprocess.run([sys.executable, "-c", code, tmp_path / f"{number}.svg"], check=True)
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()


def test_a_picture_is_as_large_as_it_says():
    figure = figures.matrix(A)
    with Image.open(io.BytesIO(saved(figure, "png"))) as picture:
        assert picture.size == tuple(int(150 * inches) for inches in figure.get_size_inches())
    assert figure._repr_png_() == saved(figure, "png")


def test_words_are_the_callers_and_stay_text_in_an_svg():
    page = saved(figures.forms(A, words={"conv": "卷积", "local_count": "{weights} 个权重"}), "svg")
    words = {"".join(element.itertext()).strip() for element in ET.fromstring(page).iter()}
    assert {"卷积", "96 个权重", "fully connected"} <= words


def test_dollars_are_no_mathematics():
    report = Report((Row("$a$_b", "R$eL$U", "kept", None, True, ""),), True, None, 1, 1)
    assert b"$a$_b: R$eL$U" in saved(figures.exchange_map(report), "svg")


def test_no_setting_is_left_changed_and_pyplot_is_not_used():
    before = dict(mpl.rcParams)
    for draw in DRAWN.values():
        saved(draw(), "svg")
    assert dict(mpl.rcParams) == before
    code = (
        "import sys, convlin; convlin.figures.matrix; convlin.figures.energy;"
        "print('matplotlib.figure' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_import_convlin_does_not_import_matplotlib():
    code = (
        "import sys, convlin; convlin.figures; dir(convlin.figures); convlin.ConvMatrix;"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_matplotlib_it_says_what_to_install():
    code = (
        "import sys; sys.modules['matplotlib'] = None; import convlin\n"
        "try: convlin.figures.matrix\n"
        "except convlin.InputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'figures need matplotlib: pip install "convlin[teach]"'
