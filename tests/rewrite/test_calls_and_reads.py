"""Every way of calling a layer is a call, every other use of its parameters names who used them."""

import functools
import gc
import inspect
import types
import weakref

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from convlin.internals.dispatch import TorchDispatchMode, qualified_name
from convlin.models.rewrite.calls_and_reads import Reader, Seen, observed

X = torch.arange(24.0).reshape(2, 4, 3) / 7


def layers(model):
    plain = (nn.Linear, nn.Conv1d, nn.Conv2d)
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, plain)}


def seen_in(model, run):
    return observed(model, layers(model), run)[0]


def answer(seen):
    """Return (how often called, who else), the readers as a person is told of them."""
    return seen.calls, [str(reader) for reader in seen.readers]


class Applies(nn.Module):
    def forward(self, function, x):
        return function(x)


class Parent(nn.Module):
    """Calls its child `a`; `use` does with its child `b` what the case is about."""

    def __init__(self, use, child=None):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3) if child is None else child
        self.use = use
        self.kept, self.part = self.b.weight.data, self.b.weight.data[1:]
        self.applies = Applies()

    def forward(self, x):
        return self.use(self, self.a(x))

    @property
    def weights_of_b(self):
        return self.b.weight * 2

    def through_a_lambda(self, x):
        return (lambda y: functional.linear(y, self.b.weight))(x)

    def through_another_module(self, x):
        return self.applies(lambda y: functional.linear(y, self.b.weight), x)

    def through_a_comprehension(self, x):
        return [functional.linear(x, self.b.weight) for _ in range(2)]

    def through_a_generator(self, x):
        return sum(functional.linear(x, self.b.weight) for _ in range(2))

    def through_a_closure(self, x):
        def inner():
            return functional.linear(x, self.b.weight)

        return inner()


class Odd(nn.Linear):
    """A layer with a property and a method that compute with its weight."""

    @property
    def doubled(self):
        return self.weight * 2

    def without_bias(self, x):
        return given(x, self.weight)


class Squares(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ (weight * weight)

    @staticmethod
    def backward(ctx, grad):
        _, weight = ctx.saved_tensors
        return grad @ (weight * weight).T, None


def given(x, weight):
    return functional.linear(x, weight)


def given_the_layer(self, x):
    """Read a layer, under the name that its own methods have for it."""
    return functional.linear(x, self.weight)


READ = {
    "functional": lambda parent, x: functional.linear(x, parent.b.weight, parent.b.bias),
    "bias alone": lambda parent, x: x + parent.b.bias,
    "data": lambda parent, x: functional.linear(x, parent.b.weight.data),
    "detached": lambda parent, x: parent.b.weight.detach(),
    "viewed": lambda parent, x: parent.b.weight.view(-1),
    "turned": lambda parent, x: x @ parent.b.weight.T,
    "sliced": lambda parent, x: x + parent.b.weight[1],
    "copied": lambda parent, x: parent.b.weight.clone(),
    "in another dtype": lambda parent, x: parent.b.weight.to(torch.float64),
    "in a list": lambda parent, x: torch.cat([parent.a.bias, parent.b.bias]),
    "under no_grad": torch.no_grad()(lambda parent, x: parent.b.weight.sum()),
    "given to a function": lambda parent, x: given(x, parent.b.weight),
    "a function given the layer": lambda parent, x: given_the_layer(parent.b, x),
    "property of the parent": lambda parent, x: x @ parent.weights_of_b,
    "lambda": lambda parent, x: parent.through_a_lambda(x),
    "comprehension": lambda parent, x: parent.through_a_comprehension(x),
    "generator": lambda parent, x: parent.through_a_generator(x),
    "given to a module": lambda parent, x: parent.through_another_module(x),
    "closure": lambda parent, x: parent.through_a_closure(x),
    "an alias from before": lambda parent, x: x @ parent.kept,
    "a part of an alias": lambda parent, x: x + parent.part[0],
    "autograd function": lambda parent, x: Squares.apply(x, parent.b.weight),
    "all parameters": lambda parent, x: sum(p.sum() for p in parent.b.parameters()),
    "written to": lambda parent, x: parent.b.bias.data.add_(1),
}
READ_THROUGH_ITSELF = {
    "property of the layer": lambda parent, x: x @ parent.b.doubled,
    "method of the layer": lambda parent, x: parent.b.without_bias(x),
}
NOT_READ = {
    "dtype": lambda parent, x: x.to(parent.b.weight.dtype),
    "device": lambda parent, x: x.to(parent.b.weight.device),
    "shape": lambda parent, x: x.reshape(-1, parent.b.weight.shape[1]),
    "flags": lambda parent, x: x * parent.b.weight.requires_grad * parent.b.weight.is_contiguous(),
    "none": lambda parent, x: x * (parent.b.bias is not None),
    "names": lambda parent, x: x * len(list(parent.named_parameters())),
    "zeros like it": lambda parent, x: torch.zeros_like(parent.b.weight) + 1,
    "new like it": lambda parent, x: parent.b.weight.new_ones(3) + 1,
    "another of its shape": lambda parent, x: functional.linear(x, parent.a.weight.detach() + 1),
}


def decorated(forward):
    def wrapper(*args, **kwargs):
        return forward(*args, **kwargs)

    return wrapper


class Decorated(nn.Linear):
    @decorated
    @decorated
    def forward(self, x):
        return functional.linear(x, self.weight, self.bias)


class Padded(nn.Linear):
    def forward(self, x):
        x = functional.pad(x, (0, 1))
        return super().forward(x)


class Renamed(nn.Linear):
    def forward(layer, x):  # noqa: N805
        return functional.linear(x, layer.weight, layer.bias)


class Starred(nn.Linear):
    def forward(self, *args, **kwargs):
        return functional.linear(*args, self.weight, **kwargs)


class Doubled(Odd):
    def forward(self, x):
        return functional.linear(x, self.doubled, self.bias)


def with_hook(hook):
    layer = nn.Linear(3, 3)
    layer.register_forward_pre_hook(hook)
    return layer


def with_forward(make):
    layer = nn.Linear(3, 3)
    layer.forward = make(layer)
    return layer


def as_accelerate_does(layer):
    before = layer.forward

    def new_forward(module, *args, **kwargs):
        return module._old_forward(*args, **kwargs)

    layer._old_forward = before
    return functools.update_wrapper(functools.partial(new_forward, layer), before)


CALLED = {
    "called": (nn.Linear(3, 3), lambda parent, x: parent.b(x)),
    "by keyword": (nn.Linear(3, 3), lambda parent, x: parent.b(input=x)),
    "by forward": (nn.Linear(3, 3), lambda parent, x: parent.b.forward(x)),
    "decorated": (Decorated(3, 3), lambda parent, x: parent.b(x)),
    "decorated, by forward": (Decorated(3, 3), lambda parent, x: parent.b.forward(x)),
    "through super": (Padded(4, 3), lambda parent, x: parent.b(x)),
    "through super, by forward": (Padded(4, 3), lambda parent, x: parent.b.forward(x)),
    "no self": (Renamed(3, 3), lambda parent, x: parent.b(x)),
    "starred": (Starred(3, 3), lambda parent, x: parent.b(x)),
    "partial": (with_forward(as_accelerate_does), lambda parent, x: parent.b(x)),
    "own lambda": (
        with_forward(lambda self: lambda x: functional.linear(x, self.weight)),
        lambda parent, x: parent.b(x),
    ),
    "own method": (
        with_forward(lambda layer: types.MethodType(given_the_layer, layer)),
        lambda parent, x: parent.b(x),
    ),
    "by its property": (Doubled(3, 3), lambda parent, x: parent.b(x)),
    "as a hook wants it": (
        with_hook(lambda layer, taken: taken[1]),
        lambda parent, x: parent.b(x[0, 0], x),
    ),
    "in a list": (nn.Linear(3, 3), lambda parent, x: [child(x) for child in [parent.b]]),
    "as a function": (nn.Linear(3, 3), lambda parent, x: next(map(parent.b, [x]))),
    "functional_call": (
        nn.Linear(3, 3),
        lambda parent, x: functional_call(parent.b, dict(parent.b.named_parameters()), (x,)),
    ),
    "of other tensors": (
        nn.Linear(3, 3),
        lambda parent, x: functional_call(parent.b, {"weight": torch.ones(3, 3)}, (x,)),
    ),
}


@pytest.fixture(params=["grad", "no_grad", "inference", "autocast"])
def setting(request):
    contexts = {
        "grad": torch.enable_grad,
        "no_grad": torch.no_grad,
        "inference": torch.inference_mode,
        "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    }
    with contexts[request.param]():
        yield request.param


@pytest.mark.parametrize("name", READ)
def test_a_parent_that_uses_a_weight_reads_it(name, setting):
    parent = nn.Sequential(Parent(READ[name]))
    seen = seen_in(parent, lambda: parent(X))
    assert answer(seen["0.b"]) == (0, ["0 (Parent)"])
    assert seen["0.a"].calls == 1


@pytest.mark.parametrize("name", READ_THROUGH_ITSELF)
def test_what_is_no_call_is_a_reading_whoever_helps(name, setting):
    parent = Parent(READ_THROUGH_ITSELF[name], Odd(3, 3))
    seen = seen_in(parent, lambda: parent(X))["b"]
    assert seen == Seen(0, (), (Reader("", "Parent", "Parent.forward"),))


@pytest.mark.parametrize("name", NOT_READ)
def test_what_asks_for_no_numbers_reads_nothing(name, setting):
    parent = Parent(NOT_READ[name])
    assert answer(seen_in(parent, lambda: parent(X))["b"]) == (0, [])


@pytest.mark.parametrize("name", CALLED)
@pytest.mark.parametrize("training", [True, False])
def test_a_call_is_a_call_however_it_is_made(name, training, setting):
    layer, use = CALLED[name]
    parent = Parent(use, layer).train(training)
    seen = seen_in(parent, lambda: parent(X))["b"]
    assert answer(seen) == (1, [])
    assert seen.inputs == ((2, 4, 3),)


def test_both_are_seen_and_every_input_once():
    parent = Parent(lambda parent, x: parent.b(parent.b(x)) + parent.b(x[0]) @ parent.b.weight)
    seen = seen_in(parent, lambda: parent(X))["b"]
    assert answer(seen) == (3, ["the model (Parent)"])
    assert seen.inputs == ((2, 4, 3), (4, 3))


class Readers(nn.Module):
    """Calls `called`, reads `read`."""

    def __init__(self):
        super().__init__()
        self.called, self.read = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return functional.linear(self.called(x), self.read.weight)


EXPECTED = {"called": (1, []), "read": (0, ["the model (Readers)"])}


def answers(model, run):
    return {name: answer(seen) for name, seen in seen_in(model, run).items()}


def test_what_an_operation_takes_from_two_layers_is_told_apart():
    model = nn.Sequential(Readers(), nn.MultiheadAttention(4, 2, batch_first=True)).eval()

    def run():
        with torch.no_grad():  # one operation takes in_proj_weight, the module's own, and out_proj
            model[1](*[torch.ones(2, 5, 4)] * 3)

    assert answers(model, run)["1.out_proj"] == (0, ["1 (MultiheadAttention)"])


class Log(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(qualified_name(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "model, x, operation, readers",
    [
        (
            nn.TransformerEncoderLayer(4, 2, 6, batch_first=True),
            torch.ones(2, 5, 4),
            "aten::_transformer_encoder_layer_fwd",
            {"self_attn.out_proj": "the model (TransformerEncoderLayer)",
             "linear1": "the model (TransformerEncoderLayer)",
             "linear2": "the model (TransformerEncoderLayer)"},
        ),
        (
            nn.MultiheadAttention(4, 2, batch_first=True),
            (torch.ones(2, 5, 4),) * 3,
            "aten::_native_multi_head_attention",
            {"out_proj": "the model (MultiheadAttention)"},
        ),
    ],
    ids=["encoder layer", "attention"],
)  # fmt: skip
def test_fast_paths_are_taken_and_seen(model, x, operation, readers):
    log = Log()

    def run():
        with torch.no_grad(), log:
            model.eval()(*x if isinstance(x, tuple) else (x,))

    assert answers(model, run) == {name: (0, [reader]) for name, reader in readers.items()}
    assert operation in log.names


def test_slow_paths_are_seen_as_they_are():
    layer = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
    assert answers(layer, lambda: layer(torch.ones(2, 5, 4))) == {
        "self_attn.out_proj": (0, ["self_attn (MultiheadAttention)"]),
        "linear1": (1, []),
        "linear2": (1, []),
    }


def test_a_nested_batch_is_seen():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), 2).eval()
    padding = torch.tensor([[False, False, True], [False, False, False]])

    def run():
        with torch.no_grad():
            model(torch.ones(2, 3, 4), src_key_padding_mask=padding)

    reader = "layers.1 (TransformerEncoderLayer)"
    assert answers(model, run)["layers.1.self_attn.out_proj"] == (0, [reader])


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_a_backward_pass_computes_again_is_the_modules(reentrant):
    model = Readers()
    x = X.clone().requires_grad_()

    def run():
        checkpoint(model, x, use_reentrant=reentrant).sum().backward()

    assert answers(model, run) == {"called": (2, []), "read": EXPECTED["read"]}


@pytest.mark.parametrize("use", [READ["autograd function"], CALLED["called"][1]])
def test_a_backward_pass_reads_nothing(use):
    parent = Parent(use)
    before = seen_in(parent, lambda: parent(X).sum())
    assert seen_in(parent, lambda: parent(X).sum().backward()) == before
    assert seen_in(parent, lambda: torch.autograd.grad(parent(X).sum(), parent.a.weight)) == before


@pytest.mark.parametrize("before", [False, True])
def test_compiled_parts_run_as_python(before):
    model = Readers()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    model.called.compile(backend="eager")
    if before:
        compiled(X)
    assert answers(model, lambda: compiled(X)) == EXPECTED
    assert seen_in(compiled, lambda: compiled(X))["_orig_mod.read"].readers[0].name == "_orig_mod"


def test_what_runs_afterwards_is_compiled_again():
    ran = []

    def backend(graph, inputs):
        ran.append(graph)
        return graph.forward

    model = nn.Linear(3, 2)
    with pytest.raises(ZeroDivisionError):
        observed(model, {}, lambda: 1 / 0)
    torch.compile(model, backend=backend)(X)
    assert len(ran) == 1


def test_autocasts_copy_of_a_weight_is_the_weight():
    model = Parent(lambda parent, x: functional.linear(parent.b(x), parent.b.weight))
    with torch.autocast("cpu", torch.bfloat16):
        assert answers(model, lambda: model(X))["b"] == (1, ["the model (Parent)"])


def test_a_model_without_numbers():
    model = Readers().to("meta")
    assert answers(model, lambda: model(X.to("meta"))) == EXPECTED


def test_a_model_of_other_tensors():
    model = Readers()
    others = {name: torch.ones_like(p) for name, p in model.named_parameters()}
    assert answers(model, lambda: functional_call(model, others, (X,))) == EXPECTED


def test_a_model_under_vmap():
    model = Readers()
    seen = seen_in(model, lambda: vmap(model)(X))
    assert {name: answer(each) for name, each in seen.items()} == EXPECTED


def test_a_model_traced_by_fx():
    model = torch.fx.symbolic_trace(Readers())
    assert seen_in(model, lambda: model(X))["called"].calls == 1


def test_branches_of_a_condition_are_seen():
    def use(parent, x):
        return torch.cond(
            x.sum() > 0, parent.b, lambda x: functional.linear(x, parent.a.weight), (x,)
        )

    model = Parent(use)
    with torch.no_grad():
        model.a.weight.fill_(1)
        assert answers(model, lambda: model(X)) == {"a": (1, []), "b": (1, [])}
        model.a.weight.fill_(-1)
        assert answers(model, lambda: model(X)) == {"a": (1, ["the model (Parent)"]), "b": (0, [])}


def test_a_shared_layer_is_one():
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    seen, _ = observed(model, {"0": layer, "2": layer}, lambda: model(X))
    assert seen["0"] == seen["2"] and answer(seen["0"]) == (2, [])


def test_a_layer_around_another_is_called_once():
    class Around(nn.Linear):
        def __init__(self):
            super().__init__(3, 3)
            self.inner = nn.Linear(3, 3)

        def forward(self, x):
            return super().forward(self.inner(x * 2) + self.inner(x))

    model = Around()
    assert answers(model, lambda: model(X)) == {"": (1, []), "inner": (2, [])}


def test_a_sparse_weight_is_a_weight():
    model = Readers()
    for layer in model.children():
        layer.weight = nn.Parameter(layer.weight.detach().to_sparse_csr())
    with torch.no_grad():
        assert answers(model, lambda: model(X[0])) == EXPECTED


class OnSomeDevice(torch.Tensor):
    """Says by operations where it is and how large, as those do that lie on many devices."""

    @staticmethod
    def __new__(cls, whole):
        return torch.Tensor._make_wrapper_subclass(
            cls, whole.shape, dtype=whole.dtype, dispatch_device=True,
            dispatch_sizes_strides_policy="sizes",
        )  # fmt: skip

    def __init__(self, whole):
        self.whole = whole

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return args[0]
        return func(*[arg.whole if isinstance(arg, cls) else arg for arg in args], **kwargs or {})


def test_a_weight_that_answers_by_operations():
    layer = nn.Linear(3, 3, bias=False)
    layer.weight = nn.Parameter(OnSomeDevice(torch.ones(3, 3)), requires_grad=False)

    def ask():
        weight = layer.weight
        return weight.device, weight.shape, weight.size(0), weight.numel(), weight.stride()

    assert answers(layer, ask) == {"": (0, [])}
    assert answers(layer, lambda: layer(X)) == {"": (1, [])}
    assert seen_in(layer, lambda: layer.weight + 1)[""].readers


def test_memory_that_is_used_again_is_not_the_weight():
    layer = nn.Linear(3, 3)

    def run():
        for _ in range(9):
            functional_call(layer, {"weight": torch.ones(3, 3)}, (X,))
            for one in [torch.ones(3, 3) for _ in range(9)]:
                one + 1

    assert answers(layer, run) == {"": (9, [])}


def test_whoever_holds_a_tied_weight_calls():
    model = nn.ModuleDict({"table": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["table"].weight
    seen = seen_in(model, lambda: model["head"](model["table"](torch.tensor([1, 4]))))
    assert answer(seen["head"]) == (1, [])
    assert answers(model, lambda: model["table"](torch.tensor([1]))) == {"head": (0, [])}


def test_parameters_in_one_piece_of_memory_are_told_apart():
    model = Readers()
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    for parameter, part in zip(
        model.parameters(), flat.split([p.numel() for p in model.parameters()]), strict=True
    ):
        parameter.data = part.view_as(parameter)
    assert answers(model, lambda: model(X)) == EXPECTED


@pytest.mark.parametrize("call", [nn.Module.__call__, nn.Linear.forward])
def test_the_model_itself_can_be_a_site(call):
    model = nn.Linear(3, 2)
    assert answers(model, lambda: call(model, X)) == {"": (1, [])}


def test_layers_that_are_parametrized_and_hooked():
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
        nn.utils.parametrizations.orthogonal(nn.Linear(3, 3)),
        nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)),
    )
    model[0].register_forward_pre_hook(lambda module, taken: (taken[0] * module.bias,))
    model[1].register_forward_hook(lambda module, taken, given: given + module.bias)
    assert answers(model, lambda: model(X)) == {name: (1, []) for name in "012"}


def test_readers_outside_the_model_are_named_by_function_and_line():
    layer = nn.Linear(3, 3)
    line = inspect.getsourcelines(given)[1] + 1
    (reader,) = seen_in(layer, lambda: given(X, layer.weight))[""].readers
    assert reader == Reader(None, None, f"given (test_calls_and_reads.py:{line})")
    assert str(reader) == reader.code

    odd = Odd(3, 3)
    (reader,) = seen_in(odd, lambda: odd.without_bias(X))[""].readers
    assert "<lambda>" in str(reader)  # that asks the layer for it; not `given`, which that asks

    stranger = Parent(lambda parent, x: given(x, layer.weight))
    (reader,) = seen_in(layer, lambda: stranger(X))[""].readers
    assert (reader.name, reader.layer) == (None, "Parent")
    assert reader.code.startswith("Parent.forward (test_calls_and_reads.py:")


def test_the_run_is_left_as_it_is():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.BatchNorm1d(4)).train()
    torch.manual_seed(3)
    expected = model(X)
    torch.manual_seed(3)
    _, result = observed(model, layers(model), lambda: model(X))
    assert torch.equal(result, expected) and result.requires_grad
    assert not model[0]._forward_hooks and not model[0]._forward_pre_hooks


def test_nothing_is_kept_alive():
    alive = []

    class Keeps(nn.Module):
        def forward(self, x):
            x = x + 1
            alive.append(weakref.ref(x))
            return x

    class Counts(nn.Module):
        def forward(self, x):
            counted.append(sum(one() is not None for one in alive))
            return x

    counted = []
    blocks = [nn.Sequential(Keeps(), nn.Linear(3, 3)) for _ in range(6)]
    model = nn.Sequential(*blocks, Counts())
    gc.disable()  # what refers to itself would live on
    try:
        with torch.no_grad():
            seen_in(model, lambda: model(X))
        alive.append(weakref.ref(model))
        del model, blocks
        assert not any(one() is not None for one in alive)
    finally:
        gc.enable()
    assert counted[0] <= 2  # what the last call took may be there until the next one
