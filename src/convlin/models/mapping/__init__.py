"""Weights of a model in two layouts: states, checkpoints and adapters go from one to the other.

| file | idea |
|---|---|
| `mapping.py`, `mapping_entry.py` | the relation as plain data; one weight of it |
| `moves.py` | what it does to the names and shapes of a whole state |
| `mapped_states.py`, `optimizer_states.py` | state dicts and optimizers |
| `lora_factors.py` | the factors of adapters |
| `checkpoints.py`, `tensor_files.py`, `adapters.py` | files of weights and of adapters |
"""

from convlin.models.mapping.adapters import convert_adapter
from convlin.models.mapping.checkpoints import convert_checkpoint
from convlin.models.mapping.mapping import WeightMapping

__all__ = ["WeightMapping", "convert_adapter", "convert_checkpoint"]
