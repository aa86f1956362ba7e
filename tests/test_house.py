"""The house is easy to find one's way in: short paths, and a name that occurs once says what it is."""

import collections
import re
from pathlib import Path

import pytest

import convlin

ROOT = Path(convlin.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
DEEPEST = 4  # parts of a path below `convlin`
SAME_BY_FOLDER = {
    "cli": "a command is called like the function that it calls",
    "teach/lessons": "a lesson, in the words of a language",
    "teach/numbers": "the same lesson's numbers",
}


def test_no_path_is_deep():
    assert [str(file) for file in FILES if len(file.parts) > DEEPEST] == []


def test_a_basename_occurs_once_unless_its_folder_says_which():
    named = collections.Counter(
        file.name
        for file in FILES
        if file.name != "__init__.py" and file.parent.as_posix() not in SAME_BY_FOLDER
    )
    assert [name for name, count in named.items() if count > 1] == []


PLAIN = (
    "costs",
    "exchange",
    "geometry",
    "matrix",
    "numerics",
    "solutions",
    "spectrum",
    "structure",
)
MARKUP = re.compile(r"</?(?:table|thead|tbody|t[rdh]|span|div|p|b|svg|path)\b[^>]*>|\[/?bold\b")


@pytest.mark.parametrize("room", sorted({f.parent for f in FILES}), ids=lambda r: r.as_posix())
def test_a_rooms_own_map_names_its_files(room):
    """Where a room's docstring has a map, it names every file of the room, and no other."""
    text = (ROOT / room / "__init__.py").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    named = re.findall(r"`([\w/]+\.py)`", "\n".join(row.split("|")[1] for row in rows))
    assert [name for name in named if not (ROOT / room / name).exists()] == []
    files = {file.name for file in FILES if file.parent == room} - {"__init__.py"}
    assert not rows or files - {name for name in named if "/" not in name} == set()


def test_the_map_of_the_readme_names_every_room():
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    rooms = {file.parts[0] for file in FILES if len(file.parts) > 1}
    assert {room for room in rooms if f"(src/convlin/{room})" not in readme} == set()
    for path in re.findall(r"\]\((src/[^)#]+)\)", readme):
        assert (Path(__file__).parents[1] / path).exists(), path


def test_what_contributing_names_is_there():
    root = Path(__file__).parents[1]
    text = (root / "CONTRIBUTING.md").read_text("utf-8")
    paths = re.findall(r"`((?:src|tests|scripts)/[\w/.]+)`", text)
    assert len(paths) > 10
    assert [path for path in paths if not (root / path).exists()] == []
