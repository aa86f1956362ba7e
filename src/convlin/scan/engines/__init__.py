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
"""

from convlin.scan.engines.jobs import Job, Note, Worker
from convlin.scan.engines.processes import run_processes
from convlin.scan.engines.serial import run_serial

__all__ = ["Job", "Note", "Worker", "run_processes", "run_serial"]
