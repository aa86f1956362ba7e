"""Lessons and views as HTML.

| file | idea |
|---|---|
| `static_page.py` | lessons as HTML that needs no script |
| `drawn_svg.py` | a figure in the page's own colours |
| `straightened.py` | the image as a column of neurons, and the wires of one output |
| `page_files.py` | the files of the page |
| `one_file.py` | one state as one file |
"""
