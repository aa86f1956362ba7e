"""Local processes: what they leave when they, their parent, or its user end them."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
import toy_job
import toy_run
from started_runs import (
    ENVIRONMENT,
    HERE,
    alive,
    at_work,
    began,
    ended,
    kill_one,
    killed,
    opened,
    rounds,
    start,
    until,
)

from convlin import InputError, Refusal, Refused
from convlin.scanning.engines import run_processes, run_serial

TASKS = range(toy_job.TASKS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return toy_job.uninterrupted(tmp_path_factory.mktemp("whole") / "out")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def pytest_generate_tests(metafunc):
    if "kills" in metafunc.fixturenames:
        seeds = metafunc.config.getoption("seeds")
        metafunc.parametrize("kills", [3 if seeds <= 2 else 10])


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_every_task_is_done_once(out, whole, engine):
    events = toy_job.Events()
    toy_run.run(out, engine, events)
    assert toy_job.files(out) == whole
    assert sorted(began(out)) == list(TASKS)
    assert sorted(events.of("started")) == sorted(events.of("done")) == list(TASKS)
    assert {kind for kind, *_ in events} == {"started", "done"}
    toy_run.run(out, engine, events)
    assert len(began(out)) == len(TASKS)  # nothing was left to do


def test_each_process_has_a_run_of_consecutive_tasks_and_opens_the_job_once(out):
    toy_job.make(out)
    events = toy_job.Events()
    run_processes(toy_job.ToyJob(out, 0.02, together=2), TASKS, events, 2, 3)
    by_worker = {}
    for kind, index, facts in events:
        if kind == "started":
            by_worker.setdefault(facts["worker"], []).append(index)
    assert sorted(by_worker) == ["process 0", "process 1"]
    for indices in by_worker.values():
        jumps = sum(b != a + 1 for a, b in itertools.pairwise(indices))
        assert jumps <= 4  # where it took over what another had left
    lines = (out.parent / "opened").read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["3", "3"]
    assert len(set(opened(out))) == 2 and not any(map(alive, opened(out)))


def test_no_more_processes_than_tasks(out):
    toy_job.make(out)
    run_processes(toy_job.ToyJob(out), [4], toy_job.Events(), 8, 1)
    assert len(opened(out)) == 1
    run_processes(toy_job.ToyJob(out), [], toy_job.Events(), 8, 1)
    assert len(opened(out)) == 1


def test_a_killed_process_costs_its_task_only(out, whole):
    toy_job.make(out)
    events = toy_job.Events()
    run_processes(toy_job.ToyJob(out, kills=6, how_often=1), TASKS, events, 2, 1)
    assert toy_job.files(out) == whole
    assert sorted(began(out)) == sorted([*TASKS, 6])
    assert events.of("lost worker") == events.of("retried") == [6]
    (facts,) = [facts for kind, _, facts in events if kind == "lost worker"]
    assert "SIGKILL" in facts["error"]


def test_a_task_that_ends_its_process_twice_is_named_when_the_others_are_done(out):
    store = toy_job.make(out)
    events = toy_job.Events()
    with pytest.raises(InputError, match=r"^task 6: its worker was lost twice: .*SIGKILL"):
        run_processes(toy_job.ToyJob(out, kills=6, how_often=99), TASKS, events, 2, 1)
    assert store.done() == set(TASKS) - {6} and events.of("failed") == [6]
    assert began(out).count(6) == 2


def test_a_task_that_fails_ends_the_run_and_is_named(out):
    store = toy_job.make(out)
    events = toy_job.Events()
    with pytest.raises(InputError, match=r"^task 6: ValueError: task 6 was told to fail") as caught:
        run_processes(toy_job.ToyJob(out, 0.03, fails=6), TASKS, events, 2, 1)
    assert "toy_job.py" in str(caught.value.__cause__)  # where it happened
    assert store.done() == set(began(out)) - {6}  # whatever ran was let finish
    assert len(store.done()) < len(TASKS) - 1 and events.of("failed") == [6]


def test_a_task_that_fails_here_ends_the_run_and_is_named(out):
    toy_job.make(out)
    with pytest.raises(InputError, match=r"^task 2: ValueError: task 2 was told to fail"):
        run_serial(toy_job.ToyJob(out, fails=2), TASKS, toy_job.Events())
    assert began(out) == [0, 1, 2]


class Refusing(toy_job.ToyJob):
    def open(self, threads):
        return self

    def do(self, index):
        raise Refused(Refusal("source", "pixel", index, "a number"))

    def close(self):
        pass


@pytest.mark.parametrize(
    "engine", [run_serial, lambda *given: run_processes(*given, 2, 1)], ids=["serial", "processes"]
)
def test_a_refusal_is_raised_as_it_is(out, engine):
    with pytest.raises(Refused, match=r"^source: pixel is 5, expected a number$") as caught:
        engine(Refusing(out), [5], toy_job.Events())
    assert caught.value.refusals[0].value == 5


def test_a_job_that_cannot_be_opened_is_named(out):
    toy_job.make(out)
    with pytest.raises(InputError, match=r"^RuntimeError: cannot be opened$"):
        run_processes(toy_job.ToyJob(out, unopened=True), TASKS, toy_job.Events(), 2, 1)


class Ending(toy_job.ToyJob):
    def open(self, threads):
        os._exit(7)


def test_processes_that_end_before_their_first_task_are_named(out):
    with pytest.raises(InputError, match="end before their first task: it ended with exit code 7"):
        run_processes(Ending(out), TASKS, toy_job.Events(), 2, 1)


def test_a_job_that_cannot_be_handed_over_is_named():
    with pytest.raises(InputError, match="cannot be handed to other processes: TypeError"):
        run_processes(threading.Lock(), TASKS, toy_job.Events(), 2, 1)


class Printing(toy_job.ToyJob):
    def open(self, threads):
        print("opened", flush=True)
        os.write(1, b"by a library\n")
        return super().open(threads)


def test_what_a_job_prints_is_no_message(out, whole):
    toy_job.make(out)
    run_processes(Printing(out), TASKS, toy_job.Events(), 2, 1)
    assert toy_job.files(out) == whole


class Holding(toy_job.ToyJob):
    """Leaves a process behind that holds all its streams open."""

    def open(self, threads):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(8)"], close_fds=False)
        return super().open(threads)


def test_a_killed_process_is_missed_though_others_hold_its_streams(out):
    toy_job.make(out)
    with pytest.raises(InputError, match="task 2: its worker was lost twice"):
        run_processes(Holding(out, kills=2, how_often=9), [1, 2, 3], toy_job.Events(), 1, 1)


def test_threads_are_divided_and_never_more(tmp_path):
    code = """
import pathlib, sys
from convlin.scanning.engines import run_processes
class Job:
    def __init__(self, folder): self.folder = pathlib.Path(folder)
    def open(self, threads):
        import torch
        self.threads = threads
        return self
    def do(self, index):
        import os, torch, zarr
        seen = (self.threads, os.environ["OMP_NUM_THREADS"], torch.get_num_threads(),
                zarr.config.get("threading.max_workers"))
        (self.folder / str(index)).write_text(repr(seen))
    def close(self): pass
run_processes(Job(sys.argv[1]), [0], lambda *a, **f: None, 1, 2)
"""
    process = subprocess.run(
        [sys.executable, "-", str(tmp_path)], input=code, capture_output=True, text=True,
        timeout=60, env=ENVIRONMENT,
    )  # fmt: skip
    assert (process.returncode, process.stderr) == (0, "")
    assert (tmp_path / "0").read_text() == "(2, '2', 2, 2)"


SCRIPT = """
import sys, pathlib, toy_job
from convlin.scanning.engines import run_processes
class Mine(toy_job.ToyJob):
    pass
out = pathlib.Path(sys.argv[1])
toy_job.make(out)
run_processes(Mine(out), range(toy_job.TASKS), lambda *told, **facts: None, 2, 1)
print("once")
"""


@pytest.mark.parametrize("how", ["stdin", "file"])
def test_a_script_needs_no_guard_and_its_own_classes_are_known(tmp_path, how, whole):
    """The script runs once, wherever it is from; what is beside it can be imported."""
    (tmp_path / "script.py").write_text(SCRIPT)
    command = {"stdin": "-", "file": "script.py"}
    process = subprocess.run(
        [sys.executable, command[how], "out"], input=SCRIPT, capture_output=True, text=True,
        timeout=60, env=ENVIRONMENT, cwd=tmp_path,
    )  # fmt: skip
    assert (process.returncode, process.stdout, process.stderr) == (0, "once\n", "")
    assert toy_job.files(tmp_path / "out") == whole


def test_modules_in_the_working_folder_hide_none_of_pythons(tmp_path):
    for name in ("json", "signal", "pickle", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')")
    process = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, "out"], capture_output=True, text=True, timeout=60,
        env=ENVIRONMENT, cwd=tmp_path,
    )  # fmt: skip
    assert (process.returncode, process.stdout, process.stderr) == (0, "once\n", "")


def test_runs_killed_at_random_moments_leave_what_one_run_leaves(out, whole, kills):
    """The process itself, -9, again and again."""
    draw = random.Random(15)
    for _ in rounds(out, whole, kills, most=1):
        run = at_work(out, "serial", 0.05)
        time.sleep(draw.uniform(0, 0.2))
        assert run.poll() is None
        killed(run)


def test_parents_killed_at_random_moments_leave_no_orphans(out, whole, kills):
    draw = random.Random(16)
    for _ in rounds(out, whole, kills, most=2):
        run = at_work(out, "processes", 0.05)
        time.sleep(draw.uniform(0, 0.1))
        assert run.poll() is None
        killed(run)
        until(lambda: not any(map(alive, opened(out))), "a worker outlives its parent")


def test_workers_killed_at_random_moments_cost_their_tasks_only(out, whole, kills):
    draw = random.Random(17)
    for number in rounds(out, whole, kills, most=1):
        run = at_work(out, "processes", 0.05)
        time.sleep(draw.uniform(0, 0.1))
        kill_one(out, number)
        code, told, error = ended(run)
        assert (code, error) == (0, "")
        assert told.count("lost worker") == 1


def test_ctrl_c_lets_the_running_tasks_finish_and_can_be_gone_on_with(out, whole):
    run = start(out, "processes", 0.4, "--together", 2)
    until(lambda: len(began(out)) >= 4, "no task")
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the whole group
    code, told, error = ended(run)
    assert (code, error) == (130, "")
    begun = began(out)
    assert len(begun) < len(TASKS) - 5
    assert toy_run.Store.open(out).done() == set(begun)
    assert told.count("finishing") in (1, 2) and not any(map(alive, opened(out)))
    assert ended(start(out, "processes", 0))[0] == 0
    assert toy_job.whole_files(out) == whole
    assert sorted(began(out)) == list(TASKS)


def test_a_second_ctrl_c_waits_for_nothing(out):
    run = start(out, "processes", 30)
    until(lambda: len(began(out)) == 2, "no task")
    os.killpg(run.pid, signal.SIGINT)
    assert "finishing" in [run.stdout.readline().split()[0] for _ in range(3)]
    os.killpg(run.pid, signal.SIGINT)
    begun = time.monotonic()
    code, _, _ = ended(run)
    assert code == 130 and time.monotonic() - begun < 10
    until(lambda: not any(map(alive, opened(out))), "a worker outlives its parent")


def test_ctrl_c_before_the_first_task_ends_the_run(tmp_path, out):
    code = (
        "import pathlib, sys, time, toy_job\nfrom convlin.scanning.engines import run_processes\n"
        "class Slow(toy_job.ToyJob):\n"
        "    def open(self, threads): super().open(threads); time.sleep(30)\n"
        "out = pathlib.Path(sys.argv[1]); toy_job.make(out)\n"
        "try: run_processes(Slow(out), range(9), print, 2, 1)\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code, str(out)], env=ENVIRONMENT, process_group=0, cwd=HERE
    )
    until(lambda: len(opened(out)) == 2, "not opened")
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(20) == 130
    until(lambda: not any(map(alive, opened(out))), "a worker outlives its parent")


def test_a_run_in_another_thread_leaves_signals_alone(out, whole):
    toy_job.make(out)
    thread = threading.Thread(
        target=run_processes, args=(toy_job.ToyJob(out), TASKS, toy_job.Events(), 2, 1)
    )
    thread.start()
    thread.join(60)
    assert toy_job.files(out) == whole
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_note_that_raises_ends_the_run_and_all_processes(out):
    toy_job.make(out)

    def note(kind, index, **facts):
        if kind == "done":
            raise OSError("no terminal any more")

    with pytest.raises(OSError, match="no terminal"):
        run_processes(toy_job.ToyJob(out), TASKS, note, 2, 1)
    assert not any(map(alive, opened(out)))
