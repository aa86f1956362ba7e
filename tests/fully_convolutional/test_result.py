"""The result as a module: shared weights, saving, casting, exporting; and its report."""

import copy
import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from dense_oracle import EQUAL, leaves, photograph, worst
from small_nets import NETS, Net, conv
from torch import nn

from convlin import Measured, Proved, Refused, fully_convolutional
from convlin.models.dense.export import export
from rounding import agree, gamma


def classifier():
    torch.manual_seed(5)
    return nn.Sequential(
        conv(3, 5, 3, stride=2), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Dropout(),
        nn.Linear(5 * 4 * 6, 8), nn.PReLU(8), nn.Linear(8, 3),
    ).eval()  # fmt: skip


WINDOW = (3, 9, 13)
IMAGES = photograph(3, (14, 18), batch=2).float()


def storages(module):
    return {p.untyped_storage().data_ptr() for p in module.parameters()}


def test_weights_are_the_models_own_memory_under_its_own_names():
    model = classifier()
    network = fully_convolutional(model, WINDOW, proofs=False)
    assert storages(network) == storages(model)
    assert list(network.network.state_dict()) == list(model.state_dict())
    assert (
        network.report.parameters_before
        == network.report.parameters_after
        == 5 * 28 + 10 + 968 + 8 + 27
    )
    with torch.no_grad():
        model[5].weight.mul_(2)
    assert worst(copy.deepcopy(model), copy.deepcopy(network), IMAGES.double()) < EQUAL


def test_the_given_model_stays_as_it_is():
    model = classifier()
    modules, state = list(model.modules()), copy.deepcopy(model.state_dict())
    network = fully_convolutional(model, WINDOW, proofs=False)
    network.train().double().requires_grad_(False)
    assert list(model.modules()) == modules
    assert not any(module.training for module in model.modules())
    assert all(p.dtype == torch.float32 and p.requires_grad for p in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


def test_frozen_parameters_stay_frozen_and_tied_ones_tied():
    model = Net(lambda m, x: (m.one(m.a(x).flatten(1)), m.two(m.b(x).flatten(1))), a=conv(3, 4, 3),
                b=conv(3, 4, 3), one=nn.Linear(4 * 7 * 11, 5), two=nn.Linear(4 * 7 * 11, 5, bias=False))  # fmt: skip
    model.b.weight = model.a.weight
    model.two.weight = model.one.weight
    model.a.bias.requires_grad_(False)
    network = fully_convolutional(model.eval(), WINDOW, proofs=False)
    net = network.network
    assert net.b.weight is net.a.weight
    assert net.two.weight is net.one.weight
    assert not net.a.bias.requires_grad
    assert network.report.parameters_after == network.report.parameters_before


def test_gradients_reach_the_shared_weights():
    model = classifier()
    network = fully_convolutional(model, WINDOW, proofs=False)
    window = IMAGES[:, :, :9, :13]
    model(window).square().sum().backward()
    network(window).square().sum().backward()
    own, dense = model[5].weight.grad, network.network.get_submodule("5").weight.grad
    # Sums over a batch of two of products that sum over eight outputs, and over 120 features.
    assert agree(own.reshape(dense.shape), dense, 2 * (2 * 8 + 120), dense.abs().max())


def test_copies_saves_loads_casts_and_changes_mode():
    network = fully_convolutional(classifier(), WINDOW, proofs=False)
    expected = network(IMAGES)
    assert torch.equal(copy.deepcopy(network)(IMAGES), expected)
    stream = io.BytesIO()
    torch.save(network.state_dict(), stream)
    stream.seek(0)
    other = fully_convolutional(classifier(), WINDOW, proofs=False)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert not torch.equal(other(IMAGES), expected)
    other.load_state_dict(torch.load(stream, weights_only=True))
    assert torch.equal(other(IMAGES), expected)
    assert network.train().network.get_submodule("4").training
    assert torch.equal(network.eval()(IMAGES), expected)
    half = copy.deepcopy(network).to(torch.bfloat16)(IMAGES.bfloat16())
    assert half.dtype == torch.bfloat16
    size = expected.abs().max()  # six layers, each of which rounds what it stores to 8 bits
    assert ((half.float() - expected).abs() <= gamma(2 * 6, torch.bfloat16) * size).all()


def test_windows_are_where_the_network_says():
    network = fully_convolutional(classifier(), WINDOW, proofs=False)
    assert (network.window, network.stride, network.offset) == (WINDOW, (2, 2), (0, 0))
    assert network.cells((14, 18)) == (3, 3)
    assert network.cells((8, 18)) == (0, 3)
    assert network.window_of((1, 2)) == ((2, 11), (4, 17))


EXPORTED = ["branches-cat", "heads-permuted", "channels-last", "channel-shuffle", "adaptive-divides",
            "hypercolumn-strides", "1d-glu", "3d-bn-heads"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "head"), [(n, "conv") for n in EXPORTED] + [("heads-permuted", "linear")]
)
def test_the_exported_program_takes_any_batch_and_size(name, head):
    torch.manual_seed(2)
    build, window, _ = NETS[name]
    network = fully_convolutional(build().eval(), window, head=head, proofs=False)
    program = export(network).module()
    extra = [(6, 11, 4), (1, 2, 3), (7, 0, 9), (13, 5, 0), (20, 31, 17)]
    for more, batch in zip(extra, (1, 3, 1, 3, 1), strict=True):
        size = tuple(n + e for n, e in zip(window[1:], more, strict=False))
        images = photograph(window[0], size, batch=batch).float()
        for own, exported in zip(leaves(network(images)), leaves(program(images)), strict=True):
            assert own.shape == exported.shape
            assert agree(own, exported, 2 * 64, max(1, own.abs().max()))  # kernels of 64 terms


@pytest.mark.parametrize("head", ["conv", "linear"])
def test_a_program_takes_an_image_that_is_one_window(head):
    network = fully_convolutional(classifier(), WINDOW, head=head, proofs=False)
    window = IMAGES[:1, :, :9, :13]
    expected = network(window)
    exported = export(network).module()(window)
    assert agree(exported, expected, 2 * 64, expected.abs().max())


def test_progress_tells_every_proof_and_every_image():
    told = []
    fully_convolutional(
        classifier(), WINDOW, [IMAGES[0], IMAGES], progress=lambda *step: told.append(step)
    )
    assert told == [("5", 1, 2), ("7", 2, 2), ("images compared", 1, 2), ("images compared", 2, 2)]


def test_the_report_in_words_and_in_html():
    class Odd(nn.ReLU):
        pass

    Odd.__module__, Odd.__name__ = "torch.nn.modules.activation", "Re<LU>"
    model = classifier()
    model[2] = Odd().eval()
    report = fully_convolutional(model, WINDOW, IMAGES).report
    text = str(report)
    assert "Linear 120→8 ⇒ Conv2d 5→8 k4×6" in text
    assert "proved: " in text
    assert "output: equal to the classifier on every window, up to rounding" in text
    assert "of 18 windows" in text
    assert "parameters: 1,153 before, 1,153 after" in text
    page = report._repr_html_()
    assert "Re&lt;LU&gt;" in page
    assert "Re<LU>" not in page
    assert page.count("<tr>") == 1 + len(report.rows)


def test_the_report_as_plain_values_holds_every_kind_of_verdict():
    report = fully_convolutional(classifier(), WINDOW, proofs=False).report
    rows = [
        replace(report.rows[0], verdict=verdict)
        for verdict in (None, Proved("all", 2, 1e-9, None), Measured("relu", None))
    ]
    plain = json.loads(json.dumps(replace(report, rows=tuple(rows)).as_dict()))
    assert [row["verdict"] and row["verdict"]["kind"] for row in plain["rows"]] == [
        None, "proved", "measured",
    ]  # fmt: skip
    assert plain["deviation"] is None


def test_without_proofs_and_images_the_report_says_so():
    report = fully_convolutional(classifier(), WINDOW, proofs=False).report
    assert all(row.verdict is None for row in report.rows)
    assert report.deviation is None
    assert "measured: not measured (no images given)" in str(report)


def test_the_head_as_linear_shares_the_same_weights():
    model = classifier()
    network = fully_convolutional(model, WINDOW, head="linear", proofs=False)
    head = network.network.get_submodule("5")
    assert isinstance(head.linear, nn.Linear)
    assert head.linear.weight.data_ptr() == model[5].weight.data_ptr()
    assert worst(model, network, IMAGES.double()) < EQUAL


def test_one_layer_called_twice_gets_two_names():
    model = Net(lambda m, x: (m.fc(m.a(x).flatten(1)), m.fc(m.b(x).flatten(1))), a=conv(3, 4, (8, 12)),
                b=conv(3, 1, (6, 13)), fc=nn.Linear(16, 5))  # fmt: skip
    model.b = conv(3, 4, (6, 13))
    network = fully_convolutional(model.eval().double(), WINDOW, proofs=False)
    assert {name for name, _ in network.network.named_children()} == {"a", "b", "fc", "fc_2"}
    assert worst(model, network, photograph(3, (14, 18))) < EQUAL


def test_an_exported_file_names_no_file_of_this_machine():
    network = fully_convolutional(classifier(), WINDOW, proofs=False)
    file = io.BytesIO()
    torch.export.save(export(network), file)
    with zipfile.ZipFile(file) as archive:
        members = b"".join(archive.read(name) for name in archive.namelist())
    assert b"conv2d" in members
    assert not re.search(rb"\.py\b", members)
    assert str(Path.cwd()).encode() not in members


@pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")  # empty attributes
def test_a_network_that_is_scripted_says_what_works_instead():
    network = fully_convolutional(classifier(), WINDOW, proofs=False)
    with pytest.raises(
        Refused, match=r"torch.jit.script: module is FullyConvolutional, .*\.network"
    ):
        torch.jit.script(network)
    scripted = torch.jit.script(network.network)
    assert torch.equal(scripted(IMAGES), network(IMAGES))
