"""Lists of windows: the same as a sort of everything gives, in a memory that has an end."""

import csv
import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from convlin.errors import InputError, Refused
from convlin.scanning.exports import chosen, write_export
from convlin.scanning.exports.chosen import hits
from convlin.scanning.places import CellPlaces, Place

FLAT = CellPlaces((4, 6), (2, 3), (0, 0))


class Packed:
    """An array in chunks, as Zarr's are; counts what is read at once."""

    def __init__(self, array, chunks):
        self.array, self.chunks, self.most = array, chunks, 0
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, place):
        part = self.array[place]
        self.most = max(self.most, part.nbytes)
        return part


def sorted_list(scores, threshold, top):
    """Return the list by Python's own sort of every number as it is."""
    found = []
    for kind, one in enumerate(scores):
        cells = [cell for cell in np.ndindex(one.shape) if not np.isnan(one[cell])]
        rows = sorted((-float(one[cell]), cell) for cell in cells)
        rows = [row for row in rows if threshold is None or -row[0] >= threshold]
        found += [(-score, kind, cell) for score, cell in rows[:top]]
    return found


def drawn(seed, shape, dtype):
    random = np.random.default_rng(seed)
    scores = random.integers(-40, 40, shape)  # many are equal
    if np.dtype(dtype).kind == "f":
        scores = scores / 16
        scores[random.random(shape) < 0.3] = np.nan
        scores[0] = np.nan  # a class without scores
    return scores.astype(dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16"])
@pytest.mark.parametrize(
    "shape, chunks", [((3, 40), (2, 7)), ((3, 9, 13), (3, 4, 5)), ((2, 5, 4, 7), (1, 2, 4, 3))]
)
def test_a_list_is_that_of_a_sort_however_it_is_packed(shape, chunks, dtype, monkeypatch, tmp_path):
    monkeypatch.setattr(chosen, "AT_ONCE", 64)  # many pieces
    monkeypatch.setattr(chosen, "MOST", 30)  # many runs
    monkeypatch.setattr(chosen, "READ", 3)
    scores = drawn(len(shape), shape, dtype)
    packed = Packed(scores, chunks)
    for threshold, top in ((None, 1), (None, 7), (0.3, None), (-9, None), (-1, 20), (9, 2)):
        found = hits(packed, len(shape) - 1, threshold, top, tmp_path)
        assert [tuple(hit) for hit in found] == sorted_list(scores, threshold, top)
    assert packed.most <= max(64, np.prod(chunks) * scores.itemsize)
    assert list(tmp_path.iterdir()) == []


def test_scores_are_compared_as_the_numbers_that_they_are():
    scores = np.array([[0.7, np.inf, -np.inf, np.nan, 1]], np.float32)
    assert float(scores[0, 0]) < 0.7
    assert [hit.cell for hit in hits(scores, 1, 0.7, None)] == [(1,), (4,)]
    assert [hit.cell for hit in hits(scores, 1, 1e300, None)] == [(1,)]
    assert [hit.cell for hit in hits(scores, 1, -np.inf, None)] == [(1,), (4,), (0,), (2,)]


@pytest.mark.parametrize("top", [None, 30_000])
def test_a_list_of_everything_takes_no_more_memory(top, monkeypatch, tmp_path):
    """Eighty thousand windows are 15 MB as Python's objects; here they come in twenty runs."""
    monkeypatch.setattr(chosen, "MOST", 2**12)
    monkeypatch.setattr(chosen, "READ", 2**11)
    monkeypatch.setattr(chosen, "AT_ONCE", 2**14)
    scores = np.random.default_rng(0).random((2, 200, 200), dtype=np.float32)
    tracemalloc.start()
    many = sum(1 for _ in hits(Packed(scores, (2, 20, 20)), 2, 0.0, top, tmp_path))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert many == 2 * (top or 40_000)
    # 8,192 records wait, 20 bytes each, and are sorted; 2,048 are read ahead, 200 bytes each
    assert most < 2e6, most


def test_windows_have_names_colours_and_kinds_as_qupath_reads_them(tmp_path):
    scores = np.array([[[1.0, 2]], [[4, 3]], [[5, 6]]], np.float32)
    names = ["stroma", "Drüse, groß", 'tumour "b"', "unused"]
    write_export({"s": scores}, FLAT, tmp_path / "a.csv", top=1, names=names)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text("utf-8").splitlines()))
    assert [(row["class"], row["name"]) for row in rows] == list(zip("012", names, strict=False))
    assert list(rows[0])[:6] == ["output", "class", "name", "score", "cell_y", "cell_x"]
    write_export(
        {"s": scores}, FLAT, tmp_path / "a.geojson", top=1, names=names, classes=(3, 0, 1),
        objects="detection",
    )  # fmt: skip
    features = json.loads((tmp_path / "a.geojson").read_text("utf-8"))["features"]
    its = [feature["properties"] for feature in features]
    kinds = [one["classification"] for one in its]
    assert [kind["name"] for kind in kinds] == ["unused", "stroma", "Drüse, groß"]
    assert len({tuple(kind["color"]) for kind in kinds}) == 3
    assert all(0 <= n <= 255 and type(n) is int for kind in kinds for n in kind["color"])
    assert {one["objectType"] for one in its} == {"detection"}
    assert [one["measurements"]["score"] for one in its] == [2, 4, 6]
    assert [one["cell"] for one in its] == [[0, 1], [0, 0], [0, 1]]
    write_export({"s": scores}, FLAT, tmp_path / "b.geojson", top=1)
    features = json.loads((tmp_path / "b.geojson").read_text("utf-8"))["features"]
    assert features[2]["properties"]["classification"]["name"] == "s 2"
    write_export({"s": scores}, FLAT, tmp_path / "c.geojson", threshold=99)
    assert json.loads((tmp_path / "c.geojson").read_text("utf-8"))["features"] == []


def test_several_outputs_are_in_one_list(tmp_path):
    arrays = {"one": np.array([[[1.0, 2]]]), "two": np.array([[7.0, 8], [9, 6]])}
    write_export(arrays, FLAT, tmp_path / "a.csv", top=2)
    rows = csv.DictReader((tmp_path / "a.csv").read_text("utf-8").splitlines())
    assert [(row["output"], float(row["score"])) for row in rows] == [
        ("one", 2), ("one", 1), ("two", 9), ("two", 8)
    ]  # fmt: skip


def test_longitude_and_latitude_need_no_word(tmp_path):
    place = Place((0.25, 0, -180, 0, -0.25, 90), "EPSG:4326")
    places = CellPlaces((4, 8), (4, 8), (0, 0), place)
    write_export({"s": np.ones((1, 1, 1))}, places, tmp_path / "a.geojson", top=1)
    written = json.loads((tmp_path / "a.geojson").read_text("utf-8"))
    assert "crs" not in written
    (ring,) = written["features"][0]["geometry"]["coordinates"]
    assert ring == [[-180, 90], [-178, 90], [-178, 89], [-180, 89], [-180, 90]]


@pytest.mark.parametrize(
    "name, options, words",
    [
        ("a.csv", {}, "windows is None, expected a threshold, or top"),
        ("a.csv", {"threshold": np.nan}, "threshold is nan, expected a number"),
        ("a.csv", {"top": 0}, "top is 0, expected a whole number ≥ 1"),
        ("a.csv", {"top": True}, "top is True, expected a whole number ≥ 1"),
        ("a.csv", {"top": 1, "classes": (4,)}, "expected 2 numbers, one for each class of s"),
        ("a.csv", {"top": 1, "classes": (4, -1)}, "classes is (4, -1), expected whole numbers ≥ 0"),
        ("a.csv", {"top": 1, "names": ["a"]}, "names is 1 names, expected one for each class"),
        ("a.csv", {"top": 1, "names": ["a", "b"], "classes": (0, 5)}, "up to 5"),
        ("a.csv", {"top": 1, "names": "ab"}, "names is 'ab', expected a list of names"),
        ("a.geojson", {"top": 1, "shape": "circle"}, "shape is 'circle', expected 'box' or"),
        ("a.geojson", {"top": 1, "objects": "cell"}, "objects is 'cell', expected 'annotation' or"),
        ("a.geojson", {"top": 9}, "JSON has no number inf, the score of cell (1, 2); write .csv"),
    ],
)
def test_a_list_that_says_nothing_is_refused_and_nothing_is_left(name, options, words, tmp_path):
    scores = np.zeros((2, 3, 4))
    scores[1, 1, 2] = np.inf
    with pytest.raises((Refused, InputError)) as refused:
        write_export({"s": scores}, FLAT, tmp_path / name, **options)
    assert words in str(refused.value) and "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


SPILLED = """
import resource, sys
import numpy as np
from pathlib import Path
from convlin.errors import InputError
from convlin.scanning.exports import chosen, write_export
from convlin.scanning.places import CellPlaces
chosen.MOST = 1000
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_export({"s": np.random.rand(2, 100, 100)}, CellPlaces((4, 4), (2, 2), (0, 0)), Path(sys.argv[1]), threshold=0)
except InputError as error:
    print(error)
"""


def test_a_disk_that_is_full_while_a_list_is_sorted_is_named(tmp_path):
    path = tmp_path / "a.csv"
    done = subprocess.run(
        [sys.executable, "-c", SPILLED, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{path}: cannot be written: File too large\n"), (
        done
    )
    assert list(tmp_path.iterdir()) == []
