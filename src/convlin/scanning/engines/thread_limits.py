"""So many threads a process, whatever library starts them.

Several processes that each start as many threads as there are cores are slower than one. Libraries
read the environment when they are loaded; those that are loaded already are told.
"""

from __future__ import annotations

import sys

__all__ = ["limit", "variables"]

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def variables(threads: int) -> dict[str, str]:
    """Return the environment of a process that may use so many threads.

    >>> variables(2)["OMP_NUM_THREADS"]
    '2'
    """
    return dict.fromkeys(VARIABLES, str(threads))


def limit(threads: int) -> None:
    """Hold this process to so many threads from now on; for processes of convlin's own."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    try:
        import zarr
    except ImportError:
        return
    # Its pool compresses chunks, and is made at the first use. Blosc, called there, starts none.
    zarr.config.set({"threading.max_workers": threads})
