"""Every option of every command with everything that does not fit it: exit code 2, in one line.

The options are those of the application itself, so a new one fails until its wrong values are here.
"""

import os
import pickle

import pytest
import torch
import typer
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from convlin.cli import app

RIGHT = {
    "demo": ["--size", "64", "--rounds", "1"],
    "explain": ["--lesson", "1"],
    "explore": ["--port", "0"],
    "inspect": ["models_here:padded", "--window", "3,10,7"],
    "convert": ["models_here:unpadded", "--window", "3,10,7", "-o", "new.pt2"],
    "plan": ["models_here:padded", "--window", "3,10,7", "--image-size", "40,30"],
    "slide": [
        *["models_here:padded", "picture.png", "--window", "3,10,7", "--stride", "5"],
        *["--mean", "0.5", "--std", "0.5", "-o", "new.npz"],
    ],
    "scan": [
        *["models_here:padded", "picture.png", "--window", "3,10,7", "--stride", "5", "--no-check"],
        *["--mean", "0.5", "--std", "0.5", "--semantics", "window", "-o", "new.zarr"],
    ],
    "rewrite": ["models_here:padded", "--no-proofs"],
    "prove": ["models_here:linear", "models_here:linear", "--input-shape", "12"],
    "audit": ["models_here:pointwise", "Conv2d:3,4,k=1", "--input-shape", "3,10,7"],
    "check": ["models_here:pointwise", "--layer", "Linear"],
    "unroll": ["models_here:padded", "0", "--input-size", "10,7", "-o", "new.npz"],
    "cost": ["models_here:padded", "--input-size", "3,10,7"],
}
ODD = ["\x1b[31m", "two\nlines", "[bold]", "\u202eback", "\udcff", "x" * 300]
ABSENT = ["none", "a\0b", "folder", "pipe", "no/such/folder", "circle", *ODD]
NUMBERS = ["", "x", "1.5", "0x10", "９x", "--", "9" * 5000 + "x"]
HUGE = "3," + "9" * 20 + ",7"
SHAPES = [
    "",
    "x",
    "3x4",
    "3,,4",
    "-3,4",
    "0,4,5",
    "3.5,4",
    "1,2,3,4,5,6",
    "3,4;",
    "9" * 5000,
    HUGE,
    *ODD,
]
SPECS = [
    "", "x", ":", "a:", ":b", "nowhere:x", "models_here:nope", "models_here:torch", "sys:exit",
    "builtins:object", "builtins:exit", "os:getcwd", "models_here:Heads.forward", "net.onnx",
    "net.pt2", "folder.pt2", "there.pt2", "/etc/passwd", "a\0b:x", "leaving_here:x", *ODD,
]  # fmt: skip
WEIGHTS = [
    *ABSENT, "broken.safetensors", "broken.pth", "other.safetensors", "module.pth", "integers.pth",
    "pickle.pth", "list.pth", "named.safetensors", "models_here.py", "picture.png",
]  # fmt: skip
PICTURES = [*ABSENT, "broken.png", "cut.png", "pixel.png", "nan.tiff", "run.eps", "models_here.py"]
ROWS = ["", ";", "a", "1;2 3", "nan", "inf", "1e400", "9" * 5000, "1 " * 40, "1 2\0", *ODD]
PAIRS = ["", "x", "1,2,3", "-1", "1000", "1.5", "1;2", "9" * 5000, *ODD]
OUTPUTS = ["", ".", "folder", "no/such/a{}", "a.wrong", "a{}x", "pipe{}", "a\0{}", "x" * 300 + "{}"]
SCALES = ["", "x", "1,2", "1;2", "nan", "inf", "1e2", "0x1", "9" * 5000, "1,2,3,4", *ODD]
SUFFIXES = {
    "convert": ".pt2",
    "slide": ".npz",
    "scan": ".csv",
    "rewrite": ".safetensors",
    "unroll": ".npz",
    "explain": ".html",
    "explore": ".html",
}
FUNCTIONS = {"builtins:object", "os:getcwd", "models_here:Heads.forward"}
WRONG = {
    "a": SPECS, "b": SPECS, "model": SPECS, "function": SPECS, "draws": [*NUMBERS, "0", "10001"],
    "window": SHAPES, "input_size": SHAPES, "input_shape": SHAPES,
    "weights": WEIGHTS, "weights_a": WEIGHTS, "weights_b": WEIGHTS,
    "image": PICTURES, "kernel": ROWS, "stride": [*PAIRS, "0"], "padding": PAIRS,
    "dilation": [*PAIRS, "0"],
    "out": OUTPUTS, "html": OUTPUTS, "export": OUTPUTS,
    "to": ["", "x", "LINEAR", *ODD], "keys": ["", "x", "SAME", *ODD],
    "only": ["", "none", "*.none", *ODD], "skip": ["", "none", "*.none", *ODD],
    "head": ["", "x", "CONV", *ODD], "lang": ["", "de", "EN", *ODD],
    "lesson": [*NUMBERS, "0", "7", "-1"], "rounds": [*NUMBERS, "0", "-1"], "seed": [*NUMBERS, "-1"],
    "memory_limit": [*NUMBERS, "0", "-1", "1"], "port": [*NUMBERS, "-1", "70000"],
    "size": ["", "x", "64x", "x64", "-64", "6.4", "20", "64,64", "99999", "9" * 5000, *ODD],
    "layer": ["none", "1", "0.0", "0.weight", "9" * 5000, *ODD],
    "image_size": [*SHAPES, "40,30,20", "4,4", "40x30"], "images": [*NUMBERS, "0", "-1"],
    "memory": [*NUMBERS, "0", "-1", "2G", "1 TB 2", "1B", *ODD], "pictures": PICTURES,
    "mean": SCALES, "std": [*SCALES, "0", "-1", "1,0,1"], "preset": ["", "x", "IMAGENET", *ODD],
    "picture": OUTPUTS, "classes": ["", "x", "-1", "1.5", "5", "1,,2", "1;2", "9" * 5000, *ODD],
    "names": [*ABSENT, "picture.png", "models_here.py"],
    "host": ["256.1.1.1", "no such host", "a\0b", "[::1", "x" * 300],
    "source": [*PICTURES, "models_here:padded", "there.pt2", "http://a/b.tif", "folder.pt2"],
    "semantics": ["", "x", "WINDOW", *ODD], "axes": ["", "C", "CYXT", "CCX", "12", *ODD],
    "level": [*NUMBERS, "-1", "1"], "channels": ["", "x", "-1", "0,1", "0,1,9", "0;1", *ODD],
    "nodata": ["", "x", "1,2", *ODD], "scale": ["", "x", "0", "-1", "nan", "inf", *ODD],
    "windows_through": [s for s in SPECS if s not in FUNCTIONS and ".forward" not in s],
    "edges": ["", "x", "PAD", *ODD],
    "region": ["", "x", "0:5", "5:2,0:60", "0:64,0:99", "0:3,0:3", "0-5,0-5", "1:2:3,4:5", *ODD],
    "mask": [*PICTURES, "pixel.png"], "outputs": ["", "x", "scores,none", *ODD],
    "dtype": ["", "x", "int8", *ODD], "threshold": ["", "x", "1", *ODD],
    "top": [*NUMBERS, "0", "-1", "5"], "task": ["", "x", "0", "1,2,3", "-1", "1.5", *ODD],
    "band": [*NUMBERS, "0", "-1", "5"], "engine": ["", "x", "SERIAL", *ODD],
    "workers": [*NUMBERS, "0", "-1", "2"], "threads": [*NUMBERS, "0", "-1"],
    "shard": ["", "x", "0/2", "3/2", "1", "1/0", "1/2/3", *ODD],
    "stall": ["", "x", "0", "-1", "nan", "inf", *ODD],
    "state": ["x", "?size=99", "?size=", "?along=nan", "?picture=cat", "?" + "x" * 300, *ODD],
}  # fmt: skip
FLAGS = {
    "plan", "json", "force", "trust", "proofs", "allow_inexact", "browser", "up_to_rounding",
    "copies", "batch_only", "sized", "measured", "raw", "softmax", "resume", "verify",
    "skip_unreadable", "lift_bomb_limit", "check", "dry_run", "points", "ask",
}  # fmt: skip
# These fit: a folder that the demo makes, models whose window is another, and functions that are no
# conversions, which a verdict says.
FITS = {
    ("demo", "out"): {"no/such/a{}", "a{}x"},
    ("plan", "stride"): {"1000"},
    ("slide", "stride"): {"1000"},
    ("scan", "stride"): {"1000"},
    ("scan", "mask"): {"pixel.png"},
    ("explain", "image"): {"pixel.png"},
    ("explain", "padding"): {"0"},
    ("audit", "function"): FUNCTIONS,
    ("check", "function"): FUNCTIONS,
}


def commands():
    return typer.main.get_command(app).commands


def cases():
    for name, command in commands().items():
        for parameter in command.params:
            if parameter.name in FLAGS:
                yield name, parameter, ["--" + parameter.name.replace("_", "-") + "=x"]
            elif parameter.name != "help":
                yield name, parameter, WRONG[parameter.name]


CASES = {
    f"{name}-{parameter.name}": (name, parameter, values) for name, parameter, values in cases()
}


@pytest.fixture
def things(house, monkeypatch):
    """Files of every kind that serve for nothing; and no server ever serves."""
    (house / "folder").mkdir()
    (house / "folder.pt2").mkdir()
    os.mkfifo(house / "pipe")
    for suffix in {*SUFFIXES.values(), ".png"}:
        os.mkfifo(house / f"pipe{suffix}")
    (house / "circle").symlink_to("circle")
    (house / "there.pt2").write_bytes(b"PK")
    (house / "leaving_here.py").write_text("raise SystemExit(0)")
    for name in ("broken.safetensors", "broken.pth", "broken.png"):
        (house / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    own = {"0.weight": torch.zeros(4, 3, 3, 3), "0.bias": torch.zeros(4)}
    save_file(own, house / "other.safetensors")
    save_file(own | {name: torch.zeros(1) for name in ODD[:4]}, house / "named.safetensors")
    torch.save(nn.ReLU(), house / "module.pth")
    torch.save([torch.zeros(1)], house / "list.pth")
    (house / "pickle.pth").write_bytes(pickle.dumps(os.getcwd))
    torch.save({name: tensor.long() for name, tensor in own.items()}, house / "integers.pth")
    Image.effect_noise((64, 64), 50).save(house / "picture.png")
    Image.effect_noise((64, 64), 50).save(house / "picture.png")
    (house / "cut.png").write_bytes((house / "picture.png").read_bytes()[:900])
    Image.new("L", (1, 1)).save(house / "pixel.png")
    Image.new("F", (64, 64), float("nan")).save(house / "nan.tiff")
    (house / "run.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    monkeypatch.setattr(
        "convlin.teach.server.application.serve", lambda *_: pytest.fail("it serves")
    )
    return house


def with_value(name, parameter, value):
    """Return a right command line but for one value."""
    suffix = ".png" if parameter.name == "picture" else SUFFIXES.get(name, ".png")
    right, wrong = list(RIGHT[name]), value.replace("{}", suffix)
    if parameter.param_type_name == "argument":
        at = [p.name for p in commands()[name].params if p.param_type_name == "argument"]
        right[at.index(parameter.name)] = wrong
        return [name, *right[: len(at)], *right[len(at) :]]
    option = max(parameter.opts, key=len)
    for known in parameter.opts:
        if known in right:
            del right[right.index(known) : right.index(known) + 2]
    return [name, *right, f"{option}={wrong}"]


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_value_is_one_line_and_exit_code_2(run, things, case):
    name, parameter, values = CASES[case]
    before = {path: path.lstat().st_mtime_ns for path in things.rglob("*")}
    failed = []
    for value in values:
        if value in FITS.get((name, parameter.name), ()):
            continue
        flag = parameter.name in FLAGS
        result = run(*([name, *RIGHT[name], value] if flag else with_value(name, parameter, value)))
        line = result.stderr.removesuffix("\n")
        one = line.startswith("convlin: ") and line.isprintable() and "--debug" not in line
        if result.exit_code != 2 or not one:
            failed.append((value, result.exit_code, line, result.exception))
    assert not failed, [(value[:40], code, said[:200]) for value, code, said, _ in failed]
    after = {path: path.lstat().st_mtime_ns for path in things.rglob("*")}
    assert {p for p in after if "__pycache__" not in str(p)} == before.keys()
    assert all(after[path] == time for path, time in before.items() if not path.is_dir())
