"""A link: read, checked, written again; what is refused and in whose name."""

import numpy as np
import pytest

from convlin import ConvGeometry, Refused
from convlin.teach.pictures import PICTURES
from convlin.teach.scenes.decimals import SCALE
from convlin.teach.scenes.page_limits import BOUNDS, PAIRS, divisors, limits
from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.presets import PRESETS
from convlin.teach.scenes.shown_numbers import own_image, own_weights

# (as given, as written again)
LINKS = {
    "nothing": ("", "?"),
    "defaults": ("?size=6x6&in=1&kernel=3&stride=1&padding=0x0&mode=zeros&transposed=0&along=0&lang=en", "?"),
    "squares": ("size=7&kernel=5x5&padding=2", "?size=7x7&kernel=5x5&padding=2x2"),
    "sides-apart": ("kernel=3x2&size=7x4&stride=2x1", "?size=7x4&kernel=3x2&stride=2x1"),
    "a-times-sign": ("size=7%C3%975", "?size=7x5"),
    "whole-address": ("http://127.0.0.1:8765/?size=5x4#matrix", "?size=5x4"),
    "preset-is-expanded": ("preset=patchify", "?size=8x8&in=3&out=4&kernel=4x4&stride=4x4"),
    "preset-with-its-pin": ("preset=lesson2", "?at=output:0,0,1"),
    "preset-and-another-pin": ("preset=lesson2&at=tap:0,0,2,1", "?at=tap:0,0,2,1"),
    "preset-changed-loses-its-pin": ("preset=lesson3&size=1x1", "?size=1x1&in=3&out=2&kernel=1x1"),
    "preset-changed": ("preset=circular&mode=zeros", "?padding=1x1"),
    "blanks": ("image=&weights=&at=&preset=&along=&lang=", "?"),
    "own-values-again": ("weights=1,-1,-1,-1,1,-1,-1,-1,1.000", "?"),
    "one-weight": ("weights=1,-1,-1,-1,1,-1,-1,-1,-2.50", "?weights=8:-2.5"),
    "places": ("weights=8:7,0:.5,8:-0.125", "?weights=0:0.5,8:-0.125"),
    "all-weights": ("weights=2,3,4,5,6,7,8,9,10", "?weights=2,3,4,5,6,7,8,9,10"),
    "an-image": ("size=1x3&kernel=1&image=%2B1,0,-0", "?size=1x3&kernel=1x1&image=1,0,0"),
    "along": ("along=-02.50", "?along=-2.5"),
    "chinese": ("lang=zh", "?lang=zh"),
    "a-picture": ("picture=digits", "?size=16x16&picture=digits"),
    "a-picture-painted": ("picture=noise&image=3:9,0:1.5", "?size=12x12&image=0:1.5,3:9&picture=noise"),
    "a-picture-as-it-is": ("picture=scene&image=", "?size=28x28&picture=scene"),
    "a-picture-of-another-size": ("picture=digits&size=9", "?size=9x9"),
    "a-picture-of-several-channels": ("picture=digits&in=2", "?size=16x16&in=2"),
    "a-picture-in-a-preset": ("preset=strided&picture=noise", "?size=12x12&stride=2x2&padding=1x1&picture=noise"),
    "no-picture": ("picture=", "?"),
    "an-entry": ("at=entry:15,35", "?at=entry:15,35"),
}  # fmt: skip


@pytest.mark.parametrize("case", LINKS)
def test_a_link_is_written_again_as_short_as_it_can_be(case):
    given, written = LINKS[case]
    state = State.of(given)
    assert state.link == written
    again = State.of(state.link)
    assert again.link == written and again.geometry == state.geometry
    assert np.array_equal(again.image, state.image) and np.array_equal(again.weights, state.weights)


def test_every_field_arrives():
    state = State.of(
        "size=9x8&in=4&out=6&kernel=3x2&stride=2x1&padding=1x0&mode=circular&dilation=1x3&groups=2"
    )
    assert state.geometry == ConvGeometry(4, 6, (3, 2), (2, 1), (1, 0), (1, 3), 2, "circular")
    assert state.size == (9, 8)
    assert state.image.shape == (4, 9, 8) and state.weights.shape == (6, 2, 3, 2)
    transposed = State.of("in=2&out=3&kernel=3x2&stride=2&transposed=1")
    assert transposed.geometry == ConvGeometry(2, 3, (3, 2), 2, transposed=True)
    assert transposed.weights.shape == (2, 3, 3, 2)


def test_values_are_exact_thousandths():
    state = State.of("size=1x4&kernel=1&image=0.001,-9999.999,3.1,.25&weights=-7.007&along=1.5")
    assert state.image.ravel().tolist() == [1, -9_999_999, 3100, 250]
    assert state.weights.ravel().tolist() == [-7007] and state.along == 1500


def test_own_values_are_small_whole_and_lopsided():
    image, weights = own_image((3, 7, 5)) // SCALE, own_weights((4, 3, 3, 3)) // SCALE
    assert set(np.unique(image)) == set(range(10))
    assert set(np.unique(weights)) == {-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6}
    for kernel in weights.reshape(-1, 3, 3):
        assert len(np.unique(kernel)) == 9  # no two taps alike, so no mirror image passes for it
    assert len(np.unique(weights.reshape(12, 9), axis=0)) == 12
    assert (own_image((3, 7, 5)) % SCALE == 0).all()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_state_and_knows_its_name(name):
    state = State.of(f"preset={name}")
    assert state.texts["preset"] == name
    assert State.of(state.link).geometry == state.geometry
    if "at" in PRESETS[name]:
        assert str(state.at) == PRESETS[name]["at"]
        assert State.of(state.link).texts["preset"] == name
    else:
        assert state.at is None


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_the_image_and_stays_named(name):
    state = State.of(f"picture={name}&kernel=3&at=output:0,2,5")
    assert state.size == PICTURES[name].shape and state.texts["image"] is None
    assert np.array_equal(state.image[0], PICTURES[name].astype(int) * SCALE)
    painted = State.of(f"picture={name}&image=5:-2.5")
    assert painted.picture == name and painted.texts["image"] == "5:-2.5"
    expected = PICTURES[name].ravel() * SCALE
    expected[5] = -2500
    assert painted.image.ravel().tolist() == expected.tolist()


def test_a_layer_of_no_preset_has_none():
    assert State.of("preset=patchify&out=3").texts["preset"] is None


REFUSED = {
    "no-such-field": ("sise=5", "'sise'"),
    "no-such-field-of-a-preset": ("preset=lesson1&sise=5", "'sise'"),
    "twice": ("size=5&size=5", "size"),
    "twice-alike": ("lang=en&lang=en", "lang"),
    "no-value": ("size", "link"),
    "empty-value": ("size=", "size"),
    "two-ands": ("size=5&&in=1", "link"),
    "no-utf8": ("mode=%ff%fe", "link"),
    "too-many-fields": ("&".join(f"f{i}=1" for i in range(70)), "link"),
    "too-long": ("image=" + "1," * 5000, "link"),
    "not-a-number": ("size=large", "size"),
    "nan": ("size=nan", "size"),
    "negative": ("padding=-1", "padding"),
    "a-decimal": ("stride=1.5", "stride"),
    "an-exponent": ("stride=1e1", "stride"),
    "other-digits": ("size=٣", "size"),
    "superscript-digits": ("size=²", "size"),
    "three-sides": ("size=5x5x5", "size"),
    "a-pair-of-channels": ("in=2x2", "in"),
    "side-65": ("size=65", "size"),
    "kernel-12": ("size=40&kernel=12", "kernel"),
    "dilation-9": ("size=40&dilation=9", "dilation"),
    "stride-9": ("stride=9", "stride"),
    "stride-0": ("stride=0", "stride"),
    "padding-17": ("padding=17", "padding"),
    "channels-9": ("in=9", "in"),
    "enormous": ("size=" + "9" * 400, "size"),
    "groups-not-dividing": ("in=4&out=6&groups=4", "out"),
    "groups-9": ("in=8&out=8&groups=9", "groups"),
    "mode": ("mode=mirror", "mode"),
    "mode-long": ("mode=" + "z" * 900, "mode"),
    "transposed-yes": ("transposed=yes", "transposed"),
    "transposed-reflect": ("transposed=1&mode=reflect&padding=1", "mode"),
    "kernel-too-large": ("size=3x9&kernel=4x2", "size"),
    "reflect-too-far": ("size=3&padding=3&mode=reflect", "size"),
    "circular-twice": ("size=3&padding=4&mode=circular", "size"),
    "too-many-reads": ("size=64&kernel=8&padding=4", "size"),
    "too-many-outputs": ("size=30&out=8&kernel=1&stride=4&transposed=1", "size"),
    "image-too-short": ("image=1,2,3", "image"),
    "image-of-another-size": ("size=7x7&image=" + ",".join("1" * 36), "image"),
    "image-nan": ("size=1x2&kernel=1&image=1,nan", "image"),
    "image-inf": ("size=1x2&kernel=1&image=1,inf", "image"),
    "image-1e999": ("size=1x2&kernel=1&image=1,1e999", "image"),
    "image-too-large": ("size=1x2&kernel=1&image=1,10000", "image"),
    "image-too-fine": ("size=1x2&kernel=1&image=1,0.0001", "image"),
    "image-blank": ("size=1x2&kernel=1&image=1,", "image"),
    "image-point": ("size=1x2&kernel=1&image=1,.", "image"),
    "image-mixed": ("size=1x2&kernel=1&image=1,1:2", "image"),
    "image-off-its-end": ("size=1x2&kernel=1&image=2:5", "image"),
    "image-before-its-start": ("size=1x2&kernel=1&image=-1:5", "image"),
    "image-other-digits": ("size=1x2&kernel=1&image=%C2%B2:5", "image"),
    "weights-nan": ("weights=3:nan", "weights"),
    "weights-too-many": ("weights=" + ",".join("1" * 10), "weights"),
    "along-too-far": ("along=10.001", "along"),
    "along-inf": ("along=-inf", "along"),
    "no-such-preset": ("preset=lesson6", "preset"),
    "no-such-picture": ("picture=cat", "picture"),
    "picture-twice": ("picture=noise&picture=noise", "picture"),
    "no-such-language": ("lang=fr", "lang"),
    "language-is-no-path": ("lang=../en", "lang"),
    "at-nothing": ("at=pixel:0,0,0", "at"),
    "at-a-name": ("at=output:a", "at"),
    "at-too-few": ("at=output:0,0", "at"),
    "at-too-many": ("at=input:0,0,0,0", "at"),
    "at-below-the-output": ("at=output:0,4,0", "at"),
    "at-another-channel": ("at=input:1,0,0", "at"),
    "at-off-the-kernel": ("at=tap:0,0,0,3", "at"),
    "at-between-groups": ("in=4&out=2&groups=2&at=tap:1,1,0,0", "at"),
    "at-off-the-matrix": ("at=entry:16,0", "at"),
    "at-negative": ("at=output:0,-1,0", "at"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_names_its_field_and_what_would_fit(case):
    query, field = REFUSED[case]
    with pytest.raises(Refused) as caught:
        State.of(f"?{query}")
    refusal = caught.value.refusals[0]
    assert refusal.field == field
    assert refusal.allowed
    assert len(str(refusal)) < 600  # whatever was sent, the answer stays short


def test_the_words_of_refusals():
    for query, words in {
        "size=3x9&kernel=4x2": "explore: size is 3, expected height ≥ 4 (kernel extent 4, padding (0, 0))",
        "transposed=1&mode=reflect": "explore: mode is 'reflect', expected zeros (transposed)",
        "kernel=12": "explore: kernel is '12', expected a whole number from 1 to 11, or height × width, such as 5x4",
        "at=output:0,4,0": "explore: at is 'output:0,4,0', expected indices below (1, 4, 4)",
        "image=1,2": "explore: image is 2 values, expected 36 values (one for each of (1, 6, 6))",
        "picture=cat": "explore: picture is 'cat', expected digits, scene, noise",
        "along=11": "explore: along is 11, expected a number from -10 to 10",
        "size=64&kernel=8&padding=4": "explore: size is 64x64, expected a smaller layer (output positions × taps: 270,400, at most 200,000)",
    }.items():  # fmt: skip
        with pytest.raises(Refused) as caught:
            State.of(query)
        assert str(caught.value) == words


LIMITED = {
    "article": "",
    "apart": "size=9x5&kernel=3x2&padding=1x0",
    "reflect": "size=5x4&padding=2&mode=reflect",
    "large": "size=64&kernel=5&padding=2",
    "groups": "in=4&out=6&groups=2",
    "transposed": "size=12x9&stride=3&kernel=4&transposed=1&padding=1",
    "dilated": "size=20x17&dilation=3x2",
}


@pytest.mark.parametrize("case", LIMITED)
def test_sliders_reach_just_as_far_as_links(case):
    state = State.of(LIMITED[case])
    found = limits(state.fields)
    assert set(found) == set(BOUNDS) - {"groups"}

    def accepted(name, values):
        fields = {**state.fields, name: values}
        texts = (
            f"{name}={'x'.join(map(str, value)) if isinstance(value, tuple) else value:}"
            if not isinstance(value, bool)
            else f"{name}={value:d}"
            for name, value in fields.items()
        )
        try:
            State.of("&".join(texts))
        except Refused:
            return False
        return True

    assert divisors(state.fields) == [n for n in range(1, 9) if accepted("groups", n)]
    for name, (low, high, *step) in found.items():
        step, now = (step or [1])[0], state.fields[name]
        if name not in PAIRS or now[0] == now[1]:
            ways = [lambda n, pair=name in PAIRS: (n, n) if pair else n]
        else:
            ways = [lambda n, b=now[1]: (n, b), lambda n, a=now[0]: (a, n)]
        for end, beyond in ((low, low - step), (high, high + step)):
            assert any(accepted(name, way(end)) for way in ways)
            assert not any(accepted(name, way(beyond)) for way in ways)


@pytest.mark.parametrize(("out", "fits"), [(6, True), (8, False)])
def test_the_page_draws_a_hundred_thousand_outputs(out, fits):
    link = f"?size=64&stride=2&kernel=1&transposed=1&out={out}"  # 127² outputs a channel
    if fits:
        assert State.of(link).geometry.out_channels == out
    else:
        with pytest.raises(Refused, match="outputs: 129,032, at most 100,000"):
            State.of(link)


@pytest.mark.parametrize(("length", "fits"), [(8192, True), (8193, False)])
def test_the_longest_link(length, fits):
    words = "is not|expected" if fits else "link is 8,193 characters, expected at most 8,192"
    with pytest.raises(Refused, match=words) as caught:
        State.of("lang=" + "x" * (length - 5))
    assert caught.value.refusals[0].field == ("lang" if fits else "link")
