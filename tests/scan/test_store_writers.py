"""Many writers at once, and a disk that is full."""

import os
import subprocess
import sys

import pytest
import toy_job

from convlin.scanning.store import Store

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip


WRITE = """
import sys, pathlib, toy_job
from convlin.scanning.store import Store
store = Store.open(pathlib.Path(sys.argv[1]))
print("here", flush=True); sys.stdin.readline()
for index in map(int, sys.argv[2:]):
    place, outputs = toy_job.computed(index)
    store.write(index, place, outputs, {"windows": int(outputs["scores"][0].size)})
"""


@pytest.mark.parametrize("same", [False, True], ids=["other tasks", "the same tasks"])
def test_writers_of_several_processes_leave_what_one_leaves(tmp_path, same):
    whole = toy_job.uninterrupted(tmp_path / "whole")
    toy_job.make(tmp_path / "out")
    tasks = range(toy_job.TASKS)
    shares = [tasks, tasks, tasks] if same else [tasks[n::3] for n in range(3)]
    writers = [start(WRITE, tmp_path / "out", *share) for share in shares]
    for writer in writers:
        writer.stdout.readline()
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60)[1] for writer in writers] == [""] * 3
    assert toy_job.files(tmp_path / "out") == whole


FULL = """
import sys, pathlib, resource, toy_job
from convlin import InputError
from convlin.scanning.store import Store
out, full, notes = pathlib.Path(sys.argv[1]), int(sys.argv[2]), "n" * int(sys.argv[3])
store = Store.open(out)
place, outputs = toy_job.computed(0)
resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
try:
    store.write(0, place, outputs, {"notes": notes})
except InputError as error:
    print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert store.done() == set()
    place, outputs = toy_job.computed(1)
    assert store.write(1, place, outputs, {})
"""


@pytest.mark.parametrize(
    ("full", "notes", "file", "shards"),
    [(100, 0, "scores/c/0/0/0", 0), (700, 0, "boxes/c/0/0/0", 1), (2000, 3000, "0000000.json", 2)],
    ids=["first shard", "second shard", "marker"],
)
def test_a_full_disk_is_named_and_leaves_no_task_half_done(tmp_path, full, notes, file, shards):
    out = tmp_path / "out"
    toy_job.make(out)
    said, error = start(FULL, out, full, notes).communicate(timeout=60)
    assert error == ""
    assert said.count("\n") == 1 and said.endswith("cannot be written: File too large\n"), said
    assert file in said and str(out) in said
    store = Store.open(out)
    assert store.done() == {1} and store.marker(0) is None
    assert [p.what for p in store.verify()] == ["a shard without a marker"] * shards
    assert store.verify([1]) == []


CREATE = """
import sys, pathlib, resource, toy_job
from convlin import InputError
from convlin.scanning.store import Store
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    Store.create(pathlib.Path(sys.argv[1]), toy_job.ARRAYS, {"long": "x" * 3000})
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("full", [10, 400, 1500], ids=["group", "array", "manifest"])
def test_a_disk_that_is_full_at_once_leaves_nothing(tmp_path, full):
    said, error = start(CREATE, tmp_path / "out", full).communicate(timeout=60)
    assert (error, [*tmp_path.iterdir()]) == ("", [])
    assert said.endswith("cannot be written: File too large\n") and said.count("\n") == 1
