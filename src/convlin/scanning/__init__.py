"""Images of any size: planned first, read piece by piece, stored so that nothing is lost.

| file | idea |
|---|---|
| `scan.py` | `scan`: the steps in order |
| `asked.py`, `where.py` | what a caller asks for, and where it is written |
| `model_recipe.py` | the model, to be opened anywhere |
| `prepared.py`, `planning.py` | all of it opened, checked and planned |
| `this_machine.py` | what memory there is, and is taken |
| `manifest.py` | what decides about the numbers, as the store says it |
| `run.py`, `scan_result.py` | tasks handed to an engine; what came of them |
| `worker.py` | one task after another, in one process |
| `reading.py`, `pixels.py` | what is read while a task runs, and as what |
| `blanks.py`, `windows_with.py` | windows without a score |
| `stored_outputs.py` | what of a model's outputs is stored |
| `plan/` | windows and tasks, in integers |
| `methods/` | two ways to the scores of windows |
| `sources/`, `masks/` | what an image lies in, and what of it is asked for |
| `store/` | shards, markers, manifest |
| `engines/` | this process, several, a cluster |
| `places/`, `exports/` | where a cell lies, and files that say it |
"""

from convlin.scanning.plan.scan_plan import ScanPlan
from convlin.scanning.scan import scan
from convlin.scanning.scan_result import ScanResult

__all__ = ["ScanPlan", "ScanResult", "scan"]
