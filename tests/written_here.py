"""What `convert` checks in a new process, checked here: without the seconds to import PyTorch."""

import io
import subprocess
from contextlib import redirect_stdout
from types import SimpleNamespace

from convlin.models.dense import run_program, written

__all__ = ["check_here"]


def check_here(monkeypatch):
    """Let written programs be loaded and run in this process."""
    monkeypatch.setattr(written, "subprocess", SimpleNamespace(run=_run))


def _run(command, **_):
    with redirect_stdout(io.TextIOWrapper(io.BytesIO())) as stdout:
        run_program.main(*command[command.index(run_program.__file__) + 1 :])
    return subprocess.CompletedProcess(command, 0, stdout.buffer.getvalue(), b"")
