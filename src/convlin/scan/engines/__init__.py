"""Who runs the tasks: this process, several of this machine, or a cluster.

| file | idea |
|---|---|
| `engine.py` | what a job is, and what an engine tells of it |
| `serial.py` | one task after another, here |
| `processes.py`, `child.py` | processes of this machine; killed ones are replaced |
| `clusters.py` | Dask: a scheduler's workers, or some made here |
"""
