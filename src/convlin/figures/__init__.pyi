from .energy_split import energy
from .heat_map import heat_map
from .model_map import exchange_map
from .one_neuron import neuron
from .per_pixel import pointwise
from .three_forms import forms
from .unrolled import matrix

__all__ = ["energy", "exchange_map", "forms", "heat_map", "matrix", "neuron", "pointwise"]
