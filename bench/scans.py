"""Images of any size: bands beside one pass, windows beside batches of them, seams, and flat time.

Peaks of memory are those of fresh processes: run as a script, this file is one, which does what its
first argument names and prints what it took as JSON. A side of 0 is the real relief of the Earth.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.table import Table
from tables import console, show_race
from torch import Tensor, nn

import convlin
from convlin.models.bands import BandedNetwork

ROOT = Path(__file__).parents[1]
BAND = 64
NETS = {"MobileNetV2": (2048, 4096), "EfficientNet-Lite0": (2048, 2048)}
SIZES = ((2500, 2000), (5000, 4000), (10_000, 8000), (20_000, 15_000))
WINDOWS = (1024, 224, 32)  # image, window, stride
BATCH = 32
NEEDS = 22 * 10**9  # bytes of one pass over the relief
DIFFERS = 1e-6  # of the largest score


def network(name: str) -> convlin.FullyConvolutional:
    """Return a net as its dense network, equal to it at the window."""
    if name == "MobileNetV2":
        from torchvision.models import mobilenet_v2

        torch.manual_seed(0)
        model: nn.Module = mobilenet_v2(weights=None).eval()
    else:
        sys.path.insert(0, str(ROOT / "tests"))
        from trained_net import efficientnet_lite0

        model = efficientnet_lite0()
    return convlin.fully_convolutional(model, allow_inexact=True, proofs=False, check=False)


def in_bands(banded: BandedNetwork, image: Tensor) -> Tensor:
    """Return what a network gives of an image, band by band."""
    run = banded.start(tuple(image.shape[2:]))
    rows = [run.push(part)[0] for part in image.split(BAND, 2)]
    return torch.cat(rows, 2)


def races() -> None:
    """Bands and one pass by turns, and what each adds to a fresh process."""
    for name, size in NETS.items():
        dense = network(name)
        banded, image = BandedNetwork(dense), torch.rand(1, 3, *size)
        with torch.inference_mode():
            contenders = {
                "one pass": lambda dense=dense, image=image: dense(image),
                f"bands of {BAND} rows": lambda b=banded, image=image: in_bands(b, image),
            }
            show_race(f"{name}, {size[0]}×{size[1]}", contenders, 5)
        peaks = {how: child(how, name, *map(str, size))["grown"] for how in ("pass", "bands")}
        console.print(
            f"  peak beyond weights and image: one pass {peaks['pass'] / 2**20:,.0f} MiB, "
            f"bands {peaks['bands'] / 2**20:,.0f} MiB\n"
        )


def windows() -> None:
    """`scan` of each window's own scores beside plain batches of windows, in channels_last."""
    from torchvision.models import resnet18

    side, window, stride = WINDOWS
    torch.manual_seed(0)
    model = resnet18(weights=None).eval().to(memory_format=torch.channels_last)
    image = np.random.default_rng(0).random((3, side, side), np.float32)
    crops = torch.from_numpy(image)[None].unfold(2, window, stride).unfold(3, window, stride)
    crops = crops.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)

    def batches() -> None:
        with torch.inference_mode():
            for some in crops.split(BATCH):
                model(some.contiguous(memory_format=torch.channels_last))

    def scanned() -> None:
        convlin.scan(model, image, stride=stride, semantics="window", check=False)

    title = f"ResNet-18, {len(crops)} windows of {side}×{side}: scan plans, reads and stores too"
    show_race(title, {f"batches of {BATCH}": batches, "scan": scanned}, 3)


def seams() -> None:
    """Tiles that are blended beside the whole image: MONAI's, and a scan in tasks."""
    from monai.inferers import sliding_window_inference

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 1, 3, padding=1),
    ).eval()  # fmt: skip
    image = torch.rand(1, 1, 256, 320)
    with torch.inference_mode():
        whole = net(image)
        theirs = sliding_window_inference(image, (64, 64), 4, net, overlap=0.25)
    # at a window of one pixel the network is the net itself, whose scores are one a pixel
    made = convlin.scan(
        net, image[0].numpy(), window=(1, 1, 1), semantics="image", task=(37, 61), band=16,
        check=False,
    )  # fmt: skip
    ours = torch.from_numpy(made["scores"])[None]
    table = Table(title="a padded net against one pass over the whole image", title_justify="left")
    for column in ("tiles", "pixels that differ", "by at most, of the largest"):
        table.add_column(column, justify="left" if column == "tiles" else "right")
    drawn = {}
    for name, found in (("MONAI, 64×64, overlap 0.25", theirs), ("scan, tasks of 37×61", ours)):
        off = (found - whole).abs() / whole.abs().max()
        table.add_row(
            name, f"{float((off > DIFFERS).float().mean()):.1%}", f"{float(off.max()):.1e}"
        )
        drawn[name] = off[0, 0].numpy()
    console.print(table)
    draw(drawn)


def draw(differences: dict[str, np.ndarray]) -> None:
    """Write the differences side by side, in one scale."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(differences), figsize=(11, 4), layout="constrained")
    top = max(float(off.max()) for off in differences.values())
    for axis, (name, off) in zip(axes, differences.items(), strict=True):
        shown = axis.imshow(off, cmap="viridis", vmin=0, vmax=top)
        axis.set(title=name, xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, label="off by, of the largest score")
    (ROOT / "out").mkdir(exist_ok=True)
    figure.savefig(ROOT / "out" / "seams.png", dpi=110)
    console.print("[dim]wrote out/seams.png[/]\n")


def flat() -> None:
    """Scan a synthetic Zarr of four sizes by the digit net: time for each megapixel, and peaks."""
    import zarr

    table = Table(title="digit net from Zarr, memory 2 GB", title_justify="left")
    for column in ("pixels", "seconds", "seconds per megapixel", "peak"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        for rows, columns in SIZES:
            path = f"{folder}/{rows}.zarr"
            array = zarr.create_array(path, shape=(rows, columns), chunks=(512, 512), dtype="u1")
            some = np.random.default_rng(0).integers(0, 256, (512, columns), np.uint8)
            for first in range(0, rows, 512):
                array[first : first + 512] = some[: rows - first]
            its = child("digits", path, f"{folder}/{rows}.scores")
            million = rows * columns / 1e6
            table.add_row(
                f"{rows:,}×{columns:,}", f"{its['seconds']:.1f}",
                f"{its['seconds'] / million:.4f}", f"{its['peak'] / 1e9:.2f} GB",
            )  # fmt: skip
    console.print(table)


def relief() -> None:
    """Scan the relief of the Earth by EfficientNet-Lite0, and run it in one pass if that fits."""
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, str(ROOT / "tests" / "scan"))
        sys.path.insert(0, str(ROOT / "tests"))
        from test_real_scans import relief as written

        source, _ = written(Path(folder), 5400, 10_800)
        its = child("relief", str(source), f"{folder}/scores.zarr")
        said = f"scan {its['seconds']:.0f} s, peak {its['peak'] / 1e9:.2f} GB"
        free = int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) * 1024
        if free > NEEDS:
            one = child("pass", "EfficientNet-Lite0", "5400", "10800")
            ratio = its["seconds"] / one["seconds"]
            said += (
                f"; one pass {one['seconds']:.0f} s, peak {one['peak'] / 1e9:.1f} GB: {ratio:.2f}×"
            )
        else:
            said += f"; one pass not run: {free / 1e9:.0f} GB are free"
    console.print(f"relief of the Earth, 10,800×5,400, EfficientNet-Lite0: {said}\n")


def child(*arguments: str) -> dict[str, float]:
    """Return what a fresh process measures."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(what: str, *arguments: str) -> None:
    """Do one thing, and print seconds, the peak, and what it added to what was there before."""
    sys.path[:0] = [str(ROOT / "tests" / "scan"), str(ROOT / "tests")]
    run = digits_or_relief if what in ("digits", "relief") else passes
    before, started = run(what, *arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak": peak, "grown": peak - before}))


def passes(how: str, name: str, rows: str, columns: str) -> tuple[int, float]:
    """Run a network on an image of noise in one pass, or in bands."""
    dense = network(name)
    banded, image = BandedNetwork(dense), torch.rand(1, 3, int(rows), int(columns))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    started = time.perf_counter()
    with torch.inference_mode():
        dense(image) if how == "pass" else in_bands(banded, image)
    return before, started


def digits_or_relief(what: str, source: str, out: str) -> tuple[int, float]:
    """Scan a source in this process."""
    started = time.perf_counter()
    options = {"memory": "2GB", "check": False}
    if what == "digits":
        from scanned_nets import trained_digits

        convlin.scan(
            trained_digits(), source, out, window=(1, 8, 8), semantics="window", classes=(3, 8),
            dtype="float16", **options,
        )  # fmt: skip
    else:
        from trained_net import efficientnet_lite0

        convlin.scan(
            efficientnet_lite0(), source, out, semantics="image", mean=127 / 255, std=128 / 255,
            **options,
        )  # fmt: skip
    return 0, started


def run() -> None:
    """Print all of it."""
    races()
    windows()
    seams()
    flat()
    relief()


if __name__ == "__main__":
    measured(*sys.argv[1:])
