"""A Dask scheduler and its workers, each a process of its own, to be lost by those who test that."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress

from started_runs import ENVIRONMENT, until


class Cluster:
    """A scheduler and workers, each a process of its own, on this machine."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.log = (folder / "log").open("ab")
        self.scheduler = None
        self.workers = []

    def _run(self, command, *options, **environment):
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{command}", "--host", "127.0.0.1",
             "--no-dashboard", "--scheduler-file", str(self.file), *options],
            env=ENVIRONMENT | environment, stdout=self.log, stderr=self.log, process_group=0,
        )  # fmt: skip

    def start(self, port=0, failures=3):
        self.file.unlink(missing_ok=True)
        failed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(failures)}
        self.scheduler = self._run("scheduler", "--port", str(port), **failed)
        until(lambda: self.file.exists() and self.file.read_bytes().endswith(b"}"), "no scheduler")

    def add(self, many=2, memory="2GB", nanny=True, threads=1):
        for _ in range(many):
            self.workers.append(
                self._run(
                    "worker", "--nthreads", str(threads), "--memory-limit", memory,
                    "--nanny" if nanny else "--no-nanny", "--local-directory", str(self.folder),
                    "--death-timeout", "60",
                )
            )  # fmt: skip

    @property
    def address(self):
        return json.loads(self.file.read_text())["address"]

    def lose_scheduler(self):
        self.scheduler.kill()
        self.scheduler.wait(60)

    def lose_workers(self):
        for worker in self.workers:
            kill_group(worker)
        self.workers = []

    def close(self):
        self.lose_workers()
        if self.scheduler is not None:
            kill_group(self.scheduler)
        self.log.close()


def kill_group(process):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)


@contextmanager
def cluster_in(folder, **options):
    cluster = Cluster(folder)
    with ExitStack() as stack:
        stack.callback(cluster.close)
        cluster.start()
        cluster.add(**options)
        yield cluster
