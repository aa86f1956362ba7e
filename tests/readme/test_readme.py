"""The README's code runs, and what it shows is what comes out.

Python blocks are doctests in one session. Console blocks run `convlin`: the first in a process of
its own, as `refresh_readme.py` does, the others here. All its words and numbers are compared, but
for times, and the last digits of what was rounded.
"""

import doctest
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from refresh_readme import BLOCK, README, printed
from typer.testing import CliRunner

from convlin.cli import app
from readme.shown import NUMBER, differences, parted

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


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=[c for c, _ in COMMANDS])
def test_console_blocks(command, shown, tmp_path, monkeypatch):
    if command == COMMANDS[0][0]:
        assert differences(shown, printed(command)) == []
        return
    monkeypatch.chdir(tmp_path)
    environment = {"COLUMNS": "88", "NO_COLOR": "1"}
    result = CliRunner(env=environment).invoke(app, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    assert differences(shown, result.stdout) == []


@pytest.mark.parametrize("shown", [shown for _, shown in COMMANDS], ids=[c for c, _ in COMMANDS])
def test_a_wrong_number_is_noticed(shown):
    """Every number of a block, one after the other: another digit, and another size."""
    unnoticed = []
    for number in re.finditer(NUMBER, shown):
        start, stop = number.span()
        digit = next(i for i in range(start, stop) if shown[i].isdigit())
        other = shown[:digit] + str((int(shown[digit]) + 5) % 10) + shown[digit + 1 :]
        larger = shown[:start] + "999" + shown[start:]
        assert differences(shown, shown) == []
        if not differences(shown, other) or not differences(shown, larger):
            unnoticed.append(number[0])
    words, sizes = parted(shown)
    free = sum(word.strip("(),;") == "time" for word in words) + len(sizes)
    assert len(unnoticed) <= free, unnoticed
    assert free <= 20  # of 105 numbers of the demo, and fewer elsewhere


def test_what_is_measured_may_differ_by_as_much_and_no_more():
    text = "off by at most {} (1.2e-07 of the largest score)"
    assert differences(text.format("7.6e-06"), text.format("2.2e-05")) == []
    assert differences(text.format("7.6e-06"), text.format("2.2e-04")) != []
    for wrong in ("12.3% right", "16.1 M"):
        assert differences("99.3% right", wrong) != [] != differences("61.1 M", wrong)


def test_every_dependency_has_its_line():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[<>=\[]", entry)[0] for entry in project["dependencies"]}
    rows = set(re.findall(r"^\| ([\w-]+) \| ", TEXT, flags=re.MULTILINE))
    assert names <= rows


def test_the_test_command_is_the_one_ci_runs():
    assert "\nmake test | tee" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "$ make test" in TEXT
