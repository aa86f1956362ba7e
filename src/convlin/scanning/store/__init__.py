"""Scores in a Zarr group that nothing is lost from: shards, then a marker each, the manifest first.

A scan writes one folder, which any reader of Zarr v3 opens::

    OUT/zarr.json                        the group
    OUT/scores/zarr.json, scores/c/…     an array for each output, a file for each task
    OUT/scores/convlin/manifest.json     what the scan is; the folder is no scan without it
    OUT/scores/convlin/done/0000/…json   a marker for each task that is done

What convlin keeps of its own lies within the first array, where readers look for chunks alone: at
the group's level they would warn of it. No file holds a time, so that a scan that was killed and
gone on with is the same, byte for byte, as one that was not.

| file | idea |
|---|---|
| `store.py` | `Store`: all of it |
| `stored_array.py` | what an array of the group is like, and which shards a place is |
| `new_folder.py` | a new folder, whole or not there |
| `opening.py` | a folder that is there |
| `shard_writer.py` | whole shards through zarr: never read, hashed, brought to the disk |
| `markers.py` | which tasks are done, and with which bytes |
| `verification.py` | every byte compared with its marker |
| `record.py` | JSON that says whether it is damaged |
| `in_memory.py` | the same for as long as this process lives |
| `durable.py` | files and folders brought to the disk |
"""

from convlin.scanning.store.in_memory import InMemory
from convlin.scanning.store.opening import state_of
from convlin.scanning.store.store import Store
from convlin.scanning.store.stored_array import StoredArray
from convlin.scanning.store.verification import Problem

__all__ = ["InMemory", "Problem", "Store", "StoredArray", "state_of"]
