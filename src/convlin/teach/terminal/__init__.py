"""Lessons in a terminal.

| file | idea |
|---|---|
| `lesson_terminal.py` | every block as text, with and without colour |
| `wrapping.py` | lines of so many cells, also of Chinese |
"""
