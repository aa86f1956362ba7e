"""`convlin slide` and `convlin plan`: from photographs to the classifier's scores of every window."""

import json
import re
import resource
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import convlin
from convlin.demo.classifier import WINDOW, digit_classifier
from convlin.demo.sheet import compose, held_out_digits
from trained_net import efficientnet_lite0

PADDED = ("models_here:padded", "--window", "3,10,7")


@pytest.fixture
def photo(house):
    """Write noise of a size as a picture; its pixels as the file has them."""

    def write(name, size=(24, 19)):
        pixels = np.random.default_rng(len(name)).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(house / name)
        return torch.from_numpy(pixels).permute(2, 0, 1).double()

    return write


def slid(model, image, window, stride):
    """The model's outputs (K, rows, columns), one crop after the other, in float64."""
    (tall, wide), (down, right) = window[1:], stride
    with torch.inference_mode():
        rows = [
            [model(image[None, :, y : y + tall, x : x + wide])[0]
             for x in range(0, image.shape[2] - wide + 1, right)]
            for y in range(0, image.shape[1] - tall + 1, down)
        ]  # fmt: skip
    return torch.stack([torch.stack(row, -1) for row in rows], -2).numpy()


def off(scores, expected):
    assert scores.shape == expected.shape and scores.dtype == np.float32
    return np.abs(scores - expected).max() / np.abs(expected).max()


def padded():
    from models_here import padded

    return padded().double()


def test_the_scores_are_those_of_every_crop(run, house, photo):
    pixels = photo("a.png")
    mean, std = torch.tensor([0.4, -0.1, 0.25]), torch.tensor([0.5, 0.2, 2.0])
    result = run(
        *("slide", *PADDED, "a.png", "--stride", "3,2", "-o", "a.npz"),
        *("--mean", "0.4,-0.1,0.25", "--std", "0.5,0.2,2"),
    )
    assert result.exit_code == 0, result.stderr
    read = (pixels / 255 - mean[:, None, None]) / std[:, None, None]
    with np.load(house / "a.npz") as file:
        assert off(file["scores"], slid(padded(), read, (3, 10, 7), (3, 2))) < 1e-5
        assert file["window"].tolist() == [3, 10, 7] and file["stride"].tolist() == [3, 2]
        assert file["offset"].tolist() == [0, 0] and file["images"].tolist() == ["a.png"]
        assert np.allclose(file["mean"], mean) and np.allclose(file["std"], std)
        assert set(file) == {"scores", "window", "stride", "offset", "images", "mean", "std"}


def test_what_is_printed_says_what_was_found_where(run, house, photo):
    pixels = photo("a.png") / 255
    (house / "names.txt").write_text("null\neins\n[bold]zwei\ndrei\nvier\n", encoding="utf-8")
    command = ("slide", *PADDED, "a.png", "--stride", "3,2", "--names", "names.txt")
    result = run(*command, "-o", "a.npz")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "runs the code of models_here:padded; weights: as it makes them"
    assert "a.png" in lines
    assert "35 windows (5×7), every 3×2 pixels" in lines
    assert lines[-1].startswith("wrote a.npz, ") and lines[-1].endswith("scores 5×5×7")
    assert re.search(r"^derived, and seen on \d+ windows: within ", result.stdout, re.MULTILINE)
    scores = slid(padded(), pixels, (3, 10, 7), (3, 2))
    chances = np.exp(scores) / np.exp(scores).sum(0)
    wins = np.bincount(scores.argmax(0).ravel(), minlength=5)
    rows = [line for line in lines if re.match(r"\d ", line)]
    assert len(rows) == 5
    for row, number in zip(rows, np.lexsort((-chances.max((1, 2)), -wins)), strict=True):
        name = ["null", "eins", "[bold]zwei", "drei", "vier"][number]
        y, x = np.unravel_index(chances[number].argmax(), (5, 7))
        window = f"{2 * x}–{2 * x + 7}, {3 * y}–{3 * y + 10}"
        best = f"{chances[number].max():.4g}"
        assert re.split(r"\s{2,}", row.rstrip()) == [
            f"{number} {name}", best, f"{wins[number]} of 35 windows", window
        ]  # fmt: skip
    with np.load(house / "a.npz") as file:
        assert file["classes"][2] == "[bold]zwei"
    answer = json.loads(run(*command, "-o", "b.npz", "--json", "--classes", "3,0").stdout)
    assert (answer["model"], answer["output"], answer["pictures"]) == (PADDED[0], "b.npz", [])
    (image,) = answer["images"]
    assert [row["class"] for row in image["classes"]] == [3, 0] and image["kind"] == "probability"
    assert image["classes"][1]["name"] == "null"
    assert image["plan"]["windows"] == 35 and answer["seen"]["difference"] < 1e-10


def test_trained_a_cat_is_found_and_drawn(run, house):
    from skimage.data import chelsea

    pixels = chelsea()
    Image.fromarray(pixels).save(house / "cat.png")
    result = run(
        *("slide", "trained_net:efficientnet_lite0", "cat.png", "--stride", "64,32"),
        *("--preset", "efficientnet-lite", "-o", "cat.npz", "--picture", "cat_map.png"),
    )
    assert result.exit_code == 0, result.stderr
    read = (torch.from_numpy(pixels.copy()).permute(2, 0, 1).double() - 127) / 128
    expected = slid(efficientnet_lite0().double(), read, (3, 224, 224), (64, 32))
    with np.load(house / "cat.npz") as file:
        assert off(file["scores"], expected) < 1e-5
    assert (expected.argmax(0) == 285).sum() > 10  # Egyptian cat
    rows = [line for line in result.stdout.splitlines() if line.startswith("285 ")]
    assert f"{(expected.argmax(0) == 285).sum()} of 16 windows" in rows[0]
    with Image.open(house / "cat_map.png") as drawn:
        assert drawn.format == "PNG" and drawn.width > 1500


def test_trained_digits_on_a_grey_sheet_are_probable_where_they_stand(run, house):
    sheet = compose(*held_out_digits(), (120, 150), seed=3)
    Image.fromarray((sheet.image * 255).round().astype(np.uint8)).save(house / "sheet.png")
    result = run(
        *("slide", "convlin.demo.classifier:digit_classifier", "sheet.png"),
        *("--window", "1,32,32", "--stride", "5", "-o", "s.npz", "--json"),
    )
    assert result.exit_code == 0, result.stderr
    with Image.open(house / "sheet.png") as file:
        read = torch.from_numpy(np.array(file))[None] / 255
    expected = slid(digit_classifier(), read, WINDOW, (5, 5))
    with np.load(house / "s.npz") as file:
        assert off(file["scores"], expected) < 1e-5
    (image,) = json.loads(result.stdout)["images"]
    digits = [row for row in image["classes"] if row["class"] < 10 and row["best"] > 0.9]
    assert digits
    for row in digits:
        (top, bottom), (left, right) = row["window"]
        middle = np.array([(top + bottom) / 2, (left + right) / 2])
        own = [(d.y, d.x) for d in sheet.digits if d.digit == row["class"]]
        assert min(np.abs(middle - place).max() for place in own) < 8


def test_several_pictures_and_outputs_have_names_of_their_own(run, house):
    for name, size in (("a.png", (9, 8)), ("b.png", (12, 6))):
        Image.effect_noise(size[::-1], 60).save(house / name)
    result = run(
        *("slide", "models_here:Heads", "a.png", "b.png", "--window", "1,7,6", "--stride", "1"),
        *("-o", "all.npz", "--picture", "map.svg"),
    )
    assert result.exit_code == 0, result.stderr
    from models_here import Heads

    heads = Heads().double().eval()
    outputs = {
        "a": lambda x: heads(x)["a"],
        "b.0": lambda x: heads(x)["b"][0],
        "b.1": lambda x: heads(x)["b"][1],
    }
    with np.load(house / "all.npz") as file:
        for number, name in enumerate(("a.png", "b.png")):
            with Image.open(house / name) as picture:
                image = torch.from_numpy(np.array(picture))[None].double() / 255
            for key, of in outputs.items():
                expected = slid(of, image, (1, 7, 6), (1, 1))
                assert off(file[f"scores_{number}.{key}"], expected) < 1e-5
        assert file["images"].tolist() == ["a.png", "b.png"]
        assert sum(name.startswith("scores") for name in file) == 6
    for name in ("map_0.svg", "map_1.svg"):
        assert b"the window of the highest score" in (house / name).read_bytes()
    assert result.stdout.rstrip().endswith("wrote map_0.svg\nwrote map_1.svg")


def test_probabilities_are_shown_as_they_are_and_scores_where_asked(run, house, photo):
    photo("a.png")
    with (house / "models_here.py").open("a") as file:
        file.write("\nchances = lambda: nn.Sequential(padded(), nn.Softmax(1))\n")
        file.write("\nsingle = lambda: nn.Sequential(padded(), nn.Linear(5, 1))\n")

    def shown(model, *more):
        command = ("slide", model, "a.png", "--window", "3,10,7", "--stride", "4", "--json")
        result = run(*command, "-o", "x.npz", "--force", "--classes", "0", *more)
        assert result.exit_code == 0, result.stderr
        with np.load(house / "x.npz") as file:
            highest = float(file["scores"][0].max())
        (image,) = json.loads(result.stdout)["images"]
        return image["kind"], image["classes"][0]["best"], highest

    kind, best, highest = shown("models_here:chances")
    assert kind == "probability" and best == highest
    kind, chance, _ = shown("models_here:padded")
    assert kind == "probability" and abs(chance - best) < 1e-6
    for model, more in (("models_here:padded", ["--raw"]), ("models_here:single", [])):
        kind, best, highest = shown(model, *more)
        assert kind == "score" and best == highest


def test_presets_are_the_documented_numbers(run, house, photo):
    photo("a.png")
    run("slide", *PADDED, "a.png", "--stride", "4", "-o", "a.npz", "--preset", "imagenet")
    with np.load(house / "a.npz") as file:
        from torchvision.models import ResNet50_Weights

        documented = ResNet50_Weights.DEFAULT.transforms()
        assert file["mean"].tolist() == documented.mean and file["std"].tolist() == documented.std


ERRORS = {
    "no channels": (["--window", "1,10,7", "--preset", "imagenet"],
                    "--preset is 'imagenet', expected a window of 3 channels, not 1"),
    "twice": (["--preset", "imagenet", "--std", "1"],
              "--preset is 'imagenet', expected it without --mean and --std"),
    "std": (["--std", "1,0,1"], "--std is '1,0,1', expected 1 or 3 numbers above 0, such as 0.5"),
    "mean": (["--mean", "1,2"], "--mean is '1,2', expected 1 or 3 numbers, such as 0.5"),
    "stride": (["--stride", "a"],
               "--stride is 'a', expected whole numbers with commas, such as 32"),
    "strides": (["--stride", "1,2,3"], "--stride is '1,2,3', expected 1 or 2 numbers, such as 32"),
    "memory": (["--memory", "2G"], "--memory is '2G', expected bytes ≥ 1, such as 2GB or 512MiB"),
    "class": (["--classes", "5"], "--classes has 5, expected 0 to 4"),
    "names": (["--names", "models_here.py"], r"--names has \d+ lines, expected 5, one for each class"),
    "picture": (["--picture", "a.jpg"], "a.jpg: a heat map ends in .png, .svg or .pdf"),
    "window": (["--window", "3,10,7,9"], "--window is '3,10,7,9', expected 3 numbers, such as "),
    "there": (["--picture", "a.png"], "a.png: exists; overwrite it with --force"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_wrong_is_said_in_one_line(run, house, photo, case):
    options, words = ERRORS[case]
    photo("a.png")
    result = run("slide", *PADDED, "a.png", "--stride", "4", "-o", "a.npz", *options)
    assert result.exit_code == 2
    assert re.match(f"^convlin: {words}", result.stderr) and result.stderr.count("\n") == 1
    assert not (house / "a.npz").exists()


def test_maps_of_windows_are_written_and_nothing_else_is_shown(run, house, photo):
    photo("a.png")
    with (house / "models_here.py").open("a") as file:
        file.write("\nmaps = lambda: padded()[:2]\n")
    command = ("slide", "models_here:maps", "a.png", "--window", "3,10,7", "--stride", "4")
    result = run(*command, "-o", "a.npz")
    assert result.exit_code == 0, result.stderr
    with np.load(house / "a.npz") as file:
        assert file["scores"].shape == (4, 10, 7, 4, 4)
    assert "highest in" not in result.stdout
    for option in (["--picture", "m.png"], ["--classes", "1"], ["--names", "models_here.py"]):
        result = run(*command, "-o", "b.npz", *option)
        assert result.exit_code == 2
        assert result.stderr == (
            f"convlin: {option[0]}: no output of the model is a score for each class\n"
        )
    assert not (house / "b.npz").exists() and not (house / "m.png").exists()


def test_a_file_that_is_there_is_kept_without_force(run, house, photo):
    photo("a.png")
    (house / "a.npz").write_bytes(b"mine")
    command = ("slide", *PADDED, "a.png", "--stride", "4", "-o", "a.npz")
    assert run(*command).stderr == "convlin: a.npz: exists; overwrite it with --force\n"
    assert (house / "a.npz").read_bytes() == b"mine"
    assert run(*command, "--force").exit_code == 0
    assert zipfile.ZipFile(house / "a.npz").testzip() is None


@pytest.mark.parametrize("size", [0, 300, 9000])
def test_a_full_disk_leaves_neither_scores_nor_picture(run, house, photo, size):
    """The last size has room for the scores, and none for the picture."""
    photo("a.png")
    before = sorted(path for path in house.iterdir() if path.name != "__pycache__")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        result = run(
            *("slide", *PADDED, "a.png", "--stride", "4", "-o", "a.npz", "--picture", "m.png")
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.exit_code == 2
    file = "m.png" if size == 9000 else "a.npz"
    assert result.stderr == f"convlin: {file}: cannot be written: File too large\n"
    assert sorted(path for path in house.iterdir() if path.name != "__pycache__") == before


def test_ctrl_c_leaves_nothing(run, house, photo, monkeypatch):
    photo("a.png")

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(convlin.SlidingWindow, "forward", interrupted)
    result = run("slide", *PADDED, "a.png", "--stride", "4", "-o", "a.npz")
    assert result.exit_code == 130
    assert not [path for path in house.iterdir() if path.name.endswith(".npz")]


def test_a_plan_is_the_librarys(run, house):
    options = (*PADDED, "--image-size", "40,31", "--stride", "2,3", "--images", "2")
    answer = json.loads(run("plan", *options, "--memory", "80MB", "--json").stdout)
    windows = convlin.sliding_window(
        padded().float().eval(), (3, 10, 7), stride=(2, 3), memory=80_000_000, check=False
    )
    expected = windows.plan((40, 31), images=2)
    assert answer == json.loads(json.dumps({"model": PADDED[0]} | expected.as_dict()))
    assert answer["windows"] == 16 * 9 and answer["images"] == 2
    result = run("plan", *options)
    assert result.exit_code == 0, result.stderr
    assert "144 windows (16×9) of each of 2 images, every 2×3 pixels" in result.stdout
    result = run("plan", *options, "--memory", "1kB")
    assert result.exit_code == 2 and "memory is 1.00 kB, expected" in result.stderr


def test_a_plan_of_a_signal_has_one_side(run, house):
    with (house / "models_here.py").open("a") as file:
        file.write(
            "\ndef signal():\n"
            "    return nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.Flatten(), nn.Linear(24, 4))\n"
        )
    command = ("plan", "models_here:signal", "--window", "2,8", "--stride", "1")
    answer = json.loads(run(*command, "--image-size", "100", "--json").stdout)
    assert answer["windows"] == 93 and answer["stride"] == [1]
    result = run(*command, "--image-size", "100,100")
    assert result.exit_code == 2
    assert result.stderr == (
        "convlin: --image-size is '100,100', expected 1 number, such as 1024\n"
    )


def test_an_image_smaller_than_the_window_has_no_plan(run, house):
    result = run("plan", *PADDED, "--image-size", "9,40", "--stride", "2")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "expected (N, 3, ≥10, ≥7)" in result.stderr
