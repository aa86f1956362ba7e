"""What formats have no place for, and disks no room: named, and nothing is left."""

import subprocess
import sys

import numpy as np
import pytest

from convlin.errors import InputError, Refused
from convlin.scanning.exports import geotiff, ome_zarr, plain, require_export, write_export
from convlin.scanning.exports.in_pieces import pieces
from convlin.scanning.places import CellPlaces, Place
from convlin.scanning.store import StoredArray

FLAT = CellPlaces((4, 6), (2, 3), (0, 0))
SUFFIXES = (".npy", ".tif", ".csv", ".geojson", ".ome.zarr")


@pytest.mark.parametrize("most", [0, 100, 1000, 10**6])
@pytest.mark.parametrize("chunks", [None, (2, 3, 4), (5, 30, 2), (1, 1, 11)])
def test_pieces_are_whole_chunks_and_make_up_the_array(chunks, most):
    class Packed:
        shape, dtype = (5, 17, 11), np.dtype("float32")

    if chunks:
        Packed.chunks = chunks
    seen = np.zeros(Packed.shape, int)
    for place in pieces(Packed, most):
        seen[place] += 1
        for side, size, n in zip(place, Packed.shape, chunks or (1, 1, 1), strict=True):
            assert side.start % n == 0 and (side.stop % n == 0 or side.stop == size)
        chunk = np.prod(np.minimum(chunks or (1, 1, 1), Packed.shape)) * 4
        assert np.prod([side.stop - side.start for side in place]) * 4 <= max(most, chunk)
    assert (seen == 1).all()


@pytest.mark.parametrize(
    "shape, chunks",
    [((3, 7, 11), (2, 3, 4)), ((5, 9), (5, 2)), ((2, 3, 4, 5, 6), (1, 2, 4, 3, 5)), ((7,), (3,))],
)
def test_plain_arrays_are_written_from_any_chunks(shape, chunks, tmp_path, monkeypatch):
    import zarr

    monkeypatch.setattr(plain, "AT_ONCE", 200)
    array = np.random.default_rng(0).integers(-9, 99, shape).astype(np.int16)
    packed = zarr.create_array(
        zarr.storage.MemoryStore(), shape=shape, chunks=chunks, dtype="int16"
    )
    packed[...] = array
    places = CellPlaces(
        (4,) * min(2, len(shape)), (2,) * min(2, len(shape)), (0,) * min(2, len(shape))
    )
    write_export({"s": packed}, places, tmp_path / "a.npy")
    found = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert found.dtype == np.int16 and np.array_equal(found, array)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
def test_maps_keep_their_numbers(dtype, tmp_path, monkeypatch):
    import rasterio
    import zarr

    monkeypatch.setattr(geotiff, "AT_ONCE", 2**20)  # bands are written some at a time
    array = np.random.default_rng(0).integers(0, 99, (7, 300, 270)).astype(dtype)
    packed = zarr.create_array(
        zarr.storage.MemoryStore(), shape=array.shape, chunks=(4, 90, 70), dtype=dtype
    )
    packed[...] = array
    if np.dtype(dtype).kind == "f":
        packed[2, 5:200, 30:] = array[2, 5:200, 30:] = np.nan
    write_export({"s": packed}, FLAT, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as file:
        assert np.array_equal(file.read(), array, equal_nan=np.dtype(dtype).kind == "f")
        assert file.nodata is None or np.isnan(file.nodata)
        assert (file.nodata is None) == (np.dtype(dtype).kind != "f") and file.dtypes[0] == dtype
    write_export({"s": array}, FLAT, tmp_path / "a.ome.zarr")
    found = zarr.open(str(tmp_path / "a.ome.zarr"), mode="r")["0"]
    assert found.dtype == dtype and np.array_equal(
        found[...], array, equal_nan=np.dtype(dtype).kind == "f"
    )


def test_an_array_that_has_no_chunks_gets_small_ones(tmp_path, monkeypatch):
    import zarr

    monkeypatch.setattr(ome_zarr, "CHUNK", 1000)
    array = np.random.default_rng(0).random((3, 40, 30)).astype(np.float32)
    write_export({"s": array}, FLAT, tmp_path / "a.ome.zarr")
    found = zarr.open(str(tmp_path / "a.ome.zarr"), mode="r")["0"]
    assert np.array_equal(found[...], array) and np.prod(found.chunks) * 4 <= 1000


@pytest.mark.parametrize(
    "name, shapes, ndim, options, words",
    [
        ("a.tif", {"s": (5, 9)}, 1, {}, "a.tif: shape of s is (5, 9), expected (K, rows, columns)"),
        ("a.tif", {"s": (5, 9, 8, 7)}, 3, {}, "expected (K, rows, columns): a map for each class"),
        ("a.tif", {"s": (70000, 9, 8)}, 2, {}, "at most 65535 classes"),
        ("a.tif", {"s": (5, 9, 8), "t": (1, 9, 8)}, 2, {}, "outputs= to choose of s, t"),
        ("a.tif", {"s": (5, 9, 8)}, 2, {"names": ["a"]}, "names is 1 names"),
        ("a.ome.zarr", {"s": (5, 9)}, 1, {}, "dimensions is 1, expected 2 or 3"),
        ("a.ome.zarr", {"s": (2, 3, 4, 9, 8)}, 2, {}, "expected one axis of classes"),
        ("a.csv", {"s": (2, 3, 4, 9, 8)}, 2, {"top": 1}, "expected one axis of classes"),
        ("a.geojson", {"s": (2, 9)}, 1, {"top": 1}, "dimensions is 1, expected 2, of an image"),
        ("a.geojson", {"s": (2, 9, 8)}, 2, {}, "expected a threshold, or top"),
    ],
)
def test_a_scan_can_ask_before_it_runs(name, shapes, ndim, options, words, tmp_path):
    arrays = {
        key: StoredArray(key, shape, shape, shape, "float32") for key, shape in shapes.items()
    }
    with pytest.raises((Refused, InputError)) as refused:
        require_export(arrays, ndim, tmp_path / name, **options)
    assert words in str(refused.value)
    with pytest.raises(Refused, match="float32 or float64"):
        half = StoredArray("s", (5, 9, 8), (5, 9, 8), (5, 9, 8), "float16")
        require_export({"s": half}, 2, tmp_path / "a.tif")
    require_export(arrays, ndim, tmp_path / "a.zarr")  # has place for all of them
    with pytest.raises(InputError, match=r"must end in one of \.ome\.zarr, \.tif"):
        write_export({"s": np.ones((2, 3, 4))}, FLAT, tmp_path / "a.zarr")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_where_nothing_can_be_written_is_named(suffix, tmp_path):
    arrays = {"s": np.ones((2, 3, 4), np.float32)}
    with pytest.raises(InputError, match="no such folder"):
        write_export(arrays, FLAT, tmp_path / "none" / f"a{suffix}", top=1)
    path = tmp_path / f"a{suffix}"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="exists"):
        write_export(arrays, FLAT, path, top=1)
    assert path.is_symlink() and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".tif", ".geojson"])
def test_a_crs_that_is_none_is_named(suffix, tmp_path):
    places = CellPlaces((4, 6), (2, 3), (0, 0), Place((1, 0, 0, 0, 1, 0), "nowhere"))
    with pytest.raises(InputError, match=f"a{suffix}: .*CRS"):
        write_export({"s": np.ones((2, 3, 4), np.float32)}, places, tmp_path / f"a{suffix}", top=1)
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, shutil, sys
import numpy as np
from pathlib import Path
from convlin.errors import InputError
from convlin.scanning.exports import write_export
from convlin.scanning.places import CellPlaces
import zarr
array = np.random.default_rng(0).random((3, 280, 270)).astype(np.float32)
scores = zarr.create_array(zarr.storage.MemoryStore(), shape=array.shape, chunks=(3, 140, 135), dtype="float32")
scores[:] = array
places = CellPlaces((4, 4), (2, 2), (0, 0))
path = Path(sys.argv[1])

def write(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_export({"s": scores}, places, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

write(resource.RLIM_INFINITY)
folder = path.is_dir()
full = max(file.stat().st_size for file in (path.rglob("*") if folder else [path]) if file.is_file())
shutil.rmtree(path) if folder else path.unlink()
limits = sorted({*map(int, np.linspace(1, full, 25)[:-1]), *range(full - 30, full)})
for limit in limits:
    try:
        write(limit)
        print("written in spite of", limit, "of", full)
    except InputError as error:
        assert str(error).startswith(f"{path}: cannot be written: "), error
    assert not list(path.parent.iterdir()), limit
print(len(limits), "refused")
"""


@pytest.mark.parametrize("suffix", [".npy", ".tif", ".ome.zarr"])
def test_a_disk_that_is_full_anywhere_is_found(suffix, tmp_path):
    """At any byte, the last ones too, where a library may have no more to say."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / f"a{suffix}")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "54 refused\n"), done.stdout + done.stderr
