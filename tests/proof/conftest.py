"""What the tests of the judge share."""

import pytest
import torch


def pytest_generate_tests(metafunc):
    """Draw lies and reformulations from as many seeds as the command line asks for."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("seeds")))


@pytest.fixture
def one_thread():
    """Run thousands of tiny programs: their sums are too small to share among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
