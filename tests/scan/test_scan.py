"""A scan is the classifier on every window, or the network on the whole image, however it is cut."""

import itertools

import numpy as np
import pytest
import torch
from scanned_nets import WINDOWS, Classifier, Residual, image_scores, noise, window_scores

from convlin.errors import InputError, Refused
from convlin.scanning.scan import scan

LEAST = {1: (19, 20, 61), 2: ((13, 11), (17, 29), (41, 37)), 3: ((7, 9, 8), (11, 13, 17))}


def sizes(ndim):
    return [(n,) if isinstance(n, int) else n for n in LEAST[ndim]]


CASES = [
    pytest.param(ndim, size, padding, id=f"{ndim}d-{'x'.join(map(str, size))}-p{padding}")
    for ndim in (1, 2, 3)
    for size in sizes(ndim)
    for padding in (0, 1)
]


def tasks_of(counts):
    """Yield shapes of tasks: one cell, uneven ones, one for all, and none."""
    yield None
    yield tuple(min(n, 1 + axis) for axis, n in enumerate(counts))
    yield tuple(min(n, 3 - axis) for axis, n in enumerate(counts))
    yield counts


@pytest.mark.parametrize("ndim, size, padding", CASES)
def test_window_scores_are_those_of_crops_whatever_the_tasks(ndim, size, padding):
    model, image = Classifier(ndim, padding=padding), noise((WINDOWS[ndim][0], *size))
    stride = (3, 2, 1)[:ndim]
    window = WINDOWS[ndim][1:]
    counts = tuple((n - p) // s + 1 for n, p, s in zip(size, window, stride, strict=True))
    cells = list(np.ndindex(*counts))
    expected = np.array(
        [row[0].numpy() for row in window_scores(model, image, window, stride, cells)]
    ).T.reshape(-1, *counts)
    for task in tasks_of(counts):
        made = scan(
            model, image, window=WINDOWS[ndim], stride=stride, semantics="window", task=task,
            dtype="float64", check=False,
        )  # fmt: skip
        assert made["scores"].shape == expected.shape
        assert np.abs(made["scores"] - expected).max() < 1e-12


@pytest.mark.parametrize("ndim, size, padding", CASES)
def test_image_scores_are_those_of_the_whole_image_whatever_the_bands(ndim, size, padding):
    model, image = Classifier(ndim, padding=padding), noise((WINDOWS[ndim][0], *size), 1)
    expected = image_scores(model.features, lambda x: model.head(x.flatten(1)), image, model.map)
    for task, band in itertools.product(tasks_of(expected.shape[1:]), (None, 2, 6, 64)):
        made = scan(
            model, image, window=WINDOWS[ndim], semantics="image", task=task, band=band,
            dtype="float64", check=False,
        )["scores"]  # fmt: skip
        counts = made.shape[1:]
        assert counts == tuple(
            (n - p) // 2 + 1 for n, p in zip(size, WINDOWS[ndim][1:], strict=True)
        )
        kept = expected[(slice(None), *map(slice, counts))]
        assert np.abs(made - kept).max() < 1e-12
        if padding == 0:  # where nothing is padded, the two meanings coincide
            cells = list(np.ndindex(*counts))
            alone = window_scores(model, image, WINDOWS[ndim][1:], (2,) * ndim, cells)
            rows = np.array([row[0].numpy() for row in alone]).T.reshape(-1, *counts)
            assert np.abs(made - rows).max() < 1e-12


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate"])
def test_every_padding_is_at_the_border_of_the_image_alone(mode):
    model = Classifier(2, padding=1, mode=mode)
    image = noise((3, 37, 29), 2)
    expected = image_scores(model.features, lambda x: model.head(x.flatten(1)), image, model.map)
    for band, task in itertools.product((2, 4, 10), (None, (1, 3), (4, 9))):
        made = scan(
            model, image, window=(3, 13, 11), semantics="image", band=band, task=task,
            dtype="float64", check=False,
        )["scores"]  # fmt: skip
        kept = expected[(slice(None), *map(slice, made.shape[1:]))]
        assert np.abs(made - kept).max() < 1e-12


def test_a_residual_net_skips_and_queues_rows():
    model, image = Residual(), noise((3, 61, 53), 3)
    size = (4, 5)
    expected = image_scores(model.features, lambda x: model.head(x.mean((2, 3))), image, size)
    for band, task in itertools.product((4, 8, 64), (None, (1, 4), (2, 5), (5, 3))):
        made = scan(
            model, image, window=(3, 16, 20), semantics="image", band=band, task=task,
            dtype="float64", check=False,
        )["scores"]  # fmt: skip
        kept = expected[(slice(None), *map(slice, made.shape[1:]))]
        assert np.abs(made - kept).max() < 1e-12


def test_the_same_plan_gives_the_same_bytes_wherever_it_begins():
    """Tasks run in any order, in float32: each as it is in the order in which rows are handed on."""
    model, image = Residual().float(), noise((3, 157, 53), 4, np.float32)
    whole = scan(
        model, image, window=(3, 16, 20), semantics="image", band=8, task=(3, 9), check=False
    )["scores"]
    parts = np.full_like(whole, np.nan)
    for first in range(0, whole.shape[1], 3):
        last = min(first + 3, whole.shape[1])
        part = scan(
            model, image, window=(3, 16, 20), semantics="image", band=8, task=(3, 9), check=False,
            region=((4 * first, 4 * (last - 1) + 16), (0, 53)),
        )["scores"]  # fmt: skip
        parts[:, first:last] = part
    assert (whole == parts).all()


def test_outputs_keep_their_names_and_a_selection_of_them_is_stored():
    model, image = Classifier(2, padding=1, several=True), noise((3, 23, 21), 5)
    options = {"window": (3, 13, 11), "stride": (2, 3), "semantics": "window", "check": False}
    both = scan(model, image, dtype="float64", **options)
    assert {name: array.shape for name, array in both.arrays.items()} == {
        "kinds": (7, 6, 4), "box": (2, 6, 4),
    }  # fmt: skip
    for cell in np.ndindex(6, 4):
        ((row,)) = window_scores(model, image, (13, 11), (2, 3), [cell])
        for name in ("kinds", "box"):
            made = both[name][(slice(None), *cell)]
            assert np.abs(made - row[name][0].numpy()).max() < 1e-12
    some = scan(model, image, outputs="kinds", classes=(4, 1), softmax=True, **options)
    shares = torch.softmax(torch.from_numpy(both["kinds"]), 0).numpy()[[4, 1]]
    assert list(some.arrays) == ["kinds"]
    assert np.abs(some["kinds"] - shares).max() < 1e-6 and some["kinds"].dtype == np.float32


def test_a_region_is_that_part_of_the_full_scan():
    model, image = Classifier(2, padding=1), noise((3, 45, 43), 6)
    options = {"window": (3, 13, 11), "check": False, "dtype": "float64"}
    for semantics, stride in (("window", (3, 5)), ("image", (2, 2))):
        whole = scan(model, image, semantics=semantics, stride=stride, **options)["scores"]
        region = ((7, 40), (5, 43))
        part = scan(model, image, semantics=semantics, stride=stride, region=region, **options)
        first = [-(-a // s) for (a, _), s in zip(region, stride, strict=True)]
        last = [(b - p) // s + 1 for (_, b), p, s in zip(region, (13, 11), stride, strict=True)]
        place = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        assert np.abs(part["scores"] - whole[(slice(None), *place)]).max() < 1e-12


def test_padding_at_the_edges_is_zeros_beyond_the_image():
    model, image = Classifier(2, padding=1), noise((3, 12, 30), 7)
    with pytest.raises(Refused, match=r"size is \(12, 30\), expected \(13, 11\) or more"):
        scan(model, image, window=(3, 13, 11), stride=4, semantics="window", check=False)
    for semantics, stride in (("window", 4), ("image", 2)):
        made = scan(
            model, image, window=(3, 13, 11), stride=stride, semantics=semantics, edges="pad",
            dtype="float64", check=False,
        )["scores"]  # fmt: skip
        columns = -(-(30 - 11) // stride) + 1
        whole = np.zeros((3, 13, (columns - 1) * stride + 11))
        whole[:, :12, :30] = image
        same = scan(
            model, whole, window=(3, 13, 11), stride=stride, semantics=semantics,
            dtype="float64", check=False,
        )["scores"]  # fmt: skip
        assert made.shape == (7, 1, columns) and np.abs(made - same).max() < 1e-12


def test_windows_outside_the_mask_or_without_data_are_nan_and_counted():
    model, image = Classifier(2, padding=1), noise((3, 45, 43), 8)
    image[:, 20:22, 30] = -9999
    mask = np.zeros((45, 43), bool)
    mask[5:30, 3:41] = True
    options = {"window": (3, 13, 11), "stride": 4, "check": False, "dtype": "float64"}
    for task in (None, (2, 3)):
        made = scan(model, image, semantics="window", nodata=-9999, mask=mask, task=task, **options)
        clean = image.copy()
        clean[:, 20:22, 30] = 0
        whole = scan(model, clean, semantics="window", **options)["scores"]
        outside, blank = np.zeros((2, *whole.shape[1:]), bool)
        for i, j in np.ndindex(*whole.shape[1:]):
            part = (slice(4 * i, 4 * i + 13), slice(4 * j, 4 * j + 11))
            outside[i, j] = not mask[part].any()
            blank[i, j] = (image[(slice(None), *part)] == -9999).any()
        expected = np.where(outside | blank, np.nan, whole)
        assert np.array_equal(np.isnan(made["scores"]), np.isnan(expected))
        assert np.nanmax(np.abs(made["scores"] - expected)) < 1e-12
        assert made.outside == outside.sum() and made.no_data == (blank & ~outside).sum() > 0


def test_what_is_no_number_is_named():
    model, image = Classifier(2, padding=1), noise((3, 45, 43), 9)
    image[1, 33, 17] = np.nan
    with pytest.raises(InputError, match=r"pixel \(33, 17\) is \[.*nan.*\], expected"):
        scan(model, image, window=(3, 13, 11), stride=4, semantics="window", check=False)


def test_pixels_are_scaled_and_normalised_and_windows_may_be_too():
    image = np.random.default_rng(10).integers(0, 256, (3, 31, 29)).astype(np.uint8)
    model = Classifier(2, padding=1)
    options = {"window": (3, 13, 11), "stride": 5, "check": False, "dtype": "float64"}
    mean, std = np.array([0.1, 0.4, 0.2]), np.array([0.5, 0.25, 0.2])
    made = scan(model, image, semantics="window", mean=mean, std=std, **options)["scores"]
    read = (image / 255 - mean[:, None, None]) / std[:, None, None]
    cells = list(np.ndindex(*made.shape[1:]))
    rows = window_scores(model, read, (13, 11), (5, 5), cells)
    assert max(
        np.abs(made[(slice(None), *cell)] - row[0].numpy()).max()
        for cell, row in zip(cells, rows, strict=True)
    ) < 1e-12  # fmt: skip

    def standardised(windows):
        return windows - windows.mean((1, 2, 3), keepdim=True)

    made = scan(model, image, semantics="window", windows_through=standardised, **options)["scores"]
    for cell in cells:
        crop = image[:, 5 * cell[0] : 5 * cell[0] + 13, 5 * cell[1] : 5 * cell[1] + 11] / 255
        with torch.no_grad():
            row = model(torch.from_numpy(crop - crop.mean())[None])[0].numpy()
        assert np.abs(made[(slice(None), *cell)] - row).max() < 1e-12
    with pytest.raises(Refused, match="windows_through"):
        scan(model, image, semantics="image", windows_through=standardised, window=(3, 13, 11))


def test_what_lost_workers_left_half_written_is_gone_when_the_run_ends(tmp_path):
    """A lost worker's tasks are done again by others: its half file is nobody's."""
    out = tmp_path / "out.zarr"

    def lose(what, done, total):
        if what.endswith("megapixels/s"):
            for folder in [file.parent for file in out.rglob("*.json") if file.stem.isdecimal()]:
                (folder / ".convlin-0123456789abcdef.json").write_bytes(b"half")

    image = noise((WINDOWS[2][0], 17, 29))
    options = {"window": WINDOWS[2], "stride": 2, "semantics": "window", "check": False}
    scan(Classifier(2, padding=1), image, out, task=(3, 4), progress=lose, **options)
    assert [str(file) for file in out.rglob(".convlin-*")] == []
