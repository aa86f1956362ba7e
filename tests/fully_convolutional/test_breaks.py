"""What makes a dense map differ from the sliding classifier: named, allowed, and measured.

Both ways: what the rules call exact is exact, and what they call a break does differ.
"""

import pytest
import torch
from dense_oracle import EQUAL, photograph, worst
from small_nets import Net, conv
from torch import nn
from torch.nn import functional

from convlin import Refused, fully_convolutional


class Gate(nn.Module):
    """Squeeze-excite, spelled with 1×1 convolutions or with Linears on a vector."""

    def __init__(self, linear):
        super().__init__()
        layer = nn.Linear if linear else (lambda i, o: conv(i, o, 1))
        self.linear, self.squeeze, self.excite = linear, layer(6, 3), layer(3, 6)

    def forward(self, x):
        if self.linear:
            y = self.excite(self.squeeze(x.mean((2, 3))).relu()).sigmoid()
            return x * y.view(x.shape[0], 6, 1, 1).expand_as(x)
        y = functional.adaptive_avg_pool2d(x, 1)
        return self.excite(self.squeeze(y).relu()).sigmoid() * x


def added_in_place(m, x):
    y = m.a(x)
    y.add_(m.b(x)[:, :, :-2, 2:])  # the result has no name; y is it
    return m.fc(y.flatten(1))


def head(cells):
    return nn.Flatten(), nn.Linear(6 * cells[0] * cells[1], 5)


def gated(linear):
    return lambda: nn.Sequential(conv(3, 6, 3), Gate(linear), *head((8, 7)))


def between(layer, cells=(8, 7)):
    return lambda: nn.Sequential(conv(3, 6, 3), layer(), *head(cells))


# name: (model, window, the layer that breaks it, what is said of it)
BREAKS = {
    **{
        f"padding-{mode}": (
            lambda mode=mode: nn.Sequential(conv(3, 6, 3, padding=(1, 0), padding_mode=mode), *head((10, 7))),
            "0", "padding ((1, 1), (0, 0)): the window sees padding where the large image has neighbours",
        )
        for mode in ("zeros", "reflect", "replicate", "circular")
    },
    "padding-folded": (
        lambda: nn.Sequential(conv(3, 6, 3, padding=(0, 1)), nn.AdaptiveAvgPool2d(5), *head((5, 5))),
        "0", "padding ((0, 0), (1, 1))",
    ),
    "padding-added-in-place": (
        lambda: Net(added_in_place, a=conv(3, 6, 3), b=conv(3, 6, 3, padding=1), fc=nn.Linear(6 * 8 * 7, 5)),
        "b", "padding ((1, 1), (1, 1))",
    ),
    "padding-pool": (between(lambda: nn.MaxPool2d(2, 1, 1), (9, 8)), "1", "padding ((1, 1), (1, 1))"),
    "padding-layer": (between(lambda: nn.ZeroPad2d((0, 1, 0, 0)), (8, 8)), "1", "padding ((0, 0), (0, 1))"),
    "ceil-max": (between(lambda: nn.MaxPool2d(3, 2, ceil_mode=True), (4, 3)), "1",
                 "ceil_mode True: the window's last cell is cut, the large image's is not"),
    "ceil-average": (between(lambda: nn.AvgPool2d((3, 1), 2, ceil_mode=True), (4, 4)), "1", "ceil_mode True"),
    "group-norm": (between(lambda: nn.GroupNorm(2, 6)), "1", "statistics over space"),
    "instance-norm": (between(lambda: nn.InstanceNorm2d(6, affine=True)), "1", "statistics over space"),
    "squeeze-excite-conv": (gated(False), "1.adaptive_avg_pool2d", "squeeze-excite"),
    "squeeze-excite-linear": (gated(True), "1.mean", "squeeze-excite"),
}  # fmt: skip
WINDOW = (3, 10, 9)


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_refused_by_name_and_differs_when_allowed(name):
    torch.manual_seed(3)
    build, layer, words = BREAKS[name]
    model = build().eval().double()
    with pytest.raises(Refused) as caught:
        fully_convolutional(model, WINDOW)
    assert [refusal.site for refusal in caught.value.refusals] == [layer]
    images = photograph(3, (21, 24), batch=2)
    network = fully_convolutional(model, WINDOW, images, allow_inexact=True, proofs=False)
    assert not network.report.exact
    assert [row.layer for row in network.report.rows if not row.equal] == [layer]
    row = next(row for row in network.report.rows if row.layer == layer)
    assert words in row.why
    assert worst(model, network, photograph(3, WINDOW[1:])) < EQUAL
    assert worst(model, network, images) > 1e-4
    deviation = network.report.deviation
    assert deviation.relative > 1e-4
    assert deviation.windows == 2 * min(64, network.cells((21, 24))[0] * network.cells((21, 24))[1])


def test_the_deviation_is_that_of_the_worst_of_all_windows():
    torch.manual_seed(3)
    model = BREAKS["padding-zeros"][0]().eval().double()
    images = photograph(3, (14, 13))
    network = fully_convolutional(model, WINDOW, [images], allow_inexact=True, proofs=False)
    dense, differences, swaps = network(images), [], 0
    for i in range(5):
        for j in range(5):
            own = model(images[:, :, i : i + 10, j : j + 9])[0]
            differences.append((own - dense[0, :, i, j]).abs().max().item())
            swaps += int(own.argmax() != dense[0, :, i, j].argmax())
    deviation = network.report.deviation
    assert deviation.windows == 25
    assert deviation.absolute == pytest.approx(
        max(differences), abs=EQUAL * dense.abs().max().item()
    )
    assert deviation.argmax == swaps / 25


# Behind the first pool 22, 23 pixels leave 10, 10.5 steps of 2: a cut cell, or none.
@pytest.mark.parametrize(("side", "exact"), [(24, False), (25, True)])
def test_rnet_is_exact_iff_its_ceil_pools_leave_no_remainder(side, exact):
    from facenet_pytorch.models.mtcnn import RNet

    model = RNet().eval().double()
    network = fully_convolutional(model, (3, side, side), allow_inexact=True, proofs=False)
    assert network.report.exact is exact
    breaking = [(row.layer, row.why) for row in network.report.rows if not row.equal]
    assert [layer for layer, _ in breaking] == ([] if exact else ["pool1"])
    assert all("ceil_mode" in why for _, why in breaking)
    difference = worst(model, network, photograph(3, (61, 49)))
    assert difference < EQUAL if exact else difference > 1e-3


def test_a_layer_whose_broken_cells_no_later_layer_reads_is_said_to_be_equal():
    model = Net(lambda m, x: m.head(m.a(x)[:, :, 1:-1].flatten(1)), a=conv(3, 6, 3, padding=(1, 0)),
                head=nn.Linear(6 * 8 * 7, 5))  # fmt: skip
    report = fully_convolutional(model.eval(), WINDOW, proofs=False).report
    assert report.exact
    assert report.rows[0].equal
    assert report.rows[0].why == "padding ((1, 1), (0, 0)), but no later layer reads those cells"


def test_running_statistics_of_an_instance_norm_are_no_statistics_over_space():
    torch.manual_seed(3)
    model = between(lambda: nn.InstanceNorm2d(6, track_running_stats=True))().eval().double()
    network = fully_convolutional(model, WINDOW, proofs=False)
    assert network.report.exact
    assert worst(model, network, photograph(3, (14, 12))) < EQUAL
