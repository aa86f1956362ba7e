"""What a scan will do, in integers, before anything is read: no array library, no torch.

| file | idea |
|---|---|
| `cell_grid.py` | the windows of an image, and what none of them reaches |
| `task_grid.py` | those windows cut into tasks, each of them whole shards of the result |
| `contract.py` | what a method tells the runner, and the runner a method |
| `settings.py` | what decides about a result's last bit |
| `budget.py` | what fits into the memory |
| `scan_plan.py` | all of it, for a person |
"""
