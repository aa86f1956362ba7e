"""The main job, shown: a classifier of single digits reads a whole sheet of them.

| file | idea |
|---|---|
| `classifier.py`, `sheet.py` | the classifier that ships with the package, and sheets to read |
| `one_pass.py`, `detect.py` | from one pass over a sheet to digits at their positions |
| `race.py` | the same by sliding, one window after the other: how far apart, how much slower |
| `picture.py` | the picture of it all |
"""
