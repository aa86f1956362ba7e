"""Images of any size: bands beside one pass, windows beside batches of them, seams, and flat time.

What is raced runs by turns in this process. Peaks of memory, and scans that take minutes, are those
of processes of their own (`fresh_scans.py`).
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fresh_scans import Work, fresh, in_bands, in_one_pass, network
from rich.table import Table
from tables import console
from timing import side_by_side
from torch import nn
from window_scores import Windows, padded

import convlin
from convlin.models.bands import BandedNetwork

OUT = Path(__file__).parents[1] / "out"
BANDS = (64, 256)  # rows
NETS = {"MobileNetV2": (2048, 4096), "EfficientNet-Lite0": (2048, 2048)}
STRIDE, BATCHES = 32, (16, 64, 128)
SIZES = ((2500, 2000), (5000, 4000), (10_000, 8000), (20_000, 15_000))
CHUNK = 512
RELIEF = (5400, 10_800)
NEEDS = 20 * 10**9  # bytes of one pass over the relief; 14 to 20 GB were seen
DIFFERS = 1e-6  # of the largest score


def run() -> None:
    """Print all of it."""
    races()
    windows()
    seams()
    flat()
    relief()


def columns(table: Table, first: str, *others: str) -> None:
    """Give a table its columns: words, then numbers."""
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right")


def race(title: str, contenders: Mapping[str, tuple[Work, float]], caption: str = "") -> None:
    """Time contenders by turns: each is so often done what its work does. The first is the unit."""
    with console.status(title):
        timings = side_by_side({name: work for name, (work, _) in contenders.items()}, rounds=5)
    first = timings[0]
    table = Table(title=title, title_justify="left", caption=caption or None)
    columns(table, "form", "clock", "CPU", "times faster", "quartiles", "of the CPU")
    for timing in timings:
        times, unit = contenders[timing.name][1], contenders[first.name][1]
        low, middle, high = (ratio * unit / times for ratio in timing.ratio)
        cpu = statistics.median(
            a / b for a, b in zip(first.cpu_seconds, timing.cpu_seconds, strict=True)
        )
        table.add_row(
            timing.name, f"{timing.median * times:.2f} s",
            f"{statistics.median(timing.cpu_seconds) * times:.2f} s",
            f"{middle:.2f}×", f"{low:.2f}–{high:.2f}", f"{cpu * unit / times:.2f}×",
        )  # fmt: skip
    console.print(table)


def races() -> None:
    """Bands and one pass by turns, and what each adds to a fresh process."""
    for name, size in NETS.items():
        dense, image = network(name), torch.rand(1, 3, *size)
        banded = BandedNetwork(dense)
        fast = network(name).to(memory_format=torch.channels_last)
        turned = image.contiguous(memory_format=torch.channels_last)
        contenders: dict[str, tuple[Work, float]] = {
            "one pass": (partial(in_one_pass, dense, image), 1),
            "one pass, channels_last": (partial(in_one_pass, fast, turned), 1),
        }
        for band in BANDS:
            contenders[f"bands of {band} rows"] = (partial(in_bands, banded, image, band), 1)
        race(f"{name}, {size[0]}×{size[1]}, float32", contenders)
        grown = [
            f"{f'bands of {band} rows' if band else 'one pass'} "
            f"{fresh('network', name, *map(str, (*size, band)))['grown'] / 2**20:,.0f} MiB"
            for band in (0, *BANDS)
        ]
        console.print(f"peak beyond weights and image: {', '.join(grown)}\n")


def windows() -> None:
    """`scan` of each window's own scores beside plain batches of windows, in channels_last."""
    net = padded("resnet18", (STRIDE,))
    torch.manual_seed(0)
    cut = Windows(net, net.build().eval(), torch.rand(1, net.window[0], net.image, net.image))
    with torch.inference_mode(), console.status("the best batch"):
        batch = cut.best_batch(BATCHES)
    shared = convlin.sliding_window(cut.fast, net.window, stride=STRIDE, check=False)
    many = shared.plan(net.image).windows
    scan = partial(
        convlin.scan, cut.fast, cut.image[0].numpy(), stride=STRIDE, semantics="window", check=False
    )
    with torch.inference_mode():
        race(
            f"ResNet-18, {many} windows of {net.image}×{net.image}, float32",
            {
                f"batches of {batch}": (partial(cut.together, batch), many / batch),
                "sliding_window": (partial(shared, cut.fast_image), 1),
                "scan": (scan, 1),
            },
            f"batches: the best of {', '.join(map(str, BATCHES))}, one of them timed and scaled; "
            "scan plans, reads and stores too",
        )


def seams() -> None:
    """Tiles that are blended beside the whole image: MONAI's, and a scan in tasks."""
    from monai.inferers import sliding_window_inference
    from skimage import data

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 1, 3, padding=1),
    ).eval()  # fmt: skip
    image = torch.from_numpy(data.camera()[60:316, 90:410] / np.float32(255))[None, None]
    made = {}
    with torch.inference_mode():
        whole = net(image)
        for mode in ("constant", "gaussian"):
            made[f"MONAI, {mode}"] = sliding_window_inference(
                image, (64, 64), 4, net, overlap=0.25, mode=mode
            )
    # at a window of one pixel the network is the net itself, whose scores are one a pixel
    ours = convlin.scan(
        net, image[0].numpy(), window=(1, 1, 1), semantics="image", task=(37, 61), band=16,
        check=False,
    )  # fmt: skip
    made["convlin.scan, 37×61"] = torch.from_numpy(ours["scores"])[None]
    table = Table(
        title="Three padded convolutions in tiles, beside one pass over the image",
        title_justify="left",
        caption=f"MONAI: 64×64, overlap 0.25; off: by more than {DIFFERS:.0e} of the largest score",
    )
    columns(table, "tiles", "pixels that are off", "by at most, of the largest")
    drawn = {}
    for name, scores in made.items():
        off = (scores - whole).abs()[0, 0].numpy() / float(whole.abs().max())
        drawn[name] = off
        table.add_row(name, f"{(off > DIFFERS).mean():.1%}", f"{off.max():.1e}")
    console.print(table)
    draw(drawn)
    console.print("[dim]wrote out/seams.png[/]\n")


def draw(differences: Mapping[str, np.ndarray]) -> None:
    """Write the differences side by side, in one scale."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from convlin.figures.heat_map import HEAT

    figure = Figure(figsize=(13, 3.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(differences))
    top = max(float(off.max()) for off in differences.values())
    for axis, (name, off) in zip(axes, differences.items(), strict=True):
        shown = axis.imshow(off, cmap=HEAT, vmin=0, vmax=top)
        axis.set(title=f"{name}: at most {off.max():.1e}", xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, label="off by, of the largest score")
    OUT.mkdir(exist_ok=True)
    figure.savefig(OUT / "seams.png", dpi=110)


def flat() -> None:
    """Scan a synthetic Zarr of four sizes by the digit net: time for each megapixel, and peaks."""
    table = Table(
        title="The digit net on noise, from Zarr",
        title_justify="left",
        caption=f"bytes in chunks of {CHUNK}×{CHUNK}; one process of at most 2 GB",
    )
    columns(table, "pixels", "clock", "each megapixel", "CPU of it", "peak")
    for rows, width in SIZES:
        with tempfile.TemporaryDirectory() as folder, console.status(f"{rows}×{width}"):
            write_noise(f"{folder}/noise.zarr", rows, width)
            its = fresh("digits", f"{folder}/noise.zarr", f"{folder}/scores.zarr")
        each, cpu = (its[of] / (rows * width / 1e9) for of in ("seconds", "cpu"))
        table.add_row(
            f"{rows:,}×{width:,}", f"{its['seconds']:.1f} s", f"{each:.1f} ms", f"{cpu:.1f} ms",
            f"{its['peak'] / 1e9:.2f} GB",
        )  # fmt: skip
    console.print(table)


def write_noise(path: str, rows: int, width: int) -> None:
    """Write bytes that no codec makes smaller."""
    import zarr

    chunks = (1, CHUNK, CHUNK)
    array = zarr.create_array(path, shape=(1, rows, width), chunks=chunks, dtype="u1")
    noise = np.random.default_rng(0)
    for first in range(0, rows, CHUNK):
        some = (1, min(CHUNK, rows - first), width)
        array[:, first : first + CHUNK] = noise.integers(0, 256, some, np.uint8)


def relief() -> None:
    """Scan the relief of the Earth by EfficientNet-Lite0, and run it in one pass if that fits."""
    from test_real_scans import relief as written

    table = Table(
        title="EfficientNet-Lite0 on the Earth's relief",
        title_justify="left",
        caption=f"GeoTIFF of {RELIEF[1]:,}×{RELIEF[0]:,}",
    )
    columns(table, "form", "clock", "CPU", "peak")
    free = int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) * 1024
    with tempfile.TemporaryDirectory() as folder:
        source = str(written(Path(folder), *RELIEF)[0])
        forms = {"scan, serial, 2 GB": ("relief", source, f"{folder}/scores.zarr")}
        if free > NEEDS:
            forms["one pass"] = ("whole", source, f"{folder}/whole.npy")
        took = []
        for name, arguments in forms.items():
            with console.status(name):
                its = fresh(*arguments)
            clock, cpu, peak = f"{its['seconds']:.0f} s", f"{its['cpu']:.0f} s", its["peak"] / 1e9
            table.add_row(name, clock, cpu, f"{peak:.2f} GB")
            took.append(its)
        console.print(table)
        if len(took) == 1:
            console.print(f"one pass not run: it needs {NEEDS / 1e9:.0f} GB of {free / 1e9:.0f}\n")
            return
        clock, cpu = (f"{took[0][of] / took[1][of]:.2f}×" for of in ("seconds", "cpu"))
        off = apart(f"{folder}/scores.zarr", f"{folder}/whole.npy")
    console.print(
        f"the scan takes {clock} the time of one pass, {cpu} of the CPU's; scores differ by at "
        f"most {off:.1e} of the largest\n"
    )


def apart(scanned: str, whole: str) -> float:
    """Return the largest difference of two scores, of the largest score."""
    import zarr

    own = zarr.open_array(f"{scanned}/scores", mode="r")[...]
    other = np.load(whole, mmap_mode="r")[:, : own.shape[1], : own.shape[2]]
    return float(np.abs(own - other).max() / np.abs(own).max())
