"""What the linked views show of one geometry, as plain values: a link in, a scene out.

| file | idea |
|---|---|
| `decimals.py` | the numbers of a link, exactly |
| `page_limits.py` | how large a geometry may be here, and how far each slider goes |
| `pins.py` | what is pinned: an output, an input, a tap or an entry |
| `shown_numbers.py` | the image and the weights of a state: its own, or small whole numbers |
| `presets.py` | the lessons and the kinds of layers with a name |
| `page_state.py` | a link read, checked and written again |
| `other_weights.py` | other weights of one fully connected output that leave it still |
| `matrix_picture.py` | a large matrix as a picture |
| `scene.py` | everything the page draws of one state |
"""
