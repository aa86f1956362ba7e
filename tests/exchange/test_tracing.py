"""torch.export, torch.compile's tracer and torch.fx: one graph for every batch, height and width."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.export import Dim, export

from convlin import to_conv, to_conv2d, to_linear
from geometry_strategies import conv, integers

LAST = torch.channels_last
FORMS = {
    "pointwise": to_linear(conv(2, 3, 5, 1)),
    "pointwise-strided": to_linear(conv(2, 3, 5, 1, stride=2, padding=1)),
    "pointwise-batched": to_linear(conv(2, 6, 4, 1, groups=2)),
    "patchify": to_linear(conv(2, 3, 5, (2, 3), stride=(2, 3))),
    "windows": to_linear(conv(2, 3, 5, 3, padding=1, padding_mode="reflect"), exchange="windows"),
    "windows-dilated": to_linear(conv(2, 3, 5, 3, stride=2, dilation=2), exchange="windows"),
    "windows-batched": to_linear(conv(2, 4, 6, 3, groups=2), exchange="windows"),
    "windows-blocks": to_linear(
        conv(2, 4, 6, 3, groups=2), exchange="windows", groups="block_diagonal"
    ),
    "unpatchify": to_linear(conv(2, 3, 5, 2, transposed=True, stride=2)),
    "unpatchify-gaps": to_linear(
        conv(2, 4, 6, (1, 2), transposed=True, stride=3, padding=(0, 1), groups=2)
    ),
    "windows-last": to_linear(conv(2, 3, 5, 3).to(memory_format=LAST), exchange="windows"),
}
SIZES = [(8, 9), (13, 8), (21, 34), (9, 11), (17, 15)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_one_export_for_every_batch_height_and_width(form):
    channels = form.geometry.in_channels
    free = {0: Dim("batch"), 2: Dim("height", min=8, max=999), 3: Dim("width", min=8, max=999)}
    exported = export(form, (integers(2, channels, 10, 12),), dynamic_shapes=(free,)).module()
    for batch in (1, 3):
        for size in SIZES:
            x = integers(batch, channels, *size, seed=7)
            assert torch.equal(exported(x), form(x))


def test_one_export_for_any_number_of_rows():
    form = to_conv(nn.Linear(3, 4, dtype=torch.float64))
    free = {0: Dim("a"), 1: Dim("b")}
    exported = export(form, (integers(5, 7, 3),), dynamic_shapes=(free,)).module()
    for rows in ((2, 9), (1, 4), (8, 1)):
        x = integers(*rows, 3)
        assert torch.equal(exported(x), form(x))


def test_the_convolution_of_a_full_size_form_exports():
    form = to_conv(nn.Linear(30, 4, dtype=torch.float64), (3, 2, 5), order="HWC")
    free = {0: Dim("batch"), 2: Dim("height", min=8, max=999), 3: Dim("width", min=8, max=999)}
    exported = export(form.conv, (integers(2, 3, 10, 12),), dynamic_shapes=(free,)).module()
    x = integers(1, 3, 9, 21)
    assert torch.equal(exported(x), form(x))


def test_one_export_for_lines_rows_and_videos():
    line = to_conv2d(conv(1, 3, 5, 4, stride=3, padding=2, padding_mode="reflect"))
    frames = to_conv2d(conv(3, 3, 5, (2, 3, 3), stride=(2, 1, 2), padding=(0, 1, 1)))
    rows = to_conv2d(nn.Linear(3, 4, dtype=torch.float64))
    for form, shape, axes in [
        (line, (2, 3, 9), (0, 2)),
        (frames, (2, 3, 8, 9, 10), (0, 3, 4)),
        (rows, (2, 5, 3), (0, 1)),
    ]:
        free = {axis: Dim(f"n{axis}", min=1 if axis == 0 else 3, max=999) for axis in axes}
        exported = export(form, (integers(*shape),), dynamic_shapes=(free,)).module()
        for more in (1, 4):
            x = integers(*(n + more * (axis in axes) for axis, n in enumerate(shape)), seed=7)
            assert torch.equal(exported(x), form(x))
        torch._dynamo.reset()
        compiled = torch.compile(form, backend="eager", fullgraph=True, dynamic=True)
        assert torch.equal(compiled(x), form(x))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_compile_sees_one_graph(form):
    torch._dynamo.reset()
    compiled = torch.compile(form, backend="eager", fullgraph=True, dynamic=True)
    for size in SIZES[:2]:
        x = integers(2, form.geometry.in_channels, *size, seed=7)
        assert torch.equal(compiled(x), form(x))


FX = """
import torch
from torch import fx, nn
from convlin import to_conv, to_conv1d, to_conv2d, to_linear, to_pointwise
from convlin.layers import frames, lines, scattering, sliding

forms = {
    "sliding": to_linear(nn.Conv2d(3, 5, 2, stride=2, padding=1)),
    "batched": to_linear(nn.Conv2d(4, 6, 1, groups=2)),
    "fixed": to_linear(nn.Conv2d(3, 5, 2), (4, 6)),
    "rows": to_conv(nn.Linear(6, 4)),
    "map": to_conv(nn.Linear(12, 4), (3, 2, 2)),
    "scattering": to_linear(nn.ConvTranspose2d(3, 5, 2, stride=2)),
    "rows2d": to_conv2d(nn.Linear(6, 4)),
    "line": to_conv2d(nn.Conv1d(3, 5, 2)),
    "frames": to_conv2d(nn.Conv3d(3, 5, (2, 1, 3), stride=(2, 1, 1))),
    "lines": to_conv1d(nn.Conv2d(3, 5, (1, 2))),
    "depth": to_pointwise(nn.Conv2d(3, 5, 2, stride=2)),
    "dense-groups": to_linear(nn.Conv2d(4, 6, 3, groups=2), (4, 6)),
}
shapes = {"line": (6,), "frames": (4, 2, 6)}
for name, form in forms.items():
    channels = 4 if name in ("batched", "dense-groups") else 3
    traced = fx.symbolic_trace(form)
    for batch in (2, 1, 0):
        x = torch.randn(batch, channels, *shapes.get(name, (4, 6)))
        assert torch.equal(traced(x), form(x)), name
    steps = [n.target.__name__ for n in traced.graph.nodes if n.op == "call_function"]
    print(name, *(step for step in steps if any(hasattr(room, step) for room in (sliding, scattering, lines, frames)) or step.startswith("_")))
"""


def test_fx_records_each_step_as_one_node():
    # In a process of its own: here every annotation is checked, and fx passes proxies for tensors.
    done = subprocess.run([sys.executable, "-c", FX], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "sliding require_map pad cut_windows as_rows as_image",
        "batched require_map pad cut_windows as_columns as_image",
        "fixed _flat",
        "rows as_line as_rows",
        "map _as_maps _as_vectors",
        "scattering require_map cut_windows as_rows side_by_side pad with_bias in_format_of",
        "rows2d as_lines as_rows",
        "line require_map in_format_of",
        "frames require_map as_images as_video in_format_of",
        "lines require_map _as_lines _as_image in_format_of",
        "depth require_map pad _space_to_depth in_format_of",
        "dense-groups _flat _by_group with_bias",
    ]
