"""Marks planted into an image come back where they were, through a score map and every export.

Nothing here knows convlin's formulas: the mark's place is the mean of its pixels, which the source
file itself, read by its own library, says the coordinates of; scores are sums over windows that
slide over the image; and each export is read by another library, or as text.
"""

import csv
import json

import numpy as np
import pytest

from convlin.scanning.exports import write_export
from convlin.scanning.places import CellPlaces, Place

WITHIN = 1e-6  # of a pixel
MAPS = [
    # window, stride, cells skipped by a region, mark's cell within the region
    ((8, 6), (4, 3), (0, 0), (9, 2)),
    ((7, 9), (2, 5), (3, 1), (0, 4)),
    ((7, 6), (10, 11), (1, 2), (3, 0)),  # pixels between windows
    ((1, 2), (1, 1), (0, 7), (12, 5)),
]


def planted(window, stride, first, cell):
    """Return an image with one bright window, its scores in the region, and its bright pixels."""
    begins = [(f + i) * s for f, i, s in zip(first, cell, stride, strict=True)]
    size = [a + p + 4 * s for a, p, s in zip(begins, window, stride, strict=True)]
    image = np.random.default_rng(0).random(size)
    bright = tuple(slice(a, a + p) for a, p in zip(begins, window, strict=True))
    image[bright] += 5
    views = np.lib.stride_tricks.sliding_window_view(image, window)
    views = views[tuple(slice(f * s, None, s) for f, s in zip(first, stride, strict=True))]
    scores = views.mean(axis=tuple(range(-len(window), 0))).astype(np.float32)
    assert np.unravel_index(scores.argmax(), scores.shape) == tuple(cell)
    pixels = np.argwhere(image > 2)
    return image, np.stack([-scores, scores]), pixels


@pytest.mark.parametrize("window, stride, first, cell", MAPS)
def test_a_mark_in_a_geotiff_has_its_coordinates_in_every_export(
    window, stride, first, cell, tmp_path
):
    import rasterio

    image, scores, pixels = planted(window, stride, first, cell)
    transform = rasterio.Affine(2.5, 0.5, 500_000.0, 0.25, -3.0, 4_100_000.0)
    with rasterio.open(
        tmp_path / "image.tif", "w", driver="GTiff", height=image.shape[0], width=image.shape[1],
        count=1, dtype="float64", crs="EPSG:32633", transform=transform,
    ) as file:  # fmt: skip
        file.write(image, 1)
    with rasterio.open(tmp_path / "image.tif") as file:
        expected = np.mean([file.xy(*pixel, offset="center") for pixel in pixels], axis=0)
        place = Place(tuple(file.transform)[:6], file.crs.to_wkt())
    places, arrays = CellPlaces(window, stride, first, place), {"scores": scores}

    write_export(arrays, places, tmp_path / "a.tif", classes=(3, 7), names=[*"abcdefgh"])
    with rasterio.open(tmp_path / "a.tif") as file:
        found = file.xy(*np.argwhere(file.read(2) > 5)[0], offset="center")
        assert file.crs.to_epsg() == 32633 and np.isnan(file.nodata)
        assert file.descriptions == ("d", "h")
    assert found == pytest.approx(expected, rel=0, abs=WITHIN)

    write_export(arrays, places, tmp_path / "a.csv", threshold=5)
    ((line,)) = csv.DictReader((tmp_path / "a.csv").read_text("utf-8").splitlines())
    assert [float(line["x"]), float(line["y"])] == pytest.approx(expected, rel=0, abs=WITHIN)

    for shape in ("box", "centre"):
        path = tmp_path / f"{shape}.geojson"
        write_export(arrays, places, path, threshold=5, shape=shape)
        written = json.loads(path.read_text("utf-8"))
        (feature,) = written["features"]
        points = feature["geometry"]["coordinates"]
        found = points if shape == "centre" else np.mean(points[0][:4], axis=0)
        assert found == pytest.approx(expected, rel=0, abs=WITHIN)
        assert written["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"


@pytest.mark.parametrize("factor", [(1.0, 1.0), (4.0, 4.0), (4.0, 3.97)])
@pytest.mark.parametrize("window, stride, first, cell", MAPS)
def test_a_mark_in_a_level_is_in_pixels_of_full_resolution(
    window, stride, first, cell, factor, tmp_path
):
    _, scores, pixels = planted(window, stride, first, cell)
    # level pixel i is what full resolution has from i·factor to (i + 1)·factor
    row, column = (pixels * factor + np.array(factor) / 2).mean(axis=0)
    places, arrays = CellPlaces(window, stride, first, Place(factor=factor)), {"s": scores}
    write_export(arrays, places, tmp_path / "a.csv", top=1)
    lines = csv.DictReader((tmp_path / "a.csv").read_text("utf-8").splitlines())
    (line,) = [line for line in lines if line["class"] == "1"]
    found = [float(line["centre_y"]), float(line["centre_x"])]
    assert found == pytest.approx([row, column], rel=0, abs=WITHIN)
    ends = [float(line[f"{end}_{axis}"]) for axis in "yx" for end in ("first", "stop")]
    low, high = pixels.min(axis=0) * factor, (pixels.max(axis=0) + 1) * factor
    assert ends == pytest.approx([low[0], high[0], low[1], high[1]], rel=0, abs=WITHIN)
    for shape in ("box", "centre"):
        path = tmp_path / f"{shape}.geojson"
        write_export(arrays, places, path, threshold=5, shape=shape)
        written = json.loads(path.read_text("utf-8"))
        (feature,) = written["features"]
        points = feature["geometry"]["coordinates"]
        if shape == "box":
            assert np.ravel(points[0][0]) == pytest.approx(low[::-1], rel=0, abs=WITHIN)
            assert np.ravel(points[0][2]) == pytest.approx(high[::-1], rel=0, abs=WITHIN)
        else:
            assert points == pytest.approx([column, row], rel=0, abs=WITHIN)
        assert "crs" not in written


@pytest.mark.parametrize(
    "window, stride, first, cell",
    [
        *MAPS,
        ((3, 4, 5), (2, 3, 7), (0, 2, 1), (2, 0, 3)),
        ((2, 1, 3), (5, 2, 1), (1, 0, 2), (0, 4, 1)),
    ],
)
def test_a_mark_has_its_physical_coordinates_in_an_ome_zarr(window, stride, first, cell, tmp_path):
    import zarr
    from ome_zarr_models.v05 import Image

    ndim = len(window)
    _, scores, pixels = planted(window, stride, first, cell)
    size, begin = np.array([0.25, 0.5, 0.75])[:ndim], np.array([3.0, -2.0, 0.5])[:ndim]
    expected = (begin + pixels * size).mean(axis=0)  # a pixel lies where its middle does
    units = ("micrometer",) * ndim
    place = Place(scale=tuple(size), translation=tuple(begin), units=units)
    packed = zarr.create_array(
        zarr.storage.MemoryStore(), shape=scores.shape, dtype=scores.dtype,
        chunks=(2, *(2,) * ndim), shards=(2, *(4,) * ndim),
    )  # fmt: skip
    packed[...] = scores
    write_export({"s": packed}, CellPlaces(window, stride, first, place), tmp_path / "a.ome.zarr")
    group = zarr.open(str(tmp_path / "a.ome.zarr"), mode="r")
    (image,) = json.loads((tmp_path / "a.ome.zarr" / "zarr.json").read_text())["attributes"]["ome"][
        "multiscales"
    ]
    steps = {
        its["type"]: its[its["type"]] for its in image["datasets"][0]["coordinateTransformations"]
    }
    found = np.argwhere(group["0"][1] > 5)[0] * steps["scale"][1:] + steps["translation"][1:]
    assert np.abs(found - expected).max() / size.min() < WITHIN
    assert (steps["scale"][0], steps["translation"][0]) == (1, 0)
    assert np.array_equal(group["0"][...], scores) and group["0"].shards == packed.shards
    model = Image.from_zarr(group).ome_attributes
    assert model.version == "0.5"
    axes = [(axis.name, axis.type, axis.unit) for axis in model.multiscales[0].axes]
    spaces = [(name, "space", "micrometer") for name in "zyx"[3 - ndim :]]
    assert axes == [("c", "channel", None), *spaces]


@pytest.mark.parametrize("window, stride, first, cell", MAPS)
def test_both_conventions_say_the_same_of_every_cell(window, stride, first, cell, tmp_path):
    """An image 3 by 2 a pixel whose corner is at (−7, 40): pixel 0 has its middle at (−5.5, 41)."""
    import rasterio
    import zarr

    _, scores, _ = planted(window, stride, first, cell)
    place = Place(
        (3.0, 0.0, -7.0, 0.0, 2.0, 40.0), "EPSG:32633", (2.0, 3.0), (41.0, -5.5), factor=(4.0, 4.0)
    )
    places = CellPlaces(window, stride, first, place)
    write_export({"s": scores}, places, tmp_path / "a.tif")
    write_export({"s": scores}, places, tmp_path / "a.ome.zarr")
    steps = zarr.open(str(tmp_path / "a.ome.zarr"), mode="r").attrs["ome"]["multiscales"][0]
    scale, move = steps["datasets"][0]["coordinateTransformations"]
    with rasterio.open(tmp_path / "a.tif") as file:
        for index in np.ndindex(scores.shape[1:]):
            x, y = file.xy(*index, offset="center")
            ours = np.array(index) * scale["scale"][1:] + move["translation"][1:]
            assert ours == pytest.approx([y, x], rel=0, abs=WITHIN)


@pytest.mark.parametrize(
    "window, stride, first, cell",
    [
        ((5,), (3,), (0,), (6,)),
        ((4,), (7,), (2,), (0,)),
        ((2, 3, 4), (1, 5, 2), (2, 0, 1), (1, 2, 4)),
    ],
)
def test_sound_and_volumes_have_lists_and_plain_arrays(window, stride, first, cell, tmp_path):
    _, scores, pixels = planted(window, stride, first, cell)
    factor = (4.0, 1.0, 3.97)[: len(window)]
    places, arrays = CellPlaces(window, stride, first, Place(factor=factor)), {"s": scores}
    write_export(arrays, places, tmp_path / "a.csv", threshold=5)
    (line,) = csv.DictReader((tmp_path / "a.csv").read_text("utf-8").splitlines())
    letters = "zyx"[3 - len(window) :]
    found = [float(line[f"centre_{axis}"]) for axis in letters]
    expected = ((pixels + 0.5) * factor).mean(axis=0)
    assert found == pytest.approx(expected, rel=0, abs=WITHIN)
    assert tuple(int(line[f"cell_{axis}"]) for axis in letters) == tuple(cell)
    write_export(arrays, places, tmp_path / "a.npy")
    assert np.array_equal(np.load(tmp_path / "a.npy"), scores)
