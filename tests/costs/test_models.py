"""Whole models: against their own parameters and state_dict, and against torch's counter."""

import copy
import json

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torchvision import models
from torchvision.ops import FrozenBatchNorm2d

from convlin import Refused, cost, fully_convolutional, to_conv, to_linear
from convlin.layers.forms.local import to_local
from convlin.models.cost.per_layer import _reads
from costs.counting import others, wiring
from geometry_strategies import conv


def stored(model):
    """Bytes of what a model saves, each storage once."""
    return sum({t.data_ptr(): t.nbytes for t in model.state_dict().values()}.values())


REAL = {
    "resnet18": (models.resnet18, (3, 96, 64)),
    "mobilenet_v3_small": (models.mobilenet_v3_small, (3, 64, 96)),
    "r3d_18": (models.video.r3d_18, (3, 4, 32, 48)),
}


@pytest.mark.parametrize("name", REAL)
def test_real_models(name):
    make, shape = REAL[name]
    model = make(weights=None)
    table = cost(model, shape)
    model.eval()
    assert table.parameters["conv"] == sum(p.numel() for p in model.parameters())
    assert table.stored_bytes["conv"] == stored(model)
    assert table.padded_multiply_adds["conv"] == others(model, *shape)
    assert table.multiply_adds["conv"] < table.padded_multiply_adds["conv"]
    assert not table.uncounted and not table.notes
    assert table == cost(model, shape[1:])  # the channels are those of the first convolution
    for form in ("local", "linear", "matrix"):
        layers = sum(row.in_form(form).multiply_adds for row in table.rows)
        assert table.multiply_adds[form] == layers >= table.multiply_adds["conv"]
    # Each convolution's line is what it is alone.
    modules = dict(model.named_modules())
    for row in table.rows:
        layer = modules[row.layer]
        assert row.own.parameters == sum(p.numel() for p in layer.parameters())
        if row.form is None:
            assert len({(c.parameters, c.multiply_adds, c.stored_bytes) for c in row.costs}) == 1
            assert row.own.multiply_adds == 0


def test_a_model_is_left_as_it_was():
    model = models.mobilenet_v3_small(weights=None).train()
    model.features[2].eval()
    before = copy.deepcopy(model)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    cost(model, (3, 32, 32))
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == [m.training for m in before.modules()]
    for mine, was in zip(model.state_dict().values(), before.state_dict().values(), strict=True):
        assert torch.equal(mine, was)
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    assert not any(getattr(m, name) for m in model.modules() for name in hooks)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_a_model_that_fails_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.Flatten(), nn.Linear(9, 2)).train()
    with pytest.raises(Refused, match=r"^3: input of the model is \(3, 8, 8\), expected "):
        cost(model, (8, 8))
    assert all(m.training for m in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class Twice(nn.Module):
    """One convolution that runs at two sizes, and one Linear that runs at three."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.head = nn.Linear(2, 5, bias=False)

    def forward(self, x):
        small = self.conv(self.conv(x)[..., ::2, ::2])
        rows = small.mean((2, 3))
        return self.head(rows), self.head(rows), self.head(x.movedim(1, -1))


def test_layers_that_run_twice_count_twice_and_are_stored_once():
    model = Twice()
    conv_row, head = cost(model, (2, 6, 8)).rows
    large, small = cost(model.conv, (6, 8)).rows[0], cost(model.conv, (3, 4)).rows[0]
    assert (conv_row.calls, head.calls) == (2, 3)
    for place, form in enumerate(("conv", "local", "linear", "matrix")):
        both, apart = conv_row.costs[place], (large.costs[place], small.costs[place])
        assert both.multiply_adds == sum(c.multiply_adds for c in apart)
        assert both.activation_bytes == sum(c.activation_bytes for c in apart)
        once = form == "conv"
        assert both.parameters == (38 if once else sum(c.parameters for c in apart))
    assert [c.parameters for c in head.costs] == [10, 10 + 10 * 48, 10, 10]
    assert head.own.multiply_adds == 10 * (1 + 1 + 48)
    assert cost(model, (2, 6, 8)).padded_multiply_adds["conv"] == others(model, 2, 6, 8)
    assert "conv ×2" in str(cost(model, (2, 6, 8)))


def test_shared_parameters_count_once_in_the_sum():
    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1))
    model[2].weight = model[0].weight
    table = cost(model, (5, 7))
    assert table.parameters["conv"] == sum(p.numel() for p in model.parameters()) == 81 + 3 + 3
    assert table.stored_bytes["conv"] == 4 * 87
    assert [row.own.parameters for row in table.rows] == [84, 0, 84]
    assert table.rows[2].tied_parameters == 81
    # Laid out anew, each layer has its own.
    assert table.parameters["linear"] == 2 * (105**2 + 105)
    assert "2: shares parameters with an earlier layer, counted once" in table.notes


def test_views_of_the_same_weights_are_shared_too():
    first = nn.Conv2d(3, 4, 1)
    table = cost(nn.Sequential(first, nn.ConvTranspose2d(4, 3, 1), to_linear(first)), (3, 5, 5))
    assert table.rows[-1].layer == "2.linear" and table.rows[-1].tied_parameters == 12 + 4
    assert table.parameters["conv"] == (12 + 4) + (12 + 3)


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 2)
        self.scale = nn.Parameter(torch.ones(4))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.unused = nn.Conv2d(4, 9, 3)

    def forward(self, x):
        x = self.conv(x).flatten(2).transpose(1, 2) * self.scale
        return self.attention(x, x, x)[0]


class LooksFirst(Attentive):
    """Cannot be traced: it runs on zeros, where products between layers are not seen."""

    def forward(self, x):
        return super().forward(x) if x.sum() == 0 else x


def test_what_is_not_counted_is_named():
    model = LooksFirst()
    table = cost(model, (1, 5, 6))
    assert table.uncounted == ("LooksFirst", "attention", "attention.out_proj", "unused")
    assert table.parameters["conv"] == sum(p.numel() for p in model.parameters())
    assert table.multiply_adds["conv"] == 16 * 20
    assert all(row.own.multiply_adds is None for row in table.rows if row.layer != "conv")
    assert table.notes[:2] == (
        "LooksFirst, attention: uses its parameters in code of its own: multiply-adds not counted",
        "attention.out_proj, unused: never called (or only its weights used): multiply-adds not counted",
    )
    assert "≥ 320" in str(table)
    line = LooksFirst.forward.__code__.co_firstlineno + 1
    assert table.notes[2:] == (
        "run on zeros, products between layers not counted, since it cannot be traced: LooksFirst: "
        "forward is is_nonzero of what is made of the images, expected code that asks them for no numbers "
        f"(it may go another way on other images; test_models.py:{line})",
    )


def test_normalisation_embedding_and_prelu_multiply_no_matrix():
    layers = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.PReLU(4), FrozenBatchNorm2d(4)  # fmt: skip
    model = nn.Sequential(*layers)
    table = cost(model, (2, 2))
    assert not table.uncounted
    assert table.stored_bytes["matrix"] - table.stored_bytes["conv"] == (
        cost(layers[0], 2).stored_bytes["matrix"] - cost(layers[0], 2).stored_bytes["conv"]
    )
    assert table.stored_bytes["conv"] == stored(model)
    assert table.activation_bytes == 5 * 4 * 4 * 4


@pytest.mark.parametrize("how", ["weight_norm", "spectral_norm", "pruned"])
def test_computed_weights_count_by_what_they_are_computed_from(how):
    layer = nn.Conv2d(3, 4, 3, padding=1)
    match how:
        case "weight_norm":
            parametrizations.weight_norm(layer)
        case "spectral_norm":
            parametrizations.spectral_norm(layer)
        case "pruned":
            prune.random_unstructured(layer, "weight", 0.5)
    table = cost(layer, (5, 7))
    assert len(table.rows) == 1
    assert table.parameters["conv"] == sum(p.numel() for p in layer.parameters())
    assert table.stored_bytes["conv"] == sum(t.nbytes for t in layer.state_dict().values())
    plain = cost(nn.Conv2d(3, 4, 3, padding=1), (5, 7))
    assert table.multiply_adds == plain.multiply_adds
    assert table.parameters["linear"] == plain.parameters["linear"]
    assert "computed from other parameters" in table.notes[0]


class PadsInside(nn.Conv2d):
    def forward(self, x):
        return super().forward(nn.functional.pad(x, (0, 1, 2, 1)))


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight, self.bias)


class Shrinks(nn.Conv2d):
    def forward(self, x):
        return super().forward(x.relu().abs())[..., :-1]


class LooksAtValues(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, x):
        return self.conv(x) if x.sum().item() == 0 else x


def test_a_model_that_looks_at_values_sees_zeros():
    assert cost(LooksAtValues(), (5, 7)).total == cost(nn.Conv2d(1, 2, 3), (5, 7)).total


def test_counting_needs_no_memory_of_the_image():
    model = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())
    side = 2**16
    table = cost(model, (3, side, side))
    assert table.multiply_adds["conv"] == 3 * 64 * (3 * side - 2) ** 2
    assert table.activation_bytes == 3 * 4 * 64 * side**2 > 3e12


def test_locally_connected_layers_are_the_local_form():
    layer = nn.Conv2d(4, 6, (3, 2), padding=1, groups=2)
    was, now = cost(layer, (5, 6)), cost(to_local(layer, input_size=(5, 6)), (5, 6))
    assert [row.form for row in now.rows] == ["local"]
    for name in ("parameters", "stored_bytes", "multiply_adds", "padded_multiply_adds"):
        said, real = getattr(was, name), getattr(now, name)
        assert [real[form] for form in ("local", "linear", "matrix")] == [
            said[form] for form in ("local", "linear", "matrix")
        ]
        assert real["conv"] == real["local"]  # no convolution has weights of its own everywhere


def test_a_subclass_that_pads_inside_is_counted_as_it_pads():
    layer = PadsInside(3, 4, (3, 2), stride=(2, 1), dtype=torch.float64)
    table = cost(layer, (8, 5))
    counts = wiring(layer, (8, 5))
    assert table.multiply_adds["conv"] == counts.sum() == (counts != 0).sum()
    assert table.multiply_adds["matrix"] == counts.sum()
    assert table.padded_multiply_adds["conv"] == others(layer, 3, 8, 5)
    assert table.notes[0].endswith("counted with the zero padding that its output implies")


def test_a_subclass_that_computes_its_weight_is_counted_as_its_base():
    table = cost(Standardised(3, 4, 3, padding=1), (8, 5))
    assert table.multiply_adds == cost(nn.Conv2d(3, 4, 3, padding=1), (8, 5)).multiply_adds
    assert table.notes[0].endswith("a forward of its own: counted as what it is derived from")


def test_a_subclass_of_another_output_is_not_counted():
    layer = Shrinks(3, 4, 3)
    table = cost(layer, (3, 8, 5))
    row = table.rows[0]
    assert row.own.multiply_adds is None and table.uncounted == ("Shrinks 3→4 k3",)
    assert row.own.padded_multiply_adds == 108 * 6 * 2
    assert table.parameters["linear"] == 112
    assert "true multiply-adds and forms not counted" in table.notes[0]
    assert " – " in str(table) and "≥" not in str(table)


def test_efficientnet_lite_pads_inside():
    efficientnet = pytest.importorskip("efficientnet_lite_pytorch")
    model = efficientnet.EfficientNet.from_name("efficientnet-lite0").eval()
    table = cost(model, (3, 96, 96))
    assert table.parameters["conv"] == sum(p.numel() for p in model.parameters())
    assert table.padded_multiply_adds["conv"] == others(model, 3, 96, 96)
    assert not table.uncounted
    stem = copy.deepcopy(model._conv_stem).double()
    with torch.no_grad():
        stem.weight.fill_(1)
        reads = stem(torch.ones(1, 3, 96, 96, dtype=torch.float64)).sum()
    assert table.rows[0].own.multiply_adds == reads


class Enlarging(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = conv(2, 3, 4, 3, stride=2, transposed=True)

    def forward(self, x):
        return self.up(x, output_size=[2 * n + 2 for n in x.shape[2:]])


def test_a_transposed_convolution_told_its_output_size():
    model = Enlarging()
    told = conv(2, 3, 4, 3, stride=2, transposed=True, output_padding=1)
    assert cost(model, (3, 5, 4)).total == cost(told, (5, 4)).total
    assert cost(told, (5, 4)).multiply_adds["conv"] == wiring(told, (5, 4)).sum()


class Frames(nn.Module):
    """Sends the frames of a sample through a layer as a batch."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x.flatten(0, 1))


def test_a_batch_made_of_one_sample_is_that_sample():
    table, one = cost(Frames(), (5, 3, 6, 7)), cost(nn.Conv2d(3, 4, 3), (6, 7))
    assert table.multiply_adds["conv"] == 5 * one.multiply_adds["conv"]
    assert table.activation_bytes == 5 * one.activation_bytes
    assert table.parameters == one.parameters


FORMS_OF_OURS = {
    "pointwise": (lambda: nn.Conv2d(3, 5, 1), (6, 7)),
    "patchify": (lambda: nn.Conv2d(3, 5, 2, stride=2), (6, 8)),
    "full-size": (lambda: nn.Conv2d(3, 5, (6, 7)), (6, 7)),
    "batched": (lambda: nn.Conv2d(4, 6, 1, groups=2), (6, 7)),
}


@pytest.mark.parametrize("case", FORMS_OF_OURS)
def test_exchanged_layers_cost_what_the_layer_costs(case):
    make, size = FORMS_OF_OURS[case]
    layer = make()
    form = to_linear(layer, input_size=size if case == "full-size" else None)
    was, now = cost(layer, size), cost(form, size)
    assert now.parameters["linear"] == was.parameters["conv"]
    assert now.stored_bytes["linear"] == was.stored_bytes["conv"]
    assert now.multiply_adds["linear"] == was.multiply_adds["conv"]
    assert now.activation_bytes == was.activation_bytes
    assert [row.form for row in now.rows] == ["linear"]


def test_a_dense_form_costs_what_it_was_said_to_cost():
    layer = nn.Conv2d(2, 3, 3, padding=1, stride=2)
    said = cost(layer, (5, 6))
    dense = cost(to_linear(layer, input_size=(5, 6)), (5, 6))
    for name in ("parameters", "stored_bytes", "multiply_adds"):
        assert getattr(dense, name)["linear"] == getattr(said, name)["linear"]


def test_linear_layers_as_convolutions_cost_the_same():
    linear = nn.Linear(60, 7)
    full = cost(to_conv(linear, feature_size=(3, 4, 5)), (3, 4, 5))
    assert [row.form for row in full.rows] == ["conv"]
    assert full.parameters["conv"] == cost(linear, ()).parameters["linear"] == 427
    assert full.multiply_adds["conv"] == 420
    rows = cost(to_conv(linear), (9, 60))
    assert rows.multiply_adds["conv"] == cost(linear, (9,)).multiply_adds["linear"] == 420 * 9


def test_a_fully_convolutional_network_costs_by_the_image():
    classifier = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 6 * 4, 5))
    network = fully_convolutional(classifier.eval(), (1, 8, 6))
    small, large = cost(network, (1, 8, 6)), cost(network, (1, 20, 30))
    assert small.parameters["conv"] == large.parameters["conv"]
    assert small.multiply_adds == cost(classifier, (1, 8, 6)).multiply_adds
    assert large.multiply_adds["conv"] == 18 * 18 * 28 + 240 * 13 * 25


def test_json_html_and_text_show_every_layer():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.ReLU())
    table = cost(model, (1, 8, 9))
    told = json.loads(json.dumps(table.as_dict()))
    assert [row["layer"] for row in told["rows"]] == ["0", "1", "2", "3"]
    assert told["total"]["linear"]["parameters"] == table.parameters["linear"]
    assert told["rows"][0]["costs"]["matrix"]["multiply_adds"] == 18 * 42
    page = table._repr_html_()
    assert page.count("<tr>") == 2 + 4 + 4  # a line for each layer, and for each form
    assert page.count("Conv2d 1→2 k3") == page.count("Conv2d 2→2 k3") == 1
    assert f"{table.parameters['linear']:,}" in page
    assert "2 ReLU" in str(table)


def test_html_is_escaped():
    Odd = type("<b>Odd</b>", (nn.Identity,), {})
    assert "<b>Odd" not in cost(nn.Sequential(Odd(), nn.Conv2d(1, 1, 1)), 2)._repr_html_()


@pytest.mark.parametrize("width", [80, 88, 120])
def test_no_line_is_wider_than_the_terminal(width):
    from rich.console import Console

    tables = [cost(models.mobilenet_v3_small(weights=None), 64), cost(nn.Conv2d(3, 8, 3), 999)]
    for table in tables:
        console = Console(width=width, color_system=None)
        with console.capture() as captured:
            console.print(table)
        lines = captured.get().splitlines()
        assert max(map(len, lines)) <= width
        assert not any("…" in line[1:] for line in lines)  # only the start of a name goes


def test_long_names_keep_their_end_where_there_is_no_room():
    from rich.console import Console

    model = nn.Sequential()
    model.add_module("a" * 40, nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)))
    table = cost(model, 2)
    for width, names in (80, ["…" + "a" * 23 + ".0"]), (120, ["a" * 40 + ".0"]):
        console = Console(width=width, color_system=None)
        with console.capture() as captured:
            console.print(table)
        assert all(f"\n{name} " in captured.get() for name in names)


class Counting(nn.Module):
    """A layer that leaves traces in itself: what `cost` must put back."""

    def __init__(self, in_place, looks):
        super().__init__()
        self.conv, self.in_place, self.looks = nn.Conv2d(3, 4, 3), in_place, looks
        self.register_buffer("steps", torch.zeros(()))
        self.table, self.seen, self.kept = None, [], {}

    def forward(self, x):
        if self.in_place:
            self.steps += 1
        else:
            self.steps = self.steps + 1
        if self.looks and x.sum() < 0:  # fake tensors cannot say: the model then runs on zeros
            return x
        if self.table is None:
            self.table = torch.linspace(0, 1, x.shape[-1])
        self.seen.append(x.shape)
        self.kept["table"] = self.late = self.table
        return self.conv(x + self.table)


@pytest.mark.parametrize("in_place", [True, False], ids=["in-place", "assigned"])
@pytest.mark.parametrize("looks", [True, False], ids=["looks-at-values", "does-not"])
def test_what_a_forward_sets_is_put_back(in_place, looks):
    model = Counting(in_place, looks)
    buffer = model.steps
    assert cost(model, (3, 8, 8)).parameters["conv"] == 4 * 27 + 4
    assert model.steps is buffer and type(buffer) is torch.Tensor and buffer.item() == 0
    assert model.table is None and model.seen == [] and model.kept == {}
    assert not hasattr(model, "late")
    assert type(model(torch.zeros(1, 3, 8, 8))) is torch.Tensor and model.steps.item() == 1
    assert not model._forward_hooks and not model._forward_pre_hooks


def test_dynamically_quantized_layers_are_named_and_not_counted():
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2), nn.LSTM(2, 3))
    model = torch.ao.quantization.quantize_dynamic(model.eval(), {nn.Linear, nn.LSTM})
    table = cost(model, (5, 8))
    assert table.uncounted == ("0", "2", "3")
    assert [row.operation for row in table.rows] == [
        "DynamicQuantizedLinear", "ReLU", "DynamicQuantizedLinear", "DynamicQuantizedLSTM",
    ]  # fmt: skip
    assert table.rows[1].own.multiply_adds == 0
    assert table.notes[0] == (
        "0, 2: DynamicQuantizedLinear keeps weights that are no parameters: neither they nor "
        "multiply-adds counted"
    )


class Keeps(nn.Module):
    """A product with a matrix that is no parameter."""

    def __init__(self, how):
        super().__init__()
        matrix = torch.ones(8, 4)
        match how:
            case "attribute":
                self.matrix = matrix
            case "list":
                self.matrices = [matrix]
            case "buffer":
                self.register_buffer("matrix", matrix)
            case "bytes":
                self.register_buffer("matrix", matrix.to(torch.int8), persistent=False)
        self.how = how

    def forward(self, x):
        matrix = self.matrices[0] if self.how == "list" else self.matrix
        return x @ matrix.to(x)


@pytest.mark.parametrize("how", ["attribute", "list", "buffer", "bytes"])
def test_a_layer_that_keeps_its_weights_elsewhere_is_not_counted(how):
    table = cost(nn.Sequential(Keeps(how), nn.Linear(4, 2)), (8,))
    assert table.uncounted == ("0",) and table.multiply_adds["linear"] == 8
    assert table.notes[0].startswith("0: Keeps keeps weights that are no parameters")


class Shifts(nn.Module):
    """Numbers per channel, a table of indices, a flag: no matrix to multiply by."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.ones(1, 3, 1, 1))
        self.order, self.on = torch.arange(2, -1, -1), torch.ones(4, dtype=torch.bool)
        self.scale = torch.tensor(2.0)

    def forward(self, x):
        return (x - self.mean)[:, self.order] * self.scale


def test_what_only_shifts_and_sorts_is_counted():
    norm = nn.BatchNorm2d(3, affine=False)
    assert not cost(nn.Sequential(Shifts(), norm, nn.Conv2d(3, 4, 1)), (3, 5, 6)).uncounted


COMPILED = {
    "whole": lambda conv: torch.compile(conv),
    "part": lambda conv: nn.Sequential(torch.compile(conv), nn.ReLU()),
    "in-place": lambda conv: conv.compile() or conv,
}


@pytest.mark.parametrize("how", COMPILED)
def test_a_compiled_model_counts_as_what_it_was_compiled_from(how):
    layer = conv(2, 3, 4, 3, padding=1)
    plain = cost(nn.Sequential(layer, nn.ReLU()) if how == "part" else layer, (5, 7))
    model = COMPILED[how](layer)
    before = [dict(vars(part)) for part in model.modules()]
    assert cost(model, (5, 7)) == plain
    assert [dict(vars(part)) for part in model.modules()] == before


def test_a_model_that_has_no_twin_runs_on_zeros():
    model = nn.Sequential(nn.Linear(8, 4))
    model.packed = torch.quantize_per_tensor(torch.ones(4, 4), 0.1, 0, torch.qint8)
    table = cost(model, ())
    assert table.multiply_adds["linear"] == 32 and not table.uncounted
    assert table.notes[0].startswith("run on zeros, products between layers not counted, since it ")
    assert "model: type is Sequential, expected a module that can be copied" in table.notes[0]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
def test_torchscript_cannot_be_watched():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), torch.jit.script(nn.ReLU()))
    with pytest.raises(Refused) as refused:
        cost(layers, (8, 8))
    assert str(refused.value) == (
        "1: type is RecursiveScriptModule, expected Python code "
        "(register_forward_pre_hook is not supported on ScriptModules)"
    )


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, left, right, *rest, scale=1):
        return self.layer(left) + self.layer(right) * scale


INPUTS = {
    "tokens": (lambda: nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 4)), (5,), "Sequential: input is indices that 0 (Embedding) looks up, expected numbers: the part of the model behind the embedding"),
    "an-embedding": (lambda: nn.Embedding(9, 8), (5,), "Embedding: input is indices that Embedding (Embedding) looks up, expected numbers: the part of the model behind the embedding"),
    "two-inputs": (Sum, (3, 8, 8), "Sum: input is (left, right), expected one tensor; a module that takes one may call the model with what else it needs"),
    "bilinear": (lambda: nn.Bilinear(8, 8, 8), (8,), "Bilinear: input is (input1, input2), expected one tensor; a module that takes one may call the model with what else it needs"),
}  # fmt: skip


@pytest.mark.parametrize("case", INPUTS)
def test_inputs_that_are_not_one_tensor_of_numbers_are_refused(case):
    make, size, words = INPUTS[case]
    with pytest.raises(Refused) as refused:
        cost(make(), size)
    assert str(refused.value) == words


def test_long_kinds_keep_their_end_where_there_is_no_room():
    from rich.console import Console

    Long = type("L" * 30, (nn.ReLU,), {})
    model = nn.Sequential(nn.Conv2d(1, 1, 1), Long(), Long())
    model.add_module("a" * 30, nn.Sequential(nn.Tanh()))
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(cost(model, 2))
    assert f"\n2 …{'L' * 23} " in captured.get() and "\n…0: Tanh " in captured.get()


class FirstOutputs(nn.Sequential):
    def forward(self, x):
        for layer in self:
            outputs = layer(x)
            x = outputs[0] if isinstance(outputs, tuple) else outputs
        return x


def test_rows_of_a_kind_are_summed_up_as_they_are_counted_or_not():
    model = FirstOutputs(nn.LSTM(2, 2), nn.ReLU(), nn.LSTM(2, 2), nn.ReLU())
    lines = {
        line.split()[1]: line for line in str(cost(model, (5, 2))).splitlines() if line[:2] == "2 "
    }
    assert "–" in lines["LSTM"] and "96" in lines["LSTM"].split()
    assert "–" not in lines["ReLU"]


class CropsFirst(nn.Conv2d):
    """A convolution of a few pixels of its input, whatever its size."""

    def forward(self, x):
        return super().forward(x[..., :8, :8])


@pytest.mark.parametrize(("pixels", "reads"), [(2**26, 6 * 6 * 9), (2**26 + 1, None)])
def test_reads_are_counted_on_inputs_of_up_to_2_to_the_27_numbers(pixels, reads):
    assert _reads(CropsFirst(2, 3, 3), (8, pixels // 8 if reads else pixels // 8 + 1)) == reads
