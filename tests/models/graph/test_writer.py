"""What is written is a model that a person reads: its names, its tensors, PyTorch's own functions."""

import copy
import re

import pytest
import torch
from torch import fx, nn

from convlin import fully_convolutional
from convlin.models.graph.writer import LITERAL, Writer, public

WINDOW = (3, 9, 8)
LARGER = (2, 3, 13, 10)


class Stem(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


class Classifier(nn.Module):
    """Blocks in blocks, a function between layers, a buffer of its own."""

    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.stages = nn.Sequential(nn.Sequential(nn.Conv2d(4, 5, 2), nn.Tanh()), nn.MaxPool2d(2))
        self.register_buffer("shift", torch.randn(5, 1, 1))
        self.head = nn.Linear(5 * 3 * 2, 6)

    def forward(self, x):
        x = torch.relu(self.stages(self.stem(x)) + self.shift)
        return self.head(x.flatten(1))


def written(model, **options):
    torch.manual_seed(1)
    return fully_convolutional(model.eval(), WINDOW, proofs=False, **options)


@pytest.fixture
def network():
    return written(Classifier())


TREE = {"stem": "Stem", "stem.conv": "Conv2d", "stem.norm": "BatchNorm2d", "stem.act": "ReLU",
        "stages": "Sequential", "stages.0": "Sequential", "stages.0.0": "Conv2d",
        "stages.0.1": "Tanh", "stages.1": "MaxPool2d", "head": "Conv2d"}  # fmt: skip


def loaded(network):
    other = written(Classifier())
    other.load_state_dict(network.state_dict())
    return other


@pytest.mark.parametrize("way", [lambda it: it, copy.deepcopy, loaded, lambda it: it.double()])
def test_layers_are_called_as_in_the_model_in_every_copy(network, way):
    graph = way(network).network
    classes = {name: module._get_name() for name, module in graph.named_modules() if name}
    assert classes == TREE
    shown = str(graph)
    for line in ("(stem): Stem(", "(stages): Sequential(", "(0): Sequential(", "(0): Conv2d(4, 5"):
        assert line in shown


def test_the_whole_is_called_as_the_model(network):
    assert str(network.network).startswith("Classifier(")


def test_the_graph_s_code_calls_layers_by_these_names(network):
    code = network.network.code
    for text in ("self.stem.conv(", 'self.stages, "1"', "self.head(", "torch.relu("):
        assert text in code, code
    assert "aten" not in code


def test_a_state_dict_of_the_model_is_one_of_the_network_but_for_the_heads_shape(network):
    model = Classifier()
    names = network.network.state_dict().keys()
    assert sorted(names) == sorted(model.state_dict())
    kept = {name: tensor for name, tensor in model.state_dict().items() if "head" not in name}
    assert network.network.load_state_dict(kept, strict=False).unexpected_keys == []
    torch.testing.assert_close(network.network.stem.conv.weight, model.stem.conv.weight)


def test_parameters_share_the_models_memory():
    model = Classifier()
    network = written(model).network
    for name, parameter in model.named_parameters():
        assert network.get_parameter(name).data_ptr() == parameter.data_ptr(), name


class Made(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.conv, self.numbers = nn.Conv2d(3, count, (9, 8)), torch.randn(count).double().numpy()

    def forward(self, x):
        made = torch.from_numpy(self.numbers).to(x)
        return self.conv(x).flatten(1) + made


@pytest.mark.parametrize("count", [LITERAL, LITERAL + 1])
def test_numbers_that_code_made_are_no_part_of_the_state(count):
    network = written(Made(count))
    assert sorted(network.network.state_dict()) == ["conv.bias", "conv.weight"]
    stored = [name for name, _ in network.network.named_buffers()]
    assert len(stored) == (count > LITERAL)
    images = torch.randn(LARGER)
    again = copy.deepcopy(network)
    torch.testing.assert_close(again(images), network(images), rtol=0, atol=0)


def relu_behind(first, act=None, **parts):
    """Return a model in which an in-place ReLU comes behind `first`'s result, which is read again."""

    class Trap(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.act = nn.Conv2d(3, 4, 3), act or nn.ReLU(inplace=True)
            self.drop, self.same = nn.Dropout(0.5), nn.Identity()
            self.head = nn.Linear(4 * 7 * 6, 5)

        def forward(self, x):
            return self.head(first(self, self.conv(x)).flatten(1))

    return Trap()


def plain(m, y):
    return m.act(y)


def skip(m, y):
    return m.act(y.clone()) + y


def through_dropout(m, y):
    return m.act(m.drop(y.clone())) + y


def dropout_read_again(m, y):
    z = m.drop(y)
    return m.act(z) + y  # both are written to


def through_identity(m, y):
    return m.act(m.same(y)) + y


def twice(m, y):
    return m.act(m.act(y) - 1)


def twice_with_a_skip(m, y):
    z = m.act(y)
    return m.act(z * 2 - 1) + z


def on_a_part(m, y):
    m.act(y[:, 1:])
    return y


def in_a_row(m, y):
    return m.act(m.act(m.act(y))) + y.sum() * 0


def on_a_view(m, y):
    z = y.flatten(2)
    m.act(z)
    return y + z.reshape(y.shape)


TRAPS = [plain, skip, through_dropout, dropout_read_again, through_identity, twice,
         twice_with_a_skip, on_a_part, on_a_view]  # fmt: skip
ACTS = [nn.ReLU(inplace=True), nn.Hardswish(inplace=True), nn.LeakyReLU(-0.5, inplace=True)]


@pytest.mark.parametrize("act", ACTS, ids=lambda act: type(act).__name__)
@pytest.mark.parametrize("first", TRAPS, ids=lambda first: first.__name__)
def test_a_layer_in_place_overwrites_nothing_that_is_read_again(first, act):
    model = relu_behind(first, copy.deepcopy(act)).double()
    network = written(model)
    images = torch.randn(LARGER, dtype=torch.float64)
    result, before = network(images.clone()), images.clone()
    for cell in [(0, 0), (3, 1), (4, 2)]:
        one = model(images[network.crop(cell)].clone())
        torch.testing.assert_close(result[(..., *cell)], one, rtol=0, atol=1e-12)
    again = images.clone()
    network(again)
    assert torch.equal(again, before)


def test_it_stays_in_place_where_it_alone_reads_what_a_layer_made():
    assert written(Classifier()).network.stem.act.inplace
    assert written(relu_behind(plain)).network.act.inplace
    for trap in (skip, through_dropout, twice_with_a_skip):
        assert not written(relu_behind(trap)).network.act.inplace


def test_a_layer_in_place_does_not_overwrite_the_images():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 2, (9, 8)), nn.Flatten())
    images = torch.randn(LARGER)
    before = images.clone()
    written(model)(images)
    assert torch.equal(images, before)


@pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")  # empty attributes
def test_simple_networks_can_be_scripted():
    # of stride 1, whose every cell is a window: what takes cells off a grid is no TorchScript
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 7 * 6, 4))
    network = written(model)
    images = torch.randn(LARGER)
    script = torch.jit.script(network.network)
    torch.testing.assert_close(script(images), network(images), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["relu", "conv2d", "avg_pool2d", "gelu", "add", "cat", "softmax"])
def test_operations_are_pytorch_s_own_functions(name):
    packet = getattr(torch.ops.aten, name)
    found = public(getattr(packet, packet.overloads()[0]))
    assert re.match("torch|_VariableFunctions", f"{found.__module__ or torch.__name__}")
    assert found is not packet


def test_names_that_are_taken_get_a_number():
    writer = Writer(set())
    layers = [nn.Tanh(), nn.Tanh()]
    first, second, again = (writer.module("act", layers[i], writer.images) for i in (0, 1, 0))
    assert [node.target for node in (first, second, again)] == ["act", "act_2", "act"]
    network = writer.finish(writer.function(torch.cat, [first, second, again]), nn.Module())
    assert isinstance(network, fx.GraphModule)
    assert [name for name, _ in network.named_children()] == ["act", "act_2"]


def test_what_nothing_reads_is_not_written():
    writer = Writer(set())
    writer.module("unread", nn.Tanh(), writer.images)
    network = writer.finish(writer.module("read", nn.ReLU(), writer.images), nn.Module())
    assert [name for name, _ in network.named_children()] == ["read"]


def test_a_tensor_of_a_layer_that_may_be_exchanged_has_a_name_beside_it():
    writer, weight = Writer({"head"}), nn.Parameter(torch.ones(2))
    assert writer.tensor("head.weight", weight).target == "_head_weight"
    assert writer.tensor("body.weight", weight).target == "body.weight"
