"""Files that are wrong in every way: a state dict that fits, or one line that says why not."""

import json
import os
import struct
from importlib import import_module

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from convlin import InputError
from convlin.cli.images import read_image
from convlin.models.load import load_model
from load.mutated_files import NAMES, mutated, mutated_picture, state

HOUSE = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, (2, 4))
        self.norm = nn.BatchNorm2d(3)

wanted = torch.float32

class Typed(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("own", torch.zeros(2, 3).to(wanted))
"""


@pytest.fixture
def files(pytestconfig):
    """How many files of each kind to break."""
    return 50 * pytestconfig.getoption("seeds")


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    (tmp_path / "weights_house.py").write_text(HOUSE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one_line(error, name):
    text = str(error)
    assert text.isprintable(), ascii(text)
    assert text.startswith(name) and len(text) < 6000


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_weights_load_whole_or_are_refused_in_one_line(house, suffix, recwarn, files):
    made, path = house / "made", house / f"w{suffix}"
    loaded = 0
    for seed in range(files):
        path.write_bytes(mutated(seed, suffix, made))
        try:
            model = load_model("weights_house:Small", path)
        except InputError as error:
            one_line(error, str(path))
        else:
            loaded += 1
            own = model.state_dict()
            assert {t.dtype for t in own.values()} == {torch.float32, torch.int64}
            assert own["conv.weight"].shape == (3, 2, 2, 4)
        assert not made.exists(), seed
    assert 0 < loaded < files / 2
    assert [str(warning.message) for warning in recwarn] == []


def test_pictures_are_read_whole_or_refused_in_one_line(house, recwarn, files):
    read = 0
    for seed in range(files):
        suffix, content = mutated_picture(seed)
        path = house / f"p{suffix}"
        path.write_bytes(content)
        for channels in (1, 3):
            try:
                pixels = read_image(path, channels, (1, 1))
            except InputError as error:
                one_line(error, str(path))
            else:
                read += 1
                assert pixels.dtype == np.float32 and pixels.shape[0] == channels
                assert pixels.min() >= 0 and pixels.max() <= 1
    assert read > files / 10
    assert [str(warning.message) for warning in recwarn] == []


KINDS = {
    "floats": (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2),
    "complex": (torch.complex128, torch.complex64),
    "integers": (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    "bool": (torch.bool,),
}  # fmt: skip
DTYPES = [dtype for kind in KINDS.values() for dtype in kind]
WIDER = {
    torch.float64: "float32 bfloat16 float16 float8_e4m3fn float8_e5m2",
    torch.float32: "bfloat16 float16 float8_e4m3fn float8_e5m2",
    torch.float16: "float8_e4m3fn float8_e5m2",
    torch.bfloat16: "float8_e4m3fn float8_e5m2",
    torch.complex128: "complex64",
    torch.int64: "int32 int16 int8 uint8 uint16 uint32",
    torch.int32: "int16 int8 uint8 uint16",
    torch.int16: "int8 uint8",
    torch.uint64: "uint32 uint16 uint8",
    torch.uint32: "uint16 uint8",
    torch.uint16: "uint8",
}


@pytest.mark.parametrize("wanted", DTYPES, ids=str)
def test_a_dtype_fits_if_the_models_is_of_its_kind_and_holds_every_number(
    house, wanted, monkeypatch
):
    monkeypatch.setattr(import_module("weights_house"), "wanted", wanted)
    kind = next(kind for kind in KINDS.values() if wanted in kind)
    for given in DTYPES:
        numbers = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(given)
        torch.save({"own": numbers}, house / "w.pth")
        fits = given == wanted or str(given).partition(".")[2] in WIDER.get(wanted, "").split()
        if fits:
            loaded = load_model("weights_house:Typed", house / "w.pth").own
            assert loaded.dtype == wanted
            assert torch.equal(loaded.to(torch.complex128), numbers.to(torch.complex128))
        else:
            what = "a wider" if given in kind else "another"
            with pytest.raises(InputError) as caught:
                load_model("weights_house:Typed", house / "w.pth")
            assert str(caught.value) == (
                f"{house / 'w.pth'}: does not fit Typed: "
                f"of {what} dtype: own {given} instead of {wanted}"
            )


@pytest.mark.parametrize("name", NAMES[:4])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_names_from_files_are_printed_escaped(house, name, suffix):
    path = house / f"w{suffix}"
    own = state(np.random.default_rng(0)) | {name: torch.zeros(1)}
    save_file(own, path) if suffix == ".safetensors" else torch.save(own, path)
    with pytest.raises(InputError) as caught:
        load_model("weights_house:Small", path)
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    assert str(caught.value) == f"{path}: does not fit Small: unexpected: {escaped}"


def test_a_header_that_repeats_a_name_is_refused(house):
    """JSON readers take the first or the last; nobody should have to know which."""
    one, other = (
        b'"x":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}' % (at, at + 4) for at in (0, 4)
    )
    header = b"{" + one + b"," + other + b"}"
    path = house / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    assert len(json.loads(header)) == 1
    with pytest.raises(InputError, match="not a readable weight file"):
        load_model("weights_house:Small", path)


NO_FILES = {
    "folder": (lambda path: path.mkdir(), "a folder, pipe or device, not a file"),
    "pipe": (lambda path: os.mkfifo(path), "a folder, pipe or device, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a folder, pipe or device, not a file"),
    "circle": (lambda path: path.symlink_to(path.name), "no such file"),
    "nowhere": (lambda path: None, "no such file"),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt2", ".png"])
@pytest.mark.parametrize("case", NO_FILES)
def test_what_is_no_file_is_not_opened(house, case, suffix):
    make, words = NO_FILES[case]
    path = house / f"a{suffix}"
    make(path)
    with pytest.raises(InputError) as caught:
        if suffix == ".png":
            read_image(path, 1, (1, 1))
        elif suffix == ".pt2":
            load_model(str(path), trust=True)
        else:
            load_model("weights_house:Small", path)
    assert str(caught.value) == f"{path}: {words}"
