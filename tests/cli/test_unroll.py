"""`convlin unroll`: the file that SciPy reads, and what is refused without leaving anything."""

import re

import numpy as np
import pytest
import torch
from scipy.sparse import load_npz

from convlin import unroll
from convlin.models.load import load_model
from geometry_strategies import probe

MODELS = """
import torch
from torch import nn

def volume():
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv3d(2, 3, (1, 2, 3), padding=(0, 1, 0)), nn.ReLU())

def alone():
    torch.manual_seed(5)
    layer = nn.ConvTranspose1d(2, 4, 3, stride=2, groups=2)
    layer.weight.data[0, 1] = 0
    return layer

def nested():
    torch.manual_seed(6)
    inner = nn.Sequential(nn.ReLU(), nn.Conv2d(2, 3, (3, 2), padding=1, padding_mode="reflect"))
    return nn.Sequential(nn.Conv2d(1, 2, 3), inner)

def many():
    return nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(11)))

def hooked():
    layer = nn.Conv2d(1, 1, 2)
    layer.register_forward_hook(lambda module, args, y: y + 1)
    return nn.Sequential(layer)
"""


@pytest.fixture
def there(house):
    (house / "layers_there.py").write_text(MODELS)
    return house


def layer_of(model, name):
    return dict(load_model(model).named_modules())[name]


WRITTEN = {
    "conv2d": ("models_here:padded", "0", "10,7"),
    "conv3d": ("layers_there:volume", "0", "2,3,4"),
    "the-model-itself": ("layers_there:alone", "", "6"),
    "nested-reflect": ("layers_there:nested", "1.1", "4,5"),
}


WORDS = {
    "one-number-2d": ("models_here:padded", "0", "7", (7, 7)),
    "one-number-3d": ("layers_there:volume", "0", "4", (4, 4, 4)),
    "channels-1d": ("layers_there:alone", "", "2,6", (6,)),
    "channels-2d": ("models_here:padded", "0", "3,10,7", (10, 7)),
    "channels-3d": ("layers_there:volume", "0", "2,3,4,5", (3, 4, 5)),
    "as-many-pixels-as-channels": ("layers_there:volume", "0", "2,3,4", (2, 3, 4)),
}


@pytest.mark.parametrize("case", WORDS)
def test_one_number_is_every_side_and_channels_may_lead(run, there, case):
    model, name, given, pixels = WORDS[case]
    result = run("unroll", model, name, "--input-size", given, "-o", "a.npz")
    assert result.exit_code == 0, result.output
    expected = unroll(layer_of(model, name), pixels).tocsr()
    matrix = load_npz(there / "a.npz")
    assert matrix.shape == expected.shape and (matrix != expected).nnz == 0


@pytest.mark.parametrize("case", WRITTEN)
def test_scipy_loads_what_unroll_builds(run, there, case):
    model, name, size = WRITTEN[case]
    result = run("unroll", model, name, "--input-size", size, "-o", "a.npz")
    assert result.exit_code == 0, result.output
    layer, pixels = layer_of(model, name), tuple(map(int, size.split(",")))
    matrix = load_npz(there / "a.npz")
    expected = unroll(layer, pixels).tocsr()
    for part in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(matrix, part), getattr(expected, part))
        assert getattr(matrix, part).dtype == getattr(expected, part).dtype
    assert np.array_equal(matrix.toarray(), probe(layer.double(), pixels).float())
    assert {path.name for path in there.glob("*a.npz*")} == {"a.npz"}


def test_the_model_itself_has_no_name_to_print(run, there):
    result = run("unroll", "layers_there:alone", "", "--input-size", "6", "-o", "a.npz")
    assert re.match(r"\d+×\d+ ConvMatrix, ", result.stdout.splitlines()[1])


def test_what_it_prints(run, there):
    result = run("unroll", "layers_there:nested", "1.1", "--input-size", "4,5", "-o", "a.npz")
    size = (there / "a.npz").stat().st_size
    assert result.stdout.splitlines() == [
        "runs the code of layers_there:nested; weights: as it makes them",
        "1.1: 72×40 ConvMatrix, 720 stored: Conv2d 2→3 k3×2 p1 reflect on (4, 5)",
        "rows: outputs (3, 4, 6); columns: inputs (2, 4, 5)",
        f"wrote a.npz ({size:,} bytes)",
    ]


def test_weights_are_those_of_the_file(run, there):
    model = load_model("models_here:padded")
    torch.manual_seed(9)
    model[0].weight.data = torch.randn_like(model[0].weight)
    torch.save(model.state_dict(), there / "w.pth")
    arguments = ("unroll", "models_here:padded", "0", "--input-size", "10,7", "-o", "a.npz")
    assert run(*arguments, "--weights", "w.pth").exit_code == 0
    assert np.array_equal(load_npz(there / "a.npz").data, unroll(model[0], (10, 7)).tocsr().data)


def test_an_existing_file_needs_force(run, there):
    arguments = ("unroll", "models_here:padded", "0", "--input-size", "10,7", "-o", "a.npz")
    (there / "a.npz").write_bytes(b"mine")
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr == "convlin: a.npz: exists; overwrite it with --force\n"
    assert (there / "a.npz").read_bytes() == b"mine"
    assert run(*arguments, "--force").exit_code == 0
    assert load_npz(there / "a.npz").shape == (4 * 70, 3 * 70)


PADDED = "models_here:padded"
REFUSED = {
    "no-such-layer": ([PADDED, "conv1", "--input-size", "10,7"], "models_here:padded: layer is 'conv1', expected the name of a convolution: 0 (no such layer)"),
    "another-layer": ([PADDED, "1", "--input-size", "10,7"], "models_here:padded: layer is '1', expected the name of a convolution: 0 (its type is ReLU)"),
    "nested-layers": (["layers_there:nested", "1", "--input-size", "4,5"], "layers_there:nested: layer is '1', expected the name of a convolution: 0, 1.1 (its type is Sequential)"),
    "the-model-is-one": (["layers_there:alone", "0", "--input-size", "6"], "layers_there:alone: layer is '0', expected the name of a convolution: '', the model itself (no such layer)"),
    "many-layers": (["layers_there:many", "x", "--input-size", "4,5"], "layers_there:many: layer is 'x', expected the name of a convolution: 0, 1, 2, 3, 4, 5, 6, 7 and 3 more (no such layer)"),
    "no-convolution": (["models_here:linear", "", "--input-size", "12"], "models_here:linear: layer is '', expected the name of a convolution: it has none (the model itself: its type is Linear)"),
    "over-limit": ([PADDED, "0", "--input-size", "10,7", "--memory-limit", "1000"], "Conv2d: memory_limit is 1000, expected ≥ 52196 bytes (the 280×210 matrix as CSR takes that; products with the ConvMatrix itself need none of it)"),
    "suffix": ([PADDED, "0", "--input-size", "10,7", "-o", "a.npy"], "a.npy: the file must end in .npz"),
    "no-folder": ([PADDED, "0", "--input-size", "10,7", "-o", "b/a.npz"], "b/a.npz: no such folder: b"),
    "other-channels": ([PADDED, "0", "--input-size", "2,10,7"], "0 (Conv2d 3→4 k3 p1): --input-size is '2,10,7', expected height,width or 3,height,width"),
    "a-batch": ([PADDED, "0", "--input-size", "1,3,10,7"], "0 (Conv2d 3→4 k3 p1): --input-size is '1,3,10,7', expected height,width or 3,height,width"),
    "1d": (["layers_there:alone", "", "--input-size", "3,6"], "the model (ConvTranspose1d 2→4 k3 s2 g2): --input-size is '3,6', expected width or 2,width"),
    "3d": (["layers_there:volume", "0", "--input-size", "3,6"], "0 (Conv3d 2→3 k1×2×3 p0×1×0): --input-size is '3,6', expected depth,height,width or 2,depth,height,width"),
    "five-numbers": ([PADDED, "0", "--input-size", "1,1,3,10,7"], "--input-size is '1,1,3,10,7', expected 1, 2, 3 or 4 numbers, such as 56,56"),
    "the-model-is-none": (["layers_there:nested", "", "--input-size", "4,5"], "layers_there:nested: layer is '', expected the name of a convolution: 0, 1.1 (the model itself: its type is Sequential)"),
    "not-numbers": ([PADDED, "0", "--input-size", "10x7"], "--input-size is '10x7', expected whole numbers with commas, such as 56,56"),
    "too-small": (["layers_there:nested", "0", "--input-size", "2,7"], "0 (Conv2d 1→2 k3): input_size[0] is 2, expected ≥ 3 (kernel extent 3, padding (0, 0))"),
    "enormous": ([PADDED, "0", "--input-size", "99999999999999999999"], "--input-size is '99999999999999999999', expected whole numbers from 1 to 10,000,000"),
    "hooked": (["layers_there:hooked", "0", "--input-size", "4,5"], "Conv2d: _forward_hooks is hooked.<locals>.<lambda>, expected none (a hook may change what the layer computes)"),
    "no-such-model": (["nowhere:x", "0", "--input-size", "4,5"], "nowhere:x: no module named nowhere"),
    "a-pt2": (["net.pt2", "0", "--input-size", "4,5"], "net.pt2: a .pt2 serves `convlin prove` only; give an import path"),
    "no-size": ([PADDED, "0"], "Missing option '--input-size'. (see --help)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_one_line_exit_code_2_and_nothing_written(run, there, case):
    arguments, words = REFUSED[case]
    before = {path.name for path in there.iterdir()}
    out = [] if "-o" in arguments else ["-o", "a.npz"]
    result = run("unroll", *arguments, *out)
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines() == [f"convlin: {words}"]
    assert {path.name for path in there.iterdir()} - {"__pycache__"} == before


def test_a_write_that_fails_leaves_the_old_file(run, there, monkeypatch):
    def half(file, matrix):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("scipy.sparse.save_npz", half)
    (there / "a.npz").write_bytes(b"mine")
    arguments = ("unroll", "models_here:padded", "0", "--input-size", "10,7", "-o", "a.npz")
    result = run(*arguments, "--force")
    assert result.exit_code == 2
    assert result.stderr == "convlin: a.npz: cannot be written: no space left on device\n"
    assert (there / "a.npz").read_bytes() == b"mine"
    assert {path.name for path in there.glob(".*")} == set()
