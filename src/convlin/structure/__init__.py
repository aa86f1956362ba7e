"""The way back: is a matrix a convolution, which one is nearest, and how far off is it?

| file | idea |
|---|---|
| `reading.py` | any matrix as one canonical CSR |
| `axis_space.py` | what the taps of one dimension span, and the projection onto it |
| `nearest.py` | the nearest convolution, and the energy in three parts |
| `output_shapes.py` | which output shapes the rows could have |
| `fibres.py` | support and samples of a matrix along one dimension |
| `axis_forms.py` | candidate forms along one dimension, smallest first |
| `kernel.py` | the kernel read off the matrix |
| `difference.py` | the first entry that differs, in words |
| `search.py` | the search at one output shape |
| `recognize.py` | the answer, or the refusal |
"""

from convlin.structure.nearest import Energy, NearestConv, nearest
from convlin.structure.recognize import Candidate, Recognized, recognize

__all__ = ["Candidate", "Energy", "NearestConv", "Recognized", "nearest", "recognize"]
