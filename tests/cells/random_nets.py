"""Random padded classifiers as source text: what is drawn is what a failing test prints.

A net grows line by line and runs as it grows; a line that raises an error is left out. Maps are
large, nets shallow and strides small, so that windows share most of what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from textwrap import indent
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 3
LARGEST = 20_000  # numbers in a map: what is upsampled again and again only takes time
SMALLEST = 4  # side of a map: on smaller ones windows share nothing
SIDES = {1: 40, 2: 22, 3: 12}  # of the smallest window

SOURCE = """class Drawn(nn.Module):
    def __init__(self):
        super().__init__()
{layers}

    def forward(self, x):
{lines}
        return {result}
"""


class Drawn:
    """A net that grows; `source` is what `model` runs. `window`, `stride` and `size` are of space."""

    def __init__(self, random: Random, d: int) -> None:
        self.random, self.d = random, d
        self.window = tuple(SIDES[d] + random.randrange(5) for _ in range(d))
        self.stride = tuple(self._stride(n) for n in self.window)
        self.size = tuple(
            n + s * random.randint(1, most) + random.randrange(s)
            for n, s, most in zip(self.window, self.stride, (3, 2, 1), strict=False)
        )
        self.layers: dict[str, str] = {}
        self.lines: list[str] = []
        self.kinds: dict[str, str] = {}  # by layer: what stands before it
        self.maps = {"x": torch.randn(1, CHANNELS, *self.window)}
        while not self._line("conv", STATEMENTS["conv"]):
            pass
        for _ in range(random.randint(1, 4)):
            kind = random.choice([*STATEMENTS, *SHARED, *SHARED, "pool"])
            if self._line(kind, STATEMENTS[kind]):
                self._line(kind, STATEMENTS["conv"])
        self.result = self._result()

    def _stride(self, side: int) -> int:
        """Mostly finer than a third of the window; now and then as coarse, or coarser."""
        if self.random.random() < 0.1:
            return side + self.random.randrange(4)
        return self.random.choice([1, 1, 2, 2, 3, 4])

    @property
    def source(self) -> str:
        layers = [f"self.{name} = {made}" for name, made in self.layers.items()]
        inner = " " * 8
        return SOURCE.format(
            layers=indent("\n".join(layers), inner),
            lines=indent("\n".join(self.lines), inner),
            result=self.result,
        )

    def model(self) -> nn.Module:
        """Return the net in float64, with every layer's numbers random."""
        named = dict(NAMED)
        exec(self.source, named)
        model = named["Drawn"]().double().eval()
        generator = torch.Generator().manual_seed(len(self.source))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                low = 0.5 if name.endswith("running_var") else -1.0
                tensor.uniform_(low, 1, generator=generator)
        return model

    @property
    def y(self) -> Tensor:
        """The latest map."""
        return self.maps[self.latest]

    @property
    def latest(self) -> str:
        return list(self.maps)[-1]

    def layer(self, made: str) -> str:
        """Write a layer, and return what calls it."""
        name = f"l{len(self.layers)}"
        self.layers[name] = made
        return f"self.{name}"

    def another(self, fits: Callable[[torch.Size], bool]) -> str:
        """Return the name of an earlier map of such a shape, or of the latest."""
        fitting = [name for name, y in self.maps.items() if fits(y.shape)]
        return self.random.choice(fitting)

    def conv(self) -> str:
        """Return a convolution that takes {y}."""
        draw, channels = self.random, self.y.shape[1]
        mode = draw.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
        kernel = tuple(draw.choice([1, 2, 3, 3]) for _ in range(self.d))
        groups = draw.choice([1, channels])
        options = {
            "stride": draw.choice([1, 1, 1, 1, 1, 2, 3]),
            "padding": draw.choice(["'same'", *[tuple(draw.randrange(k) for k in kernel)] * 3]),
            "dilation": draw.choice([1, 1, 2]),
            "groups": groups,
            "bias": draw.random() < 0.7,
            "padding_mode": repr(mode),
        }
        if options["padding"] == "'same'":
            options["stride"] = 1
        out = groups * draw.randint(1, 2) if groups > 1 else draw.randint(2, 5)
        text = ", ".join(f"{name}={value}" for name, value in options.items())
        return self.layer(f"nn.Conv{self.d}d({channels}, {out}, {kernel}, {text})")

    def keeping(self) -> str:
        """Return a convolution that keeps the size of the map, and its channels."""
        channels = self.y.shape[1]
        mode = self.random.choice(["zeros", "reflect", "replicate", "circular"])
        made = f"{channels}, {channels}, 3, padding=1, padding_mode={mode!r}"
        return self.layer(f"nn.Conv{self.d}d({made})")

    def pads(self) -> tuple[int, ...]:
        return tuple(self.random.randrange(3) for _ in range(2 * self.d))

    def _line(self, kind: str, statement: Callable[[Drawn, str], str]) -> bool:
        """Write one line and run it, if it can be run; what it makes is now the latest map."""
        before = dict(self.layers)
        name, expression = f"y{len(self.lines)}", statement(self, self.latest)
        made = {n: eval(text, NAMED) for n, text in self.layers.items() if n not in before}
        try:
            with torch.no_grad():
                y = eval(expression, NAMED | self.maps | {"self": _Layers(made)})
        except (RuntimeError, IndexError, ValueError):
            y = None
        if y is None or y.numel() > LARGEST or min(y.shape[2:]) < SMALLEST:
            self.layers = before
            return False
        self.kinds |= dict.fromkeys(made, kind)
        self.lines.append(f"{name} = {expression}")
        self.maps[name] = y
        return True

    def _result(self) -> str:
        """Return the outputs: one or several, of the latest maps, now and then a map."""
        space = tuple(range(2, self.d + 2))
        outputs = []
        for name in list(self.maps)[-self.random.choice([1, 1, 2]) :]:
            shape = self.maps[name].shape[1:]
            match self.random.choice(["flat", "flat", "mean", "largest", "map"]):
                case "flat":
                    head = f"{self.layer(f'nn.Linear({shape.numel()}, 4)')}({name}.flatten(1))"
                case "mean":
                    head = f"{self.layer(f'nn.Linear({shape[0]}, 3)')}({name}.mean({space}))"
                case "largest":
                    head = f"{name}.amax({space})"
                case "map":
                    head = name
            outputs.append(head)
        if len(outputs) == 1:
            return outputs[0]
        return self.random.choice(["[{}, {}]", "{{'one': {}, 'two': {}}}"]).format(*outputs)


class _Layers:
    """Stands for `self` while one line runs."""

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        vars(self).update({name: layer.eval() for name, layer in layers.items()})


def pool(net: Drawn, y: str) -> str:
    draw = net.random
    kind, kernel = draw.choice(["Max", "Avg"]), draw.choice([2, 3])
    options = f"stride={draw.choice([1, 2, 2])}, padding={draw.randrange(2)}, ceil_mode={draw.random() < 0.5}"
    if kind == "Max":
        options += f", dilation={draw.choice([1, 2])}"
    else:
        options += f", count_include_pad={draw.random() < 0.5}"
        if net.d > 1 and draw.random() < 0.4:
            options += f", divisor_override={draw.randint(1, 9)}"
    return f"nn.{kind}Pool{net.d}d({kernel}, {options})({y})"


def pad(net: Drawn, y: str) -> str:
    mode = net.random.choice(["constant", "constant", "reflect", "replicate", "circular"])
    value = f", {net.random.choice([0, 0.5, -2])}" if mode == "constant" else ""
    return f"functional.pad({y}, {net.pads()}, {mode!r}{value})"


def adaptive(net: Drawn, y: str) -> str:
    """Return a pool to a part of each side, or, now and then, to one cell less."""
    draw, less = net.random, int(net.random.random() < 0.2)
    parts = [draw.choice([k for k in (1, 1, 2, 3) if n % k == 0]) for n in net.y.shape[2:]]
    sizes = tuple(n // k - less for n, k in zip(net.y.shape[2:], parts, strict=True))
    return f"nn.Adaptive{draw.choice(['Avg', 'Max'])}Pool{net.d}d({sizes})({y})"


def transposed(net: Drawn, y: str) -> str:
    draw, channels = net.random, net.y.shape[1]
    stride = draw.choice([1, 2, 2, 3])
    options = (
        f"{draw.choice([1, 2, 3])}, {stride}, padding={draw.randrange(2)}, "
        f"output_padding={draw.randrange(stride)}, groups={draw.choice([1, channels])}"
    )
    layer = net.layer(f"nn.ConvTranspose{net.d}d({channels}, {2 * channels}, {options})")
    return f"{layer}({y})"


def upsampled(net: Drawn, y: str) -> str:
    draw = net.random
    mode = draw.choice(["nearest", "nearest-exact", ("linear", "bilinear", "trilinear")[net.d - 1]])
    align = f", align_corners={draw.random() < 0.3}" if "linear" in mode else ""
    return f"functional.interpolate({y}, scale_factor={draw.choice([2, 2, 3, 1.5])}, mode={mode!r}{align})"


def sliced(net: Drawn, y: str) -> str:
    places = [net.random.choice(["1:", ":-1", "::2", "1::2", ":"]) for _ in range(net.d)]
    return f"{y}[:, :, {', '.join(places)}]"


def channels_last(net: Drawn, y: str) -> str:
    channels = net.y.shape[1]
    norm = net.layer(f"nn.LayerNorm({channels})")
    linear = net.layer(f"nn.Linear({channels}, {net.random.randint(2, 5)})")
    return f"{linear}({norm}({net.keeping()}({y}).movedim(1, -1))).tanh().movedim(-1, 1)"


def squeeze_excite(net: Drawn, y: str) -> str:
    channels, space = net.y.shape[1], tuple(range(2, net.d + 2))
    gate = net.layer(f"nn.Conv{net.d}d({channels}, {channels}, 1)")
    return f"{y} * {gate}({y}.mean({space}, keepdim=True)).sigmoid()"


def constant(net: Drawn, y: str) -> str:
    size = tuple(net.random.choice([1, n]) for n in net.y.shape[2:])
    return f"{y} + {net.layer(f'nn.ParameterList([torch.zeros({(net.y.shape[1], *size)})])')}[0]"


def group_norm(net: Drawn, y: str) -> str:
    return f"{net.layer(f'nn.GroupNorm(1, {net.y.shape[1]})')}({y})"


def same_shape(net: Drawn) -> str:
    return net.another(lambda shape: shape == net.y.shape)


def same_space(net: Drawn) -> str:
    return net.another(lambda shape: shape[2:] == net.y.shape[2:])


# what stands before a convolution; each takes the latest map by its name
STATEMENTS: dict[str, Callable[[Drawn, str], str]] = {
    "conv": lambda net, y: f"{net.conv()}({y}).tanh()",
    "pool": pool,
    "pad": pad,
    "residual": lambda net, y: f"{y} + {net.keeping()}({y}).relu()",
    "earlier": lambda net, y: f"torch.maximum({y}, {same_shape(net)})",
    "cat": lambda net, y: f"torch.cat([{y}, {same_space(net)}, {net.keeping()}({y})], 1)",
    "batch norm": lambda net, y: f"{net.layer(f'nn.BatchNorm{net.d}d({net.y.shape[1]})')}({y})",
    "adaptive": adaptive,
    "global": lambda net, y: f"{y} - {y}.mean({tuple(range(2, net.d + 2))}, keepdim=True)",
    "squeeze-excite": squeeze_excite,
    "group norm": group_norm,
    "softmax": lambda net, y: f"{y}.softmax({net.random.randint(1, net.d + 1)})",
    "channels last": channels_last,
    "flip": lambda net, y: f"{y}.flip({net.random.randint(2, net.d + 1)})",
    "roll": lambda net, y: f"{y}.roll({net.random.randint(-3, 3)}, {net.random.randint(2, net.d + 1)})",
    "slice": sliced,
    "upsampling": upsampled,
    "transposed": transposed,
    "pixel shuffle": lambda net, y: f"functional.pixel_shuffle(torch.cat([{y}] * 4, 1), 2)",
    "cat in space": lambda net, y: f"torch.cat([{y}, {y}.relu()], {net.random.randint(2, net.d + 1)})",
    "constant": constant,
}  # fmt: skip
WHOLE_MAP = {"squeeze-excite", "group norm", "global"}  # behind these, windows share nothing
SHARED = [kind for kind in STATEMENTS if kind not in WHOLE_MAP]
NAMED: dict[str, Any] = {"torch": torch, "nn": nn, "functional": functional}
