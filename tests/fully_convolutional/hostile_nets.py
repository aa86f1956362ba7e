"""All networks that a tracer may read wrong, by name."""

import hostile_aliases
import hostile_batches
import hostile_code
import hostile_joins
import hostile_layers
import hostile_names
import hostile_state
import hostile_writes
import made_tensors
import ordinary_heads
import ordinary_outputs

ROOMS = (
    hostile_code, hostile_state, hostile_aliases, hostile_writes, made_tensors, ordinary_heads,
    ordinary_outputs, hostile_joins, hostile_batches, hostile_names, hostile_layers,
)  # fmt: skip
CASES = {name: case for room in ROOMS for name, case in room.CASES.items()}
if len(CASES) < sum(len(room.CASES) for room in ROOMS):
    raise ValueError("two networks have one name")


def one_alias():
    """Return a classifier for the command line, as the next two do."""
    return CASES["alias-iadd"].build()


def normalising():
    return CASES["normalised-mean-and-std"].build()


def tokens():
    return CASES["tokens-mlp"].build()
