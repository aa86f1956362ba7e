"""Where cells lie, against pixels that are counted one by one."""

import itertools
import json

import numpy as np
import pytest

from convlin.errors import Refused
from convlin.scanning.places import CellPlaces, Place


@pytest.mark.parametrize(
    "window, stride, first",
    [((7,), (3,), (5,)), ((8, 5), (4, 9), (0, 2)), ((4, 7, 2), (1, 3, 5), (2, 0, 1))],
)
def test_a_window_is_its_pixels_and_its_centre_is_their_mean(window, stride, first):
    factor = (4.0, 3.97, 2.0)[: len(window)]
    places = CellPlaces(window, stride, first, Place(factor=factor))
    size = [s * 6 + p + s * f for p, s, f in zip(window, stride, first, strict=True)]
    pixels = [np.arange(n) for n in size]
    for cell in itertools.product(range(3), repeat=len(window)):
        # windows by sliding over all pixels, and the stored ones of those
        views = [
            np.lib.stride_tricks.sliding_window_view(axis, p)[::s][f:][i]
            for axis, p, s, f, i in zip(pixels, window, stride, first, cell, strict=True)
        ]
        assert places.box(cell) == tuple((view[0], view[-1] + 1) for view in views)
        middles = [(view + 0.5).mean() for view in views]
        assert places.centre(cell) == pytest.approx(middles, rel=0, abs=1e-12)
        full = [n * f for n, f in zip(middles, factor, strict=True)]
        assert places.full_centre(cell) == pytest.approx(full, rel=0, abs=1e-9)
        assert np.mean(places.full_box(cell), axis=1) == pytest.approx(full, rel=0, abs=1e-9)


def test_places_come_back_from_json():
    place = Place(
        (np.float64(2.5), 0, 500_000, 0, -3, 4_100_000),
        "EPSG:32633",
        (1, 2),
        (-0.5, 3),
        (None, "micrometer"),
        ("y", "x"),
        (4, np.float32(3.5)),
    )
    places = CellPlaces((8, np.int64(6)), [4, 3], (0, 5), place)
    text = json.dumps(places.as_dict())
    assert CellPlaces.from_dict(json.loads(text)) == places
    assert json.dumps(CellPlaces.from_dict(json.loads(text)).as_dict()) == text
    assert place.transform == (2.5, 0.0, 500_000.0, 0.0, -3.0, 4_100_000.0) and place.ndim == 2
    assert Place.from_dict({}) == Place() and Place().as_dict() == {} and Place().ndim is None


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"transform": (1, 2, 3)}, "transform is (1.0, 2.0, 3.0), expected 6 numbers"),
        ({"transform": (1, 2, 0, 2, 4, 0)}, "one that takes pixels to an area"),
        ({"transform": (1, 0, np.nan, 0, 1, 0)}, "finite numbers"),
        ({"transform": "123456"}, "transform is '123456', expected finite numbers"),
        ({"scale": (1, 0)}, "scale is (1.0, 0.0), expected above 0"),
        ({"scale": ("1", "2")}, "finite numbers"),
        ({"scale": ()}, "one for each dimension"),
        ({"factor": (1, -4)}, "factor is (1.0, -4.0), expected above 0"),
        ({"factor": 4}, "factor is 4, expected finite numbers"),
        ({"scale": (1, 2), "translation": (1,)}, "translation is (1.0,), expected 2, one for"),
        ({"transform": (1, 0, 0, 0, 1, 0), "factor": (1, 1, 1)}, "expected 2, one for"),
        ({"units": "mm"}, "units is 'mm', expected words"),
        ({"units": (3,)}, "expected words"),
        ({"names": ("y", None)}, "expected words"),
        ({"crs": 4326}, "crs is 4326, expected text"),
        ({"level": 3}, "field is 'level', expected one of transform, crs"),
    ],
)
def test_what_places_nothing_is_refused_by_its_field(fields, words):
    with pytest.raises(Refused) as refused:
        Place.from_dict(fields)
    assert words in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "numbers, words",
    [
        (((8, 6), (4,), (0, 0)), "stride is (4,), expected 2, one for each dimension"),
        (((8, 0), (4, 4), (0, 0)), "window is (8, 0), expected whole numbers ≥ 1"),
        (((8, 6), (4, 0), (0, 0)), "stride is (4, 0), expected whole numbers ≥ 1"),
        (((8, 6), (4, 4), (0, -1)), "first is (0, -1), expected whole numbers ≥ 0"),
        (((1,) * 4, (1,) * 4, (0,) * 4), "1, 2 or 3 sizes"),
        (((8,), (4,), (0,), Place(factor=(2, 2))), "dimensions of place is 2, expected 1"),
        (((8,), (4,), (0,), Place((1, 0, 0, 0, 1, 0))), "dimensions of place is 2, expected 1"),
    ],
)
def test_what_are_no_windows_is_refused_by_its_field(numbers, words):
    with pytest.raises(Refused) as refused:
        CellPlaces(*numbers)
    assert words in str(refused.value)


def test_a_cell_has_a_number_for_each_dimension_and_a_map_has_two():
    with pytest.raises(Refused, match="cell is .*, expected 2, one for each"):
        CellPlaces((8, 6), (4, 4), (0, 0)).box((1,))
    with pytest.raises(Refused, match="dimensions is 1, expected 2, of a map"):
        CellPlaces((8,), (4,), (0,)).geotransform()
