"""The README's code runs, and what it shows is what comes out.

Python blocks are doctests in one session. Console blocks run `convlin` itself; numbers, of which
many are measured there and then, are masked on both sides.
"""

import doctest
import re
import tomllib
from pathlib import Path

import pytest
from refresh_readme import BLOCK, README, printed

ROOT = Path(__file__).parents[2]
TEXT = README.read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
COMMANDS = BLOCK.findall(TEXT)


def test_there_is_code_to_run():
    assert len(PYTHON) >= 3
    assert len(COMMANDS) >= 2


def test_python_blocks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest("\n".join(PYTHON), {}, "README.md", "README.md", 0)
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    result = runner.run(test, out=report.append)
    assert result.attempted > 5
    assert not result.failed, "".join(report)


def masked(text):
    """Numbers masked, spaces and rules folded."""
    text = re.sub(r"\d[\d,]*(\.\d+)?(e[-+]?\d+)?", "#", text)
    return re.sub(r"[\s─━]+", " ", text).strip()


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=[c for c, _ in COMMANDS])
def test_console_blocks(command, shown):
    assert masked(printed(command)) == masked(shown)


def test_every_dependency_has_its_line():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[<>=\[]", entry)[0] for entry in project["dependencies"]}
    rows = set(re.findall(r"^\| ([\w-]+) \| ", TEXT, flags=re.MULTILINE))
    assert names <= rows


def test_the_test_command_is_the_one_ci_runs():
    assert "\nmake test | tee" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "$ make test" in TEXT
