"""What the tests of the judge share."""

import pytest
import torch


@pytest.fixture
def one_thread():
    """Run thousands of tiny programs: their sums are too small to share among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
