"""Five lessons on convolutions and fully connected layers, computed as they are told.

| file | idea |
|---|---|
| `example.py` | the image and the kernel of lessons 1 and 2: the article's, or one's own |
| `numbers/` | what each lesson says in numbers, asked of the engine |
| `words/` | all sentences, in English and in Chinese; numbers are fields in them |
| `lessons/` | numbers and words put together |
| `document.py` | what a lesson is made of: grids, tables, rulings, figures |
| `lesson_terminal.py`, `wrapping.py` | drawn in a terminal |
| `page.py`, `style.css` | drawn as one HTML file |
"""
