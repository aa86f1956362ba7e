"""What happens to files between two runs: every byte of it is found, and named."""

import shutil

import numpy as np
import pytest
import toy_job
import zarr

from convlin.scanning.store import Store

TASK = 8


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "out"
    toy_job.uninterrupted(folder)
    return folder


@pytest.fixture
def out(tmp_path, whole):
    return shutil.copytree(whole, tmp_path / "out")


def shard(out, name="scores"):
    return out / name / next(iter(Store.open(out).marker(TASK)["files"][name]))


def read(out, name="scores"):
    place, _ = toy_job.computed(TASK)
    return zarr.open_group(out, mode="r")[name][(slice(None), *place)]


def test_every_flipped_byte_is_found_by_us_and_by_zarr(out):
    store, file = Store.open(out), shard(out)
    content = file.read_bytes()
    index = 16 * 2 + 4  # two chunks: offset and length each, then the index's own checksum
    assert len(content) > 2 * index
    for at in range(len(content)):
        file.write_bytes(content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :])
        (problem,) = store.verify([TASK])
        assert (problem.index, problem.array, problem.file) == (TASK, "scores", str(file))
        assert problem.what == "the shard is damaged: its checksum differs"
        with pytest.raises(ValueError, match="checksum"):
            read(out)
    file.write_bytes(content)
    assert store.verify() == []
    np.testing.assert_array_equal(read(out), toy_job.computed(TASK)[1]["scores"])


def test_an_empty_shard_reads_as_nothing_in_zarr_and_is_found_by_us(out):
    file = shard(out)
    length = file.stat().st_size
    file.write_bytes(b"")
    assert np.isnan(read(out)).all()  # in silence
    store = Store.open(out)
    assert [p.what for p in store.verify()] == [f"the shard is cut short: 0 of {length} bytes"]
    assert TASK not in store.done()


@pytest.mark.parametrize("cut", [1, 40, -37, -36, -1])
def test_a_shard_that_is_cut_short_is_found(out, cut):
    file = shard(out)
    file.write_bytes(file.read_bytes()[:cut])
    store = Store.open(out)
    (problem,) = store.verify()
    assert problem.what.startswith("the shard is cut short")
    assert not store.is_done(TASK)


def test_a_shard_that_grew_or_is_gone_or_should_not_be_is_found(out):
    store, file = Store.open(out), shard(out, "boxes")
    content = file.read_bytes()
    file.write_bytes(content + b"\0")
    assert [p.what[:21] for p in store.verify([TASK])] == ["the shard is too long"]
    file.unlink()
    assert [p.what for p in store.verify()] == ["the shard is missing"]
    assert TASK not in store.done()
    file.write_bytes(content)
    empty = out / "scores" / next(iter(store.marker(toy_job.EMPTY)["files"]["scores"]))
    empty.write_bytes(content)
    (problem,) = store.verify([toy_job.EMPTY])
    assert problem.what == "there is a shard where all was empty" and problem.file == str(empty)
    assert toy_job.EMPTY not in store.done()


def test_every_flipped_byte_of_a_marker_is_found(out):
    store = Store.open(out)
    (file,) = (out / "scores" / "convlin" / "done").rglob(f"*{TASK:07d}.json")
    content = file.read_bytes()
    for at in range(len(content)):
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        (problem,) = store.verify([TASK])
        assert problem.index == TASK and problem.what.startswith("the marker is damaged")
        assert store.marker(TASK) is None and not store.is_done(TASK)
    file.write_bytes(content)
    other = file.with_name(f"{TASK + 1:07d}.json")
    other.write_bytes(content)  # whole, of another task
    assert [p.index for p in store.verify([TASK + 1])] == [TASK + 1]
    other.write_text('{"blake2b":"","is":[]}')
    assert [p.index for p in store.verify([TASK + 1])] == [TASK + 1]
    other.unlink()
    assert [p.what for p in store.verify([TASK + 1])] == ["there is no marker"]


def test_shards_without_a_marker_are_named(out):
    store = Store.open(out)
    store.discard(TASK)
    assert [(p.index, p.array, p.what) for p in store.verify()] == [
        (None, name, "a shard without a marker") for name in ("scores", "boxes")
    ]


def test_what_killed_writers_left_is_named_and_removed_and_nothing_else(out):
    before = toy_job.files(out)
    left = [
        out / "scores" / "c" / "0" / "1" / f"2.{'0123456789abcdef' * 2}.partial",
        out / "boxes" / "c" / "0" / "1" / f"0.{'f' * 32}.partial",
        out / "scores" / "convlin" / "done" / "0000" / ".convlin-0123456789abcdef.json",
    ]
    mine = [out / "scores" / "notes.partial", out / "boxes" / ".convlin-mine"]
    for file in (*left, *mine):
        file.write_bytes(b"half")
    store = Store.open(out)
    assert {p.file for p in store.verify()} == set(map(str, left))
    assert store.clean(older=3600) == 0
    assert store.clean() == 3
    for file in mine:
        file.unlink()
    assert toy_job.files(out) == before


@pytest.mark.parametrize("what", ["empty", "cut short", "damaged"])
def test_a_task_is_done_again_over_whatever_is_left_of_its_shard(out, what):
    """A plain write through zarr reads what is there first, and fails for ever."""
    before, file = toy_job.files(out), shard(out)
    content = file.read_bytes()
    file.write_bytes(
        {"empty": b"", "cut short": content[:-5], "damaged": content[:-1] + b"\0"}[what]
    )
    place, outputs = toy_job.computed(TASK)
    if what != "empty":
        with pytest.raises(ValueError, match=r"checksum|cannot reshape|buffer"):
            zarr.open_group(out)["scores"][(slice(None), *place)] = outputs["scores"]
    store = Store.open(out)
    for problem in store.verify():
        store.discard(problem.index)
    store.write(TASK, place, outputs, {"windows": int(outputs["scores"][0].size)})
    assert toy_job.files(out) == before


def test_verifying_tells_how_far_it_is(out):
    told = []
    Store.open(out).verify(progress=lambda *so_far: told.append(so_far))
    assert told[0] == ("verified", 0, toy_job.TASKS)
    assert told[-1] == ("verified", toy_job.TASKS, toy_job.TASKS)
