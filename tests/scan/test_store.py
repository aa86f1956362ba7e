"""A store: what it looks like to readers of Zarr, what it refuses, and who may make it."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import toy_job
import zarr

from convlin import InputError, Refused
from convlin.scanning.store import InMemory, Problem, Store, StoredArray


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.zarr"


def written(out):
    store = toy_job.make(out)
    for index in range(toy_job.TASKS):
        place, outputs = toy_job.computed(index)
        store.write(index, place, outputs, {"windows": int(outputs["scores"][0].size)})
    return store


def test_any_reader_of_zarr_sees_the_arrays_and_nothing_else(out):
    written(out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        group = zarr.open_group(out, mode="r")
        members = dict(group.members(max_depth=None))
        str(group.tree())
    assert sorted(members) == ["boxes", "scores"]
    for name, array in members.items():
        np.testing.assert_array_equal(array[:], toy_job.full(name))
        assert array.metadata.zarr_format == 3


def test_shards_carry_checksums_of_data_and_index(out):
    toy_job.make(out)
    codecs = json.loads((out / "scores" / "zarr.json").read_text())["codecs"]
    assert codecs[0]["name"] == "sharding_indexed"
    inner = codecs[0]["configuration"]
    assert [codec["name"] for codec in inner["codecs"]] == ["bytes", "zstd", "crc32c"]
    assert [codec["name"] for codec in inner["index_codecs"]] == ["bytes", "crc32c"]


def test_markers_say_lengths_and_checksums_of_the_files_and_that_there_is_none(out):
    store = written(out)
    for index in range(toy_job.TASKS):
        marker = store.marker(index)
        assert marker["notes"] == {"windows": toy_job.computed(index)[1]["scores"][0].size}
        for name, shards in marker["files"].items():
            for file, its in shards.items():
                path = out / name / file
                if index == toy_job.EMPTY:
                    assert its is None and not path.exists()
                    continue
                content = path.read_bytes()
                assert its["length"] == len(content)
                assert its["blake2b"] == hashlib.blake2b(content, digest_size=16).hexdigest()
    assert store.done() == set(range(toy_job.TASKS))
    assert store.verify() == []


def test_all_of_a_store_is_a_matter_of_what_is_stored(tmp_path, monkeypatch):
    first = toy_job.uninterrupted(tmp_path / "first")
    monkeypatch.setattr("time.time", lambda: 1e9)
    assert toy_job.uninterrupted(tmp_path / "second") == first


def test_a_task_that_is_done_is_written_over_after_it_was_discarded_only(out):
    store = written(out)
    before = toy_job.files(out)
    place, outputs = toy_job.computed(7)
    other = {name: values + 1 for name, values in outputs.items()}
    assert not store.write(7, place, other, {})
    assert toy_job.files(out) == before
    store.discard(7)
    assert 7 not in store.done() and store.marker(7) is None
    assert store.write(7, place, other, {})
    np.testing.assert_array_equal(store.arrays["boxes"][(slice(None), *place)], other["boxes"])
    assert store.verify() == []


def test_a_shard_that_becomes_empty_is_taken_away(out):
    store = written(out)
    place, outputs = toy_job.computed(7)
    store.discard(7)
    store.write(7, place, {name: np.full_like(v, np.nan) for name, v in outputs.items()}, {})
    assert not (out / "scores" / next(iter(store.marker(7)["files"]["scores"]))).exists()
    assert store.verify() == [] and store.is_done(7)


@pytest.mark.parametrize(
    "settings", [{"async.concurrency": 1}, {"array.write_empty_chunks": True}], ids=str
)
def test_settings_of_zarr_change_no_byte(tmp_path, settings):
    with zarr.config.set(settings):
        changed = toy_job.uninterrupted(tmp_path / "changed")
    assert changed == toy_job.uninterrupted(tmp_path / "plain")


def test_some_dimensions_and_numbers(tmp_path):
    """1-D and 3-D, integers, channels of several dimensions, none at all."""
    for shape, shard, chunk, dtype, fill in [
        ((5, 23), (5, 7), (5, 7), "int16", -1.0),
        ((2, 3, 4, 5, 9), (2, 3, 2, 5, 4), (1, 3, 1, 5, 2), "float16", np.nan),
        ((11,), (4,), (2,), "float64", 0.0),
    ]:
        array = StoredArray("a", shape, shard, chunk, dtype, fill)
        store = Store.create(tmp_path / dtype, [array], {})
        values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        cells = len(shape) - {2: 1, 5: 2, 1: 0}[len(shape)]
        sizes, sides = shape[-cells:], shard[-cells:]
        for index, corner in enumerate(
            np.ndindex(*(-(-n // m) for n, m in zip(sizes, sides, strict=True)))
        ):
            place = [
                slice(i * m, min(i * m + m, n))
                for i, m, n in zip(corner, sides, sizes, strict=True)
            ]
            store.write(index, place, {"a": values[(..., *place)]}, {})
        np.testing.assert_array_equal(Store.open(tmp_path / dtype).arrays["a"][:], values)
        assert store.verify() == []


def test_zero_is_stored_beside_minus_zero(tmp_path):
    store = Store.create(
        tmp_path / "s", [StoredArray("a", (1, 4), (1, 4), (1, 2), "float32", 0.0)], {}
    )
    store.write(0, [slice(0, 4)], {"a": np.array([[0.0, 0.0, -0.0, 0.0]], "float32")}, {})
    assert np.signbit(store.arrays["a"][:]).tolist() == [[False, False, True, False]]


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(0, 5), slice(0, 7)),
        (slice(1, 6), slice(0, 7)),
        (slice(0, 12), slice(0, 8)),
        (slice(24, 30), slice(0, 7)),
        (slice(-6, 26), slice(0, 7)),
        (slice(0, 0), slice(0, 7)),
        (slice(0, 6, 2), slice(0, 7)),
    ],
)
def test_two_tasks_never_share_a_shard(out, rows, columns):
    store = toy_job.make(out)
    outputs = {
        "scores": np.zeros((3, 6, 7), "float32"),
        "boxes": np.zeros((2, 6, 7)),
    }
    before = toy_job.files(out)
    with pytest.raises(Refused, match=r"scores: place is .*whole shards of \(3, 6, 7\)"):
        store.write(0, (rows, columns), outputs, {})
    assert toy_job.files(out) == before


def test_what_does_not_fit_is_refused_by_name(out):
    store = toy_job.make(out)
    place, outputs = toy_job.computed(0)
    with pytest.raises(Refused, match=r"scores: dtype is 'float64', expected float32"):
        store.write(0, place, outputs | {"scores": outputs["scores"].astype("float64")}, {})
    with pytest.raises(Refused, match=r"boxes: shape is \(2, 5, 7\), expected \(2, 6, 7\)"):
        store.write(0, place, outputs | {"boxes": outputs["boxes"][:, 1:]}, {})
    with pytest.raises(Refused, match=r"outputs is \['scores'\], expected \['boxes', 'scores'\]"):
        store.write(0, place, {"scores": outputs["scores"]}, {})
    assert store.done() == set() and store.verify() == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "a/b"}, "name is 'a/b'"),
        ({"name": ".a"}, "name is '.a'"),
        ({"name": ""}, "name is ''"),
        ({"chunk": (3, 4, 7)}, r"chunk is \(3, 4, 7\), expected sizes that divide"),
        ({"shard": (3, 6)}, r"shard is \(3, 6\), expected 3 sizes"),
        ({"shape": (3, 0, 29)}, r"shape is \(3, 0, 29\)"),
    ],
)
def test_arrays_that_cannot_be_stored_are_refused(fields, message):
    with pytest.raises(Refused, match=message):
        StoredArray(
            **{
                "name": "s",
                "shape": toy_job.SIZE,
                "shard": toy_job.SHARD,
                "chunk": toy_job.CHUNK,
                "dtype": "float32",
            }
            | fields
        )


def test_two_arrays_of_one_name_are_refused(out):
    with pytest.raises(Refused, match=r"arrays is \['scores', 'scores'\]"):
        Store.create(out, [toy_job.ARRAYS[0]] * 2, {})
    with pytest.raises(Refused, match=r"arrays is \[\]"):
        Store.create(out, [], {})


def there(out, what):
    if what == "a file":
        out.write_text("mine")
    elif what == "an empty folder":
        out.mkdir()
    elif what == "a folder of something else":
        zarr.create_group(out)
    elif what == "a link that leads nowhere":
        out.symlink_to(out.parent / "nothing")
    else:
        toy_job.make(out)
        if "not finished" in what:
            (out / "scores" / "convlin" / "manifest.json").unlink()


KINDS = ["a file", "an empty folder", "a folder of something else", "a link that leads nowhere",
         "a scan", "a scan whose creation was not finished"]  # fmt: skip


@pytest.mark.parametrize("what", KINDS)
def test_whatever_is_there_is_left_alone_and_named(out, what):
    there(out, what)
    before = toy_job.files(out.parent)
    with pytest.raises(InputError, match=rf"out.zarr: exists: {what}"):
        toy_job.make(out)
    assert toy_job.files(out.parent) == before and [*out.parent.iterdir()] == [out]


@pytest.mark.parametrize("what", [*KINDS[:4], KINDS[5], "there is no such folder"])
def test_what_is_no_store_is_not_opened(out, what):
    if "no such" not in what:
        there(out, what)
    with pytest.raises(InputError, match=what) as caught:
        Store.open(out)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no such folder: .*nowhere"):
        toy_job.make(tmp_path / "nowhere" / "out")


def test_every_flipped_byte_of_a_manifest_is_found(out):
    toy_job.make(out)
    file = out / "scores" / "convlin" / "manifest.json"
    content = file.read_bytes()
    for at in range(len(content)):
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(InputError, match="the manifest is damaged"):
            Store.open(out)
    for cut in (0, 1, len(content) - 1):
        file.write_bytes(content[:cut])
        with pytest.raises(InputError, match="the manifest is damaged"):
            Store.open(out)


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("shape", lambda d: d.update(shape=[3, 26, 30]), r"shape is \(3, 26, 30\), not \(3, 26, 29\)"),
        ("fill", lambda d: d.update(fill_value=0.0), "fill is 0.0, not nan"),
        ("dtype", lambda d: d.update(data_type="float64"), "dtype is float64, not float32"),
        ("shard", lambda d: d["chunk_grid"]["configuration"].update(chunk_shape=[3, 3, 7]), r"shard is \(3, 3, 7\)"),
        ("format", lambda d: d.update(zarr_format=2), "cannot be opened"),
        ("all", lambda d: d.clear(), "cannot be opened"),
    ],
)  # fmt: skip
def test_a_description_that_is_not_the_one_written_is_named(out, field, change, message):
    toy_job.make(out)
    file = out / "scores" / "zarr.json"
    described = json.loads(file.read_text())
    change(described)
    file.write_text(json.dumps(described))
    with pytest.raises(InputError, match=message):
        Store.open(out)


def test_attributes_of_readers_are_no_damage(out):
    toy_job.make(out)
    zarr.open_group(out)["scores"].attrs["colour"] = "red"
    zarr.open_group(out).attrs["title"] = "mine"
    assert Store.open(out).manifest == toy_job.MANIFEST


def test_another_scan_is_refused_by_its_first_field(out):
    store = toy_job.make(out)
    store.require_same({"what": "numbers", "sizes": (toy_job.SIZE, toy_job.SHARD)})
    for manifest, message in [
        (
            {"what": "letters", "sizes": [list(toy_job.SIZE)]},
            "what is numbers there, and letters was asked for",
        ),
        ({**toy_job.MANIFEST, "sizes": [[3, 26, 30], list(toy_job.SHARD)]}, r"sizes is .* there"),
        ({**toy_job.MANIFEST, "threads": 2}, "threads is nothing there, and 2 was asked for"),
        ({"what": "numbers"}, r"sizes is .* there, and nothing was asked for"),
    ]:
        with pytest.raises(InputError, match=message):
            store.require_same(manifest)


def test_a_manifest_may_hold_what_is_no_number(out):
    store = Store.create(out, toy_job.ARRAYS, {"nodata": float("nan"), "scale": {"y": 0.5}})
    store.require_same({"nodata": float("nan"), "scale": {"y": 0.5}})
    with pytest.raises(InputError, match=re.escape("scale.y is 0.5 there, and 0.25 was asked for")):
        store.require_same({"nodata": float("nan"), "scale": {"y": 0.25}})


def test_shares_attach_to_the_scan_of_the_same_manifest(out):
    Store.create(out, toy_job.ARRAYS, toy_job.MANIFEST, shared=True)
    place, outputs = toy_job.computed(0)
    Store.create(out, toy_job.ARRAYS, toy_job.MANIFEST, shared=True).write(0, place, outputs, {})
    assert Store.open(out).done() == {0}
    with pytest.raises(InputError, match="what is numbers there"):
        Store.create(out, toy_job.ARRAYS, {"what": "letters"}, shared=True)


def test_of_many_makers_one_is_first_and_the_others_open_it(out):
    code = (
        "import sys, pathlib, toy_job; from convlin.scanning.store import Store; import zarr\n"
        "print('here', flush=True); sys.stdin.readline()\n"
        "s = Store.create(pathlib.Path(sys.argv[1]), toy_job.ARRAYS, toy_job.MANIFEST, shared=True)\n"
        "i = int(sys.argv[2]); place, outputs = toy_job.computed(i); s.write(i, place, outputs, {})"
    )
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(out), str(index)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for index in range(4)
    ]  # fmt: skip
    for maker in makers:
        assert maker.stdout.readline() == "here\n"
    for maker in makers:
        maker.stdin.write("go\n")
        maker.stdin.flush()
    assert [maker.communicate(timeout=60)[1] for maker in makers] == [""] * 4
    store = Store.open(out)
    assert store.done() == {0, 1, 2, 3} and store.verify() == []
    assert [*out.parent.iterdir()] == [out]


def test_a_folder_can_be_moved_and_copied(out, tmp_path):
    written(out)
    shutil.copytree(out, tmp_path / "copy")
    out.rename(tmp_path / "moved")
    for name in ("copy", "moved"):
        store = Store.open(tmp_path / name)
        assert len(store.done()) == toy_job.TASKS and store.verify() == []


def test_in_memory_it_is_the_same_without_a_folder():
    store = InMemory(toy_job.ARRAYS, toy_job.MANIFEST)
    for index in range(toy_job.TASKS):
        assert not store.is_done(index)
        store.write(index, *toy_job.computed(index), {"windows": 1})
    assert store.done() == set(range(toy_job.TASKS)) and store.marker(2)["notes"] == {"windows": 1}
    for name, array in store.arrays.items():
        np.testing.assert_array_equal(array, toy_job.full(name))


def test_a_problem_is_told_in_one_line():
    assert str(Problem(3, "scores", "c/0", "the shard is missing")) == (
        "c/0: the shard is missing (task 3)"
    )
    assert str(Problem(None, "scores", "c/0", "a shard without a marker")) == (
        "c/0: a shard without a marker"
    )
