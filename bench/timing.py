"""Time equal work side by side: interleaved rounds, medians, and ratios with their spread.

On a machine that other people use too, a second is no unit: what was run in the same round, a
moment apart, can be compared, and the ratio is taken round by round. Seconds of the CPU, of all
threads together, say less of the neighbours and nothing of how well the threads share the work.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds per round of one contender, and its ratio to the baseline of the same round."""

    name: str
    seconds: list[float]
    ratios: list[float]
    cpu_seconds: list[float]

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)

    @property
    def ratio(self) -> tuple[float, float, float]:
        """Quartiles (low, median, high) of baseline seconds / own seconds: times faster."""
        if len(self.ratios) == 1:
            return (self.ratios[0],) * 3
        low, middle, high = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return low, middle, high


def side_by_side(contenders: Mapping[str, Callable[[], object]], rounds: int) -> list[Timing]:
    """Run every contender once a round, in an order that rotates; the first is the baseline."""
    names = list(contenders)
    for run in contenders.values():
        run()  # allocators, thread pools and caches are warm before anything counts
    seconds: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start, cpu_start = time.perf_counter(), time.process_time()
            contenders[name]()
            seconds[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - cpu_start)
    baseline = seconds[names[0]]
    return [
        Timing(name, own, [b / s for b, s in zip(baseline, own, strict=True)], cpu[name])
        for name, own in seconds.items()
    ]
