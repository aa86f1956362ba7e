"""A scheduler or a worker of a local cluster, that ends when whoever started it does."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time

__all__ = ["main"]

# Seconds to end in good order, and then the hard way.
ORDERLY = 2.0


def main() -> None:
    """Run the command of Dask's that the first argument names, with the others."""
    threading.Thread(target=_watch, daemon=True).start()
    module = importlib.import_module(f"distributed.cli.dask_{sys.argv.pop(1)}")
    module.main()


def _watch() -> None:
    """Wait until nobody is at the other end of the standard input."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORDERLY)
    os._exit(1)
