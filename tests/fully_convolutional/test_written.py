"""A written program takes every size that is promised, in a process that knows nothing of us."""

import itertools
import json
import subprocess
import sys

import pytest
import torch
from small_nets import Net, conv
from torch import nn

from convlin import InputError, fully_convolutional
from convlin.models.dense import run_program, written
from convlin.models.dense.export import export
from written_here import check_here

WINDOWS = {1: (2, 11), 2: (2, 9, 8), 3: (2, 4, 9, 8)}
KERNELS = {1: (2,), 2: (3, 2), 3: (2, 3, 2)}
HALVES = {1: (2,), 2: (1, 2), 3: (1, 2, 2)}


def layer(kind, ndim):
    return getattr(nn, f"{kind}{ndim}d")


def pools(ndim):
    """What may stand behind the first convolution, whose map is (10), (7, 7) or (3, 7, 7)."""
    odd = {1: (4,), 2: (3, None), 3: (2, 3, None)}[ndim]
    whole = {1: (5,), 2: (7, None), 3: (1, None, 7)}[ndim]
    return {
        "none": nn.Identity(),
        "strided": conv(3, 3, 2, ndim, stride=HALVES[ndim], dilation=1),
        "max": layer("MaxPool", ndim)(HALVES[ndim]),
        "average": nn.Sequential(nn.ReLU(), layer("AvgPool", ndim)(HALVES[ndim])),
        "ceil": layer("MaxPool", ndim)(1, HALVES[ndim], ceil_mode=True),
        "divides": layer("AdaptiveAvgPool", ndim)(whole),
        "folded": layer("AdaptiveAvgPool", ndim)(odd),
    }


def heads(channels, features, ndim):
    """What may stand at the end: one feature or several, one layer or two, a global pool."""
    pool = layer("AdaptiveAvgPool", ndim)(1)
    return {
        "several": [nn.Flatten(), nn.Linear(features, 5)],
        "one": [nn.Flatten(), nn.Linear(features, 1)],
        "two": [nn.Flatten(), nn.Linear(features, 4), nn.ReLU(), nn.Linear(4, 1)],
        "pool": [pool, nn.Flatten(), nn.Linear(channels, 5)],
        "pool-one": [pool, nn.Flatten(), nn.Linear(channels, 1)],
        "pool-alone": [pool, nn.Flatten()],
    }


def networks(ndim, every):
    """Yield a name, a classifier and its network in so many dimensions.

    Each pool meets each head: in every number of dimensions, or in one, as a Latin square deals them.
    """
    window = WINDOWS[ndim]
    pairs = itertools.product(enumerate(pools(ndim)), enumerate(heads(1, 1, ndim)))
    for (i, pool), (j, head) in pairs:
        if pool in ("divides", "folded") and head.startswith("pool"):
            continue  # refused: it pools what an adaptive pool has pooled
        if not every and (i + j) % len(WINDOWS) != ndim - 1:
            continue
        torch.manual_seed(8)
        body = nn.Sequential(conv(2, 3, KERNELS[ndim], ndim), pools(ndim)[pool])
        out = body(torch.zeros(1, *window))
        model = nn.Sequential(*body, *heads(3, out[0].numel(), ndim)[head]).eval()
        network = fully_convolutional(model, window, proofs=False, check=False)
        yield f"{ndim}d-{pool}-{head}", model, network


RUNNER = """
import contextlib, io, json, runpy, sys
import torch
module = runpy.run_path(sys.argv[1])
for file, shapes in json.load(open(sys.argv[2])).items():
    program = torch.export.load(file).module()
    results = []
    for shape in shapes:
        with torch.no_grad():
            try:
                results.append(program(module["noise"](tuple(shape), torch.float32, "cpu")))
            except Exception as error:
                results.append(str(error))
    torch.save(results, file + ".out")
assert not any(name.startswith("convlin") for name in sys.modules)
"""


def test_programs_of_all_kinds_take_every_size_in_a_new_process(tmp_path, pytestconfig):
    made, jobs = {}, {}
    every = pytestconfig.getoption("seeds") > 2
    for name, model, network in itertools.chain.from_iterable(networks(n, every) for n in WINDOWS):
        file = str(tmp_path / f"{name}.pt2")
        torch.export.save(export(network), file)
        made[file] = model, network
        jobs[file] = sizes(network)
    assert len(made) == (3 * 36 if every else 36)
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, "-c", RUNNER, run_program.__file__, str(tmp_path / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for file, (model, network) in made.items():
        for shape, result in zip(jobs[file], torch.load(f"{file}.out"), strict=True):
            images = run_program.noise(tuple(shape), torch.float32, "cpu")
            with torch.no_grad():
                own = network(images)
                scores = model(last_window(network, images, own.shape[2:]))
            assert isinstance(result, torch.Tensor), (file, shape, result)
            assert result.shape == own.shape
            # two orders of at most 150 products of numbers below 2, in two layers, in float32
            bound = 2 * 150 * 2.0**-24 * 4 * own.abs().max().clamp(1)
            assert (result - own).abs().max() < bound
            assert (own.flatten(2)[..., -1] - scores).abs().max() < bound


def last_window(network, images, cells):
    """Return the crops that the last of so many cells stand for."""
    steps = zip(network.window[1:], network.stride, cells, strict=True)
    for axis, (size, step, count) in enumerate(steps, 2):
        images = images.narrow(axis, step * (count - 1), size)
    return images


def sizes(network):
    """Return batches of 1 and 3: the window, one cell more in each dimension, odd ones."""
    channels, *window = network.window
    ndim = len(window)
    found = [
        window,
        [n + s for n, s in zip(window, network.stride, strict=True)],
        [n + 1 for n in window],
    ]
    found += [[n + s * (d == axis) for d, (n, s) in enumerate(zip(window, network.stride, strict=True))]
              for axis in range(ndim)]  # fmt: skip
    found += [[n + 5 * s + 3 - d for d, (n, s) in enumerate(zip(window, network.stride, strict=True))],
              [17] * ndim]  # fmt: skip
    return [[batch, channels, *size] for size in found for batch in (1, 3)]


def test_what_is_compared_covers_the_window_one_cell_more_and_odd_sizes(tmp_path):
    torch.manual_seed(1)
    model = Net(lambda m, x: {"a": m.a(x.flatten(1)), "b": (m.b(x.flatten(1)),)},
                a=nn.Linear(3 * 4 * 5, 2), b=nn.Linear(3 * 4 * 5, 1)).eval()  # fmt: skip
    network = fully_convolutional(model, (3, 4, 5), proofs=False)
    torch.export.save(export(network), tmp_path / "a.pt2")
    largest, shapes = written.compare(network, tmp_path / "a.pt2")
    assert largest < 1e-5
    assert {shape[0] for shape in shapes} == {1, 3} and len(set(shapes)) == 6
    assert {(1, 3, 4, 5), (3, 3, 4, 5), (1, 3, 4, 6)} <= set(shapes)


def test_a_program_that_fails_or_differs_is_named_with_the_size(tmp_path, monkeypatch):
    check_here(monkeypatch)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 2)).eval()
    network = fully_convolutional(model, (3, 4, 5), proofs=False)
    fixed = torch.export.export(network, (torch.zeros(1, 3, 4, 5),))
    torch.export.save(fixed, tmp_path / "fixed.pt2")
    with pytest.raises(InputError, match=r"fails on images \(3, 3, 4, 5\), and is not kept"):
        written.compare(network, tmp_path / "fixed.pt2")
    torch.export.save(export(network), tmp_path / "other.pt2")
    with torch.no_grad():
        network.network.get_submodule("1").bias += 1
    with pytest.raises(InputError, match=r"differs on images \(1, 3, 4, 5\), and is not kept"):
        written.compare(network, tmp_path / "other.pt2")
    monkeypatch.undo()  # what cannot even be loaded ends a process
    (tmp_path / "none.pt2").write_bytes(b"PK")
    with pytest.raises(InputError, match="cannot be loaded again"):
        written.compare(network, tmp_path / "none.pt2")
