"""The command line: parse, call, print. Nothing here imports torch before a command needs it.

| file | idea |
|---|---|
| `app.py` | the commands together; errors in one line |
| `demo.py`, `inspect.py`, `convert.py`, `prove.py`, `unroll.py`, `cost.py` | a command each |
| `shapes.py`, `images.py`, `models.py` | what the user names: shapes, picture files, models |
| `options.py`, `outputs.py` | the arguments, and the checks of files, that two commands share |
| `terminal.py` | where printing goes, and progress |
"""

from convlin.cli.app import app, main

__all__ = ["app", "main"]
