"""What rounding does: one unit roundoff and one γₙ for every room above. No array library.

| file | idea |
|---|---|
| `roundoff.py` | the unit roundoff of a dtype, and what n roundings amount to |
"""
