"""Bad input is one clear line on stderr, exit code 2, and nothing half-written."""

import re

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

DIGITS = "convlin.demo.classifier:digit_classifier"

CASES = {
    "no-such-command": (["nope"], "No such command 'nope'. (see --help)"),
    "no-such-option": (["demo", "--bad"], "No such option: --bad (see --help)"),
    "no-model": (["inspect"], "Missing argument 'MODEL'. (see --help)"),
    "no-such-module": (["inspect", "nowhere:x"], "nowhere:x: no module named nowhere"),
    "no-such-factory": (["inspect", "models_here:pad"], "models_here:pad: models_here has no 'pad'; did you mean padded?"),
    "no-module-at-all": (["inspect", "models_here:torch"], "models_here:torch: type is module, expected a factory or a torch.nn.Module"),
    "window-syntax": (["inspect", "models_here:padded", "--window", "3x10x7"], "--window is '3x10x7', expected whole numbers with commas, such as 3,224,224"),
    "window-empty": (["inspect", "models_here:padded", "--window", ""], "--window is '', expected whole numbers with commas, such as 3,224,224"),
    "window-zero": (["inspect", "models_here:padded", "--window", "3,0,7"], "--window is '3,0,7', expected whole numbers from 1 to 10,000,000"),
    "window-axes": (["inspect", "models_here:padded", "--window", "7"], "--window is '7', expected 2, 3 or 4 numbers, such as 3,224,224"),
    "window-too-large": (["inspect", "models_here:padded", "--window", "3,11,7"], "3: input is (2, 308), expected a window that this layer can take"),
    "window-other-channels": (["convert", DIGITS, "-o", "o.pt2", "--window", "3,32,32"], "features.0: input is (2, 3, 32, 32), expected a window that this layer can take"),
    "refused": (["inspect", "models_here:enlarging", "--window", "4,3,5"], "0: Upsample cannot be made fully convolutional: upsampling: its cells "),
    "not-exact": (["convert", "models_here:padded", "-o", "o.pt2", "--window", "3,10,7"], "0: padding is ((1, 1), (1, 1)), expected 0 (the window sees padding where the large image has neighbours)"),
    "stride-of-windows": (["convert", "models_here:unpadded", "-o", "o.pt2", "--window", "3,10,7", "--stride", "1,2"], "--stride is 1×2, expected 2×2, the network's own: no .pt2 is written of windows at another one (convlin slide runs them, convlin plan counts them)"),
    "stride-of-padded-windows": (["convert", "models_here:padded", "-o", "o.pt2", "--window", "3,10,7", "--stride", "5"], "--stride is 5×5, expected 1×1, the network's own: no .pt2 is written of windows at another one (convlin slide runs them, convlin plan counts them)"),
    "stride-syntax": (["convert", "models_here:unpadded", "-o", "o.pt2", "--window", "3,10,7", "--stride", "2x2"], "--stride is '2x2', expected whole numbers with commas, such as 32"),
    "stride-axes": (["convert", "models_here:unpadded", "-o", "o.pt2", "--window", "3,10,7", "--stride", "2,2,2"], "--stride is '2,2,2', expected 1 or 2 numbers, such as 32"),
    "no-weights": (["inspect", "models_here:padded", "--weights", "w.pth"], "w.pth: no such file"),
    "other-weights": (["inspect", "models_here:padded", "--weights", "w.safetensors"], "w.safetensors: does not fit Sequential: missing: 0.bias, 3.weight, 3.bias; unexpected: head; of another shape: 0.weight (4, 3, 1, 1) instead of (4, 3, 3, 3)"),
    "onnx": (["inspect", "net.onnx"], "net.onnx: ONNX models are not read yet; give an import path or a .pt2"),
    "pt2-to-convert": (["convert", "net.pt2", "-o", "o.pt2"], "net.pt2: a .pt2 serves `convlin prove` only; give an import path"),
    "pt2-missing": (["prove", "net.pt2", "net.pt2", "--input-shape", "3,4"], "net.pt2: no such file"),
    "pt2-untrusted": (["prove", "broken.pt2", "broken.pt2", "--input-shape", "3"], "broken.pt2: an exported program is a program: loading it runs what the file says; open it only if you trust it (--trust)"),
    "pt2-broken": (["prove", "broken.pt2", "broken.pt2", "--input-shape", "3", "--trust"], "broken.pt2: not a readable .pt2 archive: BadZipFile: File is not a zip file"),
    "output-exists": (["convert", "models_here:unpadded", "-o", "there.pt2"], "there.pt2: exists; overwrite it with --force"),
    "output-name": (["convert", "models_here:unpadded", "-o", "o.onnx"], "o.onnx: the file must end in .pt2"),
    "output-folder": (["convert", "models_here:unpadded", "-o", "a/b/o.pt2"], "a/b/o.pt2: no such folder: a/b"),
    "head": (["convert", "models_here:unpadded", "-o", "o.pt2", "--head", "x"], "Invalid value for '--head': "),
    "size": (["demo", "--size", "large"], "--size is 'large', expected WIDTHxHEIGHT in pixels, such as 1280x1024"),
    "size-too-small": (["demo", "--size", "20"], "--size is '20', expected a window of 32x32 or more"),
    "size-too-large": (["demo", "--size", "100x7000"], "--size is '100x7000', expected at most 6144 pixels a side (one pass over more needs too much memory)"),
    "seed": (["demo", "--seed", "-1"], "Invalid value for '--seed': "),
    "no-picture": (["demo", "--image", "none.png"], "none.png: no such file"),
    "unreadable-picture": (["demo", "--image", "models_here.py"], "models_here.py: not a readable picture: none of PNG, JPEG"),
    "cut-picture": (["demo", "--image", "cut.png"], "cut.png: not a readable picture: "),
    "small-picture": (["demo", "--image", "small.png"], "small.png: size is 31x40 pixels, expected a window of 32x32 or more"),
    "folder-picture": (["demo", "--image", "."], ".: a folder, pipe or device, not a file"),
    "picture-of-another-window": (["inspect", "models_here:padded", "--window", "4,10,7", "--image", "small.png"], "small.png: the window has 4 channels, a picture has 1 or 3"),
    "picture-format": (["demo", "--out", "o.gif"], "o.gif: a picture ends in .png, .jpg or .webp"),
    "picture-in-the-way": (["demo", "--out", "models_here.py/o.png"], "models_here.py/o.png: cannot be written below "),
    "prove-axes": (["prove", "models_here:linear", "models_here:linear", "--input-shape", "1,2,3,4,5"], "--input-shape is '1,2,3,4,5', expected 1, 2, 3 or 4 numbers, such as 3,32,32"),
}  # fmt: skip


@pytest.fixture
def things(house):
    """Files that commands stumble over."""
    save_file(
        {"0.weight": torch.zeros(4, 3, 1, 1), "head": torch.zeros(1)}, house / "w.safetensors"
    )
    (house / "broken.pt2").write_bytes(b"no zip")
    (house / "there.pt2").write_bytes(b"mine")
    Image.new("L", (31, 40)).save(house / "small.png")
    Image.effect_noise((64, 64), 50).save(house / "whole.png")
    (house / "cut.png").write_bytes((house / "whole.png").read_bytes()[:900])
    return house


@pytest.mark.parametrize("case", CASES)
def test_one_line_exit_code_2_and_nothing_written(case, run, things):
    arguments, words = CASES[case]
    before = {path.name: path.read_bytes() for path in things.iterdir() if path.is_file()}
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith(f"convlin: {words}")
    after = {path.name: path.read_bytes() for path in things.iterdir() if path.is_file()}
    assert before == after and {p.name for p in things.iterdir() if p.is_dir()} <= {"__pycache__"}


def test_every_refusal_has_its_line(run, house):
    (house / "models_there.py").write_text(
        "from torch import nn\n"
        "def two():\n"
        "    convs = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 5, padding=2)\n"
        "    return nn.Sequential(*convs, nn.Flatten(), nn.Linear(4 * 6 * 8, 2))\n"
    )
    result = run("convert", "models_there:two", "--window", "3,6,8", "-o", "o.pt2")
    assert result.exit_code == 2
    assert [line.split(" is ")[0] for line in result.stderr.splitlines()] == [
        "convlin: 0: padding",
        "convlin: 1: padding",
    ]


@pytest.mark.parametrize("command", ["explain", "explore", "inspect", "convert", "prove", "unroll", "cost"])  # fmt: skip
def test_help_says_what_to_write_and_not_what_python_makes_of_it(run, command):
    text = run(command, "--help").stdout.partition("─ Options")[2]
    assert "<bool>" in text and not re.search(r"<(str|path|int range)>", text)
    assert "list[" not in text


def test_debug_shows_the_traceback(run):
    result = run("--debug", "inspect", "nowhere:x")
    assert type(result.exception).__name__ == "InputError"
    assert run("inspect", "nowhere:x").exit_code == 2
