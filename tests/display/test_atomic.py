"""The writer itself: whatever ends a block, the old file stays and the new one goes."""

from pathlib import Path

import pytest

from convlin import InputError
from convlin.display.atomic import replacing, write


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    "ends", [OSError(28, "No space"), MemoryError(), KeyboardInterrupt(), SystemExit(1), ValueError()]
)  # fmt: skip
def test_whatever_ends_the_block(tmp_path, ends, there):
    path = tmp_path / "a.bin"
    if there:
        path.write_bytes(b"mine")
    expected = InputError if isinstance(ends, OSError) else type(ends)
    with pytest.raises(expected), replacing(path) as file:
        file.write(b"half")
        raise ends
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([b"mine"] if there else [])


def test_it_can_be_read_before_it_has_its_name(tmp_path):
    path = tmp_path / "a.bin"
    with replacing(path) as file:
        file.write(b"whole")
        file.flush()
        assert Path(file.name).read_bytes() == b"whole" and file.name.endswith(".bin")
        assert not path.exists()
    assert path.read_bytes() == b"whole"


def test_without_force_what_is_there_stays(tmp_path):
    path = tmp_path / "a.bin"
    write(path, b"first", force=False)
    with pytest.raises(InputError, match="exists"):
        write(path, b"second", force=False)
    assert path.read_bytes() == b"first"
    write(path, b"third")
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"] and path.read_bytes() == b"third"
