"""What a module's code uses of its children's parameters is found, and nothing that it only asks."""

import functools
import operator
import types

import pytest
import torch
from torch import nn
from torch.nn import functional

from convlin.models.rewrite.code_reads import code_reads


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.list = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)])
        self.dict = nn.ModuleDict({"one": nn.Linear(3, 3), "two": nn.Linear(3, 3)})
        self.deep = nn.Sequential(nn.Sequential(nn.Linear(3, 3)))
        self.own = nn.Parameter(torch.ones(3, 3))


def net(forward):
    """Return a `Net` of a class with this `forward`."""
    return type("Made", (Net,), {"forward": forward})()


def direct(self, x):
    return functional.linear(x, self.a.weight, self.b.bias)


def by_keyword(self, x):
    return functional.linear(x, weight=self.a.weight)


def through_a_variable(self, x):
    layer = self.a
    weight = layer.weight
    return x.to(weight.dtype) @ weight


def several_variables(self, x):
    a, b = self.a, self.b
    return x @ a.weight + b.bias


def method_of_a_weight(self, x):
    return x @ self.a.weight.t()


def item_of_a_weight(self, x):
    return x + self.a.weight[0] + self.b.weight[:, 1]


def in_a_branch(self, x):
    if x.ndim == 3 and self.a.bias is not None:
        x = x + self.a.bias
    return x


def in_an_expression(self, x):
    return functional.linear(x, self.a.weight if x.ndim == 2 else self.b.weight)


def one_of_a_list(self, x):
    return x @ self.list[1].weight + self.list[-1].bias


def some_of_a_list(self, x):
    return x @ self.list[x.ndim].weight


def one_of_a_dictionary(self, x):
    return x @ self.dict["two"].weight


def in_a_loop(self, x):
    for layer in self.list:
        x = x @ layer.weight
    return x


def over_a_slice(self, x):
    for layer in self.list[1:]:
        x = x @ layer.weight
    return x


def in_a_comprehension(self, x):
    return [x @ layer.weight for layer in self.list]


def in_a_generator(self, x):
    return sum(x @ layer.weight for layer in self.list)


def in_a_lambda(self, x):
    return (lambda y: y @ self.a.weight)(x)


def in_a_closure(self, x):
    weight = self.a.weight

    def inner():
        return x @ weight + self.b.bias

    return inner()


def in_a_try(self, x):
    try:
        return x @ self.a.weight
    except RuntimeError:
        return x @ self.b.weight


def below(self, x):
    return x @ self.deep[0][0].weight


def no_name_of_its_own(net, x):
    return x @ net.a.weight


def walrus(self, x):
    if (weight := self.a.weight).dtype == x.dtype:
        x = x @ weight
    return x


LIST = ["list.0", "list.1", "list.2"]
READS = {
    direct: ["a", "b"],
    by_keyword: ["a"],
    through_a_variable: ["a"],
    several_variables: ["a", "b"],
    method_of_a_weight: ["a"],
    item_of_a_weight: ["a", "b"],
    in_a_branch: ["a"],
    in_an_expression: ["a", "b"],
    one_of_a_list: ["list.1", "list.2"],
    some_of_a_list: LIST,
    one_of_a_dictionary: ["dict.two"],
    in_a_loop: LIST,
    over_a_slice: LIST,  # which of them is not told apart
    in_a_comprehension: LIST,
    in_a_generator: LIST,
    in_a_lambda: ["a"],
    in_a_closure: ["a", "b"],
    in_a_try: ["a", "b"],
    below: ["deep.0.0"],
    no_name_of_its_own: ["a"],
    walrus: ["a"],
}


@pytest.mark.parametrize("forward", READS, ids=lambda forward: forward.__name__)
def test_what_the_code_uses_is_read(forward):
    reads = code_reads(nn.Sequential(net(forward)))
    assert reads == {f"0.{name}": ("0",) for name in READS[forward]}


def calls(self, x):
    return self.list[0](self.b(self.a(x)))


def asks_for_dtypes(self, x):
    dtype = self.a.weight.dtype
    weight = self.b.weight
    return x.to(dtype).to(self.a.bias.device).reshape(weight.shape).new_ones(weight.size(0))


def asks_for_flags(self, x):
    return x if self.a.weight.requires_grad or self.b.weight.is_contiguous() else -x


def asks_whether_it_is_none(self, x):
    if self.a.bias is None or self.b.bias is not None:
        x = -x
    return x + (self.a.weight is self.b.weight)


def asks_what_it_is(self, x):
    return x if isinstance(self.a.weight, nn.Parameter) and hasattr(self.b.weight, "grad") else -x


def makes_like_it(self, x):
    return x + self.a.weight.new_zeros(3)


def drops_it(self, x):
    self.a.weight  # noqa: B018
    return x


def uses_its_own(self, x):
    return x @ self.own


def has_a_variable_of_that_name(self, x):
    a = x
    return a.weight


def used_to_have_one(self, x):
    layer = self.a
    layer = x
    return layer.weight


def attribute_of_a_result(self, x):
    return str(self.a).weight


@pytest.mark.parametrize(
    "forward",
    [
        attribute_of_a_result, calls, asks_for_dtypes, asks_for_flags, asks_whether_it_is_none, asks_what_it_is,
        makes_like_it, drops_it, uses_its_own, has_a_variable_of_that_name, used_to_have_one,
    ],
    ids=lambda forward: forward.__name__,
)  # fmt: skip
def test_what_the_code_only_asks_is_not_read(forward):
    assert code_reads(net(forward)) == {}


class Through(Net):
    """Reads `a` by a method, `b` by a property, `list.0` by a cached one, and as its parent does."""

    def forward(self, x):
        return self.step(x) @ self.turned + self.once + super().forward(x)

    def step(self, x):
        return self.last(x) if x.ndim == 9 else self.step(x)

    def last(self, x):
        return x @ self.a.weight

    @property
    def turned(self):
        return self.b.weight.T

    @functools.cached_property
    def once(self):
        return self.list[0].weight

    def reset_parameters(self):
        nn.init.zeros_(self.dict["one"].weight)

    def _init_weights(self, module):
        nn.init.zeros_(self.dict["two"].weight)


class Base(Net):
    def forward(self, x):
        return self.step(x) + self.list[2].bias


class Derived(Through, Base):
    def last(self, x):
        return x @ self.list[1].weight


def test_methods_are_followed_as_python_finds_them():
    assert set(code_reads(Derived())) == {"b", "list.0", "list.1", "list.2"}


def test_methods_of_others_by_the_same_name_are_not_followed():
    class Calls(Through):
        def forward(self, x):
            return x.last(x)

    assert code_reads(Calls()) == {}


def test_a_method_that_is_handed_on_is_followed():
    model = net(lambda self, x: torch.utils.checkpoint.checkpoint(self.inner, x))
    type(model).inner = lambda self, x: x @ self.a.weight
    assert code_reads(model) == {"a": ("",)}


def wrapped(forward):
    @functools.wraps(forward)
    def wrapper(*args, **kwargs):
        return forward(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize("decorate", [wrapped, torch.no_grad(), torch.compile(backend="eager")])
def test_decorated_code_is_read(decorate):
    assert code_reads(net(decorate(decorate(direct)))) == {"a": ("",), "b": ("",)}


def test_an_instances_own_forward_is_read_instead():
    model = net(direct)
    model.forward = types.MethodType(in_a_lambda, model)
    assert code_reads(model) == {"a": ("",)}
    before = net(direct)
    before.forward = functools.update_wrapper(functools.partial(print, before), before.forward)
    assert code_reads(before) == {"a": ("",), "b": ("",)}


def test_one_that_holds_the_parameter_too_does_not_read_it():
    model = net(direct)
    model.tied = model.a.weight
    assert code_reads(model) == {"b": ("",)}


def test_all_readers_of_a_shared_layer_are_named():
    first, second = net(in_a_lambda), net(in_a_lambda)
    second.a = first.a
    assert code_reads(nn.Sequential(first, second)) == {"0.a": ("0", "1")}


def test_a_layer_that_is_no_child_but_known_is_found():
    model = nn.Sequential(nn.Linear(3, 3), net(lambda self, x: x @ self.known[0].weight))
    assert code_reads(model) == {}  # in a tuple: not followed
    object.__setattr__(model[1], "a_friend", model[0])
    type(model[1]).forward = lambda self, x: x @ self.a_friend.weight
    assert code_reads(model) == {"0": ("1",)}
    object.__setattr__(model[1], "a_friend", nn.Linear(3, 3))
    assert code_reads(model) == {}  # none of this model's


def test_code_that_nothing_can_be_read_of_is_passed_by():
    odd = nn.Identity()
    odd.forward = operator.itemgetter(0)
    scripted = torch.jit.trace(nn.Linear(3, 3), torch.ones(3))
    assert code_reads(nn.Sequential(odd, scripted)) == {}


@pytest.mark.parametrize(
    "layer, reads",
    [
        (nn.MultiheadAttention(4, 2), {"out_proj"}),
        (nn.TransformerEncoderLayer(4, 2), {
            "self_attn", "self_attn.out_proj", "linear1", "linear2", "norm1", "norm2"}),
        (nn.LSTM(3, 3), set()),
        (nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), set()),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_pytorchs_own_layers(layer, reads):
    assert set(code_reads(layer)) == reads
