"""Text only: what is printed or written, whatever room it comes from.

| file | idea |
|---|---|
| `article.py` | "a" or "an" |
| `atomic.py` | files that are written whole or not at all |
| `inputs.py` | files that are read |
| `printed.py` | what a terminal shows, as plain text |
"""
