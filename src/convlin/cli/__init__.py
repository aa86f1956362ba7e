"""The command line: parse, call, print. Nothing here imports torch before a command needs it.

| file | idea |
|---|---|
| `app.py` | the commands together; errors in one line |
| `demo.py`, `inspect.py`, `convert.py`, `rewrite.py`, `prove.py` | commands on whole models |
| `plan.py`, `slide.py`, `scan.py` | what every window of an image costs, and says; of any size |
| `unroll.py`, `cost.py` | commands on the layers of one |
| `audit.py`, `check.py` | commands on anybody's conversion: of one layer, of hostile ones |
| `explain.py`, `explore.py` | the article's lessons, and the page |
| `readers_language.py` | what those two refuse, in the language they answer in |
| `shapes.py`, `images.py`, `models.py` | what the user names: shapes, picture files, models |
| `written_layers.py` | layers written as text, read and never evaluated |
| `normalisation.py`, `class_scores.py`, `score_files.py` | pictures into a classifier, scores out |
| `options.py`, `written_files.py` | arguments and checks of files that two commands share |
| `terminal.py` | where printing goes, and progress |
"""

from convlin.cli.app import app, main

__all__ = ["app", "main"]
