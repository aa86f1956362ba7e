"""Everything `make bench` prints. Ratios are of the same round; seconds are of this machine."""

from __future__ import annotations

import os
import platform

import border_padding
import converting
import counters
import dense
import explore
import layers
import memory
import permutes
import proofs
import recognition
import scans
import spectra
import torch
import unroll
import wall
import window_scores
import zoo
from tables import console


def main() -> None:
    """Run the races one after the other."""
    console.print(
        f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    with torch.inference_mode():
        dense.run()
        layers.run()
    proofs.run()
    converting.run()
    window_scores.run()
    border_padding.run()
    scans.run()
    unroll.run()
    recognition.run()
    wall.run()
    spectra.run()
    memory.run()
    counters.run()
    explore.run()
    permutes.run()
    zoo.run()


if __name__ == "__main__":
    main()
