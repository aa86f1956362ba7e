"""What is cut short or damaged is named, or said beforehand to be impossible to find."""

import os
import pickle
import shutil

import numpy as np
import pytest
from written_sources import geotiff, image, png, tiff_packed, tiled_tiff, wav, zarr_packed

from convlin.errors import InputError, Refused
from convlin.scanning.sources import Unreadable, open_source

ARRAY = image((3, 64, 96)) // 20 * 20  # so that it can be packed
WHOLE = ((0, 64), (0, 96))
# Packed with a checksum of the numbers: none that is damaged reads.
CHECKED = ("zlib", "lzma")


@pytest.fixture
def seeds(pytestconfig):
    return pytestconfig.getoption("seeds")


def tiles(path):
    """Return where the tiles of a TIFF lie, by another reader than the one that is tested."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        return list(zip(page.dataoffsets, page.databytecounts, strict=True))


def damaged(path, how, seed):
    """Damage one tile of a TIFF: cut the file within it, or change bytes of it."""
    content = bytearray(path.read_bytes())
    places = tiles(path)
    random = np.random.default_rng(seed)
    if how == "cut":
        offset, count = max(places)
        number = places.index((offset, count))
        content = content[: offset + count // 2]
    else:
        number = int(random.integers(len(places)))
        offset, count = places[number]
        size = 1 if how == "flipped" else 12
        at = offset + int(random.integers(count // 4, count - size))
        content[at : at + size] = bytes(byte ^ 0x5A for byte in content[at : at + size])
    path.write_bytes(content)
    return number


@pytest.mark.parametrize("how", ["cut", "flipped", "overwritten"])
@pytest.mark.parametrize("georeferenced", [False, True], ids=["tifffile", "rasterio"])
@pytest.mark.parametrize("packing", ["none", "zlib", "lzw", "zstd", "lzma", "jpeg", "packbits"])
def test_a_damaged_tile_is_named_or_its_packing_was(packing, georeferenced, how, tmp_path, seeds):
    for seed in range(seeds):
        if georeferenced:
            packed = {"zlib": "deflate", "none": None}.get(packing, packing)
            path, _ = geotiff(tmp_path, ARRAY, compress=packed, tile=(16, 32))
        else:
            path = tiff_packed(tmp_path, ARRAY, None if packing == "none" else packing)
        with open_source(path, window=(3, 8, 8)) as source:
            sound = source.read(WHOLE)
            says = [note for note in source.notes if "cannot be found" in note]
        assert bool(says) == (packing not in CHECKED)
        number = damaged(path, how, seed)
        (top, left) = divmod(number, 3)
        hole = ((top * 16, top * 16 + 16), (left * 32, left * 32 + 32))
        with open_source(path, window=(3, 8, 8)) as source:
            try:
                read = source.read(WHOLE)
            except Unreadable as error:
                (start, stop), _ = error.box
                assert start < hole[0][1] and stop > hole[0][0]
                assert f"pixels {start}:{stop}, 0:96 cannot be read: " in str(error)
                # no other tile is lost with it
                for row in range(4):
                    for column in range(3):
                        box = (row * 16, row * 16 + 16), (column * 32, column * 32 + 32)
                        if box != hole:
                            part = tuple(slice(a, b) for a, b in box)
                            assert np.array_equal(source.read(box), sound[:, *part])
                with pytest.raises(Unreadable):
                    source.read(hole)
            else:
                assert how != "cut" and (says or np.array_equal(read, sound))


@pytest.mark.parametrize("how", ["cut", "flipped", "empty", "garbage"])
@pytest.mark.parametrize("kind", ["raw", "blosc", "zstd", "gzip", "crc32c", "shard", "first", "v2"])
def test_a_damaged_chunk_is_named_or_checksums_are_missing(kind, how, tmp_path, seeds):
    for seed in range(seeds):
        path = zarr_packed(tmp_path / f"{seed}", ARRAY, kind)
        with open_source(path, window=(3, 8, 8)) as source:
            assert np.array_equal(source.read(WHOLE), ARRAY)
            says = any("without checksums" in note for note in source.notes)
        assert says == (kind not in ("gzip", "crc32c", "shard", "first"))
        chunks = sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and not file.name.startswith((".z", "zarr."))
        )
        random = np.random.default_rng(seed)
        chunk = chunks[int(random.integers(len(chunks)))]
        content = bytearray(chunk.read_bytes())
        at = int(random.integers(len(content) // 4, len(content) - 8))
        if how == "flipped":
            content[at] ^= 0x5A
        chunk.write_bytes({
            "cut": content[: len(content) * 2 // 3], "flipped": content, "empty": b"",
            "garbage": random.bytes(len(content)),
        }[how])  # fmt: skip
        with open_source(path, window=(3, 8, 8)) as source:
            try:
                read = source.read(WHOLE)
            except Unreadable as error:
                assert "cannot be read: " in str(error)
            else:
                # a byte of a shard that no chunk lies at changes nothing
                assert np.array_equal(read, ARRAY) or (says and how in ("flipped", "garbage"))


def test_chunks_that_are_not_stored_are_fill_values(tmp_path):
    import zarr

    made = zarr.create_array(
        str(tmp_path / "a"), shape=(40, 60), chunks=(16, 16), dtype="i2", fill_value=-7
    )
    made[16:32, 16:32] = image((16, 16), np.int16)
    with open_source(tmp_path / "a", window=(1, 8, 8)) as source:
        read = source.read(((0, 40), (0, 60)))[0]
    assert np.array_equal(read[16:32, 16:32], image((16, 16), np.int16))
    read[16:32, 16:32] = -7
    assert (read == -7).all()


def test_a_file_that_shrinks_while_it_is_read_is_named(tmp_path):
    np.save(tmp_path / "a.npy", ARRAY)
    mapped = np.lib.format.open_memmap(tmp_path / "a.npy", mode="r")
    for made in (tmp_path / "a.npy", mapped):
        np.save(tmp_path / "a.npy", ARRAY)
        with open_source(made, window=(3, 8, 8)) as source:
            assert np.array_equal(source.read(WHOLE), ARRAY)
            os.truncate(tmp_path / "a.npy", 5000)
            with pytest.raises(
                Unreadable, match="0:64, 0:96 cannot be read: OSError: the file ends"
            ):
                source.read(WHOLE)


def test_what_is_cut_short_is_not_opened_where_its_length_is_known(tmp_path):
    np.save(tmp_path / "a.npy", ARRAY)
    os.truncate(tmp_path / "a.npy", 5000)
    with pytest.raises(InputError, match=r"a.npy: is cut short: 5,000 bytes, expected 18,560"):
        open_source(tmp_path / "a.npy", window=(3, 8, 8))
    sound = wav(tmp_path, image((999, 2), np.int16))
    os.truncate(sound, 1000)
    with pytest.raises(InputError, match=r"not a readable WAV file: .*is cut short: 1,000 bytes"):
        open_source(sound, window=(2, 9))
    picture, _ = png(tmp_path, ARRAY)
    os.truncate(picture, picture.stat().st_size // 2)
    with pytest.raises(InputError, match="not a readable picture"):
        open_source(picture, window=(3, 8, 8))
    for write in (tiled_tiff, geotiff):
        path, _ = write(tmp_path, ARRAY)
        os.truncate(path, 60)
        with pytest.raises(InputError, match="not a readable"):
            open_source(path, window=(3, 8, 8))


def test_damage_is_named_across_processes_too():
    error = Unreadable("a.tif", ((0, 16), (3, 5)), "why")
    again = pickle.loads(pickle.dumps(error))
    assert (again.name, again.box, again.reason) == (error.name, error.box, error.reason)
    assert str(again) == str(error) == "a.tif: pixels 0:16, 3:5 cannot be read: why"


def test_metadata_that_makes_no_sense_is_named(tmp_path):
    import json

    path = zarr_packed(tmp_path / "a", ARRAY, "raw")
    good = json.loads((path / "zarr.json").read_text())
    for changed in ("", "{}", json.dumps(good | {"shape": [3]}), json.dumps(good | {"codecs": []})):
        (path / "zarr.json").write_text(changed)
        with pytest.raises((InputError, Refused)):
            open_source(path, window=(3, 8, 8)).read(WHOLE)
    shutil.rmtree(path)
    for attributes, words in (
        ({"ome": {"multiscales": [{"axes": [], "datasets": []}]}}, "level is 0"),
        (
            {"ome": {"multiscales": [{"datasets": [{"path": "none"}]}]}},
            "not a readable Zarr: KeyError",
        ),
        ({}, "a group, no image; it holds nothing"),
    ):
        import zarr

        zarr.create_group(str(path), overwrite=True, attributes=attributes)
        with pytest.raises(InputError, match=words):
            open_source(path, window=(3, 8, 8))
