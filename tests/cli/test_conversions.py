"""`convlin audit` and `convlin check`: anybody's conversion, and layers written as text."""

import json
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from convlin.cli.written_layers import parse_layer
from convlin.errors import InputError
from convlin.geometry import ConvGeometry
from convlin.geometry.short_form import short

SHAPE = ("--input-shape", "3,10,7")


@pytest.mark.parametrize(
    ("layer", "code", "words"),
    [
        ("Conv2d:3,4,k=1", 0, "proved: all weights, all inputs of shape (3, 10, 7)"),
        (
            "Conv2d:3,4,k=1,s=2",
            1,
            "refuted: the output shape is (3, 4, 5, 4) against (3, 4, 10, 7)",
        ),
        ("models_here:written", 0, "proved: "),
    ],
)
def test_an_audit_says_whose_code_runs_and_what_it_found(run, house, layer, code, words):
    with (house / "models_here.py").open("a") as file:
        file.write("\nwritten = lambda: nn.Conv2d(3, 4, 1)\n")
    result = run("audit", "models_here:pointwise", layer, *SHAPE)
    assert result.exit_code == code
    first, *rest = result.stdout.splitlines()
    assert first == "runs the code of models_here:pointwise"
    assert words in " ".join(rest)
    assert ("runs the code of models_here:written" in rest) == layer.startswith("models_here")


def test_a_refusal_is_bad_input_and_no_verdict(run, house):
    result = run("audit", "convlin:to_pointwise", "Conv2d:3,4,k=3", *SHAPE)
    assert result.exit_code == 2
    assert result.stderr.startswith("convlin: Conv2d: stride is (1, 1), expected ")


def test_an_audit_hands_its_options_on(run, house):
    arguments = (
        "audit",
        "models_here:pointwise",
        "Conv2d:3,4,k=1",
        *SHAPE,
        "--json",
        "--seed",
        "1",
    )
    verdict = json.loads(run(*arguments, "--draws", "2", "--shares", "--batch-only").stdout)
    assert (verdict["layer"], verdict["input_shape"]) == ("Conv2d:3,4,k=1", [3, 10, 7])
    assert verdict["kind"] == "proved"
    assert "2 draws, wrong" in verdict["details"]
    assert "no unbatched input" in verdict["details"]
    result = run(*arguments, "--copies")
    assert result.exit_code == 1
    assert "weight's storage is its own storage" in json.loads(result.stdout)["details"]


def test_a_check_shows_the_smallest_layer(run, house):
    result = run("check", "models_here:pointwise")
    assert result.exit_code == 1
    first, second, third, *others, last = result.stdout.splitlines()
    assert first == "runs the code of models_here:pointwise"
    assert (
        second == "pointwise fails on nn.Conv2d(1, 1, 1, padding=1), for inputs of shape (1, 1, 1)"
    )
    assert third.endswith("the output shape is (3, 1, 3, 3) against (3, 1, 1, 1)")
    assert sum(line.startswith("also on nn.Conv2d(") for line in others) >= 1
    assert last.startswith("tried ") and last.endswith(" ways")
    result = run("check", "models_here:pointwise", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["smallest"]["layer"] == "nn.Conv2d(1, 1, 1, padding=1)"
    assert (found["smallest"]["kind"], found["smallest"]["input_shape"]) == ("refuted", [1, 1, 1])
    assert found["right"] + found["refused"] + found["broken"] == found["tried"]


def test_a_check_that_passes_prints_the_table(run, house):
    result = run("check", "convlin:to_conv2d", "--layer", "Linear", "--layer", "Conv1d", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["broken"] == 0 < found["right"]
    assert {row["layers"] for row in found["table"]} > {"all", "further axes", "stride > 1"}
    result = run("check", "convlin:to_conv2d", "--layer", "Linear")
    assert result.stdout.splitlines()[2].split() == ["layers", "tried", "right", "refused"]


def test_a_conversion_that_takes_nothing_is_no_success(run, house):
    result = run("check", "models_here:pointwise", "--layer", "Linear")
    assert result.exit_code == 1
    assert "converted no layer at all" in result.stdout


def test_a_function_that_exits_has_not_passed(run, house):
    """SystemExit(0) of somebody's code would be an exit code of 0, and that says: proved."""
    for command in (("audit", "models_here:exits", "Conv2d:3,4,k=1", *SHAPE),
                    ("check", "models_here:exits", "--layer", "Linear")):  # fmt: skip
        result = run(*command)
        assert result.exit_code == 2
        assert result.stderr.startswith("convlin: models_here:exits: its code ended the program: ")


def test_a_model_that_exits_is_not_proved(run, house):
    result = run("prove", "models_here:Exiting", "models_here:linear", "--input-shape", "3,4,5")
    assert result.exit_code == 2
    assert "its code ended the program: " in result.stderr


def test_what_is_no_function_is_said_so(run, house):
    result = run("check", "models_here:number")
    assert result.exit_code == 2
    assert result.stderr == "convlin: models_here:number: type is int, expected a function\n"


@pytest.mark.parametrize(
    "text",
    [
        "Conv2d:__import__('os')", "Conv2d:", "Conv2d:3", "Conv2d:3,4", "Conv2d:3,4,5", "Conv2d:-3,4",
        "Conv2d:3,4,k=3,k=3", "Conv2d:3,4,k=3x3x3", "Conv2d:3,4,k=0", "Conv2d:3,4,k=1,s=0",
        "Conv2d:3,4,k=3,p=-1", "Conv2d:3,4,k=3,p=full", "Conv2d:3,4,k=3,p=same,s=2",
        "Conv2d:3,4,k=3,g=2", "Conv2d:3,4,k=3,g=2x2", "Conv2d:3,4,k=3,mode=wrap", "Conv2d:0,4,k=3",
        "Conv2d:3,4,k=3,bias=no", "Conv2d:3,4,k=3,bias", "Conv2d:3,4,k=3,output_padding=1",
        "Conv2d:3,4,k=3,dtype=int8", "Conv2d:3,4,k=3;rm -rf /", "Conv2d:3,4,k=1e3", "Conv2d:3, 4,k=3",
        "Conv2d:999999999,999999999,k=9", "Conv2d:3,4,k=" + "9" * 5000, "Conv2d:3,4,k=\x1b[31m",
        "ConvTranspose2d:3,4,k=3,p=same", "ConvTranspose2d:3,4,k=3,output_padding=1",
        "ConvTranspose2d:3,4,k=3,mode=reflect", "Linear:3,4,k=1", "Linear:0,4", "Linear:99999999,999",
        "Conv2d:３,4,k=3", "conv2d:3,4,k=3", "Conv2d", "lambda: 0", "",
    ],
)  # fmt: skip
def test_a_layer_that_is_none_is_one_line(run, house, text):
    result = run("audit", "models_here:pointwise", text, *SHAPE)
    assert result.exit_code == 2
    line = result.stderr.removesuffix("\n")
    assert line.startswith("convlin: ")
    assert line.isprintable()
    assert "expected" in line or "no module named" in line


def test_the_documented_fields_reach_the_layer():
    text = "Conv2d:4,6,k=3x5,s=2,p=1x2,d=1x3,g=2,mode=reflect,bias=false"
    expected = nn.Conv2d(
        4, 6, (3, 5), 2, (1, 2), (1, 3), groups=2, padding_mode="reflect", bias=False
    )
    assert repr(parse_layer(text)) == repr(expected)
    assert parse_layer("Conv1d:2,3,k=4,p=same").padding == "same"
    assert parse_layer("ConvTranspose3d:2,3,k=2,s=3,output_padding=1x0x2").output_padding == (
        1,
        0,
        2,
    )
    assert parse_layer("Linear:3,5,bias=false").bias is None


@st.composite
def geometries(draw):
    ndim, transposed, groups = draw(st.integers(1, 3)), draw(st.booleans()), draw(st.integers(1, 3))
    channels = [groups * draw(st.integers(1, 3)) for _ in range(2)]
    kernel, stride, padding, dilation = (
        tuple(draw(st.lists(st.integers(least, 4), min_size=ndim, max_size=ndim)))
        for least in (1, 1, 0, 1)
    )
    mode = "zeros" if transposed else draw(st.sampled_from(["zeros", "reflect", "circular"]))
    return ConvGeometry(*channels, kernel, stride, padding, dilation, groups, mode, transposed)


@given(geometries())
def test_what_convlin_prints_of_a_convolution_is_how_it_is_written(geometry):
    """Behind channels, `k3×5 s2 p1 reflect` is `k=3×5,s=2,p=1,mode=reflect`."""
    channels, *fields = short(geometry).split()
    written = [re.sub(r"^([kspdg])(?=\d)", r"\1=", field) for field in fields]
    written = [field if "=" in field else f"mode={field}" for field in written]
    text = ",".join([channels.replace("→", ","), *written])
    assert ConvGeometry.of(parse_layer(f"{geometry.kind}:{text}")) == geometry


def test_layers_are_read_and_never_evaluated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in ("Conv2d:open('x','w'),3,k=1", "Conv2d:3,4,k=open('x','w')", "Linear:3,(4),bias=1"):
        with pytest.raises(InputError):
            parse_layer(text)
    assert not list(tmp_path.iterdir())
    assert torch.is_tensor(parse_layer("Linear:3,4").weight)
