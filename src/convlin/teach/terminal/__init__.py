"""Lessons in a terminal.

| file | idea |
|---|---|
| `asking.py` | predict, then reveal: waiting for answers |
| `lesson_terminal.py` | every block as text, with and without colour |
| `wrapping.py` | lines of so many cells, also of Chinese |
"""
