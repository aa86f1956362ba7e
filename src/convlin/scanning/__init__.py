"""Images of any size: planned first, read piece by piece, stored so that nothing is lost.

| file | idea |
|---|---|
| `scan.py` | `scan`: the steps in order |
| `asked.py`, `where.py` | what a caller asks for, and where it is written |
| `classifier.py` | the model, to be opened anywhere |
| `prepared.py`, `planning.py` | all of it opened, checked and planned |
| `manifest.py` | what decides about the numbers, as the store says it |
| `run.py`, `outcome.py` | tasks handed to an engine; what came of them |
| `worker.py` | one task after another, in one process |
| `reading.py`, `pixels.py` | what is read while a task runs, and as what |
| `blanks.py`, `windows_with.py` | windows without a score |
| `selection.py` | what of a model's outputs is stored |
| `plan/` | windows and tasks, in integers |
| `methods/` | two ways to the scores of windows |
| `sources/`, `masks/` | what an image lies in, and what of it is asked for |
| `store/` | shards, markers, manifest |
| `engines/` | this process, several, a cluster |
| `places/`, `exports/` | where a cell lies, and files that say it |
"""

from convlin.scanning.outcome import ScanResult
from convlin.scanning.plan.scan_plan import ScanPlan
from convlin.scanning.scan import scan

__all__ = ["ScanPlan", "ScanResult", "scan"]
