"""Checkpoints from file to file: bit-equal, streamed, and whole or not there."""

import errno
import json
import math
import os
import pickle
import subprocess
import sys
import textwrap

import pytest
import torch
from safetensors.torch import load_file, save_file

from convlin.errors import InputError, Refused
from convlin.models.mapping import tensor_files
from convlin.models.mapping.checkpoints import convert_checkpoint
from convlin.models.mapping.mapping import WeightMapping
from convlin.models.mapping.mapping_entry import Entry

MAPPING = WeightMapping((
    Entry("patch.weight", "patch.linear.weight", (5, 2, 3, 4), (0, 2, 3, 1), (5, 24)),
    Entry("point.weight", "point.linear.weight", (7, 5, 1, 1), None, (7, 5)),
    Entry("gpt.weight", "gpt.linear.weight", (7, 6), (1, 0), (6, 7)),
))  # fmt: skip
DTYPES = [
    torch.float64,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.complex64,
    torch.bool,
    torch.int16,
]


def numbers(*shape, dtype=torch.float32):
    count = torch.arange(1, 1 + math.prod(shape)).reshape(shape)
    return (count % 2 if dtype == torch.bool else count).to(dtype)


def state(dtype=torch.float32):
    old = {e.old: numbers(*e.old_shape, dtype=dtype) for e in MAPPING.entries}
    return old | {"norm.weight": numbers(9), "empty": torch.zeros(0, 3), "scalar": torch.tensor(4)}


def sharded(folder):
    """Write the state as `save_pretrained` does, into two shards and an index."""
    folder.mkdir()
    old = state()
    shards = {"model-00001-of-00002.safetensors": ["patch.weight", "norm.weight", "scalar"]}
    shards["model-00002-of-00002.safetensors"] = [
        k for k in old if k not in next(iter(shards.values()))
    ]
    for shard, names in shards.items():
        save_file({name: old[name] for name in names}, folder / shard, metadata={"format": "pt"})
    weight_map = {name: shard for shard, names in shards.items() for name in names}
    index = {"metadata": {"total_size": 1234}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps(index, indent=2, sort_keys=True) + "\n"
    )
    return folder


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(a, b):
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape
        and torch.equal(a[k].contiguous().flatten().view(torch.uint8), b[k].contiguous().flatten().view(torch.uint8))
        for k in a
    )  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_a_file_holds_what_the_mapping_says_of_any_dtype(tmp_path, dtype, block, monkeypatch):
    monkeypatch.setattr(tensor_files, "BLOCK", block)
    one, two, three = (tmp_path / f"{i}.safetensors" for i in range(3))
    save_file(state(dtype), one, metadata={"format": "pt", "größe": "卷积"})
    convert_checkpoint(one, two, MAPPING, to="native")
    assert same(load_file(two), MAPPING.from_original(load_file(one)))
    convert_checkpoint(two, three, MAPPING)
    assert three.read_bytes() == one.read_bytes()


def test_numbers_of_half_a_byte_are_moved_but_not_permuted(tmp_path):
    header = {"gpt.weight": {"dtype": "F4", "shape": [7, 6], "data_offsets": [0, 21]}}
    text = json.dumps(header).encode()
    file = tmp_path / "f4.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(range(21)))
    with pytest.raises(Refused, match="gpt.weight: dtype is 'F4', expected a dtype of whole bytes"):
        convert_checkpoint(file, tmp_path / "out.safetensors", MAPPING, to="native")
    flat = WeightMapping((Entry("gpt.weight", "new", (7, 6), None, (42,)),))
    convert_checkpoint(file, tmp_path / "out.safetensors", flat, to="native")
    assert (tmp_path / "out.safetensors").read_bytes().endswith(bytes(range(21)))
    assert content(tmp_path).keys() == {"f4.safetensors", "out.safetensors"}


def test_a_header_may_name_tensors_in_another_order_than_they_lie_in(tmp_path):
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    save_file(state(), one)
    content = one.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(dict(reversed(json.loads(content[8 : 8 + length]).items()))).encode()
    one.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    convert_checkpoint(one, two, MAPPING, to="native")
    assert same(load_file(two), MAPPING.from_original(state()))


def test_shards_keep_their_names_and_the_index_names_what_is_in_them(tmp_path):
    old = sharded(tmp_path / "old")
    convert_checkpoint(old, tmp_path / "new", MAPPING, to="native")
    index = json.loads((tmp_path / "new" / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 1234}
    native = {}
    for shard in set(index["weight_map"].values()):
        tensors = load_file(tmp_path / "new" / shard)
        assert {index["weight_map"][name] for name in tensors} == {shard}
        native |= tensors
    assert same(native, MAPPING.from_original(state()))
    convert_checkpoint(tmp_path / "new", tmp_path / "back", MAPPING)
    assert content(tmp_path / "back") == content(old)


def test_a_folder_can_be_converted_where_it_is_and_its_other_files_stay(tmp_path):
    old = sharded(tmp_path / "old")
    before = content(old)
    (old / "config.json").write_text("{}")
    convert_checkpoint(old, old, MAPPING, to="native")
    assert content(old)["config.json"] == b"{}"
    assert content(old).keys() == before.keys() | {"config.json"}
    convert_checkpoint(old, old, MAPPING)
    assert {**content(old), "config.json": None} == {**before, "config.json": None}


def test_a_folder_of_one_file(tmp_path):
    (tmp_path / "old").mkdir()
    save_file(state(), tmp_path / "old" / "model.safetensors")
    convert_checkpoint(tmp_path / "old", tmp_path / "new", MAPPING, to="native")
    assert same(load_file(tmp_path / "new" / "model.safetensors"), MAPPING.from_original(state()))


# --- what cannot be read or written ---------------------------------------------------------------


def spoil_shard(folder):
    shard = folder / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    return f"{shard}: no readable safetensors file: SafetensorError: "


def remove_shard(folder):
    shard = folder / "model-00002-of-00002.safetensors"
    shard.unlink()
    return f"{shard}: no readable safetensors file: FileNotFoundError"


def pickle_shard(folder):
    shard = folder / "model-00001-of-00002.safetensors"
    shard.write_bytes(pickle.dumps({"a": 1}))
    return f"{shard}: no readable safetensors file: SafetensorError: "


def misname(folder):
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace('"scalar"', '"scaler"'))
    return (
        f"{folder / 'model-00001-of-00002.safetensors'}: not what the index says: scalar is in it"
    )


def outside(folder):
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace('"model-00001', '"../old/model-00001'))
    return f"{index}: no index: it has no weight_map of tensors to files beside it"


def no_json(folder):
    index = folder / "model.safetensors.index.json"
    index.write_text("{")
    return f"{index}: no readable index: JSONDecodeError"


def second_index(folder):
    (folder / "other.safetensors.index.json").write_text("{}")
    return f"{folder}: holds several checkpoints: model.safetensors.index.json, other.safetensors.index.json"


def no_index(folder):
    (folder / "model.safetensors.index.json").unlink()
    return f"{folder}: holds several checkpoints: model-00001-of-00002.safetensors, model-00002"


def empty(folder):
    for path in folder.iterdir():
        path.unlink()
    return f"{folder}: holds no safetensors file"


FAULTS = [
    spoil_shard,
    remove_shard,
    pickle_shard,
    misname,
    outside,
    no_json,
    second_index,
    no_index,
    empty,
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("there", [False, True], ids=["new", "old"])
def test_a_checkpoint_that_cannot_be_read_leaves_nothing(tmp_path, fault, there):
    words = fault(sharded(tmp_path / "old"))
    new = tmp_path / "new"
    before = content(sharded(new)) if there else None
    with pytest.raises(InputError) as error:
        convert_checkpoint(tmp_path / "old", new, MAPPING, to="native")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert (content(new) if new.exists() else None) == before


@pytest.mark.parametrize("there", ["nothing", "folder", "checkpoint"])
def test_a_full_disk_leaves_what_was_there(tmp_path, there, monkeypatch):
    """The disk is full at the second shard, when the first is whole."""
    new = tmp_path / "new"
    if there == "folder":
        new.mkdir()
    if there == "checkpoint":
        sharded(new)
    before = content(new) if new.exists() else None
    write, files = tensor_files.TensorFile.write, []

    def full(self, moves, out):
        files.append(self.path.name)
        if len(files) == 2:
            out.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, moves, out)

    monkeypatch.setattr(tensor_files.TensorFile, "write", full)
    with pytest.raises(InputError, match="model-00002-of-00002.*: No space left on device"):
        convert_checkpoint(sharded(tmp_path / "old"), new, MAPPING, to="native")
    assert (content(new) if new.exists() else None) == before
    assert len(files) == 2


def test_a_shard_that_shrinks_while_it_is_read_is_named(tmp_path, monkeypatch):
    old = sharded(tmp_path / "old")
    shard = old / "model-00002-of-00002.safetensors"
    write = tensor_files.TensorFile.write

    def shrink(self, moves, out):
        shard.write_bytes(shard.read_bytes()[:-90])
        write(self, moves, out)

    monkeypatch.setattr(tensor_files.TensorFile, "write", shrink)
    with pytest.raises(InputError) as error:
        convert_checkpoint(old, tmp_path / "new", MAPPING, to="native")
    assert (
        str(error.value)
        == f"{shard}: no readable safetensors file: EOFError: the file has become shorter"
    )
    assert not (tmp_path / "new").exists()


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(tmp_path):
    old = sharded(tmp_path / "old")
    convert_checkpoint(old, tmp_path / "native", MAPPING, to="native")
    for source, to in ((old, "original"), (tmp_path / "native", "native")):
        with pytest.raises(Refused, match="layout is the .*; use it as it is"):
            convert_checkpoint(source, tmp_path / "new", MAPPING, to=to)
    save_file({"patch.weight": numbers(5, 2, 4, 3)}, tmp_path / "wrong.safetensors")
    with pytest.raises(
        Refused, match=r"patch.weight: shape is \(5, 2, 4, 3\), expected \(5, 2, 3, 4\)"
    ):
        convert_checkpoint(tmp_path / "wrong.safetensors", tmp_path / "new", MAPPING, to="native")
    with pytest.raises(
        Refused, match="convert_checkpoint: to is 'linear', expected 'original' or 'native'"
    ):
        convert_checkpoint(old, tmp_path / "new", MAPPING, to="linear")
    assert not (tmp_path / "new").exists()


def test_targets_that_cannot_be_written(tmp_path):
    old = sharded(tmp_path / "old")
    (tmp_path / "file").write_text("x")
    shard = old / "model-00001-of-00002.safetensors"
    with pytest.raises(InputError, match="is a folder"):
        convert_checkpoint(shard, tmp_path, WeightMapping())
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        convert_checkpoint(old, tmp_path / "file", MAPPING, to="native")
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        convert_checkpoint(old, tmp_path / "none" / "new", MAPPING, to="native")
    assert (tmp_path / "file").read_text() == "x"


# --- memory ---------------------------------------------------------------------------------------

PEAK = """
    import sys
    from pathlib import Path

    from safetensors.torch import load_file, save_file
    from convlin.models.mapping.checkpoints import convert_checkpoint
    from convlin.models.mapping.mapping import WeightMapping

    def memory(field):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024

    def peak(convert):
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
        before = memory("VmRSS:")
        convert()
        return memory("VmHWM:") - before

    old, new, mapping = sys.argv[1:]
    mapping = WeightMapping.load(mapping)
    print(peak(lambda: convert_checkpoint(old, new, mapping, to="native")))
    print(peak(lambda: save_file(mapping.from_original(load_file(old)), new)))
"""


def test_the_peak_is_one_tensor_and_a_few_blocks(tmp_path):
    """Twelve tensors of 16 MiB; whoever reads the whole file needs them all at once."""
    entries = [
        Entry(f"{i}.weight", f"{i}.linear.weight", (1024, 512, 2, 4), (0, 2, 3, 1), (1024, 4096))
        for i in range(12)
    ]
    mapping = WeightMapping(entries)
    save_file({e.old: torch.full(e.old_shape, 3.0) for e in entries}, tmp_path / "old.safetensors")
    mapping.save(tmp_path / "mapping.json")
    paths = [tmp_path / name for name in ("old.safetensors", "new.safetensors", "mapping.json")]
    command = [sys.executable, "-c", textwrap.dedent(PEAK), *map(str, paths)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    streamed, whole = map(int, run.stdout.split())
    one = 16 << 20
    assert streamed < one + (8 << 20)
    assert whole > 12 * one  # what this would have measured
