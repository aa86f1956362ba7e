"""What scans, bands and passes take in a process of their own: run as a script, this file is one.

It does what its first argument names, once it has done it on a small image, and prints as JSON what
that took. Peaks are the kernel's account of the process's own memory: what `getrusage` tells is the
highest of the process and of the one that started it.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from memory import resident
from torch import Tensor, nn

import convlin
from convlin.models.bands import BandedNetwork

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "scan")]

Work = Callable[[], object]


def network(name: str) -> convlin.FullyConvolutional:
    """Return a net as its dense network, which pads at the image's border alone."""
    if name == "MobileNetV2":
        from torchvision.models import mobilenet_v2

        torch.manual_seed(0)
        model: nn.Module = mobilenet_v2(weights=None).eval()
    else:
        from trained_net import efficientnet_lite0

        model = efficientnet_lite0()
    return convlin.fully_convolutional(model, allow_inexact=True, proofs=False, check=False)


@torch.inference_mode()
def in_one_pass(dense: convlin.FullyConvolutional, image: Tensor) -> Tensor:
    """Return what a network gives of an image."""
    return dense(image)


@torch.inference_mode()
def in_bands(banded: BandedNetwork, image: Tensor, band: int) -> Tensor:
    """Return what a network gives of an image, band by band."""
    going = banded.start(tuple(image.shape[2:]))
    return torch.cat([going.push(rows)[0] for rows in image.split(band, 2)], 2)


def one_network(name: str, rows: str, width: str, band: str) -> Work:
    """Return a network's run on noise in bands of so many rows, or in one pass for 0 of them."""
    dense, image = network(name), torch.rand(1, 3, int(rows), int(width))
    work = partial(in_one_pass, dense)
    if int(band):
        work = partial(in_bands, BandedNetwork(dense), band=int(band))
    work(image[..., :256, :256].contiguous())
    return partial(work, image)


def digits(source: str, out: str) -> Work:
    """Return the digit net's scan."""
    from scanned_nets import trained_digits

    scan = partial(
        convlin.scan, trained_digits(), source, window=(1, 8, 8), semantics="window",
        classes=(3, 8), dtype="float16", memory="2GB", check=False,
    )  # fmt: skip
    scan(region=((0, 512), (0, 512)))
    return partial(scan, out)


def relief_scan(source: str, out: str) -> Work:
    """Return EfficientNet-Lite0's scan, of pixels as it takes them."""
    from trained_net import efficientnet_lite0

    scan = partial(
        convlin.scan, efficientnet_lite0(), source, semantics="image", mean=127 / 255,
        std=128 / 255, memory="2GB", check=False,
    )  # fmt: skip
    scan(region=((0, 512), (0, 1024)))
    return partial(scan, out)


def relief_pass(source: str, out: str) -> Work:
    """Return EfficientNet-Lite0's pass over the whole image; it goes first where memory ends."""
    import rasterio

    Path("/proc/self/oom_score_adj").write_text("1000")
    dense = network("EfficientNet-Lite0")
    with rasterio.open(source) as file:
        image = torch.from_numpy(file.read())[None].float().sub_(127).div_(128)
    in_one_pass(dense, image[..., :512, :1024].contiguous())
    return lambda: np.save(out, in_one_pass(dense, image)[0].numpy())


WORK: dict[str, Callable[..., Work]] = {
    "network": one_network, "digits": digits, "relief": relief_scan, "whole": relief_pass,
}  # fmt: skip


def fresh(*arguments: str) -> dict[str, float]:
    """Return what a fresh process measures: see `measured`."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(work: Work) -> dict[str, float]:
    """Return seconds by the clock and of the CPU, the peak, and what was added to what was there.

    The peak is that of the process so far, imports and all.
    """
    ctypes.CDLL(None).malloc_trim(0)
    earlier, before = resident("VmHWM"), resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    peak = resident("VmHWM")
    return {"seconds": clock, "cpu": cpu, "peak": max(earlier, peak), "grown": peak - before}


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    print(json.dumps(measured(WORK[what](*rest))))
