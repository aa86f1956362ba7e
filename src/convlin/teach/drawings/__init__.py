"""Pictures of the lessons that are SVG from the start, in the page's own colours.

| file | idea |
|---|---|
| `straightened.py` | an image as a column of neurons, and the wires of one output |
| `scored_sheet.py` | the demo's sheet, and what the map of scores says of it |
"""
