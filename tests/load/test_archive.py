"""A .pt2 is opened if its user trusts it; without trust nothing in it is read."""

import builtins
import io
import os
import pickle
import zipfile

import pytest
import torch
from torch import nn

from convlin import InputError
from convlin.models.load import load_model
from convlin.models.pt2_archive import load_archive


class Evil:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def network():
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 3, (2, 3)), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Softmax(1)
    return nn.Sequential(*layers).eval()


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """An honest archive with dynamic sizes."""
    path = tmp_path_factory.mktemp("honest") / "net.pt2"
    sizes = {0: torch.export.Dim("n", min=1), 2: torch.export.Dim("h", min=9)}
    program = torch.export.export(network(), (torch.zeros(2, 2, 11, 7),), dynamic_shapes=(sizes,))
    torch.export.save(program, path)
    return path


def hostile(honest, path, made):
    """Write the honest archive with sample inputs that create a file."""
    with zipfile.ZipFile(honest) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(parts)).partition("/")[0]
    buffer = io.BytesIO()
    torch.save(Evil(made), buffer)
    parts[f"{root}/data/sample_inputs/model.pt"] = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_a_trusted_archive_is_its_program(honest):
    images = torch.randn(3, 2, 13, 7)
    for model in (load_archive(honest, trust=True), load_model(str(honest), trust=True)):
        assert torch.equal(model(images), network()(images))


def test_the_danger_is_real(honest, tmp_path):
    made = tmp_path / "made"
    hostile(honest, tmp_path / "a.pt2", made)
    with pytest.raises(InputError, match="not a readable"):
        load_archive(tmp_path / "a.pt2", trust=True)
    assert made.exists()


CONTENTS = {
    "honest": lambda honest, path, made: path.write_bytes(honest.read_bytes()),
    "hostile": hostile,
    "pickle": lambda honest, path, made: path.write_bytes(pickle.dumps(Evil(made))),
    "no-archive": lambda honest, path, made: path.write_bytes(b"no zip"),
    "empty": lambda honest, path, made: path.write_bytes(b""),
    "members-without-end": lambda honest, path, made: path.write_bytes(b"PK\1\2" * 10**6),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_without_trust_it_is_refused_before_a_byte_is_read(honest, tmp_path, monkeypatch, case):
    path, made = tmp_path / "a.pt2", tmp_path / "made"
    CONTENTS[case](honest, path, made)

    def forbidden(*arguments, **options):
        raise AssertionError(f"read: {arguments}")

    with monkeypatch.context() as patch:
        for module, name in ((builtins, "open"), (io, "open"), (os, "open"), (zipfile, "ZipFile"),
                             (torch, "load"), (torch.export, "load")):  # fmt: skip
            patch.setattr(module, name, forbidden)
        with pytest.raises(InputError) as caught:
            load_model(str(path))
        assert str(caught.value) == (
            f"{path}: an exported program is a program: loading it runs what the file says; "
            "open it only if you trust it (--trust)"
        )
    assert not made.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_damaged_files_are_one_line(honest, tmp_path, share):
    path = tmp_path / "cut.pt2"
    content = honest.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"cut\.pt2: not a readable \.pt2 archive") as caught:
        load_archive(path, trust=True)
    assert len(str(caught.value).splitlines()) == 1
