"""Scores on disk, so that a task is done or not: nothing in between, whatever ends the run.

| file | idea |
|---|---|
| `store.py` | `Store`: a Zarr group, and what of it is done |
| `created.py` | made once, at once |
| `markers.py` | what says that a task is done: names, lengths and checksums of its shards |
| `on_disk_for_good.py` | files and folders that a power cut leaves |
| `in_memory.py` | the same for as long as a process lives |
"""

from convlin.scan.store.created import StoredArray
from convlin.scan.store.in_memory import InMemory
from convlin.scan.store.store import Problem, Store

__all__ = ["InMemory", "Problem", "Store", "StoredArray"]
