"""The example runs, in a short version, and says what is so."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

import convlin
import leave_the_convolution as example
from rounding import agree, gamma


@pytest.fixture(scope="module")
def history():
    return example.run(epochs=8, seed=1)


def test_relaxing_changes_nothing_but_rounding(history):
    assert history.relaxed == 4
    # Sums of 9 products and of 72, each with its bias, on both sides; of scores of about 10.
    assert history.change_at_relaxing <= 10 * gamma(2 * (10 + 73), np.float32)


def test_energies_are_shares_and_leave_the_convolution(history):
    for parts in (history.first, history.second):
        shares = np.array([energy.fractions for energy in parts])
        assert agree(shares.sum(axis=1), np.ones(len(shares)), 5, 1)
        assert (
            abs(shares[: history.relaxed] - (1, 0, 0)) <= gamma(2**13)
        ).all()  # of 8,192 weights
        shared = shares[history.relaxed :, 0].tolist()
        assert shared == sorted(shared, reverse=True) and 0.5 < shared[-1] < 1
    assert history.first[-1].off > 0, "a fully connected layer may leave the support"
    assert all(energy.off == 0 for energy in history.second), "a locally connected one may not"


def test_it_learns(history):
    assert history.accuracy[-1] > 0.85


def test_the_exchanged_network_is_the_same_one():
    torch.manual_seed(0)
    network, images = example.Network().double(), torch.rand(5, 1, 8, 8).double()
    expected = network(images)
    example.relax(network)
    assert isinstance(network.second, convlin.LocallyConnected2d)
    assert network.first.linear.weight.shape == (8 * 64, 64)
    assert agree(network(images), expected, 2 * (10 + 73 + 257), 1 + expected.abs().max())


def test_the_picture_and_the_words(tmp_path, monkeypatch, capsys):
    out = tmp_path / "pictures" / "leaving.png"
    monkeypatch.setattr(sys, "argv", ["example", "--epochs", "4", "-o", str(out)])
    example.main()
    with Image.open(out) as picture:
        assert picture.size == (1350, 780)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 100
    assert [path.name for path in out.parent.iterdir()] == ["leaving.png"]
    text = capsys.readouterr().out
    assert "relaxed after epoch 2" in text and "0.0% off" in text and f"wrote {out}" in text
