"""A plan promises no less memory than the run takes: measured in a process of its own."""

import subprocess
import sys
import textwrap

import pytest

PEAK = """
    import sys
    from pathlib import Path

    import torch
    from torch import nn
    from convlin import sliding_window

    def memory(field):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024

    def block(into, out):
        return nn.Conv2d(into, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)

    torch.set_num_threads(1)
    model = nn.Sequential(
        *block(3, 16), *block(16, 32), *block(32, 64), nn.AdaptiveAvgPool2d(7), nn.Flatten(),
        nn.Linear(64 * 49, 256), nn.ReLU(), nn.Linear(256, 10),
    ).eval()
    windows = sliding_window(model, (3, 112, 112), stride=8, memory=int(sys.argv[1]), check=False)
    side = int(sys.argv[2])
    plan = windows.plan((side, side))
    with torch.inference_mode():
        windows(torch.rand(1, 3, 112, 112))  # libraries set themselves up
        images = torch.rand(1, 3, side, side)
        scores = torch.ones(1, 10, *plan.cells)
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
        before = memory("VmRSS:")
        scores = windows(images)
    print(memory("VmHWM:") - before, plan.memory, max(plan.tiles))
"""


@pytest.mark.parametrize(("memory", "side"), [(96 << 20, 768), (512 << 20, 768)])
def test_a_run_takes_no_more_than_its_plan_says(memory, side):
    command = [sys.executable, "-c", textwrap.dedent(PEAK), str(memory), str(side)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, planned, tiles = map(int, run.stdout.split())
    assert planned <= memory
    assert (tiles > 1) == (memory < 200 << 20)
    assert planned / 8 < peak < planned, (peak, planned)
