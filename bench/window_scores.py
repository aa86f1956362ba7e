"""Exact scores of every window: what is counted, and what it takes beside running every window.

Windows all cost the same, so they are timed on a few of them, one after the other in the format in
which models come and in batches in channels_last, and the seconds scaled by their number. Cutting
them counts. The ratios to look at are of the CPU: how well threads share the work is the clock's.
"""

from __future__ import annotations

import copy
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

BATCHES = (8, 16, 32, 64, 128, 256)
ALONE = 8  # windows timed one after the other
REACHED = 0.85  # of the counted ratio, as CPU time


@dataclass(frozen=True)
class Net:
    """A classifier, its window, and the image and strides that it is run at."""

    name: str
    build: Callable[[], nn.Module]
    window: tuple[int, ...]
    image: int
    strides: Sequence[int]


def padded(name: str, strides: Sequence[int] = (224, 32, 16)) -> Net:
    return Net(name, partial(get_model, name, weights=None), (3, 224, 224), 1024, strides)


def every_pixel() -> nn.Module:
    """Return the padding-free net of Cireşan et al. (2012), as Giusti et al. (2013) slide it."""
    layers: list[nn.Module] = []
    for channels, kernel in ((1, 4), (48, 5), (48, 4), (48, 4)):
        layers += [nn.Conv2d(channels, 48, kernel), nn.MaxPool2d(2), nn.Tanh()]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(48 * 3 * 3, 200), nn.Tanh(), nn.Linear(200, 2)
    )


NETS = (
    padded("alexnet"),
    padded("resnet18"),
    padded("mobilenet_v2", (32,)),
    padded("vgg16"),
    Net("95×95 unpadded", every_pixel, (1, 95, 95), 512 + 94, (1,)),
)


@torch.inference_mode()
def run() -> None:
    """Race shared windows with windows one by one and in their best batch, at every stride."""
    table = Table(
        title="Scores of every window: seconds of the CPU, and times fewer than in batches",
        title_justify="left",
        caption=f"batches: the best of {', '.join(map(str, BATCHES))}; counted: multiply-adds, of "
        f"which {REACHED:.0%} and more is green",
    )
    table.add_column("net")
    for heading in ("stride", "windows", "one by one", "in batches", "shared", "counted", "CPU",
                    "clock"):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    for net in NETS:
        torch.manual_seed(0)
        model = net.build().eval()
        image = torch.rand(1, net.window[0], net.image, net.image)
        windows = Windows(net, model, image)
        with console.status(f"{net.name}: the best batch"):
            batch = windows.best_batch()
        for stride in net.strides:
            with console.status(f"{net.name} at stride {stride}"):
                table.add_row(*raced(windows, stride, batch))
    console.print(table)


class Windows:
    """Windows of an image, run one by one or in batches."""

    def __init__(self, net: Net, model: nn.Module, image: Tensor) -> None:
        self.net = net
        self.model, self.image = model, image
        self.fast = copy.deepcopy(model).to(memory_format=torch.channels_last)
        self.fast_image = image.contiguous(memory_format=torch.channels_last)

    def alone(self) -> None:
        """Run some windows one after the other."""
        for crop in self._crops(self.image, ALONE):
            self.model(crop.contiguous())

    def together(self, batch: int) -> None:
        """Run so many windows at once, in channels_last."""
        crops = torch.cat(self._crops(self.fast_image, batch))
        self.fast(crops.contiguous(memory_format=torch.channels_last))

    def best_batch(self, batches: Sequence[int] = BATCHES) -> int:
        """Return the batch size that takes the least CPU for each window."""
        contenders = {str(batch): partial(self.together, batch) for batch in batches}
        each = {int(t.name): min(t.cpu_seconds) / int(t.name) for t in side_by_side(contenders, 2)}
        return min(each, key=each.__getitem__)

    def _crops(self, image: Tensor, count: int) -> list[Tensor]:
        """Cut windows at places drawn by a seed."""
        height, width = self.net.window[1:]
        generator = torch.Generator().manual_seed(1)
        places = torch.rand(count, 2, generator=generator) * (self.net.image - height + 1)
        return [image[..., y : y + height, x : x + width] for y, x in places.int().tolist()]


def raced(windows: Windows, stride: int, batch: int) -> list[str]:
    """Return a row of the table: one stride, three interleaved rounds."""
    net = windows.net
    shared = convlin.sliding_window(windows.fast, net.window, stride=stride, check=False)
    plan = shared.plan(net.image)
    batch = min(batch, plan.windows)
    alone, batches, own = side_by_side(
        {
            "one by one": windows.alone,
            "in batches": partial(windows.together, batch),
            "shared": partial(shared, windows.fast_image),
        },
        rounds=3,
    )
    cpu, clock = (
        plan.windows / batch * statistics.median(s / f for s, f in zip(slow, fast, strict=True))
        for slow, fast in ((batches.cpu_seconds, own.cpu_seconds), (batches.seconds, own.seconds))
    )
    tone = "green" if cpu >= REACHED * plan.ratio else "red"
    return [
        f"{net.name} on {net.image}²", str(stride), f"{plan.windows:,}",
        f"{plan.windows / ALONE * statistics.median(alone.cpu_seconds):,.1f} s",
        f"{plan.windows / batch * statistics.median(batches.cpu_seconds):,.1f} s of {batch}",
        f"{statistics.median(own.cpu_seconds):,.1f} s", f"{plan.ratio:.2f}×",
        f"[{tone}]{cpu:.2f}× ({cpu / plan.ratio:.0%})[/]", f"{clock:.2f}×",
    ]  # fmt: skip
