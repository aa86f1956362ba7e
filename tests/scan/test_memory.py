"""What `memory=` says is kept: each scan is a process of its own, whose peak is what it took."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent

RUN = """
import json, sys
options = json.loads(sys.argv[1])
from convlin.errors import Refused
from convlin.scanning.scan import scan
try:
    result = scan(**options)
except Refused as refused:
    print(json.dumps({"refused": str(refused)}))
else:
    # of this program alone: getrusage counts what its parent was before it became this one
    lines = open("/proc/self/status").read().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    print(json.dumps({"peak": peak, "planned": result.plan.memory.total, "task": result.plan.task}))
"""


def peak_of(tmp_path, **options):
    """Scan in a process of its own; return what it took, and what its plan said."""
    known = {"source": str(tmp_path / "image.npy"), "out": None, "check": False, "threads": 1}
    command = [sys.executable, "-c", RUN, json.dumps(known | options)]
    paths = {"PYTHONPATH": f"{HERE}:{HERE.parent}"}
    import os

    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | paths
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


CASES = {
    "mobilenet_v2, image": {
        "model": "torchvision.models:mobilenet_v2", "semantics": "image",
        "shape": (3, 1400, 3100),
    },
    "resnet18, window": {
        "model": "torchvision.models:resnet18", "semantics": "window", "stride": 96,
        "shape": (3, 900, 700),
    },
    "digits": {
        "model": "scanned_nets:digit_net", "semantics": "window", "window": (1, 8, 8),
        "shape": (1, 3000, 5000),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_scan_takes_what_it_may_or_says_at_once_what_it_needs(name, tmp_path):
    case = dict(CASES[name])
    shape = case.pop("shape")
    np.save(tmp_path / "image.npy", np.random.default_rng(0).random(shape, dtype=np.float32))
    least = _bytes(peak_of(tmp_path, memory="100MB", **case)["refused"])
    more = [int(1.02 * least) + 300 * 10**6] * (name != "digits")
    for limit in (int(1.02 * least), *more):
        its = peak_of(tmp_path, memory=limit, **case)
        assert its["peak"] <= limit and its["planned"] <= limit, its
        # a plan that says far too much would refuse what fits
        assert its["planned"] < 1.6 * its["peak"], its


def _bytes(refused):
    number, unit = re.search(r"expected ([\d.]+) ([kMG]B) or more", refused).groups()
    return int(float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit])
