"""The article, taught: lessons that compute what they say, and views in which one can break it.

| file | idea |
|---|---|
| `article_examples.py` | the article's numbers, for lessons and views alike |
| `example.py` | the image and the kernel of lessons 1 and 2: the article's, or one's own |
| `document.py` | what a lesson is made of: grids, tables, questions, rulings, figures |
| `refusals.py` | what is refused, said in the reader's language |

| room | idea |
|---|---|
| `numbers/` | what each lesson says in numbers, asked of the engine |
| `words/` | all sentences, of lessons and views, in English and in Chinese |
| `lessons/` | both put together: a lesson as blocks |
| `pictures/`, `drawings/` | small pictures and named kernels to try; pictures of lessons as SVG |
| `scenes/` | what the linked views show of one geometry: a link in, plain values out |
| `terminal/` | lessons in a terminal |
| `web/`, `page/` | lessons and views as one page; what of it runs in the browser |
| `server/` | the page over HTTP, with the engine behind it |
"""
