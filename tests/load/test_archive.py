"""A .pt2 is opened only if nothing in it can run: every way in which one could is tried."""

import io
import json
import pickle
import zipfile

import pytest
import torch
from torch import nn

from convlin import InputError
from convlin.backends.pytorch.archive import load_archive


class Evil:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


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


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rebuilt(honest, folder, changes, compression=zipfile.ZIP_STORED):
    """Write the honest archive with other or more members, named without the root folder."""
    parts = members(honest)
    root = next(iter(parts)).partition("/")[0]
    parts |= {f"{root}/{name}": content for name, content in changes.items()}
    path = folder / "changed.pt2"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def table(honest, name):
    (content,) = (c for n, c in members(honest).items() if n.endswith(name))
    return json.loads(content)


def saved(thing):
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


def test_an_honest_archive_is_the_same_program(honest):
    images = torch.randn(3, 2, 13, 7)
    assert torch.equal(load_archive(honest)(images), torch.export.load(honest).module()(images))


def test_the_layout_of_torch_2_6_is_read_too(honest, tmp_path):
    from torch._export.serde.schema import SCHEMA_VERSION
    from torch._export.serde.serialize import serialize

    artifact = serialize(torch.export.load(honest))
    path = tmp_path / "old.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", ".".join(map(str, SCHEMA_VERSION)))
        archive.writestr("serialized_exported_program.json", artifact.exported_program)
        archive.writestr("serialized_state_dict.pt", artifact.state_dict)
        archive.writestr("serialized_constants.pt", artifact.constants)
        archive.writestr("serialized_example_inputs.pt", artifact.example_inputs)
    images = torch.randn(1, 2, 9, 7)
    assert torch.equal(load_archive(path)(images), network()(images))
    hostile = tmp_path / "old-hostile.pt2"
    made = tmp_path / "made"
    with zipfile.ZipFile(hostile, "w") as archive:
        for name, content in members(path).items():
            evil = name == "serialized_example_inputs.pt"
            archive.writestr(name, saved(Evil(made)) if evil else content)
    with pytest.raises(InputError, match=r"member serialized_example_inputs\.pt holds a pickle"):
        load_archive(hostile)
    assert not made.exists()


PICKLES = {
    "sample-inputs": lambda honest, evil: {"data/sample_inputs/model.pt": saved(evil)},
    "sample-inputs-bare-pickle": lambda honest, evil: {"data/sample_inputs/model.pt": pickle.dumps(evil)},
    "legacy-weights": lambda honest, evil: {"data/weights/model.pt": saved(evil)},
    "legacy-constants": lambda honest, evil: {"data/constants/model.pt": saved(evil)},
    "weight-declared-pickled": lambda honest, evil: pickled_weight(honest, evil),
    "opaque-object": lambda honest, evil: opaque(honest, evil),
}  # fmt: skip


def pickled_weight(honest, evil):
    config = table(honest, "model_weights_config.json")
    payload = next(iter(config["config"].values()))
    payload["use_pickle"] = True
    return {
        "data/weights/model_weights_config.json": json.dumps(config).encode(),
        f"data/weights/{payload['path_name']}": saved(evil),
    }


def opaque(honest, evil):
    payload = {
        "path_name": "opaque_obj_0",
        "is_param": False,
        "use_pickle": True,
        "tensor_meta": None,
    }
    return {
        "data/constants/model_constants_config.json": json.dumps(
            {"config": {"o": payload}}
        ).encode(),
        "data/constants/opaque_obj_0": pickle.dumps(evil),
    }


@pytest.mark.parametrize("case", PICKLES)
def test_a_hostile_pickle_is_refused_and_does_not_run(case, honest, tmp_path):
    made = tmp_path / "made"
    changes = PICKLES[case](honest, Evil(made))
    path = rebuilt(honest, tmp_path, changes)
    with pytest.raises(InputError, match="member .*trust it"):
        load_archive(path)
    assert not made.exists()


def test_pytorch_alone_would_have_run_it(honest, tmp_path):
    """The danger is real; and `trust` is what it says."""
    made = tmp_path / "made"
    path = rebuilt(honest, tmp_path, {"data/sample_inputs/model.pt": saved(Evil(made))})
    with pytest.raises(InputError):
        load_archive(path, trust=True)
    assert made.exists()


def changed_program(honest, change):
    program = table(honest, "models/model.json")
    change(program)
    return {"models/model.json": json.dumps(program).encode()}


def call(target):
    def change(program):
        program["graph_module"]["graph"]["nodes"][0]["target"] = target

    return change


def size_expression(text):
    def change(program):
        values = program["graph_module"]["graph"]["tensor_values"]
        sizes = values["input"]["sizes"]
        sizes[0] = {"as_expr": {"expr_str": text, "hint": {"as_int": 2}}}

    return change


def tree(kind, context="null"):
    def change(program):
        signature = program["graph_module"]["module_call_graph"][0]["signature"]
        signature["in_spec"] = json.dumps(
            [1, {"type": kind, "context": context, "children_spec": []}]
        )

    return change


def node_name(name):
    def change(program):
        program["graph_module"]["graph"]["nodes"][0]["name"] = name

    return change


def custom_object(program):
    program["graph_module"]["graph"]["custom_obj_values"] = {"o": {"name": "o", "class_fqn": "a"}}


PROGRAMS = {
    "python-function": (call("torch.os.system"), "calls 'torch.os.system'"),
    "file-operator": (call("torch.ops.aten.from_file.default"), "calls 'torch.ops.aten.from_file.default'"),
    "custom-operator": (call("torch.ops.mine.run.default"), "calls 'torch.ops.mine.run.default'"),
    "higher-order-operator": (call("torch.ops.higher_order.cond"), "calls 'torch.ops.higher_order.cond'"),
    "method-of-an-operator": (call("torch.ops.aten.add.__init_subclass__"), "calls"),
    "dunder-of-operator-module": (call("_operator.attrgetter"), "calls '_operator.attrgetter'"),
    "expression-that-calls": (size_expression("__import__('os').getcwd()"), "holds the size expression"),
    "expression-with-attribute": (size_expression("Symbol('s0').func"), "holds the size expression"),
    "expression-unknown-function": (size_expression("print(s0)"), "holds the size expression"),
    "expression-lambda": (size_expression("(lambda: 1)()"), "holds the size expression"),
    "expression-call-of-a-call": (size_expression("Max(1, 2)(3)"), "holds the size expression"),
    "expression-string": (size_expression("Symbol('__import__(1)')"), "holds the size expression"),
    "tree-of-another-type": (tree("os.environ"), "holds the tree"),
    "tree-with-enum-context": (tree("builtins.list", '{"__enum__": true, "fqn": "os.X"}'), "holds the tree"),
    "name-with-code": (node_name("x):\n    import os\n    return (x"), "holds the name"),
    "script-object": (custom_object, "holds a custom or script object"),
}  # fmt: skip


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_program_that_could_run_more_than_arithmetic_is_refused(case, honest, tmp_path):
    change, words = PROGRAMS[case]
    path = rebuilt(honest, tmp_path, changed_program(honest, change))
    with pytest.raises(InputError) as caught:
        load_archive(path)
    assert f"models/model.json {words}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_guards_and_metadata_are_left_out(honest, tmp_path):
    made = tmp_path / "made"

    def change(program):
        program["guards_code"] = [f"open({str(made)!r}, 'w') is None"]
        program["graph_module"]["graph"]["nodes"][0]["metadata"] = {"stack_trace": "import os"}

    path = rebuilt(honest, tmp_path, changed_program(honest, change))
    images = torch.randn(2, 2, 12, 7)
    assert torch.equal(load_archive(path)(images), network()(images))
    assert not made.exists()


def test_compiled_code_and_unknown_members_are_refused(honest, tmp_path):
    path = rebuilt(honest, tmp_path, {"data/aotinductor/model/x.so": b"\x7fELF"})
    with pytest.raises(InputError, match=r"data/aotinductor/model/x\.so is compiled code"):
        load_archive(path)
    path = rebuilt(honest, tmp_path, {"data/surprise.bin": b"?"})
    with pytest.raises(InputError, match=r"data/surprise\.bin is none of the members"):
        load_archive(path)


def test_tables_beyond_all_measure_are_refused(honest, tmp_path):
    large = {"data/constants/model_constants_config.json": b" " * (64 * 2**20 + 1)}
    with pytest.raises(InputError, match=r"_config\.json is larger than 67,108,864 bytes"):
        load_archive(rebuilt(honest, tmp_path, large))


def test_compressed_members_are_refused(honest, tmp_path):
    path = rebuilt(honest, tmp_path, {"extra/zeros": bytes(2**20)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="is compressed"):
        load_archive(path)


def test_compressed_members_of_a_nested_archive_are_refused(honest, tmp_path):
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(bytes(2**20)))
    path = rebuilt(honest, tmp_path, {"data/sample_inputs/model.pt": nested.getvalue()})
    with pytest.raises(InputError, match=r"model\.pt/archive/data\.pkl is compressed"):
        load_archive(path)


@pytest.mark.parametrize("twin", ["models/model.json", "models/MODEL.json"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_occur_twice_are_refused(honest, tmp_path, twin):
    path = rebuilt(honest, tmp_path, {})
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/{twin}", archive.read(f"{root}/models/model.json"))
    with pytest.raises(InputError, match=r"models/model\.json occurs more than once"):
        load_archive(path)


def test_overlapping_members_are_refused(honest, tmp_path):
    """Entries of the directory that share their bytes: larger together than the file."""
    path = tmp_path / "overlap.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("extra/a", bytes(10_000))
        for name in "bcd":
            entry = zipfile.ZipInfo(f"extra/{name}")
            first = archive.infolist()[0]
            entry.file_size, entry.compress_size, entry.CRC = 10_000, 10_000, first.CRC
            entry.header_offset = first.header_offset
            archive.filelist.append(entry)
            archive.NameToInfo[entry.filename] = entry
    with pytest.raises(InputError, match="and others overlap"):
        load_archive(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_damaged_files_are_one_line(honest, tmp_path, share):
    path = tmp_path / "cut.pt2"
    content = honest.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"cut\.pt2: not a readable \.pt2 archive") as caught:
        load_archive(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_is_no_archive(tmp_path):
    with pytest.raises(InputError, match="not a readable"):
        load_archive(tmp_path)
