"""The small convolution in JavaScript says what the engine says, of everything the page reaches."""

import itertools
import json
import re

import numpy as np
import pytest

from convlin.errors import Refused
from convlin.teach.example import Example, article_example
from convlin.teach.numbers.bench import freedom_by_images, freedom_by_windows
from convlin.teach.pictures import KERNELS, PICTURES
from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.scene import scene
from convlin.teach.web.page_files import PAGE

REACH = {"kernel": (1, 6), "stride": (1, 4), "padding": (0, 3), "dilation": (1, 3)}
NAMES = ("localScene", "freedomByWindows", "freedomByImages", "imagesThatCount", "trained")
OWN = {
    "image": "image=1,-2,3,-4,5,-6,7,-8,9,1,2,3,4,5,6,7,8,-9,1,0,0,2,0,0,3,0,0,4,0,0,5,0,0,6,0,7",
    "some pixels": "image=0:5,35:-7&stride=2",
    "decimals": "image=0:0.5,7:-1.25,14:.001&weights=0.1,0.2,-0.3,4.5,1000,0.007,-9999,0,1",
    "weights": "weights=4:-3,0:7&padding=1",
    "pinned pixel": "at=input:0,2,3",
    "pinned tap": "at=tap:0,0,1,2&dilation=2",
    "pinned output": "at=output:0,3,2",
    "pinned entry": "at=entry:7,11",
    "height and width": "kernel=2x3&stride=1x2&padding=0x1&dilation=2x1",
    "preset strided": "preset=strided",
    "preset and pin": "preset=lesson2",
}


@pytest.fixture(scope="module")
def modules():
    """Return the modules of the page up to what it recomputes, as one expression."""
    lines = []
    for name in (PAGE / "modules.txt").read_text("utf-8").split():
        text = (PAGE / name).read_text("utf-8")
        lines += [line for line in text.splitlines() if not line.startswith("import ")]
        if name == "training.js":
            break
    code = "\n".join(re.sub(r"^export ", "", line) for line in lines)
    return f"(() => {{ {code}\n window.local = {{ {', '.join(NAMES)}, Places }}; }})()"


@pytest.fixture
def local(opened, modules):
    """Ask the page of a file for the scenes of many queries."""
    page = opened(where="file")
    page.evaluate(modules)

    def local(queries):
        text = page.evaluate("all => JSON.stringify(all.map(local.localScene))", list(queries))
        return json.loads(text)

    local.page = page
    return local


def comparable(values):
    """Leave out what the engine alone says: how far its sliders go, and how it draws a matrix."""
    values = {name: value for name, value in values.items() if name not in ("limits", "divisors")}
    matrix = {k: v for k, v in values["matrix"].items() if k not in ("drawn", "image")}
    return json.loads(json.dumps(values | {"matrix": matrix}))


def square(**numbers):
    return "&".join(f"{name}={number}" for name, number in numbers.items())


def within_reach():
    for numbers in itertools.product(*(range(low, high + 1) for low, high in REACH.values())):
        query = square(**dict(zip(REACH, numbers, strict=True)))
        try:
            State.of(query)
        except Refused:
            continue
        yield query


def test_every_geometry_that_the_sliders_reach(local):
    """Where there is no output, neither has the page; else all is equal, and so are their ends."""
    everything = [
        square(**dict(zip(REACH, numbers, strict=True)))
        for numbers in itertools.product(*(range(low, high + 1) for low, high in REACH.values()))
    ]
    there, found = set(within_reach()), local(everything)
    assert len(everything) == 288 and len(there) > 200
    for query, mine in zip(everything, found, strict=True):
        assert (mine is not None) == (query in there), query
        if mine is None:
            continue
        wanted = scene(State.of(query))
        assert comparable(mine) == comparable(wanted), query
        for name, (least, most) in REACH.items():
            low, high = wanted["limits"][name]
            assert mine["limits"][name] == [max(low, least), min(high, most)], (query, name)
        for name in ("size", "in", "out"):
            assert mine["limits"][name][0] == mine["limits"][name][1]


def test_pictures_through_named_kernels(local):
    queries = [
        f"picture={picture}&weights={','.join(map(str, kernel.ravel()))}{more}"
        for picture in PICTURES
        for kernel in KERNELS.values()
        for more in ("", "&stride=2&padding=1&at=output:0,1,2")
    ]
    for query, mine in zip(queries, local(queries), strict=True):
        assert comparable(mine) == comparable(scene(State.of(query))), query


def test_own_images_weights_decimals_and_pins(local):
    for query, mine in zip(OWN.values(), local(OWN.values()), strict=True):
        assert comparable(mine) == comparable(scene(State.of(query))), query


def test_the_layers_of_lessons_and_presets(local, modules):
    """Geometries that the page carries: channels, groups, circular padding, transposed layers."""
    from convlin.teach.scenes.presets import PRESETS

    queries = [f"preset={name}" for name in PRESETS]
    for query, mine in zip(queries, local(queries), strict=True):
        assert comparable(mine) == comparable(scene(State.of(query))), query


def test_what_needs_the_engine_is_no_scene(local):
    needs = ["in=2&out=5", "mode=reflect&padding=1", "transposed=1&kernel=2", "size=40", "kernel=9"]
    wrong = ["image=1,2,3", "image=99:1", "weights=0:x", "image=0:1.0001", "weights=0:99999"]
    assert local([*needs, *wrong]) == [None] * 10


EXAMPLES = {
    "article": article_example(),
    "dark": Example(np.zeros((6, 6)), article_example().kernel),
    "one lit": Example(np.eye(36)[20].reshape(6, 6), article_example().kernel),
    "decimals": Example(np.arange(36.0).reshape(6, 6) / 8 - 1, np.arange(6.0).reshape(2, 3) + 1),
    "striped": Example(np.arange(36.0).reshape(6, 6) % 2, article_example().kernel, padding=(1, 1)),
    "strided": Example(article_example().image, np.ones((4, 4)), stride=(2, 2), padding=(3, 3)),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_freedom_is_what_exact_elimination_says(local, name):
    example = EXAMPLES[name]
    numbers = ",".join(f"{pixel:g}" for pixel in example.image.ravel())
    weights = ",".join(f"{weight:g}" for weight in example.kernel.ravel())
    size = {key: "x".join(map(str, getattr(example, key))) for key in ("stride", "padding")}
    kernel = "x".join(map(str, example.kernel.shape))
    query = square(kernel=kernel, **size, image=numbers, weights=weights)
    windows, images = local.page.evaluate(
        """query => { const scene = local.localScene(query);
        const pixels = scene.input.values, count = local.imagesThatCount(pixels).length;
        return [local.freedomByWindows(scene),
          Array.from({ length: count + 1 }, (_, n) => local.freedomByImages(pixels, n))]; }""",
        query,
    )
    assert windows == freedom_by_windows(example)
    assert images == freedom_by_images(example.image)
