"""Arrays, files as they are, pictures: what is read is a copy, exact, and known by its content."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from written_sources import (
    FORMATS,
    geotiff,
    image,
    npy,
    png,
    striped_tiff,
    tiled_tiff,
    wav,
    write_pyramid,
    zarr3,
)

from convlin.errors import InputError, Refused
from convlin.scanning.sources import open_source
from convlin.scanning.sources.file_array import FileArray, Stored

WHOLE = ((0, 37), (0, 53))


def names(each):
    return getattr(each, "__name__", str(each))


@pytest.mark.parametrize("write", FORMATS, ids=names)
def test_what_is_read_is_the_callers_own(write, tmp_path):
    """Neither the source nor what it keeps changes with it."""
    array = image()
    made, options = write(tmp_path, array)
    with open_source(made, window=(3, 8, 8), **options) as source:
        for box in (WHOLE, ((3, 20), (0, 53)), ((0, 16), (0, 53)), ((5, 7), (0, 53))):
            read = source.read(box)
            assert read.flags.writeable and read.flags.c_contiguous
            read[:] = 0
        assert np.array_equal(source.read(WHOLE), array)
    assert not isinstance(made, np.ndarray) or np.array_equal(made, array)


@pytest.mark.parametrize("write", [tiled_tiff, geotiff, zarr3, npy, striped_tiff], ids=names)
def test_threads_read_side_by_side(write, tmp_path):
    array = image((3, 97, 83))
    made, _ = write(tmp_path, array)
    wrong = []
    with open_source(made, window=(3, 8, 8)) as source:

        def read(seed):
            random = np.random.default_rng(seed)
            for _ in range(60):
                rows, columns = (
                    tuple(sorted(random.choice(n + 1, 2, replace=False).tolist())) for n in (97, 83)
                )
                if not np.array_equal(
                    source.read((rows, columns)), array[:, slice(*rows), slice(*columns)]
                ):
                    wrong.append((rows, columns))

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@st.composite
def stored_boxes(draw):
    shape = tuple(draw(st.lists(st.integers(1, 12), min_size=1, max_size=4)))
    box = tuple(
        tuple(sorted(draw(st.sets(st.integers(0, n), min_size=2, max_size=2)))) for n in shape
    )
    dtype = draw(st.sampled_from(["u1", "<i2", ">f4", "f8", "?"]))
    return shape, box, dtype, draw(st.sampled_from("CF")), draw(st.integers(0, 40))


@settings(max_examples=150, deadline=None)
@given(stored_boxes())
def test_numbers_of_a_file_are_those_of_the_array_in_it(drawn):
    import tempfile

    shape, box, dtype, order, offset = drawn
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.raw")
        path.write_bytes(bytes(offset) + array.tobytes(order))
        file = FileArray(Stored(str(path), dtype, shape, offset, order))
        part = array[tuple(slice(*side) for side in box)]
        assert np.array_equal(file.read(box), part)
        file.close()


@pytest.mark.parametrize(
    "shape", [(3, 5, 9001), (5, 9001, 3), (70_001, 2), (2, 70_001), (300, 41, 13)]
)
def test_runs_longer_than_a_page_are_read_too(shape, tmp_path):
    array = image(shape, np.uint16)
    (tmp_path / "a").write_bytes(array.tobytes())
    file = FileArray(Stored(str(tmp_path / "a"), "<u2", shape))
    random = np.random.default_rng(1)
    for _ in range(12):
        box = tuple(tuple(sorted(random.choice(n + 1, 2, replace=False).tolist())) for n in shape)
        assert np.array_equal(file.read(box), array[tuple(slice(*side) for side in box)])
    file.close()


def test_parts_of_mapped_files_are_found_again_and_copies_are_not(tmp_path):
    array = image((5, 37, 53), np.int16)
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(10) + array.tobytes())
    for mode in ("r", "r+"):
        whole = np.memmap(path, np.int16, mode, 10, array.shape)
        for part in (whole, whole[2:], whole[1], whole.transpose(2, 1, 0), whole[1:][1:]):
            with open_source(part, window=(len(part) if part.ndim == 3 else 1, 3, 3)) as source:
                box = tuple((1, n) for n in source.shape[1:])
                expected = part.reshape(source.shape)[:, 1:, 1:]
                assert np.array_equal(source.read(box), expected)
                with source.recipe.open() as again:
                    assert np.array_equal(again.read(box), expected)
    copied = np.memmap(path, np.int16, "c", 10, array.shape)
    copied[0, 3, 3] = 77
    for part in (copied, copied[1:], whole[:, ::2], whole[:, 3:, 4:]):
        with open_source(part, window=(len(part), 3, 3)) as source:
            assert source.recipe is None
            box = tuple((0, n) for n in source.shape[1:])
            assert np.array_equal(source.read(box), part)
    # another file took the name: what is mapped is not what it holds
    path.rename(tmp_path / "b.raw")
    path.write_bytes(bytes(10) + (array + 1).tobytes())
    with open_source(whole, window=(5, 3, 3)) as source:
        assert source.recipe is None and np.array_equal(source.read(WHOLE), array)


def test_an_array_in_memory_is_known_by_its_numbers():
    array = image((3, 37, 53), np.float32)
    with open_source(array, window=(3, 8, 8)) as source:
        before = source.identity()
        assert before == open_source(array.copy(order="F"), window=(3, 8, 8)).identity()
        array[1, 17, 23] += 1
        assert source.identity() != before
        assert open_source(array, window=(3, 8, 8)).identity()["crc32"] != before["crc32"]


def test_a_file_is_known_by_what_it_begins_with(tmp_path):
    array = image((3, 37, 53))
    samples = image((99, 3), np.int16)
    slide = write_pyramid(tmp_path / "s", array.transpose(1, 2, 0))
    for made, words in (
        (tiled_tiff(tmp_path, array)[0], "TIFF"), (geotiff(tmp_path, array)[0], "GTiff"),
        (npy(tmp_path, array)[0], ".npy"), (png(tmp_path, array)[0], "PNG"), (slide, "SVS"),
    ):  # fmt: skip
        for name in ("none", "wrong.jpg"):
            shutil.copy(made, tmp_path / name)
            with open_source(tmp_path / name, window=(3, 8, 8)) as source:
                assert words in source.description and source.shape == array.shape
    with open_source(wav(tmp_path, samples), window=(3, 8)) as source:
        assert source.shape == (3, 99)


def test_a_path_is_text_or_a_path_of_this_machine(tmp_path, monkeypatch):
    made, _ = npy(tmp_path, image())
    monkeypatch.setenv("HOME", str(tmp_path))
    for bad in ("~/a.npy", Path("~/a.npy")):
        with pytest.raises(InputError, match="no such file"):
            open_source(bad, window=(3, 8, 8))
    for bad in ("s3://a/b.tif", "http://a/b.png", "file:///a.npy"):
        with pytest.raises(InputError, match="nothing is downloaded"):
            open_source(bad, window=(3, 8, 8))
    for bad in (b"a.npy", 3, [[1, 2]], None):
        with pytest.raises(Refused, match="an array, a Zarr array or the path of an image"):
            open_source(bad, window=(3, 8, 8))
    assert open_source(str(made), window=(3, 8, 8)).shape == (3, 37, 53)


def test_a_picture_is_grey_or_colour_as_the_window_and_turned_as_it_says(tmp_path):
    rgb = image((37, 53, 3))
    grey = np.asarray(Image.fromarray(rgb).convert("L"))
    rgba = np.dstack([rgb, image((37, 53), seed=4)])
    white = rgba[..., :3] * (rgba[..., 3:] / 255) + 255 * (1 - rgba[..., 3:] / 255)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter clockwise
    palette = Image.fromarray(rgb).quantize(16)
    deep = image((37, 53), np.uint16) * 300
    for name, made, save, window, expected, close in (
        ("c.png", Image.fromarray(rgb), {}, 3, rgb.transpose(2, 0, 1), 0),
        ("g.png", Image.fromarray(rgb), {}, 1, grey[None], 0),
        ("l.png", Image.fromarray(grey), {}, 3, np.stack([grey] * 3), 0),
        ("a.png", Image.fromarray(rgba), {}, 3, white.transpose(2, 0, 1), 1),
        (
            "t.png",
            Image.fromarray(rgb),
            {"exif": turned},
            3,
            np.rot90(rgb, -1).transpose(2, 0, 1),
            0,
        ),
        ("p.png", palette, {}, 3, np.asarray(palette.convert("RGB")).transpose(2, 0, 1), 0),
        ("d.png", Image.fromarray(deep), {}, 1, deep[None], 0),
        ("b.bmp", Image.fromarray(rgb), {}, 3, rgb.transpose(2, 0, 1), 0),
        ("1.png", Image.fromarray(grey > 99), {}, 1, 255 * (grey > 99)[None], 0),
        ("c.webp", Image.fromarray(rgb), {"lossless": True}, 3, rgb.transpose(2, 0, 1), 0),
    ):
        made.save(tmp_path / name, **save)
        with open_source(tmp_path / name, window=(window, 8, 8)) as source:
            assert source.shape == expected.shape, name
            read = source.read(tuple((0, n) for n in source.shape[1:])).astype(float)
            assert np.abs(read - expected).max() <= close, name
    with open_source(tmp_path / "d.png", window=(1, 8, 8)) as source:
        assert source.dtype == np.uint16
    # by name, channels are those that the picture has, alpha among them
    with open_source(tmp_path / "a.png", window=(2, 8, 8), channels=(3, 1)) as source:
        assert np.array_equal(source.read(WHOLE), rgba.transpose(2, 0, 1)[[3, 1]])
    with open_source(tmp_path / "l.png", window=(3, 8, 8), channels=(0, 0, 0)) as source:
        assert np.array_equal(source.read(WHOLE), np.stack([grey] * 3))
    with pytest.raises(Refused, match="channels is 3, expected 4"):
        open_source(tmp_path / "c.png", window=(4, 8, 8))


def test_what_a_picture_loses_is_said(tmp_path):
    import imagecodecs

    rgb = image((37, 53, 3))
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(rgb.astype(np.uint16) * 256))
    frames = [Image.fromarray(rgb), Image.fromarray(rgb[::-1].copy())]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.dstack([rgb, rgb[..., 0]])).save(tmp_path / "clear.png")
    Image.fromarray(rgb).save(tmp_path / "a.jpg")
    for name, words in (
        ("deep.png", "of 16 bits a colour, of which Pillow reads 8"),
        ("two.gif", "the first of 2 pictures"), ("clear.png", "transparent pixels are white"),
        ("a.jpg", "JPEG: damage"),
    ):  # fmt: skip
        with open_source(tmp_path / name, window=(3, 8, 8)) as source:
            assert any(words in note for note in source.notes)


def test_the_limit_of_pictures_is_put_back_whatever_other_threads_do(tmp_path):
    made, _ = png(tmp_path, image((3, 400, 600)))
    before = Image.MAX_IMAGE_PIXELS
    threads = [
        threading.Thread(
            target=lambda lift: open_source(made, window=(3, 8, 8), lift_bomb_limit=lift),
            args=(n % 2 == 0,),
        )
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert before == Image.MAX_IMAGE_PIXELS
