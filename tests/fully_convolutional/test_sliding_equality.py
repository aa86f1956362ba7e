"""Padding-free nets: every cell of the dense map is the classifier's output on its crop."""

import pytest
import torch
from dense_oracle import EQUAL, photograph, worst
from small_nets import NETS

from convlin import fully_convolutional


@pytest.mark.parametrize("head", ["conv", "linear"])
@pytest.mark.parametrize("name", NETS)
def test_every_window_equals_the_classifier_on_its_crop(name, head):
    torch.manual_seed(7)
    build, window, sizes = NETS[name]
    model = build().eval().double()
    network = fully_convolutional(model, window, head=head, proofs=head == "conv")
    assert network.report.exact
    assert all(row.equal for row in network.report.rows)
    for row in network.report.rows:
        if row.operation in ("Linear", "linear") and head == "conv":
            kind = "measured" if "folded" in row.exchange else "proved"
            assert row.verdict.kind == kind, row
    for seed, size in enumerate(sizes):
        images = photograph(window[0], size, batch=2, seed=seed)
        assert worst(model, network, images) < EQUAL
