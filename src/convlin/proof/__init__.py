"""Exact proofs that two layers are equal, and audits of anybody's conversion.

| file | idea |
|---|---|
| `identity.py` | `prove`: two given modules, every input |
| `audit.py` | `audit`: anybody's conversion, every weight and every input |
| `trial.py`, `sides.py`, `contract.py` | layers of whole numbers; what a conversion must keep |
| `ways.py` | batches, memory layouts and grad modes: the ways to hand an input over |
| `whole.py`, `alike.py` | where whole numbers are exact; given modules in their own dtype |
| `same.py` | two programs that are one |
| `verdict.py` | proved, refuted, measured |
| `watch.py`, `algebra.py`, `storage.py` | which operations ran, how large their results can be |
| `operation.py`, `torch_kernel.py` | one operation by its arguments; which kernel runs it |
| `guard.py`, `remembered.py` | what goes past the watch; what a program remembers |
| `modular.py`, `residues.py`, `draws.py` | residues of floats modulo random primes |
| `twins.py` | the same module with other numbers in it |
| `real.py`, `rounding.py` | the modules' own dtype, and Higham's bound |
| `sensitivity.py` | how far rounding alone can move a program |
| `outcome.py`, `counterexample.py` | what a run gave; the smallest difference |

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
    Rounding,
    Verdict,
)

__all__ = [
    "Counterexample",
    "Measured",
    "OwnDraws",
    "Proved",
    "Refuted",
    "Rounding",
    "Verdict",
    "audit",
    "prove",
]
