"""Numbers that somebody chose: each is where it is said to be, and a test fails when it moves."""

import pytest
import torch
from lying import instead
from small_nets import conv
from torch import nn

from convlin import Refused, fully_convolutional
from convlin.models.dense.deviation import measure
from convlin.models.dense.fully_convolutional import _window
from convlin.models.dense.side_by_side import Comparison
from rounding import STABLE, gamma

WINDOW = (3, 8, 7)
BATCHES = []


class Counts(nn.Tanh):
    """Notes the batches it runs on, of copies of it too."""

    def forward(self, x):
        if x.ndim == 2 and type(x) is torch.Tensor:  # the model's rows, not the network's map
            BATCHES.append(len(x))
        return super().forward(x)


Counts.__module__ = "torch.nn.modules.activation"  # a layer to the tracer


def model(*behind, features=2):
    torch.manual_seed(3)
    return nn.Sequential(
        conv(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 5, features), *behind
    ).eval()


def seen(network, **options):
    return fully_convolutional(network, WINDOW, proofs=False, **options).report.seen


def lie(monkeypatch, change):
    """Let the network's last Softsign be another layer than the model's."""

    class Other(nn.Module):
        def forward(self, x):
            return change(nn.functional.softsign(x))

    instead(nn.Softsign, Other)(monkeypatch)


@pytest.mark.parametrize(("off", "refused"), [(0.75e-10, False), (1.5e-10, True)])
def test_a_difference_above_1e_minus_10_is_refused(monkeypatch, off, refused):
    lie(monkeypatch, lambda y: y * (1 + off))
    if refused:
        with pytest.raises(Refused, match="expected the model's, within 1e-10"):
            seen(model(nn.Softsign()))
    else:
        # Both numbers are near 1 beside their difference: each of a few steps rounds by u of that.
        assert seen(model(nn.Softsign())).difference == pytest.approx(off, rel=0, abs=gamma(STABLE))


@pytest.mark.parametrize(("share", "refused"), [(0.75, False), (1.5, True)])
def test_1024_roundings_of_the_largest_number_inside_explain_a_difference(
    monkeypatch, share, refused
):
    """That number is a constant 2²⁰ here, and the output next to nothing."""
    network = model(nn.Linear(2, 1), nn.Softsign())
    with torch.no_grad():
        network[2].weight[0], network[2].bias[0] = 0, 2.0**20
        network[2].weight[1] /= 1e3
        network[3].weight[:], network[3].bias[:] = torch.tensor([[0.0, 1e-3]]), 0
    lie(monkeypatch, lambda y: y + share * 2.0**10 * 2.0**-53 * 2.0**20)
    if refused:
        with pytest.raises(Refused):
            seen(network)
    else:
        assert seen(network).windows == 9


@pytest.mark.parametrize(("spread", "unseen"), [(0.75e-8, 1), (1.5e-8, 0)])
def test_an_output_varies_if_inputs_move_it_a_hundred_times_the_tolerance(spread, unseen):
    network = model(nn.Hardtanh(), nn.Linear(1, 1), features=1).double()
    with torch.no_grad():
        network[2].weight *= 1e9  # ±1 behind it, for noise of either sign
        network[4].weight[:], network[4].bias[:] = spread / 2, 1
    found = seen(network)
    assert (found.outputs, found.unseen) == (1, unseen)


def test_a_model_is_run_on_two_crops_at_once():
    BATCHES.clear()
    assert seen(model(Counts())).windows == 9
    assert BATCHES == [2, 1, 2, 2, 2]  # normal, heavy-tailed; six crops
    BATCHES.clear()
    layers = nn.Conv3d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 2 * 3 * 4, 2), Counts()
    volumes = nn.Sequential(*layers).eval()  # every second one of 3·2·2 crops
    assert fully_convolutional(volumes, (3, 4, 5, 6), proofs=False).report.seen.windows == 9
    assert BATCHES == [2, 1, 2, 2, 2]
    BATCHES.clear()
    padded = nn.Sequential(
        nn.ZeroPad2d(1), conv(3, 4, 3), nn.Flatten(), nn.Linear(4 * 56, 2), Counts()
    )
    assert seen(padded.eval(), allow_inexact=True).windows == 3
    assert BATCHES == [2, 1, 2]


def test_heavy_tails_are_cut_at_a_thousand():
    pair = type("Pair", (), {"copied": True, "like": torch.empty(0)})
    noise = Comparison(pair)._noise("heavy-tailed", (1, 10**5))
    assert noise.abs().max() == 1000 and (noise.abs() < 1000).sum() > 0.99 * 10**5


def test_64_windows_of_an_image_are_measured_16_at_once():
    network = fully_convolutional(model(Counts()), WINDOW, proofs=False, check=False)
    BATCHES.clear()
    deviation = measure(model(Counts()), network, torch.randn(1, 3, 20, 20))
    assert deviation.windows == 64
    assert BATCHES == [16] * 4


def test_a_window_holds_at_most_2_to_the_32_numbers():
    assert _window((2, 2**31)) == (2, 2**31)
    with pytest.raises(Refused, match="at most 2³² numbers"):
        _window((2, 2**31 + 1))


def test_a_training_model_names_three_of_its_layers():
    training = model(nn.Dropout(), nn.Dropout(), nn.Dropout())
    for dropout in training[3:]:
        dropout.train()
    with pytest.raises(Refused, match="training is True in 3, 4, 5, expected"):
        fully_convolutional(training, WINDOW)
    with pytest.raises(Refused, match="training is True in Sequential, 0, 1 and 4 more, expected"):
        fully_convolutional(training.train(), WINDOW)


def test_an_exchange_that_sites_share_is_proved_by_two_draws():
    shared = model(nn.ReLU(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    rows = fully_convolutional(shared, WINDOW, check=False).report.rows
    assert "; 2 draws, wrong with" in str(rows[-3].verdict)
    assert str(rows[-1].verdict).startswith("proved: as 4, for all weights; 2 draws, wrong with")
