"""Costs are counted before anything runs: against what a run keeps, computes and takes."""

import subprocess
import sys
import textwrap

import pytest
import torch
import torchvision
from facenet_pytorch.models.mtcnn import PNet
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convlin import fully_convolutional
from convlin.models.bands import BandedNetwork
from convlin.models.cells.peak_memory import ONCE


def banded(model, window):
    network = fully_convolutional(
        model.eval(), window, allow_inexact=True, proofs=False, check=False
    )
    return network, BandedNetwork(network)


@pytest.mark.parametrize(
    ("build", "window", "size"),
    [
        (torchvision.models.resnet18, (3, 64, 64), (300, 64)),
        (torchvision.models.densenet121, (3, 64, 64), (150, 64)),
        (PNet, (3, 12, 12), (201, 20)),
    ],
    ids=["resnet18", "densenet121", "pnet"],
)
@pytest.mark.parametrize("band", [7, 64])
def test_kept_bytes_are_those_of_the_run(build, window, size, band):
    _, bands = banded(build(), window)
    run, kept = bands.start(size), []
    for rows in torch.rand(1, 3, *size).split(band, dim=2):
        run.push(rows)
        kept.append(run.kept_bytes)
    assert bands.costs(size, band, torch.float32).kept_bytes == max(kept)


def test_multiply_adds_are_those_of_one_pass():
    network, bands = banded(torchvision.models.mobilenet_v2(), (3, 64, 64))
    size = (131, 97)
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        network(torch.rand(1, 3, *size))
    said = bands.costs(size, 16, torch.float32).multiply_adds
    assert 2 * said == counted.get_total_flops()


PEAK = """
    import sys
    from pathlib import Path

    import torch
    import torchvision
    from torch import nn
    from convlin import fully_convolutional
    from convlin.models.bands import BandedNetwork

    def memory(field):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024

    def volumes():
        return nn.Sequential(
            nn.Conv3d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2),
            nn.Conv3d(16, 24, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
            nn.Linear(24, 2),
        )

    nets = {"mobilenet_v2": torchvision.models.mobilenet_v2, "volumes": volumes,
            "densenet121": torchvision.models.densenet121}
    name, window, height, width, band, dtype = sys.argv[1:]
    window, size, band = eval(window), eval(f"({height}, *{width})"), int(band)
    torch.set_num_threads(1)
    dtype = getattr(torch, dtype)
    model = nets[name]().eval().to(dtype)
    network = fully_convolutional(
        model, (3, *window), allow_inexact=True, proofs=False, check=False
    )
    bands = BandedNetwork(network)
    rows = torch.rand(1, 3, band, *size[1:], dtype=dtype)
    said = bands.costs(size, band, dtype).peak_bytes
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    before = memory("VmRSS:")
    run = bands.start(size)
    while run.rows < size[0]:
        run.push(rows[:, :, : size[0] - run.rows])
    print(memory("VmHWM:") - before, said)
"""


@pytest.mark.parametrize(
    "case",
    [
        ("mobilenet_v2", "(64, 64)", 320, "(3000,)", 64, "float32"),
        ("densenet121", "(64, 64)", 96, "(1000,)", 32, "float32"),
        ("volumes", "(12, 12, 12)", 32, "(90, 90)", 8, "float32"),
        ("volumes", "(12, 12, 12)", 32, "(80, 80)", 8, "float64"),
    ],
    ids=lambda case: "-".join(map(str, case)),
)
def test_a_run_takes_no_more_than_its_costs_say(case):
    command = [sys.executable, "-c", textwrap.dedent(PEAK), *map(str, case)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, said = map(int, run.stdout.split())
    assert peak <= said <= ONCE + 2.5 * peak, (peak / 2**20, said / 2**20)


def test_wide_images_take_more_and_tall_ones_do_not():
    _, bands = banded(nn.Sequential(
        nn.Conv2d(3, 4, 5, padding=2), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(5 * 36, 2)
    ), (3, 8, 8))  # fmt: skip
    said = {
        size: bands.costs(size, 16, torch.float32)
        for size in ((1000, 500), (100_000, 500), (1000, 1000))
    }
    small, tall, wide = said.values()
    assert (tall.peak_bytes, tall.kept_bytes) == (small.peak_bytes, small.kept_bytes)
    assert tall.multiply_adds > 90 * small.multiply_adds
    # 4 rows of the image and 2 of the map behind it, 500 pixels wide, 4 bytes each
    assert small.kept_bytes == (4 * 3 + 2 * 4 + 5 * 5) * 500 * 4 - 5 * 5 * 2 * 4
    assert wide.kept_bytes > 1.9 * small.kept_bytes
