"""`convlin scan` as processes of their own: run, killed, gone on with, and compared."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from safetensors.torch import save_file
from scanned_nets import trained_digits

HERE = Path(__file__).parent


def written(folder, shape=(1200, 900)):
    """Write the digit net's weights and an image of noise; return the command that scans it."""
    save_file(trained_digits().state_dict(), folder / "digits.safetensors")
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    np.save(folder / "image.npy", image)
    return [
        "scanned_nets:digit_net", str(folder / "image.npy"), "--weights",
        str(folder / "digits.safetensors"), "--window", "1,8,8", "--semantics", "window",
        "--stride", "2", "--task", "16,447", "--threads", "1", "--no-check",
    ]  # fmt: skip


def start(arguments, out, *more, **options):
    """Start `convlin scan` without waiting."""
    command = [sys.executable, "-m", "convlin", "scan", *arguments, "-o", str(out), *more]
    return subprocess.Popen(
        command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def run(arguments, out, *more, **options):
    """Run it to its end; return its exit code and what it said."""
    process = start(arguments, out, *more, **options)
    said, errors = process.communicate(timeout=300)
    return process.returncode, said + errors


def files(out):
    """Return every file below a folder, with its bytes."""
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def markers(out):
    """Return how many tasks are marked as done."""
    found = 0
    for _, _, names in os.walk(out):
        found += sum(name.removesuffix(".json").isdecimal() for name in names)
    return found


def wait_for(condition, seconds=60):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.002)


def kill(pid):
    """End a process at once, and those that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        os.kill(pid, signal.SIGKILL)
