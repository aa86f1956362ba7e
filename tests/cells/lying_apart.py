"""Runs lying as they do in float32 on the CPU, but in float64, where rounding hides nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from convlin.models.cells.running import Running

__all__ = ["lying_apart"]


@contextmanager
def lying_apart() -> Iterator[None]:
    """Lay the runs of a group side by side whatever the dtype."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Running, "dilates", True)
        yield
