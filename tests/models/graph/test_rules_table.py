"""The table of rules: one operation, one rule, one line of why, and a model that runs each."""

import ast
import collections
import functools
import inspect
import re
from pathlib import Path

import pytest
import torch
from dense_oracle import photograph, worst
from torch import nn

import convlin.models
from convlin import Refused, fully_convolutional
from convlin.models.dense.rules.all_rules import RULES, TABLE
from convlin.models.graph.operations import name_of
from convlin.models.graph.rule import Rule, Table
from convlin.models.graph.traced import trace
from models.graph.every_operation import EVERY, NEVER
from models.graph.running import Running

ROOM = Path(convlin.models.__file__).parent
OPERATIONS = [name for rule in RULES for name in rule.operations]
RIGHT = 1e-10  # three layers of at most 252 terms, in float64; a fault is off by 1e-3 or more
# refused whatever its operands are, or because of how the model in `EVERY` calls it
REFUSED = {
    **dict.fromkeys(NEVER, "cannot be made fully convolutional"),
    **dict.fromkeys((n for n in EVERY if n.endswith("with_indices")), "return_indices is True"),
    "group_norm": "statistics is over space",
    "numpy_T": "it mixes the images",
    "ravel": "it mixes the images",
}


def ran(model):
    """Return the operations in a model's trace, by the names in the table."""
    graph = trace(model, model.window, TABLE.wanted).graph
    called = [node.target for node in graph.nodes if node.op == "call_function"]
    return {name_of(target).removesuffix("_") for target in called}


@functools.cache
def larger(ndim):
    return photograph(3, (9, 8, 7)[:ndim], batch=2), photograph(3, (11, 10, 9)[:ndim], batch=2)


def test_there_is_a_model_for_every_operation_in_the_table():
    assert sorted(EVERY) == sorted(OPERATIONS)


@pytest.mark.filterwarnings("ignore:The use of `x.T` on tensors of dimension other than 2")
@pytest.mark.parametrize("name", EVERY)
def test_every_operation_is_run_and_right_on_every_window_or_refused_by_name(name):
    model = Running(name)
    assert name in ran(model)
    if name in REFUSED:
        with pytest.raises(Refused, match=REFUSED[name]) as caught:
            fully_convolutional(model, model.window, check=False, proofs=False)
        assert name.split("_")[0] in str(caught.value).lower()
        return
    network = fully_convolutional(model, model.window, check=False, proofs=False)
    for images in larger(len(model.window) - 1):
        assert worst(model, network, images) < RIGHT


def test_operations_are_atens_own():
    missing = [name for name in OPERATIONS if not hasattr(torch.ops.aten, name)]
    assert missing == ["getitem"]  # Python's, of several results
    assert [name for name in OPERATIONS if name.endswith("_")] == []


def test_one_operation_one_rule():
    counts = collections.Counter(OPERATIONS) + collections.Counter(
        layer for rule in RULES for layer in rule.layers
    )
    assert {name for name, count in counts.items() if count > 1} == set()
    relu = Rule(lambda call, x: x, "every element alike", ("relu",))
    with pytest.raises(AssertionError, match="one operation, one rule"):
        Table([*RULES, relu])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.answer.__name__)
def test_a_rule_says_why_in_one_line(rule):
    assert re.fullmatch(r"[^\n]{10,100}", rule.why)
    assert rule.operations or rule.layers
    first, *_ = inspect.signature(rule.answer).parameters.values()
    assert (first.name, first.annotation) == ("call", "DenseCall")


class Unknown(nn.Module):
    """Runs what has no rule, of an own and as a part of another operation."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, x):
        return self.run(x)


@pytest.mark.parametrize(
    ("run", "operation", "part"),
    [
        (lambda x: torch.fft.rfft(x).real, "fft_rfft", "_fft_r2c"),
        (lambda x: x.cumsum(1), "cumsum", ""),
        (lambda x: torch.cumulative_trapezoid(x, dim=1), "cumulative_trapezoid", "cumsum"),
    ],
)
def test_what_has_no_rule_is_refused_with_operation_site_and_line(run, operation, part):
    model = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Sequential(nn.ReLU(), Unknown(run)), nn.Flatten())
    with pytest.raises(Refused) as caught:
        fully_convolutional(model.eval(), (3, 7, 6))
    refusal = caught.value.refusals[0]
    assert refusal.site == f"1.1.{operation}"
    assert (refusal.field, refusal.value) == ("operation", operation)
    line = run.__code__.co_firstlineno
    assert re.search(rf"no rule for.*{part}.*; {Path(__file__).name}:{line}", refusal.reason)


# What a call knows of PyTorch's objects, strings and numbers: to look into these is no reach.
PLAIN = {"layer", "node", "name", "operation", "site", "shape", "pixels", "operands", "images"}
FREE = {*vars(nn.Module()), "_getframe"}  # of nn.Module and Python: there is no other way
CONTAINERS = {*dir(list), *dir(dict)}  # a method of a list is none of an object of ours
HANDED = {"Call", "DenseCall", "Writer", "Facts", "DenseFacts"}


def reaches(source):
    """Return where code reaches through an object: into its privates, or those it was handed.

    `call.x.y` is a reach where `call` is annotated as one of `HANDED`, and `x` is not `PLAIN`.
    """
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.Attribute) and re.match("_(?!_)", function.attr):
            own = isinstance(function.value, ast.Name) and function.value.id in ("self", "cls")
            found += [] if own or function.attr in FREE else [ast.unparse(function)]
        if not isinstance(function, ast.FunctionDef):
            continue
        handed = {
            a.arg
            for a in function.args.args
            if a.annotation and ast.unparse(a.annotation) in HANDED
        }
        for chain in ast.walk(function):
            match chain:
                case ast.Attribute(
                    value=ast.Attribute(value=ast.Name(id=name), attr=attr), attr=last
                ):
                    if name in handed and attr not in PLAIN and last not in CONTAINERS:
                        found.append(ast.unparse(chain))
    return found


@pytest.mark.parametrize(
    "source",
    [
        "def rule(call: DenseCall, x): return call.walk.writer",
        "def rule(call: Call, x):\n    def inner(): call.facts.layers.append(x)",
        "value._names",
        "call.writer._graph.output(1)",
    ],
)
def test_a_reach_is_noticed(source):
    assert len(reaches(source)) == 1


@pytest.mark.parametrize(
    "path", sorted((ROOM / "dense").rglob("*.py")) + sorted((ROOM / "graph").glob("*.py")),
    ids=lambda path: path.name,
)  # fmt: skip
def test_nobody_reaches_through_two_objects(path):
    assert reaches(path.read_text("utf-8")) == []
