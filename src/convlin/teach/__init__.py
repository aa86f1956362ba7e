"""The article, taught: lessons that compute what they say, and the page where one can break it.

| file | idea |
|---|---|
| `example.py` | the image and the kernel of lessons 1 and 2: the article's, or one's own |
| `document.py` | what a lesson is made of: grids, tables, questions, rulings, figures |
| `refusals.py` | what is refused, said in the reader's language |

`numbers/` is what each lesson says in numbers, asked of the engine; `words/` all sentences, in
English and in Chinese; `lessons/` both put together; `terminal/` and `web/` draw them; `scenes/`
is what the linked views show of one geometry; `page/` what runs in the browser; `server/` answers
it.
"""
