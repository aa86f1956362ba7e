"""Who computes the tasks of a scan: this process, several of this machine, or a Dask cluster.

A job is anything that can be pickled and opened: `job.open(threads)` gives a worker, whose
`do(index)` computes a task and stores it. Doing it twice is doing it once. Whatever an engine
loses is done again; what it cannot do is named when the rest is done, and can be gone on with.

| file | idea |
|---|---|
| `jobs.py` | job, worker and events; how failures are told |
| `shares.py` | a run of consecutive tasks for each worker; who is idle takes of the longest |
| `serial.py` | one after another, here |
| `processes.py` | several processes, supervised |
| `one_process.py`, `process_main.py` | both ends of one of them |
| `interrupts.py` | Ctrl-C as a message |
| `started.py` | a process of Python's that this one can lose, and that ends with it |
| `thread_limits.py` | so many threads a process, whatever library starts them |
| `dask_engine.py` | a cluster that is there, or a local one |
| `dask_run.py` | its workers: one task after another, any of them may vanish |
| `lost_tasks.py` | what follows where a task is lost with its worker |
| `dask_client.py` | what is asked of a scheduler, each question with an end |
| `dask_task.py` | what runs on a worker |
| `local_cluster.py`, `cluster_main.py` | a scheduler and workers on this machine |
"""

from convlin.scanning.engines.dask_engine import run_dask
from convlin.scanning.engines.jobs import Job, Note, Worker
from convlin.scanning.engines.processes import run_processes
from convlin.scanning.engines.serial import run_serial

__all__ = ["Job", "Note", "Worker", "run_dask", "run_processes", "run_serial"]
