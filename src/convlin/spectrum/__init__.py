"""The singular values of a convolution's matrix: what it does to the length of its inputs.

| file | idea |
|---|---|
| `circular.py` | the circular convolution of which a convolution is a part |
| `frequencies.py` | a circular convolution is one small matrix per frequency |
| `lanczos.py` | the largest singular values from products alone |
| `beside.py` | that there are no larger ones beside those in hand |
| `multiplied.py` | which way the products run, and what vectors take |
| `largest.py` | the largest one, with its vectors |
| `norm_bound.py` | a certified upper bound of the norm, at any geometry |
| `tolerance.py` | how far a computed singular value may be off |
| `near_one.py` | weights in double precision, over a power of two |
| `values.py` | `Spectrum`: which way for which matrix, and the values |
"""

from convlin.spectrum.largest import largest
from convlin.spectrum.norm_bound import norm_bound
from convlin.spectrum.values import Spectrum, spectrum

__all__ = ["Spectrum", "largest", "norm_bound", "spectrum"]
