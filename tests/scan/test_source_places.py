"""Where pixels lie, against what the formats' own libraries read; levels and axes, exactly."""

import itertools
import json
import warnings

import numpy as np
import pytest
from written_sources import geotiff, image, ome_zarr, ome_zarr_04, write_pyramid

from convlin.errors import InputError, Refused
from convlin.scanning.places import Place
from convlin.scanning.sources import open_source


@pytest.mark.parametrize("write", [ome_zarr, ome_zarr_04])
@pytest.mark.parametrize("level", [0, 1])
def test_ome_zarr_lies_where_a_library_of_the_format_says(write, level, tmp_path):
    import zarr
    from ome_zarr_models.v04 import Image as Image04
    from ome_zarr_models.v05 import Image as Image05

    path, _ = write(tmp_path, image((3, 64, 96)))
    model = (Image05 if write is ome_zarr else Image04).from_zarr(
        zarr.open_group(str(path), mode="r")
    )
    attributes = model.attributes
    multiscale = getattr(attributes, "ome", attributes).multiscales[0]
    scale, translation = multiscale.datasets[level].coordinateTransformations
    with open_source(path, window=(3, 8, 8), level=level) as source:
        place = source.place
    assert place.scale == tuple(scale.scale[1:])
    assert place.translation == tuple(translation.translation[1:])
    assert place.names == tuple(axis.name for axis in multiscale.axes[1:])
    assert place.units == tuple(axis.unit for axis in multiscale.axes[1:])
    assert place.factor == (2.0**level,) * 2


def test_a_level_is_as_coarse_as_its_scale_says_not_its_size(tmp_path):
    """37 rows make 18 of two; the whole image's own scale comes last."""
    import zarr

    path, _ = ome_zarr(tmp_path, image((3, 37, 53)))
    group = zarr.open_group(str(path))
    ome = dict(group.attrs["ome"])
    ome["multiscales"][0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [1.0, 3.0, 5.0]}, {"type": "translation", "translation": [0, 1, 2]},
    ]  # fmt: skip
    group.attrs["ome"] = ome
    with open_source(path, window=(3, 8, 8), level=1) as source:
        assert source.shape == (3, 19, 27)
        assert source.place.factor == (2.0, 2.0)
        assert source.place.scale == (3.0, 5.0)
        assert source.place.translation == (7.5 * 3 + 1, -2.5 * 5 + 2)


def test_axes_of_length_one_are_left_out_of_a_place_and_others_are_put_in_order(tmp_path):
    import zarr

    group = zarr.create_group(str(tmp_path / "a.zarr"))
    array = image((1, 2, 1, 17, 23))
    group.create_array("0", shape=array.shape, chunks=(1, 1, 1, 8, 8), dtype=array.dtype)[:] = array
    kinds = {"t": "time", "c": "channel"}
    axes = [{"name": n, "type": kinds.get(n, "space")} for n in "tczyx"]
    scale = {"type": "scale", "scale": [1.0, 1.0, 9.0, 0.5, 0.25]}
    sets = [{"path": "0", "coordinateTransformations": [scale]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": sets}]}
    with open_source(tmp_path / "a.zarr", window=(2, 8, 8)) as source:
        assert np.array_equal(source.read(((3, 17), (0, 23))), array[0, :, 0, 3:])
        assert source.place.scale == (0.5, 0.25) and source.place.names == ("y", "x")
    with open_source(tmp_path / "a.zarr", window=(2, 1, 8, 8)) as source:
        assert source.place.scale == (9.0, 0.5, 0.25)
    # what a caller calls the rows is what the file calls columns
    with open_source(tmp_path / "a.zarr", window=(2, 8, 8), axes="TCZXY") as source:
        assert np.array_equal(
            source.read(((3, 23), (0, 17))), array[0, :, 0].transpose(0, 2, 1)[:, 3:]
        )
        assert source.place.scale == (0.25, 0.5) and source.place.names == ("x", "y")


@pytest.mark.parametrize("level", [0, 1])
def test_ome_tiff_lies_as_its_xml_says(level, tmp_path):
    import tifffile

    array = image((64, 96, 3))
    facts = {
        "axes": "YXS",
        "PhysicalSizeY": 0.25,
        "PhysicalSizeX": 500.0,
        "PhysicalSizeXUnit": "nm",
    }
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True, bigtiff=True) as file:
        options = {"tile": (16, 32), "photometric": "rgb"}
        file.write(array, subifds=1, metadata=facts, **options)
        file.write(array[::4, ::4], subfiletype=1, **options)
    with open_source(tmp_path / "a.ome.tif", window=(3, 8, 8), level=level) as source:
        step = 4**level
        assert np.array_equal(
            source.read(((1, source.shape[1]), (0, 9))),
            array[::step, ::step][1:, :9].transpose(2, 0, 1),
        )
        place = source.place
    assert place.units == ("micrometer", "nanometer") and place.names == ("y", "x")
    assert place.factor == (step, step) and place.scale == (0.25 * step, 500.0 * step)
    # the middle of a coarse pixel is the mean of the middles of those that it covers
    assert place.translation == (0.25 * np.arange(step).mean(), 500.0 * np.arange(step).mean())


@pytest.mark.parametrize(("factors", "level"), [((1, 4, 16), 1), ((1, 4, 16), 2), ((1, 3), 1)])
def test_a_level_of_a_slide_is_as_coarse_as_it_was_made(factors, level, tmp_path):
    """195 and 263 are no multiples: the quotients of the sizes are 4.06 and 4.05."""
    path = write_pyramid(tmp_path / "a.svs", image((195, 263, 3)), factors)
    with open_source(path, window=(3, 8, 8), level=level) as source:
        assert source.place.factor == (factors[level],) * 2
        assert source.place.scale == (0.5 * factors[level],) * 2
        assert source.place.units == ("micrometer",) * 2
        assert f"SVS, JPEG, level {level} of {len(factors)}" in source.description
        assert any("damage inside of one" in note for note in source.notes)


@pytest.mark.parametrize("compress", ["deflate", "lzw"], ids=["tiles", "GDAL"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_overviews_are_read_and_placed_as_rasterio_does(compress, interleave, level, tmp_path):
    import rasterio

    path, _ = geotiff(tmp_path, image((3, 201, 303)), compress=compress, interleave=interleave)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
    options = {"overview_level": level - 1} if level else {}
    with (
        rasterio.open(path, **options) as file,
        open_source(path, window=(3, 8, 8), level=level) as source,
    ):
        numbers, (height, width) = file.read(), file.shape
        for rows, columns in itertools.product(((0, height), (7, 41)), ((0, width), (30, 35))):
            part = numbers[:, slice(*rows), slice(*columns)]
            assert np.array_equal(source.read((rows, columns)), part)
        assert source.place.transform == tuple(file.transform)[:6]
        assert rasterio.crs.CRS.from_wkt(source.place.crs) == file.crs
        # the corner of the last pixel is that of the image on all levels
        assert source.place.factor == (201 / height, 303 / width)


def test_overviews_beside_a_raster_are_levels_too(tmp_path):
    import rasterio

    path, _ = geotiff(tmp_path, image((2, 96, 128)))
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, "r+") as file:
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    assert (tmp_path / "g.tif.ovr").exists()
    with (
        rasterio.open(path, overview_level=0) as file,
        open_source(path, window=(2, 8, 8), level=1) as source,
    ):
        assert np.array_equal(source.read(((0, 48), (5, 64))), file.read()[:, :, 5:])


def test_what_a_raster_says_of_its_numbers_is_said(tmp_path):
    import rasterio

    path, _ = geotiff(tmp_path, image((2, 96, 128)), nodata=7)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.1, 0.1), (5.0, 5.0)
    with open_source(path, window=(2, 8, 8)) as source:
        assert source.nodata == 7
        assert "without the scales and offsets" in " ".join(source.notes)
    with open_source(path, window=(2, 8, 8), nodata=9) as source:
        assert source.nodata == 9


def test_missing_tiles_are_no_data(tmp_path):
    import rasterio

    for compress in ("deflate", "lzw"):
        path, _ = geotiff(
            tmp_path, image((2, 96, 128)), nodata=9, compress=compress, SPARSE_OK=True,
            part=((32, 64), (16, 32)),
        )  # fmt: skip
        with open_source(path, window=(2, 8, 8)) as source, rasterio.open(path) as file:
            read = source.read(((0, 96), (0, 128)))
            assert np.array_equal(read, file.read())
            assert (read == 9).sum() > 2 * (96 * 128 - 32 * 16 - 40)


def test_a_vrt_reads_files_of_this_machine_as_they_are(tmp_path):
    import rasterio
    import rasterio.shutil

    path, _ = geotiff(tmp_path, image((2, 96, 128)))
    rasterio.shutil.copy(path, tmp_path / "a.vrt", driver="VRT")
    good = (tmp_path / "a.vrt").read_text()
    with open_source(tmp_path / "a.vrt", window=(2, 8, 8)) as source:
        assert not any("resample" in note for note in source.notes)
        before = source.identity()
        with rasterio.open(path, "r+") as file:
            file.write(image((2, 96, 128), seed=3))
        assert source.identity() != before
    (tmp_path / "inner.vrt").write_text(good)
    outer = good.replace("g.tif", "inner.vrt")
    assert outer != good
    (tmp_path / "b.vrt").write_text(outer)
    with open_source(tmp_path / "b.vrt", window=(2, 8, 8)) as source:
        assert source.shape == (2, 96, 128)
    stretched = good.replace(
        '<DstRect xOff="0" yOff="0" xSize="128"', '<DstRect xOff="0" yOff="0" xSize="64"'
    )
    assert stretched != good
    (tmp_path / "c.vrt").write_text(stretched)
    with open_source(tmp_path / "c.vrt", window=(2, 8, 8)) as source:
        assert "the VRT asks GDAL to resample" in source.notes
    for bad, words in (
        (good.replace("g.tif", "/vsicurl/http://a/b.tif"), "files of this machine alone"),
        (good.replace("g.tif", "WMS:http://a/b"), "files of this machine alone"),
        (good.replace("<VRTRasterBand ", '<VRTRasterBand subClass="VRTDerivedRasterBand" ', 1),
         "VRTDerivedRasterBand, expected pixels of files as they are"),
    ):  # fmt: skip
        assert bad != good
        for name in ("d.vrt", "inner.vrt"):
            (tmp_path / name).write_text(bad)
        for name in ("d.vrt", "b.vrt"):
            with pytest.raises(InputError, match=words):
                open_source(tmp_path / name, window=(2, 8, 8))


def tiff_cases():
    """Yield (name, window, axes, array as it is written, what is read, options)."""
    zyx, czyx = image((7, 37, 53)), image((2, 7, 37, 53))
    yield "pages as channels", (7, 4, 4), "CYX", zyx, zyx, {}
    yield "pages as depth", (1, 4, 4, 4), "ZYX", zyx, zyx[None], {"compression": "zlib"}
    yield "named pages", (1, 4, 4, 4), None, zyx, zyx[None], {"metadata": {"axes": "ZYX"}}
    tiles = {"tile": (16, 16, 16), "volumetric": True}
    yield "tiles of a volume", (1, 4, 4, 4), "ZYX", zyx, zyx[None], tiles
    imagej = {"imagej": True, "metadata": {"axes": "ZCYX"}}
    yield "ImageJ", (2, 4, 4, 4), None, czyx.transpose(1, 0, 2, 3), czyx, imagej
    ome = {"ome": True, "metadata": {"axes": "CZYX"}, "tile": (16, 16)}
    yield "OME", (2, 4, 4, 4), None, czyx, czyx, ome
    yield "one row", (1, 1, 4), None, zyx[0, :1], zyx[:1, :1], {}
    yield "one strip", (1, 4, 4), None, zyx[0], zyx[:1], {"rowsperstrip": 37, "compression": "lzw"}
    rgba = image((37, 53, 4))
    yield "alpha", (4, 4, 4), None, rgba, rgba.transpose(2, 0, 1), {"extrasamples": ["unassalpha"]}
    large = image((1400, 3001), np.uint16)
    for order in "<>":
        yield f"as it lies {order}", (1, 9, 9), None, large, large[None], {"byteorder": order}
    for order, dtype, packing in itertools.product(
        "<>", ("uint16", "int16", "float32", "float64", "float16", "bool"), ("zlib", "zstd", None)
    ):
        array = (image((37, 53), np.float64) * 1000).astype(dtype)
        # differences of numbers are packed, of floats those of their bytes
        predictor = {"f": 3, "b": None}.get(array.dtype.kind, 2) if packing else None
        options = {"compression": packing, "predictor": predictor, "byteorder": order}
        options |= {} if dtype == "bool" else {"tile": (16, 16)}
        yield f"{dtype} {order} {packing}", (1, 4, 4), None, array, array[None], options


CASES = list(tiff_cases())


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_a_tiff_of_any_kind_is_read_box_by_box(case, tmp_path):
    import tifffile

    _, window, axes, written, array, options = case
    kind = "rgb" if "extrasamples" in options else "minisblack"
    usual = {} if options.get("imagej") else {"photometric": kind}
    tifffile.imwrite(tmp_path / "a.tif", written, **usual | options)
    with open_source(tmp_path / "a.tif", window=window, axes=axes) as source:
        assert source.shape == array.shape and source.dtype == array.dtype.newbyteorder("=")
        random = np.random.default_rng(0)
        for _ in range(6):
            box = tuple(
                tuple(sorted(random.choice(n + 1, 2, replace=False).tolist()))
                for n in array.shape[1:]
            )
            part = array[(slice(None), *(slice(*side) for side in box))]
            read = source.read(box)
            assert np.array_equal(read, part) and read.dtype.isnative
            assert read.flags.c_contiguous and read.flags.writeable


def test_pages_without_a_name_are_named_by_the_caller(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", image((7, 37, 53)), photometric="minisblack")
    with pytest.raises(Refused, match=r"length of axis Q is 7, expected 1: .*name all with axes="):
        open_source(tmp_path / "a.tif", window=(7, 4, 4))


@pytest.mark.parametrize("packed", ["u1", "i2", "i3", "i4", "f4", "f8"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sound_of_any_kind_is_what_scipy_reads(packed, channels, tmp_path):
    import wave

    from scipy.io import wavfile

    path = tmp_path / "a.wav"
    raw = image((999, channels, 3))
    if packed == "i3":
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(3)
            file.setframerate(44100)
            file.writeframes(raw.tobytes())
    else:
        wavfile.write(path, 44100, (image((999, channels), np.float64) * 90).astype(packed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rate, samples = wavfile.read(path)
    samples = samples.reshape(999, channels)
    if packed == "u1":  # 128 is silence
        samples = (samples.astype(int) - 128).astype(np.int8)
    with open_source(path, window=(channels, 9)) as source:
        assert source.dtype == samples.dtype and source.place == Place(
            scale=(1 / rate,), translation=(0.0,), units=("second",), names=("t",)
        )
        for box in (((0, 999),), ((5, 6),), ((900, 999),)):
            assert np.array_equal(source.read(box), samples[slice(*box[0])].T)
    with open_source(path, window=(1, 9), channels=(channels - 1,)) as source:
        assert np.array_equal(source.read(((3, 77),)), samples[3:77, -1:].T)


def test_sound_above_four_gigabytes_and_of_unknown_length(tmp_path):
    """RF64 says the length elsewhere; what streams to a pipe says none."""
    import struct

    samples = image((500, 2), np.int16)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 8000, 32000, 4, 16)
    long = struct.pack("<4sIQQQI", b"ds64", 28, 0, samples.nbytes, 500, 0)
    extra = struct.pack("<4sI", b"LIST", 3) + b"abc\0"
    data = struct.pack("<4sI", b"data", 0xFFFFFFFF) + samples.tobytes()
    (tmp_path / "a.rf64").write_bytes(
        b"RF64\xff\xff\xff\xffWAVE" + long + extra + form + data + b"after it"
    )
    (tmp_path / "b.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVE" + form + data)
    for name in ("a.rf64", "b.wav"):
        with open_source(tmp_path / name, window=(2, 9)) as source:
            assert np.array_equal(source.read(((0, 500),)), samples.T)


def test_a_recipe_is_plain_values_and_works_in_any_folder(tmp_path, monkeypatch):
    from convlin.scanning.sources import Recipe

    np.save(tmp_path / "a.npy", image((37, 53, 3)))
    monkeypatch.chdir(tmp_path)
    for made in ("a.npy", np.memmap("a.npy", np.uint8, "r", 128, (37, 53, 3))):
        recipe = open_source(made, window=(3, 8, 8), axes="YXC").recipe
        monkeypatch.chdir(tmp_path.parent)
        with recipe.open() as again:
            assert np.array_equal(
                again.read(((0, 37), (0, 53))), image((37, 53, 3)).transpose(2, 0, 1)
            )
        monkeypatch.chdir(tmp_path)
    mapped = np.lib.format.open_memmap(tmp_path / "a.npy", mode="r")
    for made in (tmp_path / "a.npy", str(tmp_path / "a.npy"), mapped, mapped[3:]):
        with open_source(made, window=(2, 8, 8), axes="YXC", channels=(2, 0), nodata=4.0) as source:
            text = json.dumps(source.recipe.as_dict())
            with Recipe.from_dict(json.loads(text)).open() as again:
                box = (0, source.shape[1]), (5, 50)
                assert np.array_equal(source.read(box), again.read(box)) and again.nodata == 4.0
                assert again.identity() == source.identity()
