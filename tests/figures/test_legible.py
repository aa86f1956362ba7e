"""Every figure can be read: texts and maps lie on the paper and on nothing else, and fill it."""

import importlib.util
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import Circle, FancyBboxPatch
from matplotlib.transforms import Bbox
from PIL import Image

from convlin import ConvGeometry, ConvMatrix, Measured, Proved, ReceptiveField, Refuted, figures
from convlin.figures.neuron_layout import arrange
from convlin.models.dense.report import Report, Row
from convlin.proof import Counterexample

ROOT = Path(__file__).parents[2]


def conv(inputs, outputs, kernel, size, **options):
    geometry = ConvGeometry(inputs, outputs, kernel, **options)
    count = np.prod(geometry.weight_shape)
    return ConvMatrix(geometry, np.arange(count).reshape(geometry.weight_shape) % 19 - 9, size)


def report(rows):
    return Report(tuple(rows), False, None, 1_234_567, 7_654_321)


def layer(n, name="features.0.conv", why="", verdict=None):
    text = f"Linear {100 + n}→{200 + n} ⇒ Conv2d {100 + n}→{200 + n} k1" if verdict else "kept"
    return Row(f"{name}.{n}", "Conv2d", text, verdict, not why, why)


TALLEST = {
    "matrix": 8,
    "forms": 6,
    "neuron": 8.5,
    "pointwise": 10.5,
    "map": 15,
    "heat": 8.5,
}  # inches
LONG = "a reason of many words " * 9
VERDICTS = (Proved("all", 2, 1e-9, None), Measured("why", None), Refuted(Counterexample("bias", 1, 0)))  # fmt: skip
MATRICES = {
    "small": conv(1, 1, (2,), 3),
    "article": conv(1, 1, (3, 3), (6, 6)),
    "tall": conv(1, 9, (3, 3), (7, 7), padding=1),
    "strip": conv(1, 64, (3, 3), (28, 28), padding=1),
    "wide": conv(9, 1, (3, 3), (7, 7), padding=1),
    "signal": conv(2, 3, (5,), 24, padding=2),
    "reflect": conv(1, 2, (3, 3), (5, 6), padding=1, padding_mode="reflect"),
    "image": conv(2, 2, (5, 5), (24, 20), padding=2, padding_mode="reflect"),
    "photograph": conv(1, 1, (3, 3), (60, 60), padding=1),
    "wide-kernel": conv(1, 1, (11, 11), (16, 16)),
    "point": conv(3, 2, (1, 1), (4, 5)),
    "many-points": conv(64, 48, (1, 1), (14, 30)),
    "four-by-four": conv(4, 4, (1, 1), (28, 28)),
    "channels": conv(4, 2, (3, 3), (9, 12), padding=1),
    "three": conv(3, 2, (5, 5), (28, 28)),
    "two": conv(2, 2, (3, 2), (12, 30)),
    "groups": conv(6, 4, (2, 3), (5, 6), groups=2),
}


def image_of(matrix):
    return (np.arange(matrix.shape[1]) * 7 % 256).reshape(matrix.input_shape)


def heat(size, window, factor=1.0, **options):
    field = ReceptiveField(window, (8, 8), (0, 0))
    scores = factor * (1e3 + np.random.default_rng(0).random((9, *field.cells(size))))
    return figures.heat_map(scores, np.zeros(size), field, **options)


SCENES = {
    **{f"matrix-{name}": lambda m=m: figures.matrix(m) for name, m in MATRICES.items()},
    **{f"forms-{name}": lambda m=m: figures.forms(m) for name, m in MATRICES.items() if m.nnz < 999_999},
    **{f"neuron-{name}": lambda m=m: figures.neuron(m, image_of(m), m.shape[0] // 2) for name, m in MATRICES.items()},
    **{
        f"pointwise-{name}": lambda m=m: figures.pointwise(m, image_of(m))
        for name, m in MATRICES.items() if m.geometry.taps == 1
    },
    "map-short": lambda: figures.exchange_map(report([
        layer(1), layer(2, why=LONG), *(layer(n, verdict=verdict) for n, verdict in enumerate(VERDICTS)),
    ])),
    "map-long": lambda: figures.exchange_map(report([
        layer(n, "backbone.stages.3.blocks.12.attention.output.projection.W" * 2, LONG * (n % 3 == 0), VERDICTS[n % 3]) for n in range(40)
    ])),
    "map-runs": lambda: figures.exchange_map(report([layer(n, verdict=VERDICTS[0] if n % 9 == 0 else None) for n in range(90)])),
    "heat-photograph": lambda: heat((300, 451), (224, 224), names=["a very long name of a class " * 9] * 9),
    "heat-strip": lambda: heat((32, 700), (32, 32)),
    "heat-tall": lambda: heat((500, 40), (32, 32), factor=1e5),
    "heat-rows": lambda: heat((90, 90), (32, 32), factor=-1e-7, classes=range(7)),
}  # fmt: skip


def readme():
    """The pictures of the README, by their files in `docs/`."""
    path = ROOT / "scripts" / "draw_figures.py"
    spec = importlib.util.spec_from_file_location("draw_figures", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.drawn()


def text_boxes(figure):
    """Where each text stands, in inches; what is written twice at one point counts once."""
    figure.draw_without_rendering()
    texts = {
        (text.get_position(), text.get_text()): text
        for axes in figure.axes for text in axes.texts if text.get_text()
    }  # fmt: skip
    to_inches = figure.dpi_scale_trans.inverted()
    return [
        (text.get_text(), text.get_window_extent().transformed(to_inches))
        for text in texts.values()
    ]


def areas(figure):
    """The maps, nodes and boxes of a figure, from its lower left corner, in inches."""
    (axes,) = figure.axes
    to_inches = axes.transData + figure.dpi_scale_trans.inverted()
    shapes = [patch for patch in axes.patches if isinstance(patch, Circle | FancyBboxPatch)]
    bounds = [shape.get_path().transformed(shape.get_patch_transform()).get_extents() for shape in shapes]  # fmt: skip
    for collection in axes.collections:
        if isinstance(collection, LineCollection | PolyCollection):
            points = np.concatenate([path.vertices for path in collection.get_paths()])
            bounds.append(Bbox([points.min(axis=0), points.max(axis=0)]))
    boxes = [box.transformed(to_inches) for box in bounds]
    return [Bbox(np.sort(box.get_points(), axis=0)) for box in boxes]


def overlap(one, other):
    """How far two boxes reach into each other, in inches; < 0 for the gap between them."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    return min(across, min(one.y1, other.y1) - max(one.y0, other.y0))


def inside(one, other, by=0.0):
    return (
        one.x0 >= other.x0 + by
        and one.x1 <= other.x1 - by
        and one.y0 >= other.y0 + by
        and one.y1 <= other.y1 - by
    )


@pytest.fixture(scope="module")
def drawn():
    """Of a scene: its size, its texts and its areas; each is drawn once."""
    made = {}

    def draw(scene):
        if scene not in made:
            figure = SCENES[scene]()
            made[scene] = figure.get_size_inches(), text_boxes(figure), areas(figure)
        return made[scene]

    return draw


@pytest.mark.parametrize("scene", SCENES)
def test_no_two_texts_stand_on_each_other(scene, drawn):
    _, texts, _ = drawn(scene)
    for (text, box), (other, another) in combinations(texts, 2):
        assert overlap(box, another) < 0.015, (text, other)


@pytest.mark.parametrize("scene", SCENES)
def test_a_text_is_within_a_map_or_node_or_beside_it(scene, drawn):
    _, texts, bounds = drawn(scene)
    for text, box in texts:
        for area in bounds:
            clear = 0.025 if any(map(str.isalpha, text)) else -0.015  # of a number's own neighbours
            assert overlap(box, area) < -clear or inside(box, area, -0.015), (text, box, area)


@pytest.mark.parametrize("scene", SCENES)
def test_maps_and_nodes_are_apart(scene, drawn):
    _, _, bounds = drawn(scene)
    for one, other in combinations(bounds, 2):
        nested = inside(one, other, -0.01) or inside(other, one, -0.01)
        reach = overlap(one, other)  # 0 between coloured cells of one map
        assert nested or abs(reach) < 1e-6 or reach < -0.04, (one, other)


@pytest.mark.parametrize("scene", SCENES)
def test_all_lies_on_the_paper_and_fills_it(scene, drawn):
    (width, height), texts, bounds = drawn(scene)
    boxes = [box for _, box in texts] + bounds
    paper, used = Bbox([(0, 0), (width, height)]), Bbox.union(boxes)
    for box in boxes:
        assert inside(box, paper, 0.06)
    margins = used.x0, used.y0, width - used.x1, height - used.y1
    assert max(margins) < 1
    assert width <= 15 and height <= TALLEST[scene.partition("-")[0]]


def test_the_pictures_of_the_readme_are_as_large_as_they_are_drawn():
    for name, figure in readme().items():
        with Image.open(ROOT / "docs" / name) as picture:
            drawn_size = [int(side * figure.dpi) for side in figure.get_size_inches()]
            assert list(picture.size) == drawn_size, name


def boxes(figure):
    return [box for box in areas(figure) if box.width > 2]


@pytest.mark.parametrize(("channels", "side"), [(1, 16), (2, 12), (3, 10), (4, 9)])
def test_maps_of_so_many_pixels_have_room_for_numbers(channels, side):
    layout = arrange(range(channels), range(channels), (side, side), (3, 3), (7, 7))
    assert min(sheet.letters(2) for sheet in (*layout.inputs.values(), layout.output)) > 0


def test_cells_of_a_small_matrix_are_as_large_as_those_of_a_neat_table():
    for box in areas(figures.forms(MATRICES["small"])):
        assert 0.2 <= box.height / 2 <= 0.4


def test_columns_of_boxes_are_apart_and_belong_together():
    lefts = sorted({(round(box.x0, 3), round(box.x1, 3)) for box in boxes(SCENES["map-long"]())})
    assert len(lefts) == 3
    for (_, right), (left, _) in pairwise(lefts):
        assert 0.2 < left - right < 0.6


@pytest.mark.parametrize(("count", "whole"), [(42, True), (60, False)])
def test_runs_are_one_box_where_three_columns_do_not_hold_them(count, whole):
    figure = figures.exchange_map(report([layer(n) for n in range(count)]))
    assert len(boxes(figure)) == (count if whole else 1)


def test_a_reason_of_a_hundred_characters_stands_whole():
    reason = "the window sees padding where the large image has neighbours, as it reaches over its border"
    texts = [text for text, _ in text_boxes(figures.exchange_map(report([layer(1, why=reason)])))]
    assert reason in " ".join(texts)


def test_a_signal_has_numbers_on_a_page_of_its_width():
    layout = arrange([0], [0], (1, 32), (1, 3), (1, 30))
    assert layout.inputs[0].letters(3) > 0 and layout.width < 9


@pytest.mark.parametrize(("image", "upright"), [((4, 16), True), ((4, 10), False)])
def test_flat_maps_stand_above_each_other(image, upright):
    assert arrange([0], [0], image, (3, 3), (2, image[1] - 2)).upright is upright


def test_the_enlarged_part_is_as_wide_as_a_legend():
    (main, *others) = sorted(
        areas(figures.matrix(MATRICES["photograph"])), key=lambda box: -box.width
    )
    assert main.width > 5 and 2 < max(box.width for box in others if box.width < 5) < 3


def test_maps_of_channels_are_apart_by_more_than_a_name():
    maps = [box for box in areas(figures.pointwise(MATRICES["point"])) if box.width > 1]
    lowest = sorted(box for _, box in {(round(b.y0, 3), (b.y0, b.y1)) for b in maps if b.x0 < 1})
    assert all(0.3 < upper[0] - lower[1] < 0.6 for lower, upper in pairwise(lowest))
    assert len(lowest) == 3
