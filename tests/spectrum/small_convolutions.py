"""Random convolutions whose matrix is small enough for a dense decomposition in milliseconds."""

import math

from hypothesis import strategies as st

from convlin import unroll
from geometry_strategies import convolutions


def _small(case):
    layer, size = case
    return math.prod(unroll(layer, size).shape) < 2**17


SMALL = st.one_of(convolutions(max_kernel=4), convolutions(transposed=True, max_kernel=4)).filter(
    _small
)
