"""One call for anybody's tests: what it says, what counts as refused, and that it can be trusted."""

from __future__ import annotations

import copy
import functools
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

import convlin
from convlin.testing import Broken, Checked, check
from mutants.enrol import Form


def is_pointwise(conv):
    return type(conv) is nn.Conv2d and conv.kernel_size == (1, 1)


def pointwise(conv):
    """Check the kernel alone, as libraries do: strides, padding and groups are silently wrong."""
    if not is_pointwise(conv):
        return conv
    return Form(conv, product)


def product(x, w, b):
    return functional.linear(x.movedim(-3, -1), w.flatten(1), b).movedim(-1, -3)


def right(conv):
    if not is_pointwise(conv) or conv.padding not in ((0, 0), "valid", "same"):
        raise ValueError("not pointwise")
    if conv.stride != (1, 1) or conv.groups > 1:
        raise NotImplementedError(f"stride {conv.stride}, {conv.groups} groups")
    return Form(conv, product)


def failure(*arguments, **options):
    with pytest.raises(Broken) as raised:
        check(*arguments, **options)
    return raised.value


def test_the_message_is_the_smallest_layer_and_what_was_tried():
    assert str(failure(pointwise)) == (
        "pointwise fails on nn.Conv2d(1, 1, 1, padding=1), for inputs of shape (1, 1, 1)\n"
        "  the layer against its conversion: the output shape is (3, 1, 3, 3) against (3, 1, 1, 1)\n"
        "also on nn.Conv2d(4, 6, 1, groups=2): the outcome is no exception against RuntimeError: "
        "mat1 and mat2 shapes cannot be multiplied (18x4 and 2x6)\n"
        "tried 124 layers: 7 right, 107 refused, 10 broken in 2 ways"
    )


def test_the_message_of_a_crash_says_how_to_refuse():
    def crashing(conv):
        raise KeyError(type(conv).__name__)

    assert str(failure(crashing, nn.Linear)) == (
        "crashing fails on nn.Linear(1, 1), for inputs of shape (1,)\n"
        "  the layer against its conversion: the outcome is no exception against KeyError: 'Linear'\n"
        "tried 16 layers: 16 broken\n"
        "to refuse a layer, raise ValueError or NotImplementedError, or return it as it is; "
        "other exceptions: check(…, refusals=(…,))"
    )


def test_a_failure_is_an_assertion_with_everything_in_it():
    broken = failure(pointwise)
    assert isinstance(broken, AssertionError)
    assert isinstance(broken, convlin.ConvlinError)
    layer, shape = broken.answer.case.layer(), broken.answer.case.input_shape
    assert convlin.audit(pointwise, layer, shape).counterexample.kind == "shape"
    assert broken.checked.count("broken") == 10
    assert pickle.loads(pickle.dumps(broken)).args == broken.args


def test_a_check_that_passes_prints_what_was_tried():
    checked = check(right)
    assert isinstance(checked, Checked)
    counts = checked.as_dict()
    assert counts["tried"] == counts["right"] + counts["refused"] == len(checked.answers)
    text = str(checked).splitlines()
    assert text[0] == f"right: {checked.summary}"
    assert text[1].split() == ["layers", "tried", "right", "refused"]
    assert text[2].split() == [
        "all",
        *map(str, (counts["tried"], counts["right"], counts["refused"])),
    ]
    said = text[text.index("refusals") + 1 :]
    others = counts["refused"] - int(said[0].removeprefix("  ValueError: not pointwise (")[:-2])
    assert 0 < others == sum("NotImplementedError: " in reason for reason in counts["refusals"])
    rows = {row["layers"]: row for row in counts["table"]}
    assert rows["stride > 1"]["right"] == 0 < rows["stride > 1"]["refused"]
    assert rows["kernel 1"]["right"] == counts["right"]


def test_the_same_seed_gives_the_same_answers_and_disturbs_nothing():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    first = failure(pointwise)
    assert torch.rand(1) == expected
    assert torch.get_num_threads() == threads
    second = failure(pointwise)
    assert str(first) == str(second)
    assert first.answer.verdict == second.answer.verdict
    assert [a.case for a in first.checked.answers] == [a.case for a in second.checked.answers]
    other = failure(pointwise, seed=1).checked
    assert [a.case for a in other.answers] != [a.case for a in first.checked.answers]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda conv: conv, "it returns the layer as it was"),
        (copy.deepcopy, "it returns the layer as it was"),
        (nn.Sequential, "it returns the layer as it was"),
        (lambda conv: None, "it returns None"),
    ],
)
def test_a_conversion_that_converts_nothing_fails(answer, reason):
    broken = failure(answer, nn.Linear)
    assert str(broken).splitlines()[1:] == [f"  {reason} (19×)", "tried 19 layers: 19 refused"]
    assert "converted no layer at all" in str(broken)


@pytest.mark.parametrize("error", [ValueError, NotImplementedError, convlin.InputError])
def test_exceptions_that_refuse_are_counted(error):
    def picky(conv):
        if isinstance(conv, nn.Linear) and conv.bias is None:
            raise error("no bias")
        return Form(conv, functional.linear)

    options = {"refusals": (error,), "where": lambda layer: type(layer) is nn.Linear}
    checked = check(picky, nn.Linear, **options)
    assert checked.reasons == [f"{error.__name__}: no bias ({checked.count('refused')}×)"]
    broken = failure(picky, nn.Linear, **options | {"refusals": (KeyError,)})
    assert str(broken.answer.case) == "nn.Linear(1, 1, bias=False)"


def test_refusals_may_be_forbidden():
    answer = failure(right, where=is_pointwise, refusals=()).answer
    assert answer.way[:2] == ("broken", "ValueError")
    assert str(answer.case) == "nn.Conv2d(1, 1, 1, padding=1)"
    answer = failure(lambda conv: conv, refusals=()).answer
    assert (str(answer.case), answer.reason) == (
        "nn.Conv2d(1, 1, 1)",
        "it returns the layer as it was",
    )
    refusing = failure(convlin.to_pointwise, refusals=())
    assert "Refused: " in str(refusing)


def test_a_refusal_of_the_copies_that_judge_is_a_refusal():
    """They are in float64: who takes float32 alone is not judged, and not called right."""

    def single(conv):
        if conv.weight.dtype != torch.float32:
            raise ValueError("float32 only")
        return Form(conv, functional.linear)

    broken = failure(single, nn.Linear)
    assert "converted no layer at all" in str(broken)
    assert "ValueError: float32 only" in str(broken)


def test_where_leaves_layers_out():
    checked = check(right, where=lambda conv: is_pointwise(conv) and conv.groups == 1)
    assert checked.left_out == 124 - len(checked.answers) > 50
    assert f"{checked.left_out} left out by where=" in checked.summary
    assert all(answer.case.kernel == (1, 1) for answer in checked.answers)
    assert "124 left out" in str(failure(right, where=lambda conv: False))
    with pytest.raises(convlin.Refused, match="where is function, expected .* AttributeError"):
        check(right, nn.Linear, where=lambda conv: conv.kernel_size == (1, 1))


def test_conversions_may_ask_for_the_size():
    sizes = []

    def full(conv, size):
        sizes.append(size)
        if type(conv) is not nn.Conv2d or conv.kernel_size != size:
            return None
        flat = conv.padding in ((0, 0), "valid") and conv.groups == 1 and conv.dilation == (1, 1)
        return Form(
            conv,
            lambda x, w, b: functional.linear(x.flatten(-3), w.flatten(1), b)[..., None, None],
        ) if flat else None  # fmt: skip

    checked = check(full, sized=True, where=lambda conv, size: size != (2, 3))
    assert checked.count("right") >= 5
    assert (2, 3) not in sizes
    assert (3, 4) in sizes


def test_conversions_for_batches_are_judged_as_such():
    def batched(conv):
        if conv.bias is None:
            return conv
        return Form(conv, lambda x, w, b: functional.conv1d(x.permute(0, 1, 2), w, b))

    def plain(conv):
        return (
            type(conv) is nn.Conv1d
            and conv.stride == conv.dilation == (1,)
            and conv.groups == 1
            and conv.padding in ((0,), "valid")
        )

    broken = failure(batched, nn.Conv1d, where=plain)
    assert "one unbatched input" in str(broken)
    assert str(broken).endswith("if it serves batches only: check(…, unbatched=False)")
    assert check(batched, nn.Conv1d, where=plain, unbatched=False).count("right") >= 3


def test_what_can_only_be_measured_passes_if_it_may():
    def clamped(linear):
        return Form(linear, lambda x, w, b: functional.linear(x, w, b).clamp(-1e30, 1e30))

    stock = {"where": lambda layer: type(layer) is nn.Linear}
    broken = failure(clamped, nn.Linear, **stock)
    assert broken.answer.way == ("broken", "measured")
    assert "not proved: " in str(broken)
    assert str(broken).endswith("if measuring is enough: check(…, measured=True)")
    checked = check(clamped, nn.Linear, **stock, measured=True)
    assert checked.count("measured") == len(checked.answers)


def test_work_in_place_is_seen_and_the_way_out_is_named():
    def negated(linear):
        linear.weight.data.neg_()
        return Form(linear, lambda x, w, b: functional.linear(-x, w, b))

    broken = failure(negated, nn.Linear)
    assert broken.answer.verdict.counterexample.field == "the layer's weight"
    assert str(broken).endswith("check(lambda layer: convert(copy.deepcopy(layer)))")
    stock = {"where": lambda layer: type(layer) is nn.Linear}
    checked = check(lambda layer: negated(copy.deepcopy(layer)), nn.Linear, copies=True, **stock)
    assert checked.count("right") == len(checked.answers)


def test_a_layer_patched_and_returned_is_not_taken_for_refused():
    def patched(linear):
        linear.forward = lambda x: functional.linear(x, linear.weight.flip(0), linear.bias)
        return linear

    assert failure(patched, nn.Linear).answer.way == ("broken", "numbers")


def test_a_cache_by_class_is_found():
    cache = {}

    def remembering(linear):
        return cache.setdefault(type(linear), Form(linear, functional.linear))

    assert failure(remembering, nn.Linear).answer.way[0] == "broken"


def test_a_subclass_is_named_last_with_a_way_out():
    def by_isinstance(linear):
        return Form(linear, functional.linear)

    text = str(failure(by_isinstance, nn.Linear))
    assert text.startswith("by_isinstance fails on DoubledLinear(1, 1), for inputs of shape (1,)\n")
    assert "where=lambda layer: type(layer) is nn.Linear" in text
    assert check(by_isinstance, nn.Linear, where=lambda layer: type(layer) is nn.Linear)


def test_several_classes_and_any_callable():
    checked = check(functools.partial(convlin.to_conv2d, copy=True), (nn.Conv1d, nn.Linear))
    assert {answer.case.kind for answer in checked.answers} == {nn.Conv1d, nn.Linear}
    assert checked.name == "to_conv2d"


def test_names_from_outside_are_shown_and_not_obeyed():
    def convert(conv):
        raise KeyError("\x1b[31m")

    convert.__name__ = "two\nlines"
    lines = str(failure(convert, nn.Linear)).splitlines()
    assert lines[0].startswith(r"two\nlines fails on")
    assert all(line.isprintable() for line in lines)


def test_a_runner_shows_the_line_of_the_test_and_no_other(tmp_path):
    """Its frames hide from pytest, which the room itself does not know."""
    test = tmp_path / "test_mine.py"
    test.write_text(
        "from convlin.testing import check\n"
        "def convert(layer):\n"
        "    raise KeyError('x')\n"
        "def test_mine():\n"
        "    check(convert)\n"
    )
    run = functools.partial(
        subprocess.run, capture_output=True, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(convlin.__file__).parents[1])},
    )  # fmt: skip
    done = run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(test)])
    assert "E       convlin.testing.Broken: convert fails on nn.Conv2d(1, 1, 1)" in done.stdout
    assert "test_mine.py:5: Broken" in done.stdout
    assert "check.py" not in done.stdout
    code = "import sys, convlin.testing; print('pytest' in sys.modules)"
    assert run([sys.executable, "-c", code]).stdout.strip() == "False"


def test_an_empty_batch_is_named_and_a_second_fault_is_shown_beside_it():
    class Views(nn.Module):
        def __init__(self, linear):
            super().__init__()
            self.linear = linear
            self.train(linear.training)

        def forward(self, x):
            if x.shape[0] == 0:
                raise RuntimeError("empty")
            return self.linear(x) * (1 if self.linear.bias is not None else 2)

    lines = str(failure(Views, nn.Linear)).splitlines()
    assert "in 2 ways" in next(line for line in lines if line.startswith("tried"))
    assert sum(line.startswith("also on nn.Linear(") for line in lines) == 1
    assert lines[-1].startswith("a batch of 0 leaves view(…, -1) no size")
    assert "to refuse a layer" not in lines[-1]
