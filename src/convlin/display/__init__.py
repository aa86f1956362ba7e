"""Text only: what is printed or written, whatever room it comes from.

| file | idea |
|---|---|
| `atomic.py` | files that are whole or not there |
"""
