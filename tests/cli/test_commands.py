"""The commands on real models, as a person runs them."""

import copy
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils import _pytree as pytree

from convlin import fully_convolutional
from convlin.cli.images import read_image
from convlin.demo.sheet import compose, held_out_digits
from convlin.models.load import load_model
from rounding import agree, gamma

WINDOWS = {"unpadded": "3,10,7", "Heads": "1,7,6"}
SIZES = {"unpadded": [(10, 7), (11, 7), (13, 19), (23, 8), (31, 33)],
         "Heads": [(7, 6), (9, 6), (8, 11), (17, 13), (21, 25)]}  # fmt: skip


@pytest.mark.parametrize("head", ["conv", "linear"])
@pytest.mark.parametrize("name", WINDOWS)
def test_a_written_program_takes_any_batch_of_any_images(request, run, house, name, head):
    """The program against the classifier itself on every crop, in the float32 of both."""
    if (name, head) != ("unpadded", "conv"):  # one is checked in a new process
        request.getfixturevalue("checked_here")
    window = WINDOWS[name]
    result = run(
        "convert", f"models_here:{name}", "--window", window, "--head", head, "-o", "net.pt2"
    )
    assert result.exit_code == 0, result.output
    assert (
        "wrote net.pt2" in result.stdout
        and 'torch.export.load("net.pt2").module()' in result.stdout
    )
    text = " ".join(result.stdout.split())
    assert "loaded in a new process and compared on 6 batches, from 1×" in text
    assert "derived, and seen on 9 windows: within " in text
    program = torch.export.load(house / "net.pt2").module()
    model = load_model(f"models_here:{name}")
    channels, high, wide = map(int, window.split(","))
    step = 2 if name == "unpadded" else 1
    for batch in (1, 3):
        for height, width in SIZES[name]:
            images = torch.randn(batch, channels, height, width)
            with torch.no_grad():
                maps = pytree.tree_leaves(program(images))
                rows, columns = (height - high) // step + 1, (width - wide) // step + 1
                crops = images.unfold(2, high, step).unfold(3, wide, step)
                crops = crops.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
                for dense, own in zip(maps, pytree.tree_leaves(model(crops)), strict=True):
                    assert dense.shape[2:] == (rows, columns)
                    own = own.unflatten(0, (batch, rows, columns)).movedim(3, 1)
                    assert own.shape == dense.shape
                    # Two orders of at most 60 + 18 products of numbers below 10, in float32.
                    assert (dense - own).abs().max() < 2 * 78 * 2.0**-24 * 100


def test_an_overwritten_output_needs_force(run, house, checked_here):
    arguments = (
        "convert",
        "models_here:unpadded",
        "--window",
        "3,10,7",
        "--no-proofs",
        "-o",
        "a.pt2",
    )
    (house / "a.pt2").write_bytes(b"mine")
    assert run(*arguments).exit_code == 2 and (house / "a.pt2").read_bytes() == b"mine"
    assert run(*arguments, "--force").exit_code == 0
    assert (house / "a.pt2").read_bytes()[:2] == b"PK"
    assert {path.name for path in house.iterdir()} - {"__pycache__"} == {"a.pt2", "models_here.py"}


def test_the_networks_own_stride_may_be_said(run, house, checked_here):
    arguments = ("convert", "models_here:unpadded", "--window", "3,10,7", "--no-proofs")
    assert run(*arguments, "--stride", "2", "-o", "a.pt2").exit_code == 0
    assert (house / "a.pt2").read_bytes()[:2] == b"PK"


def test_an_inexact_model_is_converted_when_asked(run, house, checked_here):
    arguments = (
        "convert",
        "models_here:padded",
        "--window",
        "3,10,7",
        "-o",
        "a.pt2",
        "--allow-inexact",
    )
    result = run(*arguments)
    assert result.exit_code == 0
    assert "0 differs: padding ((1, 1), (1, 1))" in result.stdout
    images = torch.randn(2, 3, 12, 9)
    network = fully_convolutional(load_model("models_here:padded"), (3, 10, 7), allow_inexact=True)
    assert torch.equal(torch.export.load(house / "a.pt2").module()(images), network(images))


def test_weights_are_those_of_the_file(run, house, checked_here):
    torch.manual_seed(9)
    other = load_model("models_here:unpadded")
    for parameter in other.parameters():
        parameter.data = torch.randn_like(parameter)
    torch.save(other.state_dict(), house / "w.pth")
    result = run(
        "convert", "models_here:unpadded", "--weights", "w.pth", "--window", "3,10,7", "-o", "a.pt2"
    )
    assert "runs the code of models_here:unpadded; weights: w.pth" in result.stdout
    images = torch.randn(2, 3, 10, 7)
    dense = torch.export.load(house / "a.pt2").module()(images)
    sizes = copy.deepcopy(other)  # of all terms: every layer but the linear ones is monotonous
    for parameter in sizes.parameters():
        parameter.data.abs_()
    terms = 3 * 3 * 2 + 1 + 4 * 4 * 3 + 1
    assert agree(dense[..., 0, 0], other(images), 2 * terms, sizes(images.abs()))


def test_inspect_names_what_breaks_and_writes_nothing(run, house):
    Image.effect_noise((40, 30), 80).convert("RGB").save(house / "a.png")
    before = {path.name for path in house.iterdir()}
    result = run("inspect", "models_here:padded", "--window", "3,10,7", "--image", "a.png")
    assert result.exit_code == 0
    assert "Linear 280→5 ⇒ Conv2d 4→5 k10×7" in result.stdout and "proved, p < " in result.stdout
    assert "0 differs: padding ((1, 1), (1, 1)): the window sees padding" in result.stdout
    assert "off by at most" in result.stdout
    assert {path.name for path in house.iterdir()} - {"__pycache__"} == before


def test_a_refusal_says_in_one_line_how_to_convert_all_the_same(run):
    result = run("convert", "models_here:padded", "--window", "3,10,7", "-o", "a.pt2")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "padding is ((1, 1), (1, 1))" in line and "--allow-inexact" in line


def test_a_volume_is_written_for_the_window_itself(run, house, checked_here):
    (house / "volumes.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Conv3d(2, 3, (2, 3, 2)), nn.Flatten(), nn.Linear(3 * 4 * 2 * 4, 5))\n"
    )
    result = run("convert", "volumes:net", "--window", "2,5,4,5", "-o", "v.pt2")
    assert result.exit_code == 0, result.output
    assert "(N, 2, D ≥ 5, H ≥ 4, W ≥ 5)" in " ".join(result.stdout.split())
    program = torch.export.load(house / "v.pt2").module()
    assert program(torch.zeros(1, 2, 5, 4, 5)).shape == (1, 5, 1, 1, 1)
    assert program(torch.zeros(3, 2, 7, 5, 9)).shape == (3, 5, 3, 2, 5)


def test_inspect_as_json(run):
    table = json.loads(
        run("inspect", "models_here:unpadded", "--window", "3,10,7", "--json").stdout
    )
    assert table["seen"]["windows"] == 9 and table["seen"]["dtype"] == "float64"
    assert table["exact"] is True and table["window"] == [3, 10, 7] and table["stride"] == [2, 2]
    kinds = {row["layer"]: row["verdict"] and row["verdict"]["kind"] for row in table["rows"]}
    assert kinds == {"0": None, "1": None, "2": None, "4": "proved"}
    assert table["parameters_before"] == table["parameters_after"] == 4 * 18 + 4 + 5 * 48 + 5


PROOFS = {
    "equal": ("models_here:linear", "models_here:same_as_conv", 0, "proved: "),
    "one-weight-off": ("models_here:linear", "models_here:one_weight_off", 1, "refuted: output (3,) meets input (10,) with weight "),
    "not-linear": ("models_here:with_relu", "models_here:with_relu_and_more", 1, "measured: "),
    "one-program": ("models_here:with_relu", "models_here:with_relu", 0, "proved: by identity, "),
}  # fmt: skip


@pytest.mark.parametrize("case", PROOFS)
def test_prove_says_what_it_found_and_exits_by_it(case, run):
    a, b, code, words = PROOFS[case]
    result = run("prove", a, b, "--input-shape", "12")
    assert result.exit_code == code, result.output
    assert words in " ".join(result.stdout.split())
    table = json.loads(run("prove", a, b, "--input-shape", "12", "--json").stdout)
    assert table["kind"] == words.partition(":")[0] and table["input_shape"] == [12]


def test_prove_lets_rounded_weights_pass_where_it_is_asked_to(run):
    """And nothing else: neither what is measured, nor what is refuted."""
    pair = ["models_here:two_linears", "models_here:merged", "--input-shape", "12"]
    assert (result := run("prove", *pair)).exit_code == 1
    words = "rounded: equal up to rounding, every input of shape (12,)"
    assert words in " ".join(result.stdout.split())
    assert run("prove", *pair, "--up-to-rounding").exit_code == 0
    assert json.loads(run("prove", *pair, "--json").stdout)["kind"] == "rounded"
    for a, b, code in (
        ("linear", "same_as_conv", 0), ("linear", "one_weight_off", 1),
        ("with_relu", "with_relu_and_more", 1),
    ):  # fmt: skip
        pair = f"models_here:{a}", f"models_here:{b}"
        found = run("prove", *pair, "--input-shape", "12", "--up-to-rounding").exit_code
        assert found == code


def test_prove_opens_archives(run, house):
    linear = load_model("models_here:linear")
    torch.export.save(torch.export.export(linear, (torch.zeros(4, 12),), dynamic_shapes=({0: torch.export.Dim("n")},)), house / "l.pt2")  # fmt: skip
    assert (
        run("prove", "l.pt2", "models_here:linear", "--input-shape", "12", "--trust").exit_code == 0
    )
    assert (
        run(
            "prove", "l.pt2", "models_here:one_weight_off", "--input-shape", "12", "--trust"
        ).exit_code
        == 1
    )
    relu = load_model("models_here:with_relu")
    torch.export.save(torch.export.export(relu, (torch.zeros(4, 12),), dynamic_shapes=({0: torch.export.Dim("n")},)), house / "r.pt2")  # fmt: skip
    result = run("prove", "r.pt2", "r.pt2", "--input-shape", "12", "--trust")
    assert result.exit_code == 0 and "by identity" in result.stdout


def test_demo_reads_its_sheet(run, house):
    result = run("demo", "--size", "320x256", "--rounds", "1", "--seed", "3")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "Linear 512→48 ⇒ Conv2d 32→48 k4" in text and text.count("proved, p < ") == 2
    assert "31,179 before, 31,179 after" in text
    assert "a sheet of 320×256 pixels" in text and "31 there" in text
    precision, recall = map(
        float, re.search(r"precision ([\d.]+)%, recall ([\d.]+)%", text).groups()
    )
    assert precision > 90 and recall > 90
    assert "times faster" in text and "wrote out/demo.png" in text
    assert [path.name for path in (house / "out").iterdir()] == ["demo.png"]
    with Image.open(house / "out" / "demo.png") as picture:
        assert picture.width > 3000
    assert result.stderr == ""


def test_demo_as_json(run):
    arguments = ("demo", "--size", "256", "--rounds", "2", "--out", "x.webp", "--json")
    table = json.loads(run(*arguments).stdout)
    assert table["report"]["exact"] is True and table["precision"] > 0.9
    assert len(table["race"]["dense"]) == 2 and table["race"]["windows"] == 57 * 57
    assert [row["dtype"] for row in table["difference"]] == ["float32", "float64"]
    assert {"y", "x", "digit", "probability"} == set(table["digits"][0])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16", "F"])
def test_pictures_of_any_kind_are_read_as_grey(house, mode):
    grey = np.random.default_rng(0).integers(0, 256, (40, 57), dtype=np.uint8)
    if mode in ("I;16", "F"):
        image = Image.fromarray(
            (grey.astype(np.float64) * 257).astype(np.uint16 if mode == "I;16" else np.float32)
        )
    else:
        image = Image.fromarray(grey).convert(mode)
    name = "own.tiff" if mode == "F" else "own.png"
    image.save(house / name)
    pixels = read_image(house / name, 1, (40, 57))
    assert pixels.shape == (1, 40, 57) and pixels.dtype == np.float32
    top = grey.max() if mode == "F" else 255  # floats name no white: their largest is
    assert np.abs(pixels[0] - grey / top).max() <= (
        3 / 255 if mode == "P" else gamma(2, np.float32)
    )


def test_demo_reads_a_picture_of_the_users_own(run, house):
    sheet = compose(*held_out_digits(), (120, 171), seed=2)
    Image.fromarray((sheet.image * 255).astype(np.uint8)).convert("RGB").save(house / "own.png")
    table = json.loads(run("demo", "--image", "own.png", "--rounds", "1", "--json").stdout)
    assert table["precision"] is None and table["race"]["windows"] == 23 * 35
    found = sorted(digit["digit"] for digit in table["digits"])
    assert found == sorted(digit.digit for digit in sheet.digits)


def test_pictures_are_turned_scaled_and_laid_on_white(house):
    image = Image.new("RGBA", (3, 2), (255, 0, 0, 255))
    image.putpixel((2, 0), (0, 0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    image.save(house / "a.png", exif=exif)
    pixels = read_image(house / "a.png", 3, (1, 1))
    assert pixels.shape == (3, 3, 2) and pixels.dtype == np.float32
    assert pixels[:, 0, 0].tolist() == [1, 0, 0] and pixels[:, 2, 1].tolist() == [1, 1, 1]


def test_help_is_light_and_the_version_right(house):
    code = (
        "import sys; from convlin.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "print([m for m in ('torch', 'numpy', 'PIL', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("demo", "inspect", "convert", "prove"):
        assert command in done.stdout
    version = subprocess.run([sys.executable, "-m", "convlin", "--version"], capture_output=True, text=True, check=True)  # fmt: skip
    assert version.stdout == "convlin 0.1.0\n"


@pytest.mark.parametrize(
    "environment",
    [{}, {"NO_COLOR": "1", "FORCE_COLOR": "", "PYTHONIOENCODING": "ascii"}],
    ids=["pipe", "no-color-in-ascii"],
)  # fmt: skip
def test_pipes_get_80_plain_columns(house, environment):
    command = [
        sys.executable,
        "-m",
        "convlin",
        "inspect",
        "models_here:padded",
        "--window",
        "3,10,7",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=house, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "differs" in done.stdout
