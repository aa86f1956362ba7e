"""Shapes written in convlin's signatures are checked at every call the tests make."""

import gc
import os

from hypothesis import settings
from jaxtyping import install_import_hook

with install_import_hook("convlin", "beartype.beartype"):
    import convlin  # noqa: F401 - loaded here so that everything below it is checked

settings.register_profile("convlin", deadline=None, derandomize=True, print_blob=True)
# Other examples than CI's: --hypothesis-profile=seeded --hypothesis-seed=N
settings.register_profile("seeded", settings.get_profile("convlin"), derandomize=False)
settings.load_profile("convlin")

if "PYTEST_XDIST_WORKER" in os.environ:  # one thread a worker: workers share the cores
    import torch

    torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption(
        "--seeds", type=int, default=2, help="draw random lies, mutants and broken files so often"
    )


def pytest_collection_finish():
    """Keep the thousands of tests out of every later garbage collection."""
    gc.collect()
    gc.freeze()
