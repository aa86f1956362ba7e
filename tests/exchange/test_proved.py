"""Every exchange before the independent judge, which knows none of their mathematics."""

import pytest
from torch import nn

from convlin import Proved, audit, to_conv, to_conv1d, to_conv2d, to_linear, to_pointwise

ENROLLED = {
    "pointwise": (to_linear, nn.Conv2d(3, 5, 1, stride=2, padding=1), (3, 6, 7), {}),
    "patchify": (to_linear, nn.Conv3d(2, 5, (2, 3, 1), stride=(2, 3, 2)), (2, 5, 7, 4), {}),
    "full-size": (to_linear, nn.Conv2d(3, 5, (4, 6)), (3, 4, 6), {"input_size": (4, 6)}),
    "windows": (
        to_linear,
        nn.Conv2d(4, 6, (3, 2), padding=(1, 2), dilation=(1, 2), padding_mode="reflect"),
        (4, 7, 5),
        {"exchange": "windows"},
    ),
    "batched": (to_linear, nn.Conv1d(4, 6, 3, stride=3, groups=2), (4, 11), {}),
    "blocks": (to_linear, nn.Conv2d(4, 6, 1, groups=2), (4, 3, 5), {"groups": "block_diagonal"}),
    "fixed-size": (
        to_linear,
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
        (2, 4, 5),
        {"input_size": (4, 5)},
    ),
    "fixed-size-batched": (
        to_linear,
        nn.Conv2d(4, 6, 3, padding=1, groups=2, padding_mode="reflect"),
        (4, 4, 5),
        {"input_size": (4, 5)},
    ),
    "transposed": (
        to_linear,
        nn.ConvTranspose2d(2, 3, 3, stride=2, output_padding=1),
        (2, 3, 4),
        {"input_size": (3, 4)},
    ),
    "unpatchify": (to_linear, nn.ConvTranspose2d(3, 5, (2, 4), stride=(2, 4)), (3, 6, 7), {}),
    "unpatchify-gaps": (
        to_linear,
        nn.ConvTranspose1d(3, 5, 2, stride=5, padding=1, output_padding=3, dilation=3),
        (3, 4),
        {},
    ),
    "unpatchify-batched": (
        to_linear,
        nn.ConvTranspose3d(4, 6, (1, 2, 3), stride=(2, 2, 3), groups=2),
        (4, 3, 5, 2),
        {},
    ),
    "unpatchify-blocks": (
        to_linear,
        nn.ConvTranspose2d(4, 6, (3, 2), stride=(3, 2), groups=2),
        (4, 3, 5),
        {"groups": "block_diagonal"},
    ),
    "rows": (to_conv, nn.Linear(30, 7), (30,), {}),
    "map": (to_conv, nn.Linear(30, 7), (30,), {"feature_size": (3, 2, 5), "order": "WHC"}),
    "line": (
        to_conv2d,
        nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, padding_mode="reflect"),
        (4, 9),
        {},
    ),
    "line-transposed": (
        to_conv2d,
        nn.ConvTranspose1d(3, 5, 4, stride=3, padding=1, output_padding=2),
        (3, 7),
        {},
    ),
    "frames": (to_conv2d, nn.Conv3d(4, 6, (2, 3, 1), stride=(2, 1, 2), groups=2), (4, 5, 6, 3), {}),
    "lines": (
        to_conv1d,
        nn.Conv2d(4, 6, (3, 1), stride=(2, 3), groups=2, padding=(1, 0)),
        (4, 5, 7),
        {},
    ),
    "space-to-depth": (
        to_pointwise,
        nn.Conv2d(4, 6, 2, stride=2, padding=1, groups=2),
        (4, 5, 7),
        {},
    ),
    "space-to-depth-3d": (
        to_pointwise,
        nn.Conv3d(2, 3, (2, 1, 3), stride=(2, 1, 3), padding=(0, 1, 1), padding_mode="circular"),
        (2, 5, 3, 4),
        {},
    ),
    "rows-2d": (to_conv2d, nn.Linear(30, 7), (30,), {}),
}


@pytest.mark.parametrize("convert, layer, shape, options", ENROLLED.values(), ids=ENROLLED)
def test_proved_for_all_weights_and_inputs(convert, layer, shape, options):
    verdict = audit(lambda given: convert(given, **options), layer, shape)
    assert isinstance(verdict, Proved), str(verdict)
    assert verdict.failure_probability < 1e-15
