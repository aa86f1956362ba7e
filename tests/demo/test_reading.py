"""The classifier, the sheet read in one pass, and the same by sliding."""

from fractions import Fraction
from importlib import resources

import numpy as np
import pytest
import torch
from torch import nn

from convlin import cost, fully_convolutional
from convlin.demo.classifier import NOTHING, WINDOW, digit_classifier, training_record
from convlin.demo.one_pass import read
from convlin.demo.race import Race, largest_difference, race, score_bound
from convlin.demo.sheet import compose, held_out_digits
from convlin.geometry import ReceptiveField
from convlin.models.dense.network import crops
from rounding import agree, gamma

IMAGES, LABELS = held_out_digits()


@pytest.fixture(scope="module")
def classifier():
    return digit_classifier()


@pytest.fixture(scope="module")
def network(classifier):
    return fully_convolutional(classifier, WINDOW)


def test_at_least_97_percent_of_the_held_out_digits(classifier):
    """Each alone in the middle of a window; 'nothing' counts as wrong."""
    windows = [
        compose(IMAGES[i : i + 1], LABELS[i : i + 1], (32, 32), count=1, seed=i).image
        for i in range(len(IMAGES))
    ]
    with torch.no_grad():
        guesses = classifier(torch.from_numpy(np.stack(windows))[:, None]).argmax(1)
    right = int((guesses == torch.from_numpy(LABELS)).sum())
    assert right >= 0.97 * 450
    assert right == pytest.approx(450 * float(training_record()["held_out_accuracy"]), abs=1)


def test_blank_paper_is_nothing(classifier):
    greys = torch.linspace(0.8, 1, 21)[:, None, None, None].expand(-1, *WINDOW)
    assert (classifier(greys).argmax(1) == NOTHING).all()


def test_the_weights_are_small_and_float32(classifier):
    file = resources.files("convlin.demo") / "data" / "digits.safetensors"
    assert len(file.read_bytes()) < 300_000
    assert {parameter.dtype for parameter in classifier.parameters()} == {torch.float32}
    assert not classifier.training
    assert training_record()["script"] == "scripts/train_digits.py"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_sheet_is_read_with_95_percent_precision_and_recall(network, seed):
    sheet = compose(IMAGES, LABELS, (512, 640), seed=seed)
    reading = read(network, sheet.image, sheet.digits)
    assert len(sheet.digits) == 126
    assert reading.result.precision > 0.95 and reading.result.recall > 0.95
    assert (
        reading.odds.shape == reading.scores.shape[1:] == ((512 - 32) // 4 + 1, (640 - 32) // 4 + 1)
    )


def test_an_empty_sheet_has_no_digits(network):
    reading = read(network, np.full((90, 131), 0.9, np.float32))
    assert reading.detections == () and reading.truth is None and reading.result is None


def test_crops_are_the_windows_of_their_cells():
    image = torch.arange(13.0 * 17).reshape(13, 17)
    field = ReceptiveField((5, 4), (2, 3), (0, 0))
    cells = np.array([(0, 0), (4, 1), (2, 4)])
    expected = [image[2 * i : 2 * i + 5, 3 * j : 3 * j + 4] for i, j in cells.tolist()]
    assert torch.equal(crops(image[None, None], field, cells), torch.stack(expected)[:, None])


def test_dense_scores_are_those_of_sliding(classifier, network):
    sheet = compose(IMAGES, LABELS, (97, 130), seed=3)
    difference = largest_difference(classifier, network, sheet.image)
    assert difference.windows == 17 * 25
    single, double = difference.rows
    assert (single.dtype, double.dtype) == ("float32", "float64")
    assert single.within and double.within
    assert double.largest <= gamma(2 * 4 * 800) * double.scale  # four layers of at most 800 terms
    assert double.bound < single.bound * 2.0**-28
    every = np.stack(np.divmod(np.arange(17 * 25), 25), axis=1)
    windows = crops(torch.from_numpy(sheet.image)[None, None], network.field, every)
    assert single.bound in (2 * score_bound(classifier.layers, windows)).flatten().tolist()


def test_a_network_with_other_weights_is_out_of_bounds(classifier, network):
    """The comparison can fail."""
    sheet = compose(IMAGES, LABELS, (97, 130), seed=3)
    other = digit_classifier()
    with torch.no_grad():
        other.output.bias[4] += 1e-3
    single, double = largest_difference(other, network, sheet.image).rows
    assert not double.within
    assert single.largest == pytest.approx(
        1e-3, abs=gamma(2 * 4 * 800, torch.float32) * single.scale
    )


def exactly(layers, window):
    """Run Linear and ReLU layers in fractions."""
    values = [Fraction(x) for x in window.flatten().tolist()]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
            values = [
                sum((Fraction(w) * v for w, v in zip(row, values, strict=True)), Fraction(bias))
                for row, bias in rows
            ]
        elif isinstance(layer, nn.ReLU):
            values = [max(v, Fraction(0)) for v in values]
    return values


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_holds_in_exact_arithmetic(seed):
    torch.manual_seed(seed)
    layers = [
        nn.Flatten(),
        nn.Linear(35, 23),
        nn.ReLU(),
        nn.Linear(23, 17),
        nn.ReLU(),
        nn.Linear(17, 3),
    ]
    windows = torch.randn(4, 1, 5, 7)
    with torch.no_grad():
        bound = score_bound(layers, windows)
        floats = nn.Sequential(*layers)(windows)
    for row, window, limits in zip(floats.tolist(), windows, bound.tolist(), strict=True):
        for got, true, limit in zip(row, exactly(layers, window), limits, strict=True):
            assert 0 < limit < 1e-3
            assert abs(Fraction(got) - true) <= Fraction(limit)


def test_the_bound_of_one_convolution_is_highams():
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, (2, 3))
    window = torch.randn(1, 2, 4, 6)
    n, u = 2 * 2 * 3 + 1, 2.0**-24
    absolute = nn.Conv2d(2, 3, (2, 3)).double()
    absolute.weight.data, absolute.bias.data = conv.weight.double().abs(), conv.bias.double().abs()
    with torch.no_grad():
        expected = n * u / (1 - n * u) * absolute(window.double().abs())
    assert agree(score_bound([conv], window), expected, 2 * n + 4, expected)


def test_the_bound_of_two_layers_carries_the_first_ones_error():
    torch.manual_seed(1)
    first, second = nn.Linear(1000, 7).double(), nn.Linear(7, 2).double()
    x = torch.randn(3, 1000)
    with torch.no_grad():
        u = 2.0**-24
        g1, g2 = 1001 * u / (1 - 1001 * u), 8 * u / (1 - 8 * u)
        e1 = g1 * (x.double().abs() @ first.weight.abs().T + first.bias.abs())
        x1 = x.double() @ first.weight.T + first.bias
        through = e1 @ second.weight.abs().T
        local = g2 * ((x1.abs() + e1) @ second.weight.abs().T + second.bias.abs())
    # The local part also counts the error e1 that its inputs have: a share of about 1e-4 of it.
    assert agree(score_bound([first, second], x), through + local, 4 * 1000, through + local)


def test_the_bound_passes_through_relu_and_max_pool():
    conv = nn.Conv2d(1, 2, 2)
    window = torch.randn(1, 1, 5, 7)
    error = score_bound([conv], window)
    assert torch.equal(score_bound([conv, nn.ReLU()], window), error)
    assert torch.equal(
        score_bound([conv, nn.MaxPool2d(2)], window), nn.functional.max_pool2d(error, 2)
    )
    with pytest.raises(TypeError, match="no rule for Sigmoid"):
        score_bound([nn.Sigmoid()], window)


def adds(rows, columns):
    """Multiply-adds on so many pixels, by hand: three convolutions and two layers that were Linear."""
    firsts = (rows - 4) * (columns - 4) * 8 * 25
    halves = ((rows - 4) // 2 - 2) * ((columns - 4) // 2 - 2)
    quarters = (((rows - 4) // 2 - 2) // 2 - 2) * (((columns - 4) // 2 - 2) // 2 - 2)
    cells = ((rows - 32) // 4 + 1) * ((columns - 32) // 4 + 1)
    return firsts + halves * 16 * 72 + quarters * 32 * 144 + cells * (512 * 48 + 48 * 11)


def test_multiply_adds_are_counted_tap_by_tap(classifier, network):
    for model, size in ((classifier, (32, 32)), (network, (32, 32)), (network, (76, 72))):
        assert cost(model, (1, *size)).multiply_adds["conv"] == adds(*size)


def test_the_race_times_every_round(classifier, network):
    seen = []
    image = compose(IMAGES, LABELS, (96, 112), seed=0).image
    result = race(
        classifier, network, image, rounds=3, sample=128, progress=lambda *a: seen.append(a)
    )
    assert (result.windows, result.timed) == (17 * 21, 128)
    assert len(result.dense) == len(result.sampled) == 3
    assert min(*result.dense, *result.sliding) > 0
    assert seen[-1] == ("racing", 4, 4)
    dense, sliding = result.multiply_adds
    assert sliding == 17 * 21 * adds(32, 32)
    assert dense == adds(96, 112) and 5 * dense < sliding


def test_ratios_are_of_rounds_and_sorted():
    result = Race((1.0, 2.0, 4.0), (3.0, 2.0, 8.0), 64, 100, 10, (1, 10))
    assert result.sliding == (30.0, 20.0, 80.0)
    assert result.ratios == (10.0, 20.0, 30.0)
    assert result.medians == (2.0, 30.0, 20.0)


def test_what_is_compared_and_raced_is_as_much_as_is_said(classifier, network):
    """512 windows compared, in batches of 64; 1024 raced, in batches of 64, 256 and 1024."""
    image = compose(IMAGES, LABELS, (160, 164), seed=0).image  # 33·34 = 1122 windows
    batches = []
    handle = classifier.register_forward_pre_hook(lambda _, args: batches.append(len(args[0])))
    result = race(classifier, network, image, rounds=1)
    handle.remove()
    assert (result.windows, result.timed) == (1122, 1024)
    # two rounds, the first of which warms up, and a window for the cost
    one_round = [64] * 16 + [256] * 4 + [1024]
    assert batches[: 2 * 21] == 2 * one_round
    difference = largest_difference(classifier, network, image)
    assert difference.windows == 512
