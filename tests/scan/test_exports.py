"""A bright window lies where it was planted, whatever the scan is exported to.

Each export is read back by another library, or as plain text; the two conventions, from the corner
of the first pixel and from its middle, are checked against each other.
"""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from convlin.errors import InputError, Refused
from convlin.scanning.exports import export_of, write_export
from convlin.scanning.exports.chosen import hits
from convlin.scanning.places import CellPlaces, Place

TRANSFORM = (2.5, 0.5, 500_000.0, 0.25, -3.0, 4_100_000.0)
CASES = [
    pytest.param(window, stride, first, id=f"w{window}-s{stride}-f{first}")
    for window in ((8, 6), (7, 9))
    for stride in ((4, 3), (1, 2), (10, 11))
    for first in ((0, 0), (3, 5))
]
CELLS = (13, 11)


class Scores:
    """An array in shards, as Zarr's are."""

    def __init__(self, array, shards=(2, 5, 4)):
        self.array, self.shards, self.chunks = array, shards, shards
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, place):
        return self.array[place]


def impulse(cell, kind=1):
    scores = np.random.default_rng(0).random((2, *CELLS)).astype(np.float32)
    scores[(kind, *cell)] = 9
    return Scores(scores)


def middle(window, stride, first, cell):
    """Return a window's middle from the corner of the image's first pixel, by its pixels."""
    found = []
    for p, s, f, i in zip(window, stride, first, cell, strict=True):
        pixels = np.arange((i + f) * s, (i + f) * s + p)
        found.append((pixels + 0.5).mean())
    return found


@pytest.mark.parametrize("window, stride, first", CASES)
def test_a_geotiff_has_the_middle_of_a_window_where_the_image_has_it(
    window, stride, first, tmp_path
):
    import affine
    import rasterio

    cell = (9, 2)
    crs = rasterio.crs.CRS.from_epsg(32633).to_wkt()
    places = CellPlaces(window, stride, first, Place(TRANSFORM, crs))
    write_export({"scores": impulse(cell)}, places, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as file:
        band = file.read(2)
        row, column = np.argwhere(band == 9)[0]
        found = file.xy(row, column, offset="center")
        assert file.crs.to_epsg() == 32633 and np.isnan(file.nodata) and file.count == 2
        assert file.dtypes[0] == "float32" and file.block_shapes[0] == (256, 256)
    row, column = middle(window, stride, first, cell)
    expected = affine.Affine(*TRANSFORM) @ (column, row)
    assert np.allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("window, stride, first", CASES)
@pytest.mark.parametrize("placed", ["physical", "pixels", "coarse"])
def test_an_ome_zarr_has_it_too_counted_from_the_middle_of_the_first_pixel(
    window, stride, first, placed, tmp_path
):
    import zarr
    from ome_zarr_models.v05 import Image

    cell = (7, 10)
    size, begins = (0.5, 0.75), (3.0, -2.0)
    place = {
        "physical": Place(scale=size, translation=begins, units=("micrometer",) * 2),
        "pixels": Place(),
        "coarse": Place(factor=(4.0, 3.97)),
    }[placed]
    places = CellPlaces(window, stride, first, place)
    write_export({"scores": impulse(cell)}, places, tmp_path / "a.ome.zarr")
    group = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="r")
    image = Image.from_zarr(group).ome_attributes.multiscales[0]
    its = image.datasets[0].coordinateTransformations
    scale, translation = its[0].scale[1:], its[1].translation[1:]
    found = np.argwhere(group["0"][1] == 9)[0] * scale + translation
    # pixel i of the image is [i, i + 1) from its corner: its middle is i + 1/2
    row, column = middle(window, stride, first, cell)
    if placed == "physical":
        expected = np.array(begins) + (np.array([row, column]) - 0.5) * size
    else:
        factor = np.array(place.factor or (1, 1))
        expected = np.array([row, column]) * factor - 0.5
    assert np.allclose(found, expected, rtol=0, atol=1e-6)
    assert [axis.name for axis in image.axes] == ["c", "y", "x"]
    assert [axis.unit for axis in image.axes[1:]] == [place.units and "micrometer"] * 2


@pytest.mark.parametrize("window, stride, first", CASES)
@pytest.mark.parametrize("grounded", [False, True])
def test_lists_have_it_in_pixels_of_full_resolution_or_on_the_ground(
    window, stride, first, grounded, tmp_path
):
    import affine

    cell, factor = (3, 4), (4.0, 3.97)
    place = Place(TRANSFORM, "EPSG:32633") if grounded else Place(factor=factor)
    places = CellPlaces(window, stride, first, place)
    scores = {"scores": impulse(cell, 0)}
    write_export(scores, places, tmp_path / "a.csv", threshold=5)
    write_export(scores, places, tmp_path / "a.geojson", threshold=5, classes=(17, 23))
    row, column = middle(window, stride, first, cell)
    (line,) = csv.DictReader((tmp_path / "a.csv").read_text("utf-8").splitlines())
    down, right = (1, 1) if grounded else factor
    assert (line["output"], line["class"], float(line["score"])) == ("scores", "0", 9.0)
    assert (int(line["cell_y"]), int(line["cell_x"])) == cell
    found = [float(line[name]) for name in ("centre_y", "centre_x")]
    assert np.allclose(found, (row * down, column * right), rtol=0, atol=1e-6)
    sides = [float(line[f"{end}_{axis}"]) for axis in "yx" for end in ("first", "stop")]
    half = np.array(window) * (down, right) / 2
    middles = np.array([row * down, column * right])
    expected = [n for m, h in zip(middles, half, strict=True) for n in (m - h, m + h)]
    assert np.allclose(sides, expected, rtol=0, atol=1e-6)
    if grounded:
        ground = affine.Affine(*TRANSFORM) @ (column, row)
        assert np.allclose([float(line["x"]), float(line["y"])], ground, rtol=0, atol=1e-6)
    (feature,) = json.loads((tmp_path / "a.geojson").read_text("utf-8"))["features"]
    assert feature["properties"]["class"] == 17
    assert feature["properties"]["measurements"] == {"score": 9.0}
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == ring[-1] and len(ring) == 5
    point = np.mean(ring[:4], axis=0)
    expected = ground if grounded else (column * right, row * down)
    assert np.allclose(point, expected, rtol=0, atol=1e-6)


def test_numbers_are_written_as_they_are(tmp_path, monkeypatch):
    from convlin.scanning.exports import plain

    monkeypatch.setattr(plain, "AT_ONCE", 100)
    scores = np.random.default_rng(1).random((3, 7, 11)).astype(np.float32)
    scores[1, 2, 3] = np.nan
    places = CellPlaces((4, 4), (2, 2), (0, 0))
    write_export({"scores": Scores(scores, (3, 7, 4))}, places, tmp_path / "a.npy")
    assert np.array_equal(np.load(tmp_path / "a.npy"), scores, equal_nan=True)
    line = np.arange(5.0)
    write_export({"scores": line}, CellPlaces((4,), (2,), (0,)), tmp_path / "b.npy")
    assert np.array_equal(np.load(tmp_path / "b.npy"), line)


@pytest.mark.parametrize("threshold, top", [(None, 3), (0.5, None), (0.5, 4), (None, 1000)])
def test_the_best_windows_are_those_of_a_sorted_list(threshold, top):
    random = np.random.default_rng(2)
    scores = random.integers(0, 9, (3, 17, 13)) / 8  # many are equal
    scores[random.random(scores.shape) < 0.3] = np.nan
    found = hits(Scores(scores, (3, 5, 4)), 2, threshold, top)
    expected = []
    for kind in range(3):
        rows = [
            (-scores[(kind, *cell)], cell)
            for cell in np.ndindex(17, 13)
            if not np.isnan(scores[(kind, *cell)])
            and (threshold is None or scores[(kind, *cell)] >= threshold)
        ]
        expected += [(-score, kind, cell) for score, cell in sorted(rows)[:top]]
    assert [tuple(hit) for hit in found] == expected


def test_what_a_format_has_no_place_for_is_refused_and_nothing_is_left(tmp_path):
    flat, line = CellPlaces((4, 4), (2, 2), (0, 0)), CellPlaces((4,), (2,), (0,))
    volume = CellPlaces((4, 4, 4), (2, 2, 2), (0, 0, 0))
    scores = np.ones((2, 5, 6), np.float32)
    for name, arrays, places, options, words in (
        ("a.tif", {"s": np.ones((2, 5))}, line, {}, "a map for each class"),
        ("a.tif", {"s": np.ones((2, 5, 6, 7))}, volume, {}, "a map for each class"),
        ("a.tif", {"s": scores.astype(np.float16)}, flat, {}, "float32 or float64"),
        ("a.ome.zarr", {"s": Scores(np.ones((2, 5)), (2, 5))}, line, {}, "images and volumes"),
        ("a.geojson", {"s": np.ones((2, 5))}, line, {"top": 1}, "of an image"),
        ("a.geojson", {"s": scores}, flat, {}, "a threshold, or top"),
        ("a.csv", {"s": np.ones((2, 3, 5, 6))}, flat, {"top": 1}, "one axis of classes"),
        ("a.npy", {"s": scores, "t": scores}, flat, {}, "outputs= to choose of s, t"),
    ):
        with pytest.raises((Refused, InputError), match=words):
            write_export(arrays, places, tmp_path / name, **options)
        assert list(tmp_path.iterdir()) == []
    assert export_of(tmp_path / "a.zarr") == ""
    for name in ("a.tif", "a.npy", "a.csv", "a.ome.zarr"):
        (tmp_path / name).write_text("somebody's")
        with pytest.raises(InputError, match="exists"):
            write_export({"s": Scores(scores)}, flat, tmp_path / name, top=1)
        assert (tmp_path / name).read_text() == "somebody's"


FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from convlin.errors import InputError
from convlin.scanning.exports import write_export
from convlin.scanning.places import CellPlaces
import zarr
random = np.random.default_rng(0).random((4, 300, 300)).astype(np.float32)
scores = zarr.create_array(zarr.storage.MemoryStore(), shape=random.shape, chunks=(4, 150, 150), dtype="float32")
scores[:] = random
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_export({"scores": scores}, CellPlaces((4, 4), (2, 2), (0, 0)), Path(sys.argv[1]), threshold=0.0)
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("suffix", [".npy", ".tif", ".csv", ".geojson", ".ome.zarr"])
def test_a_full_disk_is_named_and_leaves_nothing(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: cannot be written: "), done.stdout
    assert list(tmp_path.iterdir()) == []
