"""A Dask cluster: what a run leaves when workers, the scheduler or the coordinator are killed."""

import itertools
import os
import random
import re
import signal
import sys
import time
from contextlib import ExitStack

import pytest
import toy_job
import toy_run
from dask_processes import Cluster, cluster_in
from started_runs import (
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

from convlin import InputError, Refused
from convlin.scanning.engines import run_dask
from convlin.scanning.store import Store

TASKS = range(toy_job.TASKS)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers that are started again when they are killed, for whoever leaves them be."""
    with cluster_in(tmp_path_factory.mktemp("cluster")) as made:
        yield made


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


def run(out, cluster, *, seconds=0.0, stall=30.0, tasks=TASKS, memory=0, threads=1, **told):
    store = Store.open(out) if out.exists() else toy_job.make(out)
    events = toy_job.Events()
    run_dask(
        toy_job.ToyJob(out, seconds, **told), tasks, events, finished=store.is_done,
        address=cluster.address, stall=stall, memory=memory, threads=threads,
    )  # fmt: skip
    return events


def test_every_task_is_done_once_by_workers_that_open_the_job_once(out, cluster, whole):
    events = run(out, cluster, threads=3)
    assert toy_job.files(out) == whole
    assert sorted(began(out)) == sorted(events.of("done")) == list(TASKS)
    lines = (out.parent / "opened").read_text().splitlines()
    assert 1 <= len(lines) <= 2 and {line.split()[1] for line in lines} == {"3"}
    assert len(set(opened(out))) == len(lines)


def test_workers_have_runs_of_consecutive_tasks_two_at_a_time(out, cluster):
    events = run(out, cluster, seconds=0.03)
    with_worker, most, order = {}, 0, {}
    for kind, index, facts in events:
        if kind == "started":
            with_worker[index] = facts["worker"]
            order.setdefault(facts["worker"], []).append(index)
        elif kind == "done":
            del with_worker[index]
        most = max([most, *map([*with_worker.values()].count, with_worker.values())])
    assert most == 2
    for indices in order.values():
        assert sum(b != a + 1 for a, b in itertools.pairwise(indices)) <= 4


def test_a_scheduler_file_is_an_address(out, cluster, whole):
    store = toy_job.make(out)
    run_dask(
        toy_job.ToyJob(out),
        TASKS,
        toy_job.Events(),
        finished=store.is_done,
        address=str(cluster.file),
    )
    assert toy_job.files(out) == whole


def test_nothing_stays_on_the_cluster(out, cluster):
    from distributed import Client

    run(out, cluster)
    with Client(cluster.address, set_as_default=False) as client:
        assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 0

        def still_open():
            its = client.run(lambda: len(sys.modules["convlin.scanning.engines.dask_task"].OPEN))
            return any(its.values())

        until(lambda: not still_open(), "a worker holds on to the job")  # it closes a moment later


def test_a_task_that_fails_ends_the_run_and_is_named(out, cluster):
    with pytest.raises(InputError, match=r"^task 6: ValueError: task 6 was told to fail") as caught:
        run(out, cluster, seconds=0.03, fails=6)
    assert "toy_job.py" in str(caught.value.__cause__)
    done = Store.open(out).done()
    assert done == set(began(out)) - {6} and len(done) < len(TASKS) - 1


def test_a_job_that_cannot_be_opened_is_named(out, cluster):
    with pytest.raises(InputError, match=r"^tcp://127.0.0.1:\d+: RuntimeError: cannot be opened$"):
        run(out, cluster, unopened=True)


def test_a_task_is_done_when_the_store_says_so(out, cluster, monkeypatch):
    """A worker that writes elsewhere says that all is done."""
    monkeypatch.setattr("convlin.scanning.engines.dask_run.SHOWS", 0.5)
    toy_job.make(out)
    (out.parent / "other").mkdir()
    other = toy_job.make(out.parent / "other" / "out")
    with pytest.raises(
        InputError, match=r"task \d+: tcp://.* says that it is done, but .* no marker"
    ):
        run_dask(
            toy_job.ToyJob(other.path), TASKS, toy_job.Events(), finished=Store.open(out).is_done,
            address=cluster.address,
        )  # fmt: skip


def test_a_marker_may_show_late(out, cluster):
    store = toy_job.make(out)
    first = {}

    def late(index):
        return (
            store.is_done(index)
            and time.monotonic() - first.setdefault(index, time.monotonic()) > 1
        )

    events = toy_job.Events()
    run_dask(toy_job.ToyJob(out), TASKS, events, finished=late, address=cluster.address)
    assert sorted(events.of("done")) == sorted(began(out)) == list(TASKS)


def test_a_task_that_needs_too_much_memory_is_refused_before_any_is_begun(out, cluster):
    message = r"memory is 1.50 GB, expected less than 75 % of the 2.00 GB that tcp://127"
    with pytest.raises(Refused, match=message):
        run(out, cluster, memory=1_500_000_000)
    assert began(out) == opened(out) == []
    run(out, cluster, memory=1_499_000_000)


def test_a_killed_worker_costs_its_own_tasks_only(out, cluster, whole):
    events = run(out, cluster, kills=6, how_often=1)
    assert toy_job.files(out) == whole
    lost = set(events.of("lost worker")) - {-1}
    assert 6 in lost and len(lost) <= 2
    assert len(began(out)) <= len(TASKS) + 2 and began(out).count(6) == 2


def test_a_task_that_ends_every_worker_is_tried_alone_and_named_when_the_others_are_done(
    out, cluster
):
    with pytest.raises(InputError, match="^task 6: its worker was lost again and again"):
        run(out, cluster, kills=6, how_often=99)
    assert Store.open(out).done() == set(TASKS) - {6}
    assert began(out).count(6) == 3


def test_a_task_that_was_lost_twice_is_tried_when_no_other_is(out, cluster, whole):
    events = run(out, cluster, kills=6, how_often=2)
    assert toy_job.files(out) == whole
    running = []
    for kind, index, _ in events:
        if kind == "started":
            running.append(index)
            if index == 6 and running.count(6) == 1:
                beside = set(running)
        elif index in running and kind in ("done", "lost worker"):
            running.remove(index)
    assert began(out).count(6) == 3 and beside == {6}


def test_a_killed_worker_of_the_schedulers_saying_is_tried_alone(tmp_path, out, whole):
    """KilledWorker: here the scheduler says so at the first loss."""
    made = Cluster(tmp_path)
    with ExitStack() as stack:
        stack.callback(made.close)
        made.start(failures=0)
        made.add(2)
        events = run(out, made, kills=6, how_often=1)
        assert toy_job.files(out) == whole
        assert 6 in events.of("retried") and began(out)[-1] in events.of("retried")
        assert began(out).count(6) == 2


def test_no_scheduler_is_said_in_one_line_and_in_time(out):
    store = toy_job.make(out)
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"127.0.0.1:9: no scheduler .* for 1 seconds; .*--resume"):
        run_dask(
            toy_job.ToyJob(out), TASKS, print, finished=store.is_done, address="tcp://127.0.0.1:9",
            stall=1,
        )  # fmt: skip
    assert time.monotonic() - begun < 15


def test_no_worker_is_said_in_one_line_and_in_time(tmp_path, out):
    message = r"no worker for 1 seconds; .*--resume"
    with cluster_in(tmp_path, many=0) as made, pytest.raises(InputError, match=message):
        run(out, made, stall=1)


def test_workers_that_come_late_and_go_are_made_use_of(tmp_path, out, whole):
    with cluster_in(tmp_path, many=1, nanny=False) as made:
        going = start(out, "dask", 0.1, "--address", made.address)
        until(lambda: began(out), "no task")
        made.add(1, nanny=False)
        until(lambda: len(opened(out)) == 2, "the late worker is not made use of")
        time.sleep(0.3)
        os.kill(opened(out)[0], signal.SIGKILL)
        assert ended(going)[0::2] == (0, "")
    assert toy_job.whole_files(out) == whole
    assert len(began(out)) <= len(TASKS) + 2


def test_workers_killed_at_random_moments_cost_their_tasks_only(out, cluster, whole, kills):
    draw = random.Random(18)
    for number in rounds(out, whole, kills, most=2):
        going = at_work(out, "dask", 0.05, "--address", cluster.address)
        time.sleep(draw.uniform(0, 0.2))
        kill_one(out, number)
        assert ended(going)[0::2] == (0, "")


def test_schedulers_killed_at_random_moments_end_the_run_in_one_line(tmp_path, out, whole, kills):
    draw = random.Random(19)
    made = Cluster(tmp_path)
    with ExitStack() as stack:
        stack.callback(made.close)
        for _ in rounds(out, whole, kills, most=4):
            made.start()
            made.add(2, nanny=False)
            going = at_work(out, "dask", 0.2, "--address", made.address, "--stall", 1)
            time.sleep(draw.uniform(0, 0.4))
            made.lose_scheduler()
            code, _, error = ended(going)
            assert code == 1
            assert re.fullmatch(r"convlin: tcp://127.*: no scheduler .*; .* --resume\n", error), (
                error
            )
            made.lose_workers()


def test_a_scheduler_that_comes_back_in_time_is_gone_on_with(tmp_path, out, whole):
    with cluster_in(tmp_path, nanny=False) as made:
        port = made.address.rpartition(":")[2]
        going = start(out, "dask", 0.2, "--address", made.address, "--stall", 60)
        until(lambda: len(began(out)) > 3, "no task")
        made.lose_scheduler()
        made.lose_workers()
        made.start(port)
        made.add(2, nanny=False)
        code, told, error = ended(going)
        assert (code, error) == (0, "") and "retried" in told
    assert toy_job.whole_files(out) == whole


def test_coordinators_killed_at_random_moments_can_be_gone_on_with(out, cluster, whole):
    draw = random.Random(20)
    for _ in range(2):
        going = at_work(out, "dask", 0.1, "--address", cluster.address)
        time.sleep(draw.uniform(0, 0.3))
        killed(going)
    assert ended(start(out, "dask", 0, "--address", cluster.address))[0::2] == (0, "")
    assert toy_job.whole_files(out) == whole


def test_ctrl_c_lets_the_running_tasks_finish(out, cluster):
    going = start(out, "dask", 0.4, "--address", cluster.address)
    until(lambda: len(began(out)) >= 3, "no task")
    os.killpg(going.pid, signal.SIGINT)
    code, told, error = ended(going)
    assert (code, error) == (130, "") and "finishing" in told
    assert len(began(out)) < 12 and Store.open(out).done() == set(began(out))


def test_threads_of_one_worker_share_it_one_after_another(tmp_path, out, whole):
    with cluster_in(tmp_path, many=1, nanny=False, threads=4) as made:
        run(out, made)
    assert len(opened(out)) == 1 and toy_job.files(out) == whole


def test_a_local_cluster_is_made_and_ended(out, whole):
    going = start(out, "dask", 0.05)
    until(lambda: len(opened(out)) == 2, "no worker")
    os.kill(opened(out)[0], signal.SIGKILL)
    assert ended(going)[0::2] == (0, "")
    until(lambda: not any(map(alive, opened(out))), "a worker outlives its cluster")
    assert toy_job.whole_files(out) == whole


def test_a_local_cluster_ends_with_whoever_made_it(out):
    import psutil

    going = start(out, "dask", 0.05)
    until(lambda: began(out), "no task")
    family = psutil.Process(going.pid).children(recursive=True)
    assert len(family) >= 5
    killed(going)
    until(lambda: not any(alive(child.pid) for child in family), "a part of it outlives it")
    toy_run.run(out, "serial", toy_job.Events())
