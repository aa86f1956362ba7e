"""Every format gives exactly the pixels that are asked for, and says what it cannot."""

import itertools
import pickle

import numpy as np
import pytest
from written_sources import (
    ANY_DTYPE,
    FORMATS,
    ON_DISK,
    TRANSFORM,
    geotiff,
    image,
    ome_zarr,
    png,
    striped_tiff,
    tiled_tiff,
    wav,
    write_pyramid,
    zarr3,
)

from convlin.errors import InputError, Refused
from convlin.scanning.masks import open_mask
from convlin.scanning.sources import Unreadable, open_source

BOXES = (
    ((0, 37), (0, 53)), ((0, 1), (0, 1)), ((36, 37), (52, 53)), ((5, 30), (7, 50)),
    ((15, 17), (31, 33)), ((0, 8), (0, 53)), ((8, 16), (0, 53)), ((16, 37), (0, 53)),
    ((3, 20), (10, 11)),
)  # fmt: skip


def names(each):
    return getattr(each, "__name__", str(each))


@pytest.mark.parametrize("write", FORMATS, ids=names)
def test_a_box_is_exactly_those_pixels_in_any_order(write, tmp_path):
    array = image()
    made, options = write(tmp_path, array)
    source = open_source(made, window=(3, 8, 8), **options)
    assert source.shape == array.shape and source.dtype == array.dtype
    for box in (*BOXES, *reversed(BOXES)):
        read = source.read(box)
        assert read.dtype.isnative
        assert np.array_equal(read, array[(slice(None), *(slice(a, b) for a, b in box))])
    for box in (((0, 38), (0, 53)), ((0, 5), (-1, 4)), ((4, 4), (0, 3)), ((0, 3),)):
        with pytest.raises(Refused, match="box is"):
            source.read(box)
    some = open_source(made, window=(2, 8, 8), channels=(2, 0), **options)
    assert np.array_equal(some.read(BOXES[3]), array[[2, 0], 5:30, 7:50])
    with pytest.raises(
        Refused, match=r"channels is 3, expected 2, as the window has, or channels="
    ):
        open_source(made, window=(2, 8, 8), **options)
    source.close()
    some.close()


DTYPES = ("uint16", "int16", "float32", "float64", ">u2", ">f4", "bool", "float16")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("write", ANY_DTYPE, ids=names)
def test_numbers_of_every_kind_are_read_as_they_are(write, dtype, tmp_path):
    array = image(dtype=np.float64).astype(dtype) if dtype != "bool" else image() > 100
    raster = write.__name__ in ("geotiff", "vrt")
    if (raster and dtype in ("bool", "float16")) or (
        dtype.startswith(">") and "zarr2" in names(write)
    ):
        array = array.astype("float32")
    made, options = write(
        tmp_path, array if not raster else array.astype(array.dtype.newbyteorder("="))
    )
    source = open_source(made, window=(3, 8, 8), **options)
    read = source.read(((3, 30), (2, 50)))
    assert read.dtype == array.dtype.newbyteorder("=") and read.dtype.isnative
    assert np.array_equal(read, array[:, 3:30, 2:50])
    source.close()


@pytest.mark.parametrize("write", ON_DISK, ids=names)
def test_another_process_opens_the_same(write, tmp_path):
    array = image()
    made, options = write(tmp_path, array)
    source = open_source(made, window=(3, 8, 8), **options)
    again = pickle.loads(pickle.dumps(source.recipe)).open()
    assert np.array_equal(again.read(BOXES[3]), array[:, 5:30, 7:50])
    assert again.identity() == source.identity()
    source.close()
    again.close()


@pytest.mark.parametrize("write", ON_DISK, ids=names)
def test_a_source_that_changes_is_another(write, tmp_path):
    import os

    made, options = write(tmp_path, image())
    source = open_source(made, window=(3, 8, 8), **options)
    before = dict(source.identity())
    assert dict(source.identity()) == before
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    largest = max(files, key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[-1] ^= 1
    largest.write_bytes(content)
    os.utime(largest, ns=(1, 2 * largest.stat().st_mtime_ns))
    assert dict(source.identity()) != before
    source.close()


def test_channels_are_one_or_named_and_other_axes_have_length_one(tmp_path):
    grey = image((37, 53))
    assert open_source(grey, window=(1, 8, 8)).shape == (1, 37, 53)
    assert open_source(grey[None], window=(1, 8, 8)).shape == (1, 37, 53)
    line = image((2, 91))
    assert open_source(line, window=(2, 9)).shape == (2, 91)
    assert open_source(line.T, window=(2, 9), axes="TC").shape == (2, 91)
    volume = image((2, 11, 13, 17))
    source = open_source(volume, window=(2, 5, 5, 5))
    assert np.array_equal(source.read(((1, 9), (2, 3), (0, 17))), volume[:, 1:9, 2:3])
    for array, options, words in (
        (volume, {"axes": "CTYX"}, "length of axis T is 11, expected 1"),
        (volume, {}, "expected 2 or 3 axes"),
        (image((4, 3, 5)), {"axes": "CYQ"}, "X among them"),
        (image((4, 3, 5)), {"axes": "CY"}, "a letter for each of the 3 axes"),
        (image((4, 3, 5)), {"axes": "CYY"}, "a letter for each"),
        (image((4, 3, 5, 3)), {"axes": "CYXS"}, "one axis of channels"),
        (image((3, 4, 5)).astype(complex), {}, "dtype is complex128"),
        (np.empty((3, 4, 5), object), {}, "dtype is object"),
        (image((3, 4, 5)), {"channels": (0, 3, 1)}, "numbers from 0 to 2"),
        (image((3, 0, 5)), {}, "at least one pixel"),
    ):
        with pytest.raises(Refused, match=words):
            open_source(array, window=(3, 4, 4), **options)


def test_levels_are_exact_and_say_how_coarse_they_are(tmp_path):
    array = image((3, 64, 96))
    made, _ = ome_zarr(tmp_path, array)
    fine, coarse = (open_source(made, window=(3, 8, 8), level=level) for level in (0, 1))
    assert np.array_equal(coarse.read(((0, 32), (5, 40))), array[:, ::2, ::2][:, :, 5:40])
    assert fine.place.factor == (1.0, 1.0) and coarse.place.factor == (2.0, 2.0)
    assert coarse.place.scale == (1.0, 1.0) and coarse.place.translation == (7.5, -2.5)
    assert coarse.place.units == ("micrometer",) * 2
    with pytest.raises(InputError, match="level is 2, expected 0 to 1"):
        open_source(made, window=(3, 8, 8), level=2)
    rgb = image((195, 263, 3))
    slide = write_pyramid(tmp_path / "a.svs", rgb, (1, 4), compression="zlib")
    whole, small = (open_source(slide, window=(3, 8, 8), level=level) for level in (0, 1))
    assert np.array_equal(whole.read(((0, 195), (3, 263))), rgb.transpose(2, 0, 1)[:, :, 3:])
    mean = rgb[:192, :260].reshape(48, 4, 65, 4, 3).mean((1, 3)).round()
    assert np.array_equal(small.read(((0, 48), (0, 65))), mean.transpose(2, 0, 1))
    assert small.place.factor == (4.0, 4.0)
    with pytest.raises(InputError, match="level is 2, expected 0 to 1"):
        open_source(slide, window=(3, 8, 8), level=2)
    for source in (whole, small):
        source.close()
    with pytest.raises(InputError, match="level is 1, expected 0"):
        open_source(array, window=(3, 8, 8), level=1)


def test_a_raster_says_where_it_lies_and_an_overview_too(tmp_path):
    import rasterio

    array = image((2, 96, 128), np.float32)
    made, _ = geotiff(tmp_path, array, nodata=-9999)
    with rasterio.open(made, "r+") as file:
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    source = open_source(made, window=(2, 8, 8))
    with rasterio.open(made) as file:
        assert source.place.transform == tuple(file.transform)[:6] == TRANSFORM
        assert rasterio.crs.CRS.from_wkt(source.place.crs) == file.crs
    assert source.nodata == -9999 and source.place.factor == (1.0, 1.0)
    coarse = open_source(made, window=(2, 8, 8), level=1)
    with rasterio.open(made, overview_level=0) as file:
        assert np.array_equal(coarse.read(((3, 40), (0, 64))), file.read()[:, 3:40])
        assert coarse.place.transform == tuple(file.transform)[:6]
    assert coarse.place.factor == (2.0, 2.0)
    for its in (source, coarse):
        its.close()


def test_sound_is_one_dimension(tmp_path):
    samples = image((999, 2), np.int16)
    made = wav(tmp_path, samples)
    source = open_source(made, window=(2, 9))
    assert np.array_equal(source.read(((5, 77),)), samples[5:77].T)
    assert source.place.scale == (1 / 8000,) and source.place.units == ("second",)
    assert "WAV, 8,000 Hz" in source.description


def test_pictures_keep_the_limit_of_what_they_unpack_to(tmp_path, monkeypatch):
    from PIL import Image

    made, _ = png(tmp_path, image((3, 40, 60)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    with pytest.raises(InputError, match="unpacks to more than 2,000 pixels; --lift-bomb-limit"):
        open_source(made, window=(3, 8, 8))
    source = open_source(made, window=(3, 8, 8), lift_bomb_limit=True)
    assert Image.MAX_IMAGE_PIXELS == 2000 and source.shape == (3, 40, 60)
    assert source.memory >= 10 * 40 * 60 and "decoded as a whole" in source.notes[0]


def test_what_is_cut_short_or_damaged_is_named(tmp_path):
    array = image((3, 64, 96)) // 60  # so that it is packed: what is not has nothing to check
    for write in (tiled_tiff, striped_tiff, geotiff, zarr3):
        folder = tmp_path / write.__name__
        folder.mkdir()
        made, _ = write(folder, array)
        files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".json"]
        largest = max(files, key=lambda file: file.stat().st_size)
        content = bytearray(largest.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 60] = bytes(60)
        largest.write_bytes(content)
        if write in (tiled_tiff, geotiff):  # others have no checksum
            source = open_source(made, window=(3, 8, 8))
            with pytest.raises(Unreadable, match="pixels .*, 0:96 cannot be read"):
                source.read(((0, 64), (0, 96)))
            source.close()
    for name, words in (
        ("a.npy", "not a readable .npy"), ("a.tif", "not a readable TIFF"),
        ("a.png", "not a readable picture"), ("a.wav", "not a readable WAV"),
        ("a.vrt", "not a readable raster"), ("a.xyz", "not a readable picture"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(b"neither this nor that")
        with pytest.raises(InputError, match=words):
            open_source(tmp_path / name, window=(3, 8, 8))
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="not a readable .npy"):
        open_source(tmp_path / "o.npy", window=(3, 8, 8))
    with pytest.raises(InputError, match="nothing is downloaded"):
        open_source("https://example.org/a.tif", window=(3, 8, 8))
    with pytest.raises(InputError, match="a folder, expected a Zarr"):
        open_source(tmp_path, window=(3, 8, 8))
    with pytest.raises(InputError, match="no such file"):
        open_source(tmp_path / "none.tif", window=(3, 8, 8))
    (tmp_path / "far.vrt").write_text("<VRTDataset><x>/vsicurl/http://a/b.tif</x></VRTDataset>")
    with pytest.raises(InputError, match="files of this machine alone"):
        open_source(tmp_path / "far.vrt", window=(3, 8, 8))


def test_each_piece_is_decoded_once_as_bands_go_down(tmp_path):
    array = image((3, 100, 60))
    made, _ = tiled_tiff(tmp_path, array)
    source = open_source(made, window=(3, 8, 8))
    decoded = []
    inner = source._reader.read
    source._reader.read = lambda box: decoded.append(box[0]) or inner(box)
    for start in range(0, 100, 6):
        stop = min(start + 6, 100)
        assert np.array_equal(source.read(((start, stop), (0, 60))), array[:, start:stop])
    assert decoded == [(a, min(a + 16, 100)) for a in range(0, 100, 16)]
    source.close()


@pytest.mark.parametrize("kind", ["array", "coarser", "picture", "outlines"])
def test_a_mask_is_read_box_by_box(kind, tmp_path):
    whole = np.zeros((40, 60), bool)
    whole[8:24, 12:44] = True
    if kind == "array":
        mask = whole
    elif kind == "coarser":
        mask = whole[::4, ::4].astype(np.uint8)
    elif kind == "picture":
        from PIL import Image

        mask = tmp_path / "m.png"
        Image.fromarray(whole.astype(np.uint8) * 255).save(mask)
    else:
        corners = [[12, 8], [44, 8], [44, 24], [12, 24], [12, 8]]
        area = {"type": "Polygon", "coordinates": [corners]}
        mask = {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": area}]}
    opened = open_mask(mask, (40, 60), None)
    ends = [0, 7, 8, 13, 40], [0, 11, 30, 60]
    for box in itertools.product(*(itertools.pairwise(side) for side in ends)):
        part = tuple(slice(a, b) for a, b in box)
        if kind == "outlines":  # touched pixels too
            found = opened.read(box)
            assert (found | ~whole[part]).all()
            inside = np.pad(whole, 1)
            near = sum(np.roll(inside, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) > 0
            assert (near[1:-1, 1:-1][part] | ~found).all()
        else:
            assert np.array_equal(opened.read(box), whole[part])
    assert opened.identity() == pickle.loads(pickle.dumps(opened.recipe)).open().identity()


def test_a_mask_that_does_not_fit_is_refused():
    for mask, words in (
        (np.ones((3, 4)), "truth values or whole numbers"),
        (np.ones((7, 60), bool), "or a size that divides it"),
        ({"type": "Point", "coordinates": [1, 2]}, "Polygon or MultiPolygon"),
        ({"type": "FeatureCollection", "features": []}, "at least one polygon"),
        (3, "an array, an image's path or GeoJSON"),
    ):
        with pytest.raises(Refused, match=words):
            open_mask(mask, (40, 60), None)
