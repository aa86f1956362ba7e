"""`convlin rewrite`: the file of weights, the mapping beside it, and the plan that touches nothing."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from convlin import WeightMapping, rewrite
from convlin.display.numbers import bytes_of
from convlin.models.load import load_model

MODELS = """
import torch
from torch import nn

def patches():
    torch.manual_seed(7)
    return nn.Sequential(
        nn.Conv2d(3, 4, (2, 3), stride=(2, 3)), nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(6, 5, 1),
    )

def rows():
    torch.manual_seed(8)
    return nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3))

def half():
    return patches().half()

def one():
    return nn.Conv2d(3, 5, 1)
"""
PATCHES, ROWS = "layers_here:patches", "layers_here:rows"


@pytest.fixture
def there(house, monkeypatch):
    (house / "layers_here.py").write_text(MODELS)
    monkeypatch.delitem(sys.modules, "layers_here", raising=False)
    return house


@pytest.mark.parametrize("keys", ["same", "native"])
def test_the_file_has_the_weights_and_the_mapping_takes_them_back(run, there, keys):
    result = run("rewrite", PATCHES, "--keys", keys, "--no-proofs", "-o", "out.safetensors")
    assert result.exit_code == 0, result.output
    model = load_model(PATCHES)
    held = load_file(there / "out.safetensors")
    mapping = WeightMapping.load(there / "out.mapping.json")
    moved = {"0.linear.weight": (4, 18), "3.linear.weight": (5, 6)} if keys == "native" else {}
    assert {k: tuple(t.shape) for k, t in held.items() if "linear" in k and "weight" in k} == moved
    original = mapping.to_original(held) if mapping.entries else held
    assert original.keys() == model.state_dict().keys()
    assert all(torch.equal(original[key], value) for key, value in model.state_dict().items())
    native = rewrite(model, keys=keys, proofs=False, copy=True).model
    with torch.no_grad():
        for parameter in native.parameters():
            parameter.zero_()
        native.load_state_dict(held)
        x = torch.randint(-9, 10, (2, 3, 8, 9)).float()
        assert torch.allclose(native(x), load_model(PATCHES)(x), rtol=1e-5, atol=1e-5)


def test_what_it_prints(run, there):
    result = run("rewrite", PATCHES, "-o", "out.safetensors")
    lines = result.stdout.splitlines()
    text = result.stdout
    assert lines[0].startswith("runs the code of layers_here:patches")
    assert "3 sites: 2 exchanged, 1 not exchanged" in lines
    assert "patchify" in text and "pointwise" in text and "proved" in text
    for name in ("out.safetensors", "out.mapping.json"):
        size = (there / name).stat().st_size
        assert f"wrote {name}, {bytes_of(size)}" in text
    assert {path.name for path in there.iterdir()} >= {"out.safetensors", "out.mapping.json"}


def test_the_plan_says_the_rows_and_writes_nothing(run, there):
    before = {path.name for path in there.iterdir()}
    result = run("rewrite", PATCHES, "--plan")
    assert result.exit_code == 0, result.output
    assert "planned; nothing was touched" in result.stdout
    assert "3 sites: 2 exchanged, 1 not exchanged" in result.stdout
    assert {path.name for path in there.iterdir()} - {"__pycache__"} == before


def test_json_is_the_report_and_nothing_else(run, there):
    result = run(
        "rewrite", ROWS, "--to", "conv2d", "--only", "2", "--input-shape", "6,7", "--no-proofs",
        "--json", "-o", "a.safetensors",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["model"] == ROWS and said["target"] == "conv2d" and said["keys"] == "same"
    assert said["written"] == {
        name: (there / name).stat().st_size for name in ("a.safetensors", "a.mapping.json")
    }
    (row,) = said["rows"]
    assert (row["site"], row["answer"], row["exchange"]) == ("2", "exchanged", "pointwise")
    assert said["outputs"]["dtype"] == "float32" and said["outputs"]["in_float64"] < 1e-10
    assert said["permutes"]["before"] >= 1


CHOICES = {
    "only": (["--only", "0"], ["0"]),
    "globs": (["--only", "[03]"], ["0", "3"]),
    "several": (["--only", "3", "--only", "0"], ["0", "3"]),
    "skip": (["--skip", "3"], ["0", "2"]),
    "both": (["--only", "[02]", "--skip", "2"], ["0"]),
}


@pytest.mark.parametrize("case", CHOICES)
def test_only_and_skip_choose_the_sites(run, there, case):
    options, sites = CHOICES[case]
    result = run("rewrite", PATCHES, "--plan", "--json", *options)
    assert [row["site"] for row in json.loads(result.stdout)["rows"]] == sites


def test_noise_is_of_the_models_own_dtype(run, there):
    result = run("rewrite", "layers_here:half", "--input-shape", "3,8,9", "--no-proofs", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["outputs"]["dtype"] == "float16"


def test_weights_are_those_of_the_file(run, there):
    model = load_model(PATCHES)
    with torch.no_grad():
        model[0].weight += 1
    torch.save(model.state_dict(), there / "w.pth")
    result = run("rewrite", PATCHES, "--weights", "w.pth", "--no-proofs", "-o", "a.safetensors")
    assert result.exit_code == 0, result.output
    assert torch.equal(load_file(there / "a.safetensors")["0.weight"], model[0].weight)


REFUSED = {
    "nothing-matches": (["--only", "conv1"], "rewrite: only is 'conv1', expected a pattern that matches a site (nearest: '0', '2', '3')"),
    "nothing-to-skip": (["--skip", "9"], "rewrite: skip is '9', expected a pattern that matches a site (nearest: '0', '2', '3')"),
    "plan-and-output": (["--plan", "-o", "new.safetensors"], "--output is new.safetensors, expected none with --plan: nothing is written"),
    "suffix": (["-o", "a.pt"], "a.pt: the file must end in .safetensors"),
    "no-folder": (["-o", "b/a.safetensors"], "b/a.safetensors: no such folder: b"),
    "exists": (["-o", "there.safetensors"], "there.safetensors: exists; overwrite it with --force"),
    "mapping-exists": (["-o", "mapped.safetensors"], "mapped.mapping.json: exists; overwrite it with --force"),
    "shape": (["--input-shape", "3x8"], "--input-shape is '3x8', expected whole numbers with commas, such as 3,224,224"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_one_line_exit_code_2_and_nothing_written(run, there, case):
    options, words = REFUSED[case]
    (there / "there.safetensors").write_bytes(b"mine")
    (there / "mapped.mapping.json").write_bytes(b"mine")
    before = {path.name: path.read_bytes() for path in there.iterdir() if path.is_file()}
    result = run("rewrite", PATCHES, "--no-proofs", *options)
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines() == [f"convlin: {words}"]
    after = {path.name: path.read_bytes() for path in there.iterdir() if path.is_file()}
    assert after == before


OTHER = {
    "not-its-input": ["--input-shape", "5,8,9"],
    "too-few-axes": ["--input-shape", "3"],
    "target": ["--to", "matrix"],
    "keys": ["--keys", "new"],
}


@pytest.mark.parametrize("case", OTHER)
def test_what_fits_no_model_is_one_line_too(run, there, case):
    result = run("rewrite", PATCHES, "--no-proofs", "-o", "new.safetensors", *OTHER[case])
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("convlin: ")
    assert "--debug" not in result.stderr
    assert not list(there.glob("*new.*"))


def test_force_overwrites_both_files(run, there):
    for name in ("a.safetensors", "a.mapping.json"):
        (there / name).write_bytes(b"mine")
    result = run("rewrite", PATCHES, "--no-proofs", "-o", "a.safetensors", "--force")
    assert result.exit_code == 0, result.output
    assert load_file(there / "a.safetensors").keys() == load_model(PATCHES).state_dict().keys()
    assert json.loads((there / "a.mapping.json").read_text())["entries"] == []


def test_a_layer_alone_is_a_model(run, there):
    result = run(
        "rewrite", "layers_here:one", "--keys", "native", "--no-proofs", "-o", "a.safetensors"
    )
    assert result.exit_code == 0, result.output
    assert load_file(there / "a.safetensors")["linear.weight"].shape == (5, 3)
    assert isinstance(load_model("layers_here:one"), nn.Conv2d)
