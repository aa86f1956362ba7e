"""How building the matrix grows with the image: time, and peak memory in a fresh process each.

Run as a script, this file is that process: it builds one matrix and prints what it took, once by
the kernel's account of resident memory and once by tracemalloc's of NumPy's arrays.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

import convlin

SIZES = (14, 28, 56, 112)
CHANNELS = 16
LARGEST = (64, 56)
LIMIT = 1.4  # peak bytes, of those that the matrix keeps
PROBED = 28  # probing makes dense outputs for every pixel: 10 GB of them at 56×56


def matrix(channels: int, n: int) -> convlin.ConvMatrix:
    """Return the matrix of a 3×3 convolution in float32, unbuilt, without PyTorch."""
    geometry = convlin.ConvGeometry(channels, channels, kernel=(3, 3), padding=1)
    weight = np.random.default_rng(0).standard_normal(geometry.weight_shape, dtype=np.float32)
    return convlin.ConvMatrix(geometry, weight, (n, n))


def resident(field: str) -> int:
    """Return this process's resident bytes, now (VmRSS) or at the highest (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def child(channels: int, n: int) -> None:
    """Build once under each account, and print both peaks as JSON."""
    matrix(1, 4).tocsr()  # everything is imported
    unbuilt = matrix(channels, n)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
    before = resident("VmRSS")
    built = unbuilt.tocsr()
    rss = resident("VmHWM") - before
    held = built.data.nbytes + built.indices.nbytes + built.indptr.nbytes
    del built, unbuilt
    unbuilt = matrix(channels, n)
    tracemalloc.start()
    unbuilt.tocsr()
    traced = tracemalloc.get_traced_memory()[1]
    print(json.dumps({"entries": unbuilt.nnz, "held": held, "rss": rss, "traced": traced}))


def measured(channels: int, n: int) -> dict[str, int]:
    """Return what a fresh process measures."""
    arguments = [sys.executable, __file__, str(channels), str(n)]
    result = subprocess.run(arguments, check=True, capture_output=True, text=True)
    return json.loads(result.stdout)


def milliseconds(channels: int, n: int, rounds: int) -> float:
    """Return the median time of building from nothing."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        matrix(channels, n).tocsr()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]) * 1e3


def run() -> None:
    """Print the growth over four sizes, and the peak at the largest case of `unroll.py`."""
    import torch
    from rich.table import Table
    from tables import console
    from torch import nn
    from unroll import probe

    conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False).requires_grad_(False)
    table = Table(
        title=f"CSR matrix of a 3×3 convolution, float32; peak memory, limit {LIMIT}×",
        title_justify="left",
    )
    for heading in ("on", "entries", "time", "each", "probing", "bytes", "RSS", "traced"):
        table.add_column(heading, justify="right")
    worst = 0.0
    for channels, n in [*((CHANNELS, n) for n in SIZES), LARGEST]:
        with console.status(f"{channels}→{channels} on {n}×{n}"):
            cost = measured(channels, n)
            own = milliseconds(channels, n, rounds=7)
            probing = "–"
            if channels == CHANNELS and n <= PROBED:
                start = time.perf_counter()
                with torch.inference_mode():
                    probe(conv, (n, n))
                probing = f"{time.perf_counter() - start:.1f} s"
        peaks = [cost[account] / cost["held"] for account in ("rss", "traced")]
        worst = max(worst, *peaks)
        table.add_row(
            f"{channels}→{channels}, {n}²", f"{cost['entries']:,}", f"{own:,.1f} ms",
            f"{own * 1e6 / cost['entries']:.1f} ns", probing, f"{cost['held'] / 2**20:,.0f} MiB",
            *(f"{peak:.2f}×" for peak in peaks),
        )  # fmt: skip
    console.print(table)
    console.print(f"highest peak {worst:.2f}×: limit " + ("kept" if worst < LIMIT else "MISSED"))


if __name__ == "__main__":
    child(*map(int, sys.argv[1:]))
