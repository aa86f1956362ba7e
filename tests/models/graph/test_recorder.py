"""One run of a model, written down: which layer ran what, on which line, and what it asked for."""

import inspect
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from convlin import Refused
from convlin.models.graph.operations import name_of
from convlin.models.graph.traced import line_of, shape_of, site_of
from models.graph.interpreted import All, ran, same, traced

WINDOW = (3, 5, 4)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.steps = nn.ModuleDict({"tanh": nn.Tanh()})
        self.functions = [functional.relu, torch.sigmoid]

    def forward(self, x):
        x = self.steps["tanh"](self.act(x))
        for function in self.functions:
            x = function(x)
        return x + 1


class Nested(nn.Module):
    """A layer within a block within a list; the block is called twice."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block()])
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.blocks[0](self.blocks[0](x * 2)))


class Of(nn.Module):
    """A model of one function, which may use a layer, a buffer and a parameter."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.run = forward
        self.table = nn.Parameter(torch.tensor([2.0, 3.0, 5.0]))
        self.register_buffer("mean", torch.tensor([1.0, 4.0]))
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.run(self, x)


def calls(found):
    return [node for node in found.graph.nodes if node.op in ("call_function", "call_module")]


def names(found):
    """Return what is called: operations by ATen's name, layers by their own."""
    return [
        node.target if node.op == "call_module" else name_of(node.target) for node in calls(found)
    ]


def refused(forward, operations=(), **parts):
    with pytest.raises(Refused) as caught:
        traced(Of(forward, **parts).eval(), WINDOW, operations)
    return caught.value.refusals[0]


def images(batch=2):
    return torch.randn(batch, *WINDOW, generator=torch.Generator().manual_seed(batch))


def agrees(model, **options):
    """Trace a model, and require that the graph does what the model does, at two batches."""
    found = traced(model.eval(), WINDOW, **options)
    with torch.no_grad():
        for batch in (2, 3):
            same(ran(found, images(batch)), model(images(batch)))
    return found


def test_operations_have_the_dotted_name_of_the_layer_that_ran_them():
    found = agrees(Nested(), operations=("linear",))
    once = [f"blocks.0.{name}" for name in ("act", "steps.tanh", "relu", "sigmoid", "add")]
    sites = [site_of(node) for node in calls(found)]
    assert sites[0] == "mul" and sites[-1] == "head"
    assert sites[1:6] == [*once[:2], "blocks.0.relu_1", *once[3:]]  # act is a relu too
    assert sites[6:8] == once[:2]
    assert [node.meta["layer"] for node in calls(found)] == [
        None, *["blocks.0.act", "blocks.0.steps.tanh", None, None, None] * 2, "head"
    ]  # fmt: skip


def test_a_line_of_the_models_own_code_is_named():
    found = agrees(Nested(), operations=("linear",))
    source, first = inspect.getsourcelines(Block.forward)
    lines = [line_of(node) for node in calls(found)]
    name = "test_recorder.py"
    for place, text in ((1, "self.act"), (2, "self.act"), (3, "function(x)"), (5, "x + 1")):
        offset = next(i for i, line in enumerate(source) if text in line)
        assert lines[place] == f"{name}:{first + offset}", text


def test_composites_are_whole_iff_wanted():
    model = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Flatten(), nn.Linear(4 * 4 * 3, 2))
    assert names(agrees(model, operations=("conv2d", "flatten", "linear"))) == [
        "conv2d", "flatten", "linear",
    ]  # fmt: skip
    parts = agrees(model)
    assert names(parts) == ["convolution", "view", "t", "addmm"]
    layers = [node.meta["layer"] for node in calls(parts)]
    assert layers[0] == "0" and layers[-2:] == [None, None]  # addmm alone is not the Linear
    assert [node.meta["origin"].composite for node in calls(parts)] == [
        "conv2d", "flatten", "linear", "linear",
    ]  # fmt: skip


def test_a_layer_is_one_node_iff_it_is_wanted():
    model = nn.Sequential(nn.Softsign(), nn.Sequential(nn.Softsign()))
    model[1][0].wanted = True  # it is asked of a twin
    whole = agrees(model, layer=lambda layer: hasattr(layer, "wanted"))
    assert names(whole) == ["abs", "add", "div", "1.0"]
    assert [node.meta["layer"] for node in calls(whole)][-2:] == [None, "1.0"]
    block = agrees(Nested(), layer=lambda layer: isinstance(layer, Block))
    assert names(block)[:3] == ["mul", "blocks.0", "blocks.0"]
    assert shape_of(calls(block)[1]) == (2, *WINDOW)


ASKS = {
    "bool": lambda m, x: x if x.sum() > 0 else -x,
    "item": lambda m, x: x * x.sum().item(),
    "float": lambda m, x: x * float(x.mean()),
    "int": lambda m, x: x * int(x[0, 0, 0, 0]),
    "tolist": lambda m, x: x * x[0, 0, 0].tolist()[0],
    "numpy": lambda m, x: torch.from_numpy(x.numpy() * 2),
    "asarray": lambda m, x: torch.from_numpy(np.asarray(x) * 2),
    "numpy-function": lambda m, x: torch.from_numpy(np.maximum(x, 0)),
    "dlpack": lambda m, x: torch.from_dlpack(x),
    "all-close": lambda m, x: x if torch.allclose(x, x) else -x,
    "equal": lambda m, x: x if torch.equal(x, -x) else -x,
    "index": lambda m, x: x[:, : int(x.argmax())],
    "nonzero": lambda m, x: x[x > 0],
    "storage": lambda m, x: x * x.untyped_storage()[0],
    "in": lambda m, x: x if 1.0 in x else -x,
    "of-a-part": lambda m, x: x * float(x.chunk(2, 1)[0].sum()),
    "of-a-maximum": lambda m, x: x * float(x.max(1)[0].sum()),
    "unique": lambda m, x: x * len(x.unique()),
}


@pytest.mark.parametrize("name", ASKS)
def test_what_asks_the_images_for_numbers_is_refused_with_its_line(name):
    refusal = refused(ASKS[name])
    assert "test_recorder.py:" in str(refusal)
    assert refusal.field == "forward"
    assert "of what is made of the images" in str(refusal)


@pytest.mark.parametrize("name", ASKS)
def test_it_is_refused_even_where_the_models_code_catches_the_error(name):
    def forward(m, x):
        try:
            return ASKS[name](m, x)
        except Exception:
            return x

    assert "test_recorder.py:" in str(refused(forward))


NUMBERS_OF_ITS_OWN = {
    "item": lambda m, x: x * m.mean[1].item(),
    "computed": lambda m, x: x * float((m.mean * 2).sum()) + int(m.table.argmax()),
    "branch": lambda m, x: x + 1 if m.mean.sum() > 4 else x,
    "tolist": lambda m, x: sum(x * n for n in (m.mean + 1).tolist()),
    "made": lambda m, x: x * float(torch.arange(4.0).sum()),
    "written": lambda m, x: x * float(torch.zeros(2).add_(m.mean)[1]),
}


@pytest.mark.parametrize("name", NUMBERS_OF_ITS_OWN)
def test_numbers_of_the_models_own_tensors_are_right(name):
    agrees(Of(NUMBERS_OF_ITS_OWN[name]))


def test_parameters_keep_their_names_and_attributes_are_tensors_of_the_model_too():
    model = Of(lambda m, x: x * m.table[1] + m.mean.sum() + m.held, held=torch.ones(1) * 7)
    found = agrees(model)
    read = {node.target for node in found.graph.nodes if node.op == "get_attr"}
    assert read == {"table", "mean", "held"}
    assert found.tensors["table"].data_ptr() == model.table.data_ptr()


def test_tensors_from_outside_of_the_model_are_constants():
    outer, array = torch.tensor([7.0, -2.0, 3.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0], "float32")
    model = Of(lambda m, x: x * outer + torch.from_numpy(array) + torch.tensor([4.0]))
    found = agrees(model)
    read = [found.tensors[n.target].tolist() for n in found.graph.nodes if n.op == "get_attr"]
    assert read == [outer.tolist(), array.tolist(), [4.0]]


def counted(m, x):
    m.mean.add_(1)
    return x * m.mean[0]


def counted_beside(m, x):
    m.mean.add_(1)
    m.table.mul_(2)
    return x * 2


def kept_in_part(m, x):
    m.mean[1:] = 3
    return x + m.mean.sum()


@pytest.mark.parametrize("forward", [counted, kept_in_part])
def test_a_write_to_the_models_own_tensors_is_refused_where_the_output_is_made_of_it(forward):
    refusal = refused(forward)
    assert (refusal.field, "mean" in str(refusal)) == ("state", True)
    assert "test_recorder.py:" in str(refusal)


def test_a_write_that_no_output_is_made_of_is_none_of_the_networks():
    found = traced(Of(counted_beside).eval(), WINDOW)
    assert names(found) == ["mul"]


class WritesTo(nn.Module):
    def forward(self, x):
        x.relu_()
        x[:, 0] = 1
        return x


def test_the_images_may_be_written_to_and_are_other_images_then():
    found = traced(nn.Sequential(WritesTo(), nn.Tanh()).eval(), WINDOW)
    same(ran(found, images()), WritesTo()(images()).tanh())


QUIET = [nn.Dropout(0.5), nn.Dropout2d(), nn.AlphaDropout(), nn.FeatureAlphaDropout()]


@pytest.mark.parametrize("layer", [*QUIET, nn.RReLU()], ids=lambda layer: type(layer).__name__)
def test_layers_that_draw_in_training_alone_are_traced(layer):
    found = agrees(nn.Sequential(nn.Tanh(), layer), operations=All())
    assert [site_of(node) for node in calls(found)] == ["0", "1"]


@pytest.mark.parametrize("layer", QUIET, ids=lambda layer: type(layer).__name__)
def test_they_run_nothing_where_they_are_not_wanted(layer):
    assert names(agrees(nn.Sequential(nn.Tanh(), layer))) == ["tanh"]


def test_a_model_stays_as_it_is_and_so_do_random_numbers():
    def forward(m, x):
        m.mean.add_(1)
        m.calls = x
        m.seen.append(x)
        return x + torch.rand(1) * 0 + random.random() * 0 + np.random.rand() * 0

    model = Of(forward, seen=[]).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    traced(model, WINDOW)
    same(model.state_dict(), before)
    assert not hasattr(model, "calls") and model.seen == []
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
