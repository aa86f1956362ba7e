"""Private names of PyTorch stay in `convlin.internals`, where a new version is read for."""

import ast
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import convlin

ROOT = Path(convlin.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
PACKAGES = {"torch", "nn", "fx", "functional"}

# The dictionaries that nn.Module keeps its state and hooks in: no other way shows empty entries.
MODULE = {name for name in vars(nn.Module()) if name.startswith("_")}
METHODS = {"_conv_forward", "_get_name"}  # that layers override, to say what they are


def private(name):
    return name.startswith("_") and not name.startswith("__")


HELD = {
    name
    for thing in (torch.Tensor, torch.UntypedStorage, torch.ops.aten.add.Tensor, nn.Conv2d(1, 1, 1))
    for name in dir(thing)
    if private(name)
} - (MODULE | METHODS)


def uses(source):
    """Return every private name of PyTorch that a source file imports or reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            paths = [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
            found += [p for p in paths if p.split(".")[0] == "torch" and re.search(r"\._(?!_)", p)]
        elif isinstance(node, ast.Attribute) and private(node.attr):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            of_torch = isinstance(root, ast.Name) and root.id in PACKAGES
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if of_torch or (node.attr in HELD and not own):
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    "source",
    [
        "from torch.utils import _pytree",
        "import torch._subclasses",
        "from torch._subclasses import FakeTensorMode as Fakes",
        "from torch.nn.modules.conv import _ConvNd",
        "x = torch._C.DisableTorchFunction()",
        "y = nn.modules.conv._ConvNd",
        "z = tensor.untyped_storage()._cdata",
        "w = func._schema.name",
    ],
)
def test_a_private_name_is_noticed(source):
    assert len(uses(source)) == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_private_names_of_torch_are_behind_one_room(path):
    if path.is_relative_to(ROOT / "internals"):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert path.name == "__init__.py" or re.search(r"Seen in torch\s2\.\d+", docstring)
    else:
        assert uses(path.read_text(encoding="utf-8")) == []


def test_each_private_name_is_in_one_file():
    seen = [
        name
        for path in FILES
        if path.is_relative_to(ROOT / "internals")
        for name in set(uses(path.read_text(encoding="utf-8")))
    ]
    assert seen
    assert len(seen) == len(set(seen))
