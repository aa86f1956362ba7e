"""Models by import path, their weight files, and the words of every error."""

import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from convlin import InputError
from convlin.models.load import load_model

HOUSE = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, (2, 4))
        self.norm = nn.BatchNorm2d(3)
    def forward(self, x):
        return self.norm(self.conv(x))

class Shelf:
    @staticmethod
    def small():
        return Small()

ready = Small()
number = 7
def broken(): raise ValueError("first line\\nsecond line")
def needs(size): return Small()
def none(): return None
def leaves(): raise SystemExit(3)
def falls(): raise BaseException("deep")
def escapes(): raise ValueError("\\x1b[31mred\u202e")
class NeedsMore(nn.Module):
    def __init__(self, width): super().__init__()
class Proto:
    def SerializeToString(self): return b""
proto = Proto()
class Shaky:
    @property
    def model(self): raise RuntimeError("no model today")
shaky = Shaky()
class NoEval(Small):
    def train(self, mode=True): raise RuntimeError("always training")
class Quiet(Small):
    def train(self, mode=True): super().train(mode)
class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.LazyConv2d(3, (2, 4))
def __getattr__(name): raise {"later": ImportError("no extra"), "gone": SystemExit}.get(name, AttributeError(name))
"""


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    (tmp_path / "small_house.py").write_text(HOUSE)
    (tmp_path / "shaky_house.py").write_text("import not_there_at_all")
    (tmp_path / "falling_house.py").write_text("1 / 0")
    (tmp_path / "script_house.py").write_text("import sys; sys.exit('usage: script')")
    (tmp_path / "broken_house.py").write_text("def (")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(seed=0):
    torch.manual_seed(seed)
    return {
        "conv.weight": torch.randn(3, 2, 2, 4),
        "conv.bias": torch.randn(3),
        "norm.weight": torch.randn(3),
        "norm.bias": torch.randn(3),
        "norm.running_mean": torch.randn(3),
        "norm.running_var": torch.rand(3),
        "norm.num_batches_tracked": torch.tensor(5),
    }


@pytest.mark.parametrize(
    "spec", ["small_house:Small", "small_house:Shelf.small", "small_house:ready"]
)
def test_classes_factories_and_modules_load_in_eval_mode(spec):
    model = load_model(spec)
    assert type(model).__name__ == "Small"
    assert not model.training and not model.norm.training


@pytest.mark.parametrize("wrapped", ["safetensors", "pth", "state_dict"])
def test_weights_arrive_bit_for_bit(house, wrapped):
    own = state()
    path = house / ("w.safetensors" if wrapped == "safetensors" else "w.pth")
    if wrapped == "safetensors":
        save_file(own, path)
    else:
        torch.save({"state_dict": own, "epoch": 3} if wrapped == "state_dict" else own, path)
    loaded = load_model("small_house:Small", path).state_dict()
    assert list(loaded) == list(own)
    assert all(torch.equal(loaded[name], own[name]) for name in own)


IMPORT_ERRORS = {
    "no-such-module": ("nowhere_house:x", "nowhere_house:x: no module named nowhere_house"),
    "no-such-submodule": ("small_house.attic:x", "small_house.attic:x: no module named small_house.attic"),
    "no-such-factory": ("small_house:Smal", "small_house:Smal: small_house has no 'Smal'; did you mean Small?"),
    "nothing-near": ("small_house:qqqq", "small_house:qqqq: small_house has no 'qqqq'"),
    "its-import-fails": ("shaky_house:x", "shaky_house:x: importing shaky_house raised ModuleNotFoundError: No module named 'not_there_at_all'"),
    "its-body-fails": ("falling_house:x", "falling_house:x: importing falling_house raised ZeroDivisionError: division by zero"),
    "it-is-a-script": ("script_house:x", "script_house:x: importing script_house raised SystemExit: usage: script"),
    "its-syntax": ("broken_house:x", "broken_house:x: importing broken_house raised SyntaxError: invalid syntax (broken_house.py, line 1)"),
    "factory-leaves": ("small_house:leaves", "small_house:leaves: calling it without arguments raised SystemExit: 3"),
    "factory-falls": ("small_house:falls", "small_house:falls: calling it without arguments raised BaseException: deep"),
    "factory-escapes": ("small_house:escapes", r"small_house:escapes: calling it without arguments raised ValueError: \x1b[31mred\u202e"),
    "class-needs-arguments": ("small_house:NeedsMore", "small_house:NeedsMore: calling it without arguments raised TypeError: NeedsMore.__init__() missing 1 required positional argument: 'width'"),
    "an-onnx-model": ("small_house:proto", "small_house:proto: type is Proto, expected a factory or a torch.nn.Module"),
    "an-object": ("builtins:object", "builtins:object: type of the result is object, expected a torch.nn.Module"),
    "its-attribute-fails": ("small_house:shaky.model", "small_house:shaky.model: looking up model raised RuntimeError: no model today"),
    "its-getattr-fails": ("small_house:later", "small_house:later: looking up later raised ImportError: no extra"),
    "its-getattr-leaves": ("small_house:gone", "small_house:gone: looking up gone raised SystemExit"),
    "its-eval-fails": ("small_house:NoEval", "small_house:NoEval: eval() raised RuntimeError: always training"),
    "a-package": ("torch:nn", "torch:nn: type is module, expected a factory or a torch.nn.Module"),
    "a-file": ("/etc/passwd", "model is '/etc/passwd', expected package.module:factory or a .pt2 file"),
    "nothing": ("", "model is '', expected package.module:factory or a .pt2 file"),
    "dots": ("..:x", "model is '..:x', expected package.module:factory or a .pt2 file"),
    "null-byte": ("a\0b:x", r"model is 'a\x00b:x', expected package.module:factory or a .pt2 file"),
    "long-pt2": ("x" * 300 + ".pt2", "x" * 300 + ".pt2: cannot be read: OSError: [Errno 36] File name too long: '" + "x" * 300 + ".pt2'"),
    "factory-raises": ("small_house:broken", "small_house:broken: calling it without arguments raised ValueError: first line"),
    "factory-needs-arguments": ("small_house:needs", "small_house:needs: calling it without arguments raised TypeError: needs() missing 1 required positional argument: 'size'"),
    "not-a-module": ("small_house:none", "small_house:none: type of the result is NoneType, expected a torch.nn.Module"),
    "not-callable": ("small_house:number", "small_house:number: type is int, expected a factory or a torch.nn.Module"),
    "no-colon": ("small_house", "model is 'small_house', expected package.module:factory or a .pt2 file"),
    "no-factory": ("small_house:", "model is 'small_house:', expected package.module:factory or a .pt2 file"),
    "a-path": ("./house.py:x", "model is './house.py:x', expected package.module:factory or a .pt2 file"),
    "onnx": ("net.onnx", "net.onnx: ONNX models are not read yet; give an import path or a .pt2"),
    "pt2-missing": ("net.pt2", "net.pt2: no such file"),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPORT_ERRORS)
def test_what_is_not_there_is_said_in_one_line(case):
    spec, words = IMPORT_ERRORS[case]
    with pytest.raises(InputError) as caught:
        load_model(spec)
    assert str(caught.value) == words


def test_a_model_whose_eval_returns_nothing_is_still_the_model():
    model = load_model("small_house:Quiet")
    assert type(model).__name__ == "Quiet" and not model.norm.training


def test_a_lazy_layer_takes_the_shape_of_its_weights(house):
    own = {name: t for name, t in state().items() if name.startswith("conv")}
    save_file(own, house / "w.safetensors")
    assert torch.equal(
        load_model("small_house:Lazy", "w.safetensors").conv.weight, own["conv.weight"]
    )


def without(*names):
    return {name: tensor for name, tensor in state().items() if name not in names}


WEIGHT_ERRORS = {
    "missing": (without("conv.bias", "norm.bias"), "missing: conv.bias, norm.bias"),
    "unexpected": (state() | {"head.weight": torch.zeros(2)}, "unexpected: head.weight"),
    "shape": (state() | {"conv.weight": torch.zeros(3, 2, 4, 2)}, "of another shape: conv.weight (3, 2, 4, 2) instead of (3, 2, 2, 4)"),
    "dtype": (state() | {"conv.bias": torch.zeros(3, dtype=torch.float64)}, "of a wider dtype: conv.bias torch.float64 instead of torch.float32"),
    "all-at-once": (without("conv.bias") | {"x": torch.zeros(1)}, "missing: conv.bias; unexpected: x"),
    "many": ({f"k{i}": torch.zeros(1) for i in range(6)} | state(), "unexpected: k0, k1, k2, k3 and 2 more"),
}  # fmt: skip


@pytest.mark.parametrize("case", WEIGHT_ERRORS)
def test_weights_that_do_not_fit_are_named(house, case):
    own, words = WEIGHT_ERRORS[case]
    save_file(own, house / "w.safetensors")
    with pytest.raises(InputError) as caught:
        load_model("small_house:Small", "w.safetensors")
    assert str(caught.value) == f"w.safetensors: does not fit Small: {words}"


def test_narrower_weights_widen_without_loss(house):
    half = {n: t.half() if t.is_floating_point() else t for n, t in state().items()}
    save_file(half, house / "w.safetensors")
    loaded = load_model("small_house:Small", "w.safetensors").state_dict()
    assert all(torch.equal(loaded[name], half[name].to(loaded[name].dtype)) for name in half)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 broken"])
def test_broken_weight_files_are_refused(house, name, content):
    (house / name).write_bytes(content)
    with pytest.raises(InputError, match=f"^{name}: (not a readable weight file|holds more than)"):
        load_model("small_house:Small", name)


def test_missing_and_meaningless_weight_files(house):
    with pytest.raises(InputError, match=r"^w\.pth: no such file$"):
        load_model("small_house:Small", "w.pth")
    torch.save([torch.zeros(2)], house / "w.pth")
    with pytest.raises(InputError, match=r"^w\.pth: holds no state dict of tensors$"):
        load_model("small_house:Small", "w.pth")


def test_a_pickled_module_needs_trust(house):
    model = nn.Sequential(nn.Conv2d(2, 3, 1))
    torch.save(model, house / "w.pth")
    with pytest.raises(InputError, match=re.escape("open it only if you trust it (--trust)")):
        load_model("torch.nn:Sequential", "w.pth")


def test_weights_beside_a_pt2_are_refused(house):
    (house / "net.pt2").write_bytes(b"")
    with pytest.raises(InputError, match="a .pt2 holds its weights"):
        load_model("net.pt2", "w.pth")
