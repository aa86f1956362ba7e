"""What a source says that it takes covers what was measured, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from measured_sources import KINDS, write

import convlin

# Bytes that a process takes besides while it reads anything: threads, pages of libraries.
SLACK = 4 * 2**20


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    write(folder)
    script = Path(__file__).with_name("measured_sources.py")
    environment = os.environ | {
        "PYTHONPATH": str(Path(convlin.__file__).parents[1]), "OMP_NUM_THREADS": "1"
    }  # fmt: skip
    command = [sys.executable, str(script), str(folder)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    return {line["kind"]: (line["says"], line["takes"]) for line in lines}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_source_says_that_it_takes_covers_it(kind, measured):
    says, takes = measured[kind]
    assert takes <= says + SLACK
    # and is no number that anything would fit in
    assert says <= 4 * takes + 48 * 2**20
