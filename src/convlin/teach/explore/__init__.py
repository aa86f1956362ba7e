"""`convlin explore`: four linked views of one geometry, on a local page.

The page draws what the engine sends as JSON; it computes no geometry of its own. A link holds
the whole state.

| file | idea |
|---|---|
| `decimals.py` | the numbers of a link, exactly |
| `page_limits.py` | how large a geometry may be here, and how far each slider goes |
| `pins.py` | what is pinned: an output, an input, a tap or an entry |
| `shown_numbers.py` | the image and the weights of a state: its own, or small whole numbers |
| `presets.py` | the lessons and the kinds of layers with a name |
| `page_state.py` | a link read, checked and written again |
| `other_weights.py` | other weights of one fully connected output that leave it still |
| `image.py` | a large matrix as a picture |
| `scene.py` | everything the page draws of one state |
| `page_words.py` | the page's texts |
| `files.py` | the files of the page |
| `hosts.py` | which names a request may call the server by |
| `server.py` | the pages and the answers, on loopback |
| `page_file.py` | one state as one file |
"""
