"""What a layer or a model costs: one run to see the shapes, then arithmetic on them.

| file | idea |
|---|---|
| `cost.py` | `cost`: the table |
| `sample.py` | the shape of one sample, from an input size |
| `observed.py` | one run of the model, and what each module did in it |
| `products.py` | what one operation multiplies |
| `per_layer.py` | what each layer costs, given what it did |
"""

from convlin.models.cost.cost import cost

__all__ = ["cost"]
