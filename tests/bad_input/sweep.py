"""Call every public function with every bad value in place of each argument, in a bare interpreter.

Run as a script, so that nothing checks types before convlin does, and a crash, an endless loop or
an allocation of petabytes ends this process and no test. Prints one JSON line a call that ended in
anything but a value or a `ConvlinError` of a few short lines, and the number of calls at the end.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch
from calls import CALLS
from values import VALUES

from convlin import ConvlinError

SECONDS = 10  # for one call
MEMORY = 4 * 2**30  # more than a call may take: twice the default limit of a matrix


class Endless(BaseException):
    """No answer in time."""


def too_long(*_: object) -> None:
    raise Endless


def outcome(function: object, arguments: dict[str, object]) -> str:
    """Return "" for a value, "refused" for a clear answer, else what was raised."""
    signal.alarm(SECONDS)
    faulthandler.dump_traceback_later(2 * SECONDS, exit=True)  # no signal ends a loop in C
    try:
        function(**arguments)
    except BaseException as error:
        signal.alarm(0)
        if isinstance(error, ConvlinError):
            return clear(error)
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
        return f"{type(error).__name__}: {str(error)[:100]} ({where})"
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
    return ""


def clear(error: ConvlinError) -> str:
    """Return "refused" for a message of a few short lines."""
    try:
        lines = str(error).splitlines()
    except Exception as unshown:
        return f"a refusal that cannot be shown: {unshown}"
    short = 0 < len(lines) < 20 and all(0 < len(line) < 1200 for line in lines)
    return "refused" if short else f"an unclear refusal of {len(lines)} lines"


def main(names: list[str], show: bool = False) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_long)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    calls = 0
    for name in names or CALLS:
        function, good = CALLS[name]()
        ended = outcome(function, good)
        if ended:
            print(json.dumps([name, "", "its own arguments", ended]), flush=True)
        for parameter in good:
            for label, make in VALUES.items():
                function, arguments = CALLS[name]()
                arguments[parameter] = make()
                ended = outcome(function, arguments)
                calls += 1
                if ended not in ("", "refused") or show:
                    print(json.dumps([name, parameter, label, ended]), flush=True)
    print(json.dumps({"calls": calls}), flush=True)


if __name__ == "__main__":
    os.chdir(gone := tempfile.mkdtemp())  # some calls write a file of any name
    atexit.register(shutil.rmtree, gone)
    main([name for name in sys.argv[1:] if name != "--show"], "--show" in sys.argv)
