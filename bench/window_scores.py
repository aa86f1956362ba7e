"""Exact scores of every window: what is counted, and what it takes beside batches of windows.

Windows all cost the same, so batches of them are timed on a few, and their seconds scaled by the
number of windows. Both ways run in channels_last, and the cutting of windows counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from rich.table import Table
from tables import console
from timing import side_by_side
from torch import Tensor, nn
from torchvision.models import get_model

import convlin

BATCHES = (16, 32, 64, 128, 256)
REACHED = 0.85  # of the counted ratio, as CPU time


def giusti() -> nn.Module:
    """Return the net of 95×95 windows of Cireşan et al. (2012), which Giusti et al. (2013) ran."""
    layers: list[nn.Module] = []
    for channels, kernel in ((1, 4), (48, 5), (48, 4), (48, 4)):
        layers += [nn.Conv2d(channels, 48, kernel), nn.MaxPool2d(2), nn.Tanh()]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(48 * 3 * 3, 200), nn.Tanh(), nn.Linear(200, 2)
    )


@dataclass(frozen=True)
class Net:
    """A classifier, its window, and the images and strides that it is run at."""

    name: str
    build: Callable[[], nn.Module]
    window: tuple[int, ...]
    image: int
    strides: Sequence[int]


def torchvision(name: str, strides: Sequence[int] = (224, 32, 16)) -> Net:
    return Net(name, partial(get_model, name, weights=None), (3, 224, 224), 1024, strides)


NETS = (
    torchvision("alexnet"),
    torchvision("resnet18"),
    torchvision("vgg16"),
    torchvision("mobilenet_v2", (32,)),
    Net("95×95, no padding", giusti, (1, 95, 95), 512 + 94, (1,)),
)


@torch.inference_mode()
def run() -> None:
    """Race shared windows with the best batch of windows, at every stride."""
    table = Table(
        title="Scores of every window, beside the best of batches of "
        + ", ".join(map(str, BATCHES)),
        title_justify="left",
        caption=f"counted: multiply-adds; {REACHED:.0%} of that ratio and more is green",
    )
    table.add_column("net")
    for heading in ("image", "stride", "windows", "batch", "CPU in\nbatches", "shared", "counted",
                    "CPU", "", "clock"):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    for net in NETS:
        torch.manual_seed(0)
        model = net.build().eval().to(memory_format=torch.channels_last)
        images = channels_last(torch.rand(1, net.window[0], net.image, net.image))
        best = best_batch(net, model, images)
        for stride in net.strides:
            with console.status(f"{net.name} at stride {stride}"):
                table.add_row(*raced(net, model, images, stride, best))
    console.print(table)


def raced(net: Net, model: nn.Module, images: Tensor, stride: int, batch: int) -> list[str]:
    """Return a row of the table: one stride, three interleaved rounds."""
    windows = convlin.sliding_window(model, net.window, stride=stride, check=False)
    plan = windows.plan((net.image, net.image))
    batch = min(batch, plan.windows)
    apart, shared = side_by_side(
        {
            "apart": partial(one_batch, model, images, net.window[1:], batch),
            "shared": partial(windows, images),
        },
        rounds=3,
    )
    times = plan.windows / batch
    cpu = times * ratio(apart.cpu_seconds, shared.cpu_seconds)
    reached = cpu / plan.ratio
    return [
        net.name, f"{net.image}²", str(stride), f"{plan.windows:,}", str(batch),
        f"{times * statistics.median(apart.cpu_seconds):,.1f} s",
        f"{statistics.median(shared.cpu_seconds):,.1f} s", f"{plan.ratio:.2f}×", f"{cpu:.2f}×",
        f"[{'green' if reached >= REACHED else 'red'}]{reached:.0%}[/]",
        f"{times * ratio(apart.seconds, shared.seconds):.2f}×",
    ]  # fmt: skip


def best_batch(net: Net, model: nn.Module, images: Tensor) -> int:
    """Return the batch size whose windows take the least CPU each, the largest sample once."""
    with console.status(f"{net.name}: the best of {len(BATCHES)} batch sizes"):
        timings = side_by_side(
            {
                str(batch): partial(one_batch, model, images, net.window[1:], batch)
                for batch in BATCHES
            },
            rounds=1,
        )
    each = {int(t.name): t.cpu_seconds[0] / int(t.name) for t in timings}
    return min(each, key=each.__getitem__)


def one_batch(model: nn.Module, images: Tensor, window: tuple[int, ...], count: int) -> None:
    """Cut `count` windows out of the image at places drawn by a seed, and run them."""
    generator = torch.Generator().manual_seed(1)
    room = [side - size + 1 for side, size in zip(images.shape[2:], window, strict=True)]
    starts = [torch.randint(n, (count,), generator=generator).tolist() for n in room]
    crops = [
        images[..., top : top + window[0], left : left + window[1]]
        for top, left in zip(*starts, strict=True)
    ]
    model(channels_last(torch.cat(crops)))


def channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return the median of the ratios, round by round."""
    return statistics.median(s / f for s, f in zip(slow, fast, strict=True))
