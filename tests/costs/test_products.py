"""Products in code between layers: against torch's own counter, and against layers of their sizes."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torchvision import models

from convlin import cost
from costs.counting import others


class Runs(nn.Module):
    """A part of a model whose code is the given function of it and its input."""

    def __init__(self, function, **held):
        super().__init__()
        self.function = function
        for name, value in held.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.function(self, x)


def weight(*shape):
    return nn.Parameter(torch.ones(shape))


PRODUCTS = {
    "linear": ((5, 4), lambda w, x: functional.linear(x, w), (3, 4)),
    "linear-bias": ((3, 4), lambda w, x: functional.linear(x, w, w[:, 0]), (6, 7, 4)),
    "matmul": ((5, 4), lambda w, x: x @ w.T, (3, 4)),
    "matmul-broadcast": ((2, 1, 4, 5), lambda w, x: x @ w, (3, 6, 4)),
    "with-itself": ((1,), lambda w, x: w * (x @ x.mT), (3, 6, 4)),
    "bmm": ((1, 4, 5), lambda w, x: torch.bmm(x, w), (3, 4)),
    "baddbmm": ((1, 4, 5), lambda w, x: torch.baddbmm(w[:, :3], x, w), (3, 4)),
    "einsum": ((4, 5, 6), lambda w, x: torch.einsum("bsd,dhe->bhse", x, w), (3, 4)),
    "attention": ((1,), lambda w, x: functional.scaled_dot_product_attention(x, x[:, :, :5], w * x[:, :, 1:6, :3]), (2, 7, 4)),
    "conv1d": ((5, 4, 3), lambda w, x: functional.conv1d(x, w, stride=2), (4, 12)),
    "conv2d-groups": ((6, 2, 3, 2), lambda w, x: functional.conv2d(x, w, dilation=(1, 2), groups=2), (4, 9, 8)),
    "conv3d": ((2, 3, 2, 3, 1), lambda w, x: functional.conv3d(x, w), (3, 5, 6, 7)),
    "conv-transpose2d": ((4, 3, 2, 3), lambda w, x: functional.conv_transpose2d(x, w, stride=2), (4, 6, 5)),
    "unused": ((5, 4), lambda w, x: (x @ w.T, x)[1], (3, 4)),
}  # fmt: skip


@pytest.mark.parametrize("case", PRODUCTS)
def test_a_product_counts_as_torch_counts_it(case):
    held, function, shape = PRODUCTS[case]
    model = nn.Sequential(Runs(lambda self, x: function(self.weight, x), weight=weight(*held)))
    table = cost(model, shape)
    assert table.multiply_adds["conv"] == others(model.eval(), *shape) > 0
    assert not table.uncounted and len(table.rows) == 1
    assert table.parameters == dict.fromkeys(table.parameters, model[0].weight.numel())


@pytest.mark.parametrize("columns", [None, 1, 3])
def test_a_vector_is_a_matrix_of_one_column(columns):
    held = weight(4) if columns is None else weight(4, columns)
    model = Runs(lambda self, x: x[0] @ self.weight, weight=held)
    assert cost(model, (5, 4)).multiply_adds["conv"] == 5 * 4 * (columns or 1)
    dots = Runs(lambda self, x: torch.dot(x[0, 0], self.weight), weight=weight(4))
    assert cost(dots, (5, 4)).multiply_adds["conv"] == 4


def test_a_product_in_place_counts_as_any_other():
    model = Runs(lambda self, x: x[0].clone().addmm_(x[0], self.weight), weight=weight(4, 4))
    assert cost(model, (3, 4)).multiply_adds["conv"] == 3 * 4 * 4


PADDED = {
    "2d": (nn.Conv2d(4, 6, 3, stride=2, padding=(2, 1), groups=2), functional.conv2d, (4, 7, 8)),
    "same": (nn.Conv1d(4, 6, 4, padding="same", dilation=2), functional.conv1d, (4, 9)),
    "transposed": (nn.ConvTranspose3d(4, 3, 3, stride=2, padding=1, output_padding=1), functional.conv_transpose3d, (4, 3, 5, 4)),
}  # fmt: skip


@pytest.mark.parametrize("case", PADDED)
def test_a_functional_convolution_counts_as_the_layer(case):
    layer, function, shape = PADDED[case]
    names = ["stride", "padding", "dilation", "groups", "output_padding"]
    options = {name: getattr(layer, name) for name in names[: 5 if layer.transposed else 4]}
    model = Runs(lambda self, x: function(x, self.weight, **options), weight=layer.weight)
    alone, table = cost(layer, shape), cost(model, shape)
    assert table.multiply_adds["conv"] == alone.multiply_adds["conv"]
    assert table.padded_multiply_adds["conv"] >= table.multiply_adds["conv"]
    if case != "same":  # whose zeros PyTorch may pad before it convolves
        assert table.padded_multiply_adds["conv"] == alone.padded_multiply_adds["conv"]


class Mixed(nn.Module):
    """Layers, products with their weights, and a block that runs twice."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(6, 4)
        self.mix = nn.ModuleList([Runs(lambda self, x: x @ x.mT @ x)])
        self.tied = nn.Linear(4, 3, bias=False)

    def forward(self, x):
        x = self.mix[0](self.embed(x))
        return functional.linear(self.mix[0](x[:, ::2]), self.tied.weight)


def test_products_stand_beside_layers_at_their_site_and_none_counts_twice():
    table = cost(Mixed(), (8, 6))
    assert table.multiply_adds["conv"] == others(Mixed(), 8, 6)
    assert {row.layer: (row.own.multiply_adds, row.own.parameters, row.calls) for row in table.rows} == {
        "": (4 * 4 * 3, 0, 1),
        "embed": (8 * 6 * 4, 28, 1),
        "mix.0": (2 * 8 * 8 * 4 + 2 * 4 * 4 * 4, 0, 2),
        "tied": (0, 12, 0),
    }  # fmt: skip
    assert table.notes == (
        "Mixed: multiplies in code of its own, which is counted: linear",
        "mix.0: multiplies in code of its own, which is counted: matmul",
        "tied: never called: a product with its weights counts where it is",
    )
    assert table.multiply_adds["linear"] == table.multiply_adds["conv"]


def tokens(channels, length):
    return nn.Sequential(nn.Conv1d(3, channels, 2, stride=2), Runs(lambda _, x: x.mT),
                         nn.TransformerEncoderLayer(channels, 2, 24, batch_first=True)), (3, length)  # fmt: skip


MODELS = {
    "vit": lambda: (models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5), (3, 32, 32)),
    "swin": lambda: (models.SwinTransformer([4, 4], 16, [1, 2], [2, 4], [4, 2]), (3, 32, 48)),
    "video-swin": lambda: (models.video.SwinTransformer3d([2, 4, 4], 8, [2], [2], [2, 4, 2]), (3, 4, 16, 16)),
    "convnext": lambda: (models.ConvNeXt([models.convnext.CNBlockConfig(8, None, 2)]), (3, 32, 24)),
    "encoder-of-a-sequence": lambda: tokens(8, 14),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_counts_as_torch_counts_it(name):
    model, shape = MODELS[name]()
    table = cost(model, shape)
    assert table.padded_multiply_adds["conv"] == others(model.eval(), *shape)
    assert not table.uncounted
    assert table.parameters["conv"] == sum(p.numel() for p in model.parameters())


KINDS = {
    "recurrent": (nn.LSTM(4, 3), "lstm"),
    "bilinear": (Runs(lambda self, x: self.b(x, x), b=nn.Bilinear(4, 4, 2)), "bilinear"),
    "over-time": (Runs(lambda self, x: torch.conv_tbc(x, self.w, self.w[0, 0]), w=weight(1, 4, 2)), "conv_tbc"),
}  # fmt: skip


@pytest.mark.parametrize(("layer", "operation"), KINDS.values(), ids=KINDS)
def test_products_of_a_kind_of_their_own_are_named_and_not_counted(layer, operation):
    table = cost(nn.Sequential(nn.Linear(4, 4), layer), (5, 4))
    assert len(table.uncounted) == 1 and table.multiply_adds["linear"] == 80
    assert table.notes == (f"{table.uncounted[0]}: multiply-adds not counted: {operation}",)


def test_an_operation_of_another_library_is_named_and_not_counted():
    @torch.library.custom_op("convlin_tests::product", mutates_args=())
    def product(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    product.register_fake(torch.empty_like)
    table = cost(nn.Sequential(Runs(lambda _, x: product(x))), (4, 4))
    assert table.uncounted == ("0",)
    assert table.notes == ("0: multiply-adds not counted: convlin_tests::product",)


@pytest.mark.parametrize("norm", ["spectral_norm", "orthogonal"])
def test_what_a_weight_is_computed_by_belongs_to_its_layer(norm):
    layer = getattr(parametrizations, norm)(nn.Linear(6, 4))
    assert cost(layer, ()).multiply_adds["linear"] == 24
    beside = Runs(lambda self, x: functional.linear(x, self.layer.weight), layer=layer)
    own, inner = cost(beside, (6,)).rows
    assert (own.layer, own.own.multiply_adds, inner.layer) == ("", 24, "layer")
    assert inner.own.multiply_adds > 0
