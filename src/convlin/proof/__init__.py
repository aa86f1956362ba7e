"""Exact proofs that two layers are equal, and audits of anybody's conversion.

| file | idea |
|---|---|
| `identity.py` | `prove`: two given modules, every input |
| `audit.py` | `audit`: anybody's conversion, every weight and every input |
| `entrance.py` | what the judge is asked, before anything runs |
| `trial.py`, `sides.py` | layers of whole numbers, and what both sides make of them |
| `contract.py`, `gradient.py` | what a conversion must keep, gradients too |
| `ways.py` | batches, memory layouts and grad modes: the ways to hand an input over |
| `whole.py`, `alike.py` | where whole numbers are exact; given modules in their own dtype |
| `same.py` | two programs that are one |
| `verdict.py` | proved, rounded, refuted, measured |
| `watch.py`, `storage.py` | which operations ran, and what their results are |
| `listed.py`, `algebra.py` | operations whose results are known; how large these can be |
| `operation.py`, `torch_kernel.py` | one operation by its arguments; which kernel runs it |
| `guard.py`, `remembered.py` | what goes past the watch; what a program remembers |
| `modular.py`, `residues.py`, `draws.py` | residues of floats modulo random primes |
| `twins.py` | the same module with other numbers in it |
| `real.py`, `rounding.py` | the modules' own dtype, and Higham's bound |
| `magnitudes.py` | a program run on magnitudes: what its roundings add up to |
| `merges.py` | merged layers: rounded, computed in their dtype, or wrong |
| `through_layers.py` | how far rounding can take a network, layer by layer |
| `last_places.py` | two affine functions, weight by weight: is one the other, rounded? |
| `sensitivity.py` | how far rounding alone can move a program |
| `outcome.py`, `counterexample.py` | what a run gave; the smallest difference |

A verdict's scope names what was varied from draw to draw, and the dtypes in which the two sides are
equal. Of modules with more than 4 million weights only the first draw goes through all ways to hand
an input over ("each once"): a difference that shows in one of them alone is missed with one draw's
probability.

Everything else is taken as it is when the proof is asked for, and nothing is claimed of other
settings: batches and strides that the scope does not name, inputs of a class of their own or
written to before, autocast, the default dtype, threads, deterministic algorithms, kernels switched
off, whether parameters learn; nor of programs that ask for a clock, an environment variable, a
file, their caller or whether they are compiled, or whose hooks count or wait for a gradient.

The judge shares no mathematics with the accused: nothing here knows how an exchange works.
"""

from convlin.proof.audit import audit
from convlin.proof.identity import prove
from convlin.proof.verdict import (
    Counterexample,
    Measured,
    OwnDraws,
    Proved,
    Refuted,
    Rounded,
    Rounding,
    Verdict,
)

__all__ = [
    "Counterexample",
    "Measured",
    "OwnDraws",
    "Proved",
    "Refuted",
    "Rounded",
    "Rounding",
    "Verdict",
    "audit",
    "prove",
]
