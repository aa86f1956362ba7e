"""Random forwards, as source text: stock layers, and between them what people write in Python.

A program grows statement by statement and is run as it grows, so that the next one knows which maps
there are and how large they are. A statement that raises an error is left out. All act alike on
every window, but for layers that pad and statements about places: a perfect tracer converts every
program without those.
"""

from __future__ import annotations

import math
import re
from random import Random
from textwrap import indent
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from traced_case import filled

WINDOWS = {1: (3, 17), 2: (3, 13, 11), 3: (3, 7, 9, 8)}

# {y}: a map. {w}: one of the same size. {v}: one of the same size in space. {z}, {u}: new names.
# {c}: a channel. {half}: half of the channels. {last}: channels to the end, {first}: and back.
# Names in capitals make a layer that takes {y}.
STATEMENTS = {
    "layers": [
        "{z} = {CONV}({y})", "{z} = {CONV}({y})", "{z} = {CONV}({y}).relu()", "{y} = {CONV}({y})",
        "{z} = {POOL}({y})", "{z} = {NORM}({y})", "{z} = {ACTIVATION}({y})", "{y} = {ACTIVATION}({y})",
        "{z} = {LINEAR}({y}{last}){first}", "{z} = {CONV}({y}) if {y}.shape[-1] > 4 else {y}",
    ],
    "writes": [
        "{y} += {y}.relu()", "{y} *= 2", "{y} -= {w}", "{y}.mul_(0.5).add_(1)", "{y}.relu_()",
        "{y}[:, :{half}] += 1", "{y}[:, {c}] = 0.5", "{y}[:, {c}] = {w}[:, 0].tanh()",
        "{y}.transpose(1, 2).mul_(2)", "{y}{last}.add_(1)", "{y}[:, {c}:].neg_()", "{y}.flatten(2).sub_(1)",
        "{y}.copy_({w})", "functional.relu({y}, inplace=True)", "{y}.unsqueeze(1)[:, :, {c}].mul_(-1)",
    ],
    "outs": [
        "torch.tanh({y}, out={y})", "{z} = torch.empty_like({y})\ntorch.mul({y}, 2, out={z})",
        "{z} = torch.add({y}, 1, out={w})", "{z} = torch.zeros_like({y})\ntorch.neg({y}[:, :{half}], out={z}[:, :{half}])",
    ],
    "aliases": [
        "{z} = {y}", "{z} = {y}.view_as({y})", "{z} = {y}[:, {c}:]", "{z} = {y}.detach()", "{z} = {y}.clone()",
        "{z} = {y}.contiguous()", "{z}, {u} = {y}.chunk(2, 1)", "{z} = {y}.split([{half}, {y}.shape[1] - {half}], 1)[1]",
        "{z} = {y}.narrow(1, {c}, 1)", "{z} = {y}.expand_as({y})", "{z} = {SAME}({y})",
    ],
    "shapes": [
        "{z} = {y} * ({y}.shape[2] // 2 + 1)", "{z} = {y}.view({y}.size(0), -1, *{y}.shape[2:])",
        "{z} = {y} / math.prod({y}.shape[1:])", "batch, channels, *space = {y}.shape\n{z} = {y}.reshape(batch, channels, *space)",
        "{z} = {y}.flatten(2).view({y}.shape) + len({y}.shape)", "{z} = {y} + sum(s for s in {y}.size()[1:])",
        "{z} = {y}[..., 1:] if {y}.shape[-1] > 3 else {y}", "{z} = {y}[..., :{y}.shape[-1] // 2 + 1]",
    ],
    "branches": [
        "if {y}.shape[-1] < 7:\n    {z} = {y} + 1\nelse:\n    {z} = {y}.tanh()",
        "if isinstance({y}, torch.Tensor):\n    {y} *= 3",
        "for _ in range({y}.shape[2] % 3):\n    {y} = {y} + {w}.relu()",
        "try:\n    {z} = {y} * int({y}.shape[-1])\nexcept Exception:\n    {z} = {y}",
        "{z} = {y} if {y}.dim() < 2 else {y}.sigmoid()",
    ],
    "python": [
        "{z} = changed({y})", "{z} = scaled({y}, by=2)", "add = lambda other: other + {y}\n{y} = add({w})",
        "held = [{y}, {w}]\nheld[0] += 1\n{z} = held[1] * held[0]", "held = {{'a': {y}}}\nheld['a'] *= 2\n{z} = held['a'] - {y}.relu()",
        "pair = ({y}, {w})\n{z}, {u} = pair[::-1]", "{z} = sum([{y}, {w}, 1])",
        "def closed():\n    {y}.add_(0.5)\n    return {w}\n{z} = closed()", "{y}, {z} = {w}, {y}",
        "{z} = torch.cat([part.relu() for part in {y}.split(1, 1)], 1)",
    ],
    "joins": [
        "{z} = {y} + {w}", "{z} = torch.cat([{y}, {v}], 1)", "{z} = torch.maximum({y}, {w})",
        "{z} = torch.stack([{y}, {w}]).sum(0)", "{z} = torch.cat([{y}, torch.zeros_like({y})], dim=1)",
        "{z} = {y} - {y}.new_tensor(0.5)", "{z} = {y} * torch.full(({y}.shape[1],) + (1,) * {ndim}, 0.5, dtype={y}.dtype)",
    ],
    "turns": [
        "{z} = {y}{last}.relu(){first}", "{z} = {y}.transpose(1, -1).tanh().transpose(1, -1)",
        "{z} = {y}.movedim(1, -1).contiguous().movedim(-1, 1)", "{z} = {y}.flip(1)",
        "{z} = {y}[:, torch.arange({y}.shape[1] - 1, -1, -1)]", "{z} = {y}.roll(1, 1)",
    ],
    "places": [  # what depends on where in the window a cell is
        "{y}[:, :, 0] = 0", "{y}[..., 1:] += {w}[..., 1:]", "{y}[..., ::2].mul_(2)", "{z} = {y}.flip(-1)",
        "{z} = {y} + torch.arange({y}.shape[-1], dtype={y}.dtype)", "{z} = {y}.roll(1, -1)", "{z} = {y}.cumsum(2)",
        "{z} = {y} - {y}.mean({space}, keepdim=True)", "{z} = {y} * {y}[..., :1]", "{z} = functional.pad({y}, (1, 0))",
        "{z} = {y}.softmax(-1)", "{z} = torch.cat([{y}, {v}], 1)[..., [0, -1]]", "{z} = {y}.transpose(2, -1)",
        "{z} = torch.cat([{y}, {y}], -1)", "{z} = {y}[..., ::2]", "{z} = {y}[..., -1:]", "{z} = {y}.unflatten(-1, (1, -1)).squeeze(-2)",
        "{z} = {y}.flatten(2).unflatten(2, {y}.shape[2:])", "torch.add({y}[..., 1:], 1, out={y}[..., 1:])",
    ],
}  # fmt: skip
HEADS = [
    "{FLAT}({y}.flatten(1))", "{FLAT}({y}.reshape({y}.shape[0], -1))", "{FLAT}({y}{last}.flatten(1)).tanh()",
    "{NARROW}({y}.mean({space}))", "{NARROW}({y}.amax({space}))", "{NARROW}({y}.flatten(2).mean(-1))",
    "{NARROW}({POOLED}({y}).flatten(1))",
]  # fmt: skip
SOURCE = """class Drawn(nn.Module):
    def __init__(self):
        super().__init__()
{layers}

    def forward(self, x):
        scores = []
{lines}
        return scores
"""
LATEST = 3  # maps that the next statement may be about, and that every program returns scores of


def changed(given: Tensor) -> Tensor:
    given += 1
    return given


def scaled(given: Tensor, *, by: float = 1) -> Tensor:
    return given * by


class Program:
    """A forward that grows; `source` is what `model` runs."""

    def __init__(self, random: Random, ndim: int) -> None:
        self.random, self.ndim, self.window = random, ndim, WINDOWS[ndim]
        self.layers: dict[str, str] = {}
        self.lines: list[str] = []
        self.maps = {"x": torch.ones(1, *self.window)}
        self._add("{z} = {CONV}({y})")
        for _ in range(random.randint(2, 7)):
            self._add(random.choice(STATEMENTS[random.choice(["layers", *STATEMENTS])]))
        for name in list(self.maps)[-LATEST:]:
            self._add("scores.append(" + random.choice(HEADS) + ")", y=name)

    @property
    def source(self) -> str:
        layers = [f"self.{name} = {made}" for name, made in self.layers.items()]
        inner = " " * 8
        return SOURCE.format(
            layers=indent("\n".join(layers), inner), lines=indent("\n".join(self.lines), inner)
        )

    def model(self) -> nn.Module:
        named: dict[str, Any] = dict(GLOBALS)
        exec(self.source, named)
        return filled(named["Drawn"]()).eval()

    def _add(self, template: str, **drawn: str) -> None:
        """Write one statement and run it, if it can be run; the maps it names are now the latest."""
        fields = Fields(self, **drawn)
        text = template.format_map(fields)
        layers = {name: eval(made, GLOBALS) for name, made in fields.layers.items()}
        named = GLOBALS | self.maps | {"self": SimpleNamespace(**layers), "scores": []}
        try:
            with torch.no_grad():
                exec(text, named)
        except (RuntimeError, IndexError, ValueError):
            return
        self.layers |= fields.layers
        self.lines += text.splitlines()
        maps = [name for name, value in named.items() if self._is_map(value)]
        maps.sort(key=lambda name: re.search(rf"\b{name}\b", text) is not None)
        self.maps = {name: named[name] for name in maps}

    def _is_map(self, value: object) -> bool:
        return isinstance(value, Tensor) and value.ndim == self.ndim + 2 and value.numel() > 0


class Fields(dict[str, Any]):
    """What a template names, drawn when it is asked for, once."""

    def __init__(self, program: Program, **drawn: str) -> None:
        super().__init__(ndim=program.ndim, **drawn)
        self.program, self.random, self.layers = program, program.random, {}

    def __missing__(self, name: str) -> Any:
        if name in LAYERS:
            layer = f"l{len(self.program.layers) + len(self.layers)}"
            self.layers[layer] = LAYERS[name](self)
            made = f"self.{layer}"
        else:
            made = getattr(self, f"_{name}")()
        self[name] = made
        return made

    @property
    def shape(self) -> tuple[int, ...]:
        """What {y} has behind the batch: channels, then space."""
        return tuple(self.program.maps[self["y"]].shape[1:])

    def _among(self, fits: Any) -> str:
        """Return a map of such a shape, if there is one another than {y}."""
        maps = self.program.maps
        fitting = [name for name, y in maps.items() if name != self["y"] and fits(y.shape[1:])]
        return self.random.choice(fitting or [self["y"]])

    def _y(self) -> str:
        latest = list(self.program.maps)[-LATEST:]
        return self.random.choice([latest[-1], *latest])

    def _w(self) -> str:
        return self._among(lambda shape: shape == self.shape)

    def _v(self) -> str:
        return self._among(lambda shape: shape[1:] == self.shape[1:])

    def _z(self) -> str:
        return f"y{len(self.program.lines)}"

    def _u(self) -> str:
        return f"z{len(self.program.lines)}"

    def _c(self) -> int:
        return self.random.randrange(self.shape[0])

    def _half(self) -> int:
        return max(1, self.shape[0] // 2)

    def _space(self) -> tuple[int, ...]:
        return tuple(range(2, self.program.ndim + 2))

    def _last(self) -> str:
        return f".permute{(0, *self._space(), 1)}"

    def _first(self) -> str:
        return f".permute{(0, self.program.ndim + 1, *range(1, self.program.ndim + 1))}"


def convolution(fields: Fields) -> str:
    draw, (channels, *space) = fields.random, fields.shape
    kernel = tuple(draw.randint(1, min(3, n)) for n in space)
    stride = tuple(draw.choice([1, 1, 1, 2]) for _ in space)
    padding = int(draw.random() > 0.96)
    made = f"{channels}, {draw.randint(2, 5)}, {kernel}, stride={stride}, padding={padding}"
    return f"nn.Conv{len(space)}d({made})"


def pool(fields: Fields) -> str:
    draw, space = fields.random, fields.shape[1:]
    kernel = tuple(draw.randint(1, min(2, n)) for n in space)
    return (
        f"nn.{draw.choice(['Max', 'Avg'])}Pool{len(space)}d({kernel}, stride={draw.randint(1, 2)})"
    )


ACTIVATIONS = ["nn.ReLU()", "nn.ReLU(True)", "nn.Tanh()", "nn.Hardswish()", "nn.ELU()"]
LAYERS = {
    "CONV": convolution,
    "POOL": pool,
    "NORM": lambda fields: f"nn.BatchNorm{len(fields.shape) - 1}d({fields.shape[0]})",
    "ACTIVATION": lambda fields: fields.random.choice(ACTIVATIONS),
    "SAME": lambda fields: fields.random.choice(["nn.Identity()", "nn.Dropout()"]),
    "LINEAR": lambda fields: f"nn.Linear({fields.shape[0]}, {fields.random.randint(2, 5)})",
    "FLAT": lambda fields: f"nn.Linear({math.prod(fields.shape)}, 4)",
    "NARROW": lambda fields: f"nn.Linear({fields.shape[0]}, 3)",
    "POOLED": lambda fields: f"nn.AdaptiveAvgPool{len(fields.shape) - 1}d(1)",
}
GLOBALS = {
    "torch": torch, "nn": nn, "functional": functional, "math": math, "changed": changed, "scaled": scaled,
}  # fmt: skip
