"""Lessons and views as HTML.

| file | idea |
|---|---|
| `article_html.py` | lessons as HTML that needs no script |
| `drawn_svg.py` | a figure as SVG in the page's own colours |
| `page_data.py` | what the page is given with its text |
| `page_files.py` | the files of the page |
| `one_file.py` | text, views and data together, as one file or served |
"""
