"""Numbers of bytes as people write them."""

import numpy as np
import pytest

from convlin.arguments import byte_count
from convlin.errors import Refused


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1000", 1000), ("7B", 7), ("2GB", 2 * 10**9), ("2 gb", 2 * 10**9), (" 3kB ", 3000),
        ("512MiB", 512 * 1024**2), ("1KiB", 1024), ("3TiB", 3 * 1024**4), ("1.5 MiB", 3 * 2**19),
        ("1.001GB", 1_001_000_000), (5, 5), (np.int64(6), 6),
    ],
)  # fmt: skip
def test_bytes_are_read_exactly(written, number):
    read = byte_count("plan", "memory", written)
    assert read == number and type(read) is int


@pytest.mark.parametrize(
    "written",
    ["", "x", "GB", "2G", "2iB", "-1GB", "0", "0.1B", "1.5", "1e9", "2 GB GB", "1\nGB", "９GB", "9" * 5000,
     None, True, 0, -1, 1.5, b"2GB", ["2GB"]],
)  # fmt: skip
def test_what_is_no_number_of_bytes_is_refused(written):
    with pytest.raises(Refused, match=r"^plan: memory is .*, expected bytes ≥ 1, such as 2GB or"):
        byte_count("plan", "memory", written)
