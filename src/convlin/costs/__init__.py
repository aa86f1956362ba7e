"""What a layer costs in each form: parameters, bytes and multiply-adds. Integers only.

| file | idea |
|---|---|
| `form.py` | `FormCost`: what one form of a layer costs, and their sum |
| `four_forms.py` | the forms of a convolution, and of a fully connected layer |
| `implied.py` | the zero padding that a layer with code of its own must have put on |
| `row.py` | `LayerCost`: one layer, in every form |
| `cost_table.py` | `CostTable`: all layers of a model, and their sum |
| `drawing.py` | the table as people read it |
"""

from convlin.costs.cost_table import CostTable, LayerCost
from convlin.costs.form import FORMS, Form, FormCost
from convlin.costs.four_forms import across, convolution_forms, known, linear_forms, unchanged
from convlin.costs.implied import implied

__all__ = [
    "FORMS",
    "CostTable",
    "Form",
    "FormCost",
    "LayerCost",
    "across",
    "convolution_forms",
    "implied",
    "known",
    "linear_forms",
    "unchanged",
]
