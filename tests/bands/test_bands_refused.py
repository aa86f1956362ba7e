"""What cannot be done in bands is refused by its name; odd bands are refused too."""

import pytest
import torch
import torchvision
from torch import nn

from convlin import fully_convolutional
from convlin.errors import GeometryError, Refused
from convlin.models.bands import BandedNetwork


def network_of(*layers, window=(3, 9, 8)):
    model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(2)).eval()
    model(torch.zeros(1, *window))
    return fully_convolutional(model, window, allow_inexact=True, proofs=False, check=False)


WHOLE = "it reads the whole map, of which a band has some rows"
REFUSED = {
    "circular conv": (
        nn.Conv2d(3, 4, 3, padding=(2, 1), padding_mode="circular"),
        "padding_mode is circular, expected another mode along rows",
    ),
    "circular pad": (nn.CircularPad2d((0, 0, 1, 0)), "padding_mode is circular"),
    "group norm": (nn.GroupNorm(3, 3), f"operation is GroupNorm, .*{WHOLE}"),
    "instance norm": (nn.InstanceNorm2d(3), f"statistics is over space, .*{WHOLE}"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    layer, message = REFUSED[name]
    with pytest.raises(Refused, match=f"^1: {message}"):
        BandedNetwork(network_of(nn.Conv2d(3, 3, 3), layer))


def test_squeeze_excite_is_refused_wherever_it_stands():
    network = fully_convolutional(
        torchvision.models.mobilenet_v3_small().eval(), (3, 64, 64), allow_inexact=True,
        proofs=False, check=False,
    )  # fmt: skip
    with pytest.raises(Refused) as caught:
        BandedNetwork(network)
    blocks = {1: 1, **dict.fromkeys(range(4, 12), 2)}
    wanted = {f"features.{i}.block.{j}.avgpool" for i, j in blocks.items()}
    assert {refusal.site for refusal in caught.value.refusals} == wanted


def test_circular_padding_along_other_axes_is_done():
    network = network_of(
        nn.Conv2d(3, 4, 3, padding=(0, 1), padding_mode="circular"), nn.CircularPad2d((1, 2, 0, 0)),
        nn.InstanceNorm2d(4, track_running_stats=True),
    ).double()  # fmt: skip
    image = torch.rand(1, 3, 21, 17, dtype=torch.float64)
    run = BandedNetwork(network).start((21, 17))
    made = torch.cat([run.push(band)[0] for band in image.split(4, dim=2)], dim=2)
    assert torch.allclose(made, network(image), rtol=1e-12, atol=1e-12)


def test_an_operation_without_a_rule_is_refused():
    network = network_of(nn.Conv2d(3, 3, 3))
    network.network.add_module("0", nn.Upsample(scale_factor=1))
    with pytest.raises(Refused, match=r"^0: operation is Upsample, .*no rule for it in bands"):
        BandedNetwork(network)


def test_a_layer_with_a_forward_of_its_own_is_refused():
    network = network_of(nn.Conv2d(3, 3, 3))
    layer = network.network.get_submodule("0")
    layer.forward = lambda x: x
    with pytest.raises(Refused, match=r"^0: operation is Conv2d"):
        BandedNetwork(network)


def test_transposed_convolutions_are_refused():
    network = network_of(nn.Conv2d(3, 3, 3))
    network.network.add_module("0", nn.ConvTranspose2d(3, 3, 3, padding=2))
    with pytest.raises(Refused, match=r"^0: type is ConvTranspose2d"):
        BandedNetwork(network)


def test_an_image_below_one_window_is_refused():
    bands = BandedNetwork(network_of(nn.Conv2d(3, 4, 3)))
    with pytest.raises(GeometryError, match="images: shape is"):
        bands.start((8, 30))
    with pytest.raises(GeometryError, match="images: shape is"):
        bands.costs((8, 30), 4, torch.float32)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 3, 6, 17), torch.float32),  # more rows than are left
        ((1, 3, 2, 16), torch.float32),
        ((1, 4, 2, 17), torch.float32),
        ((2, 3, 2, 17), torch.float32),
        ((1, 3, 2, 17), torch.float64),
        ((3, 2, 17), torch.float32),
    ],
)
def test_odd_bands_are_refused(shape, dtype):
    run = BandedNetwork(network_of(nn.Conv2d(3, 4, 3))).start((11, 17))
    run.push(torch.zeros(1, 3, 6, 17))
    with pytest.raises(Refused, match="^band: rows is .*6 of 11 rows have come"):
        run.push(torch.zeros(shape, dtype=dtype))
    assert run.rows == 6
    run.push(torch.zeros(1, 3, 5, 17))
    assert run.done == 3


def test_what_is_given_and_taken_is_nobody_elses():
    """Bands are not written to, and what comes back can be."""
    relu = nn.Sequential(
        nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True)
    )
    network = network_of(relu)
    image = torch.randn(1, 3, 23, 17).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        wanted = network(image.clone())
    same = image.clone()
    run = BandedNetwork(network).start((23, 17))
    made = []
    with torch.inference_mode():
        for band in image.split(5, dim=2):
            for rows in run.push(band):
                made.append(rows.clone())
                rows.fill_(7)
    assert torch.equal(image, same)
    assert torch.allclose(torch.cat(made, dim=2), wanted, atol=1e-6)


def test_bands_without_rows_give_none():
    bands = BandedNetwork(network_of(nn.Conv2d(3, 4, 3)))
    run = bands.start((11, 17))
    (none,) = run.push(torch.zeros(1, 3, 0, 17))
    assert none.shape == (1, 2, 0, 10)
    (few,) = run.push(torch.zeros(1, 3, 4, 17))
    assert few.shape == (1, 2, 0, 10)
    assert run.done == 0
    assert bands.cells((11, 17)) == (3, 10)
