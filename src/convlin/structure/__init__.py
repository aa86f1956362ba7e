"""The way back: is a matrix a convolution, which one is nearest, and how far off is it?

| file | idea |
|---|---|
| `canonical.py` | any matrix as one canonical CSR |
| `axis_space.py` | what the taps of one dimension span, and the projection onto it |
| `nearest.py` | the nearest convolution to any matrix |
| `energy.py`, `energy_blocks.py` | a matrix's squared norm in three parts, and how it is shown |
| `axis_support.py` | which output reads which pixel along one dimension |
| `output_shapes.py` | which output shapes the rows could have |
| `occurring.py` | which numbers a long list has |
| `fibres.py` | support and fibres of a matrix along one dimension |
| `axis_forms.py` | a form along one dimension |
| `zero_forms.py`, `circular_forms.py` | the forms that could have read just these pixels |
| `inside_windows.py` | the forms of reflect and replicate padding, where these are named |
| `neighbours.py`, `spot_check.py` | forms ruled out by two lines, or by a few entries |
| `kernel_entries.py` | the kernel read off the matrix |
| `difference.py` | the first entry that differs, in words |
| `search.py` | the search at one output shape |
| `transposed_forms.py` | the search in the transpose, and what it finds |
| `recognition.py` | the answer, or the refusal |
"""

from convlin.structure.energy import Energy
from convlin.structure.nearest import NearestConv, nearest
from convlin.structure.recognition import Candidate, Recognized, recognize

__all__ = ["Candidate", "Energy", "NearestConv", "Recognized", "nearest", "recognize"]
