"""Masks: read box by box, and refused where they are none of this image."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image
from written_sources import TRANSFORM, geotiff, image, zarr3

from convlin.errors import InputError, Refused
from convlin.scanning.masks import open_mask
from convlin.scanning.places import Place

SIZE = (40, 60)


def area(*corners):
    return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}


def inside(box, mask):
    return tuple(slice(a, b) for a, b in box), mask.read(box)


def boxes():
    ends = [0, 7, 8, 13, 40], [0, 11, 30, 60]
    return itertools.product(*(itertools.pairwise(side) for side in ends))


def by_winding(points, rows, columns):
    """Return which pixel centres lie in a polygon: by the sum of angles, one by one."""
    found = np.zeros((rows, columns), bool)
    corners = np.array([*points, points[0]], float)
    for row, column in np.ndindex(rows, columns):
        angles = np.angle((corners[:, 0] - column - 0.5) + 1j * (corners[:, 1] - row - 0.5))
        turns = (np.diff(angles) + np.pi) % (2 * np.pi) - np.pi
        found[row, column] = abs(turns.sum()) > np.pi
    return found


def test_outlines_hold_their_pixels_and_no_far_ones():
    points = [(12.3, 8.1), (44.2, 6.4), (51.7, 30.2), (20.4, 33.3)]
    centres = by_winding(points, *SIZE)
    near = (
        sum(np.roll(np.pad(centres, 1), (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) > 0
    )
    mask = open_mask(area(*points), SIZE, None)
    for box in boxes():
        part, found = inside(box, mask)
        assert (found | ~centres[part]).all() and (near[1:-1, 1:-1][part] | ~found).all()


def test_outlines_count_in_pixels_of_full_resolution_or_in_the_images_crs():
    corners = [(8, 4), (24, 4), (24, 12), (8, 12)]
    whole = open_mask(area(*corners), SIZE, None)
    coarse = open_mask(area(*((4 * x, 2 * y) for x, y in corners)), SIZE, Place(factor=(2.0, 4.0)))
    a, _, c, _, e, f = TRANSFORM
    place = Place(transform=TRANSFORM, crs="WKT")
    ground = open_mask(area(*((a * x + c, e * y + f) for x, y in corners)), SIZE, place)
    for box in boxes():
        assert np.array_equal(whole.read(box), coarse.read(box))
        assert np.array_equal(whole.read(box), ground.read(box))
    read = whole.read(((0, 40), (0, 60)))
    assert read[4:12, 8:24].all() and not read[:3].any() and not read[:, 26:].any()


def test_outlines_with_holes_and_several_in_collections(tmp_path):
    outer, inner = (
        [(2, 2), (50, 2), (50, 30), (2, 30), (2, 2)],
        [(10, 8), (40, 8), (40, 25), (10, 25), (10, 8)],
    )
    ring = {"type": "Polygon", "coordinates": [outer, inner]}
    far = {
        "type": "MultiPolygon",
        "coordinates": [[[(55, 33), (58, 33), (58, 38), (55, 38), (55, 33)]]],
    }
    made = {"type": "FeatureCollection", "features": [
        {"type": "Feature", "geometry": None},
        {"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": [ring]}},
        {"type": "Feature", "geometry": far, "properties": {"objectType": "annotation"}},
    ]}  # fmt: skip
    (tmp_path / "a.geojson").write_text("\ufeff" + json.dumps(made), encoding="utf-8")
    mask = open_mask(tmp_path / "a.geojson", SIZE, None)
    read = mask.read(((0, 40), (0, 60)))
    assert read[2:30, 2:8].all() and not read[10:23, 12:38].any() and read[33:38, 55:58].all()
    # one by one, and one without any
    assert not mask.read(((31, 32), (0, 60))).any()
    for box in boxes():
        part, found = inside(box, mask)
        assert np.array_equal(found, read[part])
    assert mask.memory > 0


@pytest.mark.parametrize("kind", ["zarr", "geotiff", "npy", "picture"])
def test_a_file_is_a_mask_without_being_read_as_a_whole(kind, tmp_path):
    whole = image((1, *SIZE)) > 150
    place = None
    if kind == "zarr":
        made, _ = zarr3(tmp_path, whole)
    elif kind == "geotiff":
        numbers = whole.astype(np.uint8) * 3
        numbers[0, 5:9, 5:9] = 7
        whole[0, 5:9, 5:9] = False
        made, _ = geotiff(tmp_path, numbers, nodata=7)
        place = Place(transform=TRANSFORM, crs="WKT")
    elif kind == "npy":
        made = tmp_path / "a.npy"
        np.save(made, whole[0])
    else:
        made = tmp_path / "a.png"
        Image.fromarray(whole[0]).save(made)
    mask = open_mask(made, SIZE, place)
    for box in boxes():
        part, found = inside(box, mask)
        assert found.dtype == bool and np.array_equal(found, whole[0][part])
    again = mask.recipe.open()
    assert again.identity() == mask.identity() and open_mask(mask.recipe, SIZE, place)
    for each in (again, mask):
        each.close()


def test_a_coarser_mask_stands_for_whole_pixels_in_any_dimension():
    for size, shape in (((12,), (4,)), ((12, 20), (3, 10)), ((4, 6, 8), (2, 6, 2))):
        coarse = image(shape) > 90
        steps = [n // m for n, m in zip(size, shape, strict=True)]
        whole = np.kron(coarse, np.ones(steps, bool))
        mask = open_mask(coarse, size, None)
        random = np.random.default_rng(0)
        for _ in range(20):
            box = tuple(
                tuple(sorted(random.choice(n + 1, 2, replace=False).tolist())) for n in size
            )
            part, found = inside(box, mask)
            assert np.array_equal(found, whole[part])


def test_what_is_no_mask_of_this_image_is_refused(tmp_path):
    rgb = tmp_path / "rgb.png"
    Image.fromarray(image((*SIZE, 3))).save(rgb)
    clear = tmp_path / "clear.png"
    Image.fromarray(image((*SIZE, 4))).save(clear)
    elsewhere, _ = geotiff(tmp_path, image((1, *SIZE)))
    place = Place(transform=(2.0, 0.0, 500010.0, 0.0, -3.0, 4100000.0), crs="WKT")
    smaller = tmp_path / "smaller"
    smaller.mkdir()
    coarse, _ = geotiff(smaller, image((1, 20, 30)))
    square = area((1, 1), (5, 1), (5, 5))
    lonlat = "urn:ogc:def:crs:OGC:1.3:CRS84"
    for mask, at, words in (
        (rgb, None, "channels is 3, expected 1"),
        (clear, None, "channels is 4, expected 1"),
        (elsewhere, place, r"transform is .*expected .*500010.0"),
        (coarse, Place(transform=TRANSFORM, crs="WKT"), r"of \(20, 30\) pixels, expected .*\(40, 60\)"),
        (np.ones((41, 60), bool), None, r"size is \(41, 60\), expected \(40, 60\), the image's, or a"),
        (np.ones(SIZE, np.float32), None, "dtype is float32, expected truth values or whole"),
        (area((100, 1), (105, 1), (105, 5)), None, "rows 1 to 5, columns 100 to 105, expected some within"),
        (square, Place(transform=TRANSFORM, crs="WKT"), "outlines is at rows"),
        ({"type": "Polygon", "coordinates": [[(1, 1), (2, 2), (1, 1)]]}, None, "at least 4 corners"),
        ({"type": "Polygon", "coordinates": [[(1, 1), (2, float("nan")), (1, 2), (1, 1)]]}, None, "corners"),
        ({"type": "Polygon", "coordinates": 3}, None, "at least 4 corners"),
        ({"type": "Polygon"}, None, "at least 4 corners"),
        ({"type": "LineString", "coordinates": []}, None, "GeoJSON is 'LineString'"),
        ({"type": "FeatureCollection", "features": [3]}, None, "expected objects"),
    ):  # fmt: skip
        with pytest.raises(Refused, match=words):
            open_mask(mask, SIZE, at)
    with pytest.raises(Refused, match="dimensions is 1, expected 2"):
        open_mask(square, (40,), None)
    named = square | {"crs": {"type": "name", "properties": {"name": lonlat}}}
    import rasterio

    utm = rasterio.crs.CRS.from_epsg(32633).to_wkt()
    with pytest.raises(Refused, match="crs is 'urn:ogc.*expected the image's: PROJCS"):
        open_mask(named, SIZE, Place(transform=TRANSFORM, crs=utm))
    for content in ("", "[]", "{", "3", "[" * 100_000):
        (tmp_path / "bad.geojson").write_text(content)
        with pytest.raises(InputError, match="not readable GeoJSON"):
            open_mask(tmp_path / "bad.geojson", SIZE, None)
    with pytest.raises(InputError, match="no such file"):
        open_mask(tmp_path / "none.geojson", SIZE, None)
