"""Text only: what is printed or written, whatever room it comes from.

| file | idea |
|---|---|
| `blocks.py` | lines, tables and small pictures, before anybody knows where they are shown |
| `terminal_view.py`, `html_view.py` | the same blocks in a terminal, as text, and in a notebook |
| `shown.py` | objects that show themselves as blocks |
| `numbers.py` | numbers as people read them |
| `badges.py` | a mark and a colour for each outcome |
| `languages.py` | texts in several languages, and the numbers in them |
| `article.py` | "a" or "an" |
| `atomic.py` | files that are written whole or not at all |
| `inputs.py` | files that are read |
"""
