"""Lessons and views as HTML.

| file | idea |
|---|---|
| `static_page.py` | lessons as HTML that needs no script |
| `page_files.py` | the files of the page |
| `one_file.py` | one state as one file |
"""
