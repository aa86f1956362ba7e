"""What is known of published conversions, and that convlin's own are never wrong beside them."""

import pytest
import torch
from torch import nn

from convlin.testing.case import LAST, Case
from published import OTHERS, OWN
from published.entry import OUTCOMES

# What their packages warn of, and what they make of layers they do not fit.
pytestmark = pytest.mark.filterwarnings("ignore")

ONE, PATCH, THREE = (1, 1), (2, 2), (3, 3)
TORCHAO = "swap_conv2d_1x1_to_linear, torchao"
VLLM = "conv layers, vLLM"
SGLANG = "conv layers, sglang"
PEFT = "LoRA, merged, peft"
APPLE = "convolution fusion, Apple"
TIMM = "TestTimePoolHead, timm"
CONVNEXT = "TestTimePoolHead, normalised heads, timm"
QUALCOMM = "replace_linear_with_conv2d, Qualcomm"
BATCH_NORM = "fuse_conv_bn_eval, torch"
TICO = "patch embedding → Linear, Samsung"
FORGOTTEN = "… its call forgotten, sglang"
SURGERY = "net surgery by .flat, Caffe"


def image(kernel, size, **fields):
    return Case(nn.Conv2d, fields.pop("channels", (4, 6)), kernel, size=size, **fields)


def rows(**fields):
    return Case(nn.Linear, (3, 5), **fields)


KNOWN = [
    (TORCHAO, image(ONE, (2, 3)), "right"),
    (TORCHAO, image(ONE, (3, 5), stride=PATCH), "silently wrong"),
    (TORCHAO, image(ONE, (2, 3), subclassed=True), "silently wrong"),
    (TORCHAO, image(ONE, (2, 3), groups=2), "crashed"),
    (TORCHAO, image(ONE, (2, 3), frozen=True), "state lost"),
    (TORCHAO, image(ONE, (2, 3), training=False), "state lost"),
    (TORCHAO, image(THREE, (4, 5)), "refused"),
    (VLLM, image(PATCH, (4, 6), stride=PATCH), "right"),
    (VLLM, image(PATCH, (7, 7), stride=PATCH, dilation=PATCH), "silently wrong"),
    (VLLM, image(THREE, (5, 6), padding=ONE, padding_mode="reflect"), "silently wrong"),
    (VLLM, image(PATCH, (5, 6), padding="same"), "silently wrong"),
    (VLLM, image(THREE, (5, 6), padding="same", dilation=PATCH), "silently wrong"),
    (VLLM, image(PATCH, (4, 6), stride=PATCH, memory=LAST), "crashed"),
    (SGLANG, image(PATCH, (7, 7), stride=PATCH, dilation=PATCH), "refused"),
    (SGLANG, image(PATCH, (4, 6), stride=PATCH, memory=LAST), "right"),
    (FORGOTTEN, Case(nn.Conv3d, (3, 5), (2, 3, 4), size=(2, 3, 4)), "silently wrong"),
    (PEFT, image(THREE, (5, 6), padding=ONE), "right"),
    (PEFT, image(THREE, (5, 6), padding=ONE, padding_mode="reflect"), "silently wrong"),
    (PEFT, image(THREE, (5, 6), dilation=PATCH), "crashed"),
    (APPLE, image(THREE, (5, 6)), "right"),
    (APPLE, image(THREE, (5, 6), padding=ONE), "silently wrong"),
    (APPLE, image(THREE, (5, 6), padding=ONE, bias=False), "silently wrong"),
    (TIMM, rows(), "right"),
    (TIMM, rows(bias=False), "crashed"),
    (CONVNEXT, rows(), "silently wrong"),
    (QUALCOMM, rows(), "right"),
    (QUALCOMM, rows(frozen=True), "state lost"),
    (QUALCOMM, rows(size=(2, 3)), "crashed"),
    (BATCH_NORM, image(THREE, (5, 6), groups=2), "right"),
    (BATCH_NORM, image(THREE, (5, 6), subclassed=True), "silently wrong"),
    (
        BATCH_NORM,
        Case(nn.ConvTranspose2d, (4, 6), THREE, groups=2, size=(5, 6)),
        "crashed",
    ),
    (TICO, image(PATCH, (4, 6), stride=PATCH), "right"),
    (TICO, image(PATCH, (7, 7), stride=PATCH, dilation=PATCH), "refused"),
    (SURGERY, image(THREE, (3, 3)), "right"),
    (SURGERY, image(THREE, (3, 3), groups=2), "silently wrong"),
    (SURGERY, image(THREE, (5, 5), dilation=PATCH), "silently wrong"),
]


def named(name):
    (entry,) = (e for e in OTHERS if f"{e.name}, {e.source}".startswith(name))
    return entry


@pytest.mark.parametrize(
    ("name", "case", "outcome"), KNOWN, ids=[f"{name}-{case}" for name, case, _ in KNOWN]
)
def test_what_is_known_of_a_published_conversion_is_found(name, case, outcome):
    assert named(name).outcome(case) == outcome


def test_every_outcome_is_among_what_is_known():
    assert {outcome for _, _, outcome in KNOWN} == set(OUTCOMES)


@pytest.mark.parametrize("entry", OWN, ids=lambda entry: entry.name)
def test_convlins_are_right_or_refused(entry):
    counts = entry.counted(every=3)
    assert set(counts) <= {"right", "refused"} and counts["right"], counts


CAREFUL = [entry for entry in OTHERS if entry.source.startswith(("sglang 2", "Samsung", "onnx"))]


@pytest.mark.parametrize("entry", CAREFUL, ids=lambda entry: f"{entry.name}-{entry.source}")
def test_those_that_look_at_every_field_are_never_wrong(entry):
    counts = entry.counted(every=3)
    assert counts["right"] and not counts["silently wrong"] and not counts["crashed"], counts


def test_an_output_that_is_close_is_no_other_one():
    """bfloat16 rounds a hundred thousand times as coarsely as float64."""
    for dtype in (torch.bfloat16, torch.float64):
        assert named(TORCHAO).outcome(image(ONE, (2, 3), dtype=dtype, frozen=True)) == "state lost"
