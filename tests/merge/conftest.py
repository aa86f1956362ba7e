"""What the tests of merges share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Let no second thread wait for maps of nine pixels."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
