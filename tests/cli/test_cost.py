"""`convlin cost`: the table, the JSON, and bad input in one line."""

import json

import pytest

from convlin import cost
from convlin.models.load import load_model


def test_the_table_in_80_columns(run):
    result = run("cost", "models_here:unpadded", "--input-size", "3,10,7")
    assert result.exit_code == 0, result.output
    assert "runs the code of models_here:unpadded; weights: as it makes them" in result.stdout
    assert "Sequential, one sample of 3×10×7" in result.stdout
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.split()}
    # 4 kernels of 3·3·2, on 8·6 positions; 4·48 outputs of 210 inputs; all have a bias.
    assert lines["0"] == ["0", "76", "3,648", "40.5", "k", "3,648", "3,456", "768", "B"]
    assert lines["4"][1:5] == ["245"] * 4
    assert [lines[name][:2] for name in ("1:", "2:", "3:")] == [
        ["1:", "ReLU"], ["2:", "MaxPool2d"], ["3:", "Flatten"],
    ]  # fmt: skip
    assert lines["conv"][:2] == ["conv", "321"]
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_is_the_table(run, house):
    told = json.loads(run("cost", "models_here:padded", "--input-size", "10,7", "--json").stdout)
    table = cost(load_model("models_here:padded"), (3, 10, 7))
    assert told["model"] == "models_here:padded" and told["input_shape"] == [3, 10, 7]
    assert told["total"]["conv"]["multiply_adds"] == table.multiply_adds["conv"]
    assert {form: cost["parameters"] for form, cost in told["total"].items()} == table.parameters
    assert [row["operation"] for row in told["rows"]] == [
        "Conv2d 3→4 k3 p1",
        "ReLU",
        "Flatten",
        "Linear 280→5",
    ]
    excess = told["total"]["conv"]["padded_multiply_adds"] / told["total"]["conv"]["multiply_adds"]
    assert excess > 1


def test_one_number_is_every_side(run):
    told = json.loads(
        run("cost", "torchvision.models:squeezenet1_1", "--input-size", "96", "--json").stdout
    )
    assert told["input_shape"] == [3, 96, 96]


BAD = {
    "syntax": (["models_here:padded", "--input-size", "3x10x7"], "--input-size is '3x10x7', expected whole numbers with commas, such as 3,224,224"),
    "axes": (["models_here:padded", "--input-size", "1,1,3,10,7"], "--input-size is '1,1,3,10,7', expected 1, 2, 3 or 4 numbers, such as 3,224,224"),
    "channels": (["models_here:padded", "--input-size", "2,10,7"], "0: input of the model is (2, 10, 7), expected the shape of a sample that it can take (Given groups=1, "),
    "size": (["models_here:padded", "--input-size", "3,11,7"], "3: input of the model is (3, 11, 7), expected the shape of a sample that it can take (mat1 and mat2 shapes"),
    "other-axes": (["models_here:padded", "--input-size", "2,3,10,7"], "0: input of the model is (2, 3, 10, 7), expected the shape of a sample that it can take; its first convolution takes (3, height, width) ("),
    "archive": (["net.pt2"], "net.pt2: a .pt2 serves `convlin prove` only; give an import path"),
    "weights": (["models_here:padded", "--weights", "w.pth"], "w.pth: no such file"),
    "no-such-factory": (["models_here:pad"], "models_here:pad: models_here has no 'pad'; did you mean padded?"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, run):
    arguments, words = BAD[case]
    result = run("cost", *arguments)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"convlin: {words}")
