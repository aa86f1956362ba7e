"""The scene, against loops over PyTorch's own padding and PyTorch's own convolutions."""

import gzip
import itertools
import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import convlin
from article import MAP, MIXING, RAISING
from convlin.teach.numbers import full_size
from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.presets import PRESETS
from convlin.teach.scenes.scene import as_json, scene

CASES = {
    "article": "",
    "rows-and-columns": "size=5x7&kernel=2x3&in=2&out=3",
    "stride": "size=9x8&kernel=3x2&stride=2x3&in=2",
    "padding": "size=4x5&padding=2x1&kernel=3x2&out=2",
    "padding-beyond-the-kernel": "size=3x2&padding=4x3&kernel=2x3",
    "dilation": "size=9x10&dilation=3x2&kernel=3x4&padding=1x2",
    "groups": "size=5x6&in=4&out=6&groups=2&kernel=3x2",
    "depthwise": "size=5x6&in=3&out=6&groups=3&padding=1",
    "reflect": "size=4x5&padding=3x2&mode=reflect&kernel=3x2&in=2",
    "replicate": "size=3x4&padding=3x1&mode=replicate&kernel=4x3&stride=1x2",
    "circular": "size=4x3&padding=3x2&mode=circular&kernel=5x2&dilation=1x2&out=2",
    "transposed": "size=3x4&transposed=1&kernel=3x2&stride=2x3&in=2&out=3",
    "transposed-all": "size=4x3&transposed=1&kernel=3x4&stride=3x2&padding=1x2&dilation=2x1&in=4&out=6&groups=2",
    "decimals": "size=3x4&kernel=2&image=0:0.5,11:-1.25&weights=0:1.5,3:-0.125",
    "large": "size=40x33&in=3&out=2&kernel=5x3&padding=2x1",
    **{f"preset-{name}": f"preset={name}" for name in PRESETS},
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    """The state of a case, and its scene as the page gets it."""
    state = State.of(CASES[request.param])
    return state, json.loads(as_json(scene(state)))


def layer_of(state):
    g = state.geometry
    kind = nn.ConvTranspose2d if g.transposed else nn.Conv2d
    layer = kind(
        g.in_channels, g.out_channels, g.kernel, g.stride, tuple(lo for lo, _ in g.padding),
        dilation=g.dilation, groups=g.groups, bias=False, padding_mode=g.padding_mode,
    )  # fmt: skip
    return layer.double()


def tensor(map_):
    return torch.tensor(map_["values"], dtype=torch.float64).reshape(map_["shape"])


def test_the_output_is_pytorchs(case):
    state, shown = case
    layer = layer_of(state)
    layer.weight.data = tensor(shown["kernel"])
    # On halves, quarters and eighths of small numbers float64 is exact, in any order.
    assert torch.equal(layer(tensor(shown["input"])[None])[0], tensor(shown["output"]))


def pairs_by_loops(state):
    """Return, for each output position, the set of (pixel, tap) it reads."""
    g, (height, width) = state.geometry, state.size
    pad = [lo for lo, _ in g.padding]
    numbers = torch.arange(1, height * width + 1, dtype=torch.float64).reshape(1, 1, height, width)
    (oh, ow) = g.output_size(state.size)
    pairs = [set() for _ in range(oh * ow)]
    taps = [(a, b) for a in range(g.kernel[0]) for b in range(g.kernel[1])]
    if g.transposed:  # every pixel is written to where its taps fall
        for y in range(height):
            for x in range(width):
                for t, (a, b) in enumerate(taps):
                    down = y * g.stride[0] + a * g.dilation[0] - pad[0]
                    across = x * g.stride[1] + b * g.dilation[1] - pad[1]
                    if 0 <= down < oh and 0 <= across < ow:
                        pairs[down * ow + across].add((y * width + x, t))
        return pairs
    mode = {"zeros": "constant"}.get(g.padding_mode, g.padding_mode)
    padded = functional.pad(numbers, (pad[1], pad[1], pad[0], pad[0]), mode)[0, 0].int().tolist()
    for down in range(oh):
        for across in range(ow):
            for t, (a, b) in enumerate(taps):
                row = padded[down * g.stride[0] + a * g.dilation[0]]
                pixel = row[across * g.stride[1] + b * g.dilation[1]] - 1
                if pixel >= 0:
                    pairs[down * ow + across].add((pixel, t))
    return pairs


def test_reads_are_those_of_loops(case):
    state, shown = case
    reads, found = shown["reads"], []
    starts = reads["starts"]
    assert starts[0] == 0 and starts[-1] == len(reads["pixel"]) == len(reads["tap"])
    for start, stop in itertools.pairwise(starts):
        pairs = list(zip(reads["pixel"][start:stop], reads["tap"][start:stop], strict=True))
        assert [tap for _, tap in pairs] == sorted({tap for _, tap in pairs})
        found.append(set(pairs))
    assert found == pairs_by_loops(state)


def test_the_page_can_compute_every_output_from_reads_and_channels(case):
    """Look-ups in reads and channels are all there is to it: they make PyTorch's output again."""
    _, shown = case
    reads, weights = shown["reads"], shown["kernel"]["values"]
    x = np.array(shown["input"]["values"]).reshape(shown["input"]["shape"][0], -1)
    y = np.array(shown["output"]["values"]).reshape(shown["output"]["shape"][0], -1)
    for o, slices in enumerate(shown["channels"]["weight"]):
        for position in range(y.shape[1])[:: max(1, y.shape[1] // 40)]:
            total = 0
            for at in range(reads["starts"][position], reads["starts"][position + 1]):
                pixel, tap = reads["pixel"][at], reads["tap"][at]
                total += sum(
                    x[i, pixel] * weights[s * reads["taps"] + tap]
                    for i, s in enumerate(slices) if s >= 0
                )  # fmt: skip
            assert total == y[o, position]


def test_windows_hold_what_is_read(case):
    state, shown = case
    g, windows = state.geometry, shown["reads"]["window"]
    if g.transposed:
        assert windows is None
        return
    oh, ow = g.output_size(state.size)
    assert len(windows) == oh * ow
    top, left = -g.padding[0][0], -g.padding[1][0]
    tall, wide = (d * (k - 1) + 1 for d, k in zip(g.dilation, g.kernel, strict=True))
    assert windows[0] == [top, left, top + tall, left + wide]
    assert windows[-1][:2] == [top + (oh - 1) * g.stride[0], left + (ow - 1) * g.stride[1]]
    assert windows[-1][2] <= state.size[0] + g.padding[0][1]
    assert windows[-1][3] <= state.size[1] + g.padding[1][1]


def test_counts_are_those_of_cost(case):
    state, shown = case
    row = convlin.cost(layer_of(state).float(), state.size).rows[0]
    for form, own in {cost.form: cost for cost in row.costs}.items():
        assert shown["counts"]["parameters"][form] == own.parameters
        assert shown["counts"]["multiply_adds"][form] == own.multiply_adds
        assert shown["counts"]["bytes"][form] == own.stored_bytes
    channels = state.geometry.in_channels // state.geometry.groups
    wires = [channels * len(pairs) for pairs in pairs_by_loops(state)]
    assert shown["counts"]["wires"] == {"least": min(wires), "most": max(wires)}


def test_the_matrix_has_the_sizes_of_unrolls(case):
    state, shown = case
    matrix = convlin.unroll(layer_of(state), state.size)
    found = shown["matrix"]
    assert (found["rows"], found["columns"]) == matrix.shape
    assert found["stored"] == matrix.tocsr().nnz
    assert found["drawn"] == (matrix.shape[0] * matrix.shape[1] <= 4096)
    assert bool(found["image"]) == (not found["drawn"])


def test_state_and_link_say_the_same(case):
    state, shown = case
    said = {name: text for name, text in shown["state"].items() if text is not None}
    query = "&".join(f"{name}={text}" for name, text in said.items() if name != "preset")
    assert shown["link"] == State.of(query).link == state.link


def test_the_articles_numbers():
    shown = scene(State.of("preset=lesson1"))
    assert shown["output"]["values"] == [3, -1, -3, -1, -3, 1, 0, -3, -3, -3, 0, 1, 3, -2, -2, -1]
    assert shown["counts"]["parameters"] == {"conv": 9, "local": 144, "linear": 576, "matrix": 144}
    assert shown["counts"]["wires"] == {"least": 9, "most": 9}
    pixels = shown["reads"]["pixel"][: shown["reads"]["starts"][1]]
    assert [pixel + 1 for pixel in pixels] == [1, 2, 3, 7, 8, 9, 13, 14, 15]
    assert shown["neuron"]["row"] == 0
    assert shown["neuron"]["base"][:9] == [1, -1, -1, 0, 0, 0, -1, 1, -1]
    assert len(set(shown["kernel"]["colors"])) == 9
    per_pixel, full = (scene(State.of(f"preset={name}")) for name in ("lesson3", "lesson4"))
    assert per_pixel["counts"]["parameters"]["conv"] == 6
    assert per_pixel["counts"]["parameters"]["linear"] == 486
    assert full["counts"]["parameters"]["conv"] == full["counts"]["parameters"]["linear"] == 81


def test_the_lessons_numbers_are_those_of_the_views():
    """What lessons 3 to 5 compute with is what their presets show."""
    three, four, five = (scene(State.of(f"preset=lesson{n}")) for n in (3, 4, 5))
    for shown in (three, four, five):
        assert shown["input"]["values"] == MAP.ravel().tolist()
    assert three["kernel"]["values"] == MIXING.ravel().tolist()
    assert three["output"]["values"] == np.einsum("oc,cyx->oyx", MIXING, MAP).ravel().tolist()
    assert five["kernel"]["values"] == RAISING.ravel().tolist()
    assert four["kernel"]["values"] == full_size().kernels.ravel().tolist()
    assert four["output"]["values"] == full_size().values.tolist()


def test_a_colour_is_one_weight():
    """Whatever its value: all weights of all kernels differ in colour, in the same order."""
    shown = scene(State.of("weights=0,0,0,0,0,0,0,0,0"))
    assert len(set(shown["kernel"]["colors"])) == 9
    several = scene(State.of("preset=lesson4"))["kernel"]
    assert len(several["colors"]) == len(several["values"]) == 81


def test_a_scene_has_no_words_of_its_own():
    """Texts are the page's, in its language: a scene is the same in every one."""
    english, chinese = (scene(State.of(f"size=5x4&lang={lang}")) for lang in ("en", "zh"))
    assert english.keys() == {
        "state", "link", "input", "kernel", "output", "reads", "channels", "matrix", "counts",
        "neuron", "limits", "divisors",
    }  # fmt: skip
    del english["state"]["lang"], chinese["state"]["lang"], english["link"], chinese["link"]
    assert english == chinese


def test_one_weight_changes_one_weight():
    before, after = (scene(State.of(f"size=5x4{more}")) for more in ("", "&weights=4:9"))
    changed = [
        at
        for at, (old, new) in enumerate(
            zip(before["kernel"]["values"], after["kernel"]["values"], strict=True)
        )
        if old != new
    ]
    assert changed == [4] and after["kernel"]["values"][4] == 9
    assert before["input"] == after["input"] and before["output"] != after["output"]


def test_a_matrix_of_4096_is_a_picture_and_a_larger_one_none():
    assert scene(State.of("size=64&padding=1"))["matrix"]["image"] == (
        "api/matrix.png?size=64x64&padding=1x1"
    )
    larger = scene(State.of("size=64&padding=1&out=2&weights=0:5"))["matrix"]
    assert larger["image"] is None and not larger["drawn"]


def test_an_answer_stays_small():
    """32×32, 3×3, padding 1: 9 taps of 1,024 positions, the maps, and every other word."""
    sent = as_json(scene(State.of("size=32x32&padding=1x1"))).encode()
    assert len(sent) < 120_000
    assert len(gzip.compress(sent, 6)) < 24_000
