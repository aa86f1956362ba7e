"""Whatever is killed, and whenever: what is gone on with equals what was never interrupted."""

import random
import signal

import psutil
import pytest
from dask_processes import cluster_in, kill_group
from scan_commands import files, kill, markers, run, start, wait_for, written


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A scan that nothing interrupts, and the command for it."""
    folder = tmp_path_factory.mktemp("whole")
    command = written(folder)
    code, said = run(command, folder / "whole.zarr")
    assert code == 0, said
    return command, files(folder / "whole.zarr"), markers(folder / "whole.zarr")


@pytest.fixture
def times(request):
    """How often each is killed: once, and ten times in the nightly run."""
    return min(10, request.config.getoption("--seeds") // 2)


def test_a_process_that_is_killed_again_and_again_loses_nothing(whole, times, tmp_path):
    command, expected, tasks = whole
    out = tmp_path / "out.zarr"
    moments = random.Random(0)
    for number in range(times):
        process = start(command, out, *["--resume"] * out.exists())
        before = markers(out)
        some = before + moments.randint(1, max(1, (tasks - before) // (times - number + 1)))
        wait_for(lambda at=some, run=process: markers(out) >= at or run.poll() is not None)
        kill(process.pid)
        process.communicate()
    assert markers(out) > 0
    code, said = run(command, out, "--resume")
    assert code == 0, said
    assert files(out) == expected


def test_a_worker_that_is_killed_costs_its_own_task(whole, times, tmp_path):
    command, expected, tasks = whole
    moments = random.Random(1)
    for number in range(times):
        out = tmp_path / f"{number}.zarr"
        process = start(command, out, "--engine", "processes", "--workers", "2")
        some = moments.randint(1, tasks - 4)
        wait_for(lambda at=some, its=out, run=process: markers(its) >= at or run.poll() is not None)
        workers = psutil.Process(process.pid).children(recursive=True)
        moments.choice(workers).send_signal(signal.SIGKILL)
        said, errors = process.communicate(timeout=120)
        assert process.returncode == 0, said + errors
        assert files(out) == expected


def test_a_cluster_that_loses_workers_and_its_scheduler_loses_no_task(whole, times, tmp_path):
    command, expected, tasks = whole
    moments = random.Random(2)
    for number in range(times):
        folder = tmp_path / str(number)
        folder.mkdir()
        out = folder / "out.zarr"
        with cluster_in(folder) as cluster:
            process = start(command, out, "--engine", cluster.address, "--stall", "6")
            some = moments.randint(1, tasks // 2)
            wait_for(lambda at=some, its=out, run=process: markers(its) >= at or run.poll())
            kill_group(cluster.workers.pop())  # the other one does its task again
            cluster.add(1)
            more = markers(out) + moments.randint(1, tasks // 4)
            wait_for(
                lambda at=more, its=out, run=process: markers(its) >= at or run.poll() is not None
            )
            cluster.lose_scheduler()
            said, errors = process.communicate(timeout=120)
            if process.returncode == 0:  # it was done by then
                assert markers(out) == tasks
            else:
                assert process.returncode == 2 and "--resume" in errors, said + errors
                assert "Traceback" not in errors
            cluster.lose_workers()
            cluster.start()
            cluster.add(1)
            code, said = run(command, out, "--engine", cluster.address, "--resume")
        assert code == 0, said
        assert files(out) == expected


def test_ctrl_c_ends_cleanly_and_is_gone_on_with(whole, tmp_path):
    command, expected, _ = whole
    for engine in ((), ("--engine", "processes")):
        out = tmp_path / f"{len(engine)}.zarr"
        process = start(command, out, *engine)
        wait_for(lambda its=out, run=process: markers(its) >= 3 or run.poll() is not None)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=120)
        assert process.returncode == 130, said + errors
        assert "--resume" in said + errors and "Traceback" not in errors
        code, said = run(command, out, "--resume")
        assert code == 0, said
        assert files(out) == expected


def test_shares_of_a_scan_meet_in_the_store_alone(whole, tmp_path):
    command, expected, tasks = whole
    out = tmp_path / "out.zarr"
    both = [start(command, out, "--shard", f"{number}/3") for number in (3, 1)]
    for process in both:
        said, errors = process.communicate(timeout=120)
        assert process.returncode == 0, said + errors
    assert 0 < markers(out) < tasks
    code, said = run(command, out, "--shard", "2/3")
    assert code == 0, said
    assert files(out) == expected


def test_damage_is_found_named_and_computed_anew(whole, tmp_path):
    command, expected, _ = whole
    out = tmp_path / "out.zarr"
    assert run(command, out)[0] == 0
    shards = sorted(path for path in out.rglob("c/*/*/*") if path.is_file())
    shards[1].write_bytes(shards[1].read_bytes()[:-9])
    content = bytearray(shards[4].read_bytes())
    content[len(content) // 3] ^= 4
    shards[4].write_bytes(content)
    shards[6].unlink()
    code, said = run(command, out, "--verify")
    assert code == 2
    for number in (1, 4, 6):
        assert str(shards[number].relative_to(out)) in said.replace("\n", ""), said
    code, said = run(command, out, "--resume")
    assert code == 0, said
    assert files(out) == expected
    assert run(command, out, "--verify")[0] == 0


def test_a_source_or_a_model_that_has_changed_is_named(whole, tmp_path):
    import shutil

    command, _, _ = whole
    copied = [str(part) for part in command]
    for place in (1, 3):
        target = tmp_path / copied[place].rpartition("/")[2]
        shutil.copy(copied[place], target)
        copied[place] = str(target)
    out = tmp_path / "out.zarr"
    process = start(copied, out)
    wait_for(lambda: markers(out) >= 2 or process.poll() is not None)
    with (tmp_path / "image.npy").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x00\x00\x00\x3f")
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 2 and "has changed" in errors and "image.npy" in errors, errors
    code, said = run(copied, out, "--resume")
    assert code == 2 and "source" in said, said
    other = tmp_path / "other.zarr"
    assert run(command, other, "--region", "0:200,0:900")[0] == 0
    code, said = run(command, other, "--resume", "--stride", "4")
    assert code == 2 and "stride is [2, 2] there, and [4, 4] was asked for" in said, said


def test_a_full_disk_is_named_and_nothing_is_lost(whole, tmp_path):
    import resource

    command, expected, tasks = whole
    out = tmp_path / "out.zarr"
    largest = max(len(content) for name, content in expected.items() if "/c/" in name)

    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, largest - 1))

    code, said = run(command, out, preexec_fn=small)
    assert code == 2 and str(out) in said.replace("\n", "") and "too large" in said, said
    assert markers(out) < tasks
    code, said = run(command, out, "--resume")
    assert code == 0, said
    assert files(out) == expected
