"""Run the README's `convlin` commands again and put what they print under them.

    python scripts/refresh_readme.py

The tests run the same commands and compare, numbers apart.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"^```console\n\$ (convlin [^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def printed(command: str) -> str:
    """Return what a `convlin` command prints into a pipe 88 columns wide."""
    program = [sys.executable, "-m", "convlin", *shlex.split(command)[1:]]
    environment = {**os.environ, "COLUMNS": "88", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            program, capture_output=True, text=True, cwd=folder, env=environment, check=False
        )
    if done.returncode == 2:
        raise SystemExit(done.stderr)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def refreshed(text: str) -> str:
    """Return the README with every console block's output as it is now."""
    return BLOCK.sub(lambda found: f"```console\n$ {found[1]}\n{printed(found[1])}\n```", text)


if __name__ == "__main__":
    README.write_text(refreshed(README.read_text(encoding="utf-8")), encoding="utf-8")
