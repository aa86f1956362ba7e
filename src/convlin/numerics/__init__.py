"""What rounding does, and where floats end: one u, one γₙ, one scaling. No array library.

| file | idea |
|---|---|
| `roundoff.py` | the unit roundoff of a dtype, and what n roundings amount to |
| `scaling.py` | one power of two taken out of numbers, and put back |
"""
