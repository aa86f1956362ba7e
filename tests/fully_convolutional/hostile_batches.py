"""Numbers of the batch where no batch stands, and numbers that happen to be the batch's.

A tracer sees batches of two images and of three; 2 and 3 are ordinary sizes too.
"""

import torch
from torch.nn import functional
from traced_case import narrow, refused, right, saying, table, the_output, to_scores

GROWS = {
    "slice": lambda y: y * y[:, len(y) - 1 : len(y)],
    "slice-of-the-flattened": lambda y: y.flatten(1)[:, : 2 * len(y)].sum(1),
    "narrow": lambda y: y.narrow(1, 0, len(y)),
    "roll": lambda y: y.roll(len(y), 1),
    "index": lambda y: y[:, len(y) - 1],
    "split": lambda y: y.flatten(1).tensor_split(len(y), 1)[0],
    "times": lambda y: y * len(y),
    "sum-over": lambda y: y.sum((2, 3)) / len(y),
    "all-images-indexed": lambda y: y[torch.arange(len(y))],
}
SHAPES = {
    "two-rows": lambda y: y.reshape(2, -1),
    "three-rows": lambda y: y.reshape(3, -1),
    "two-rows-max": lambda y: y.reshape(2, 4, -1).amax(2),
    "channels-and-images": lambda y: y.reshape(2 * len(y), 2, 6, 5),
    "first-two": lambda y: y[:2],
    "from-the-second": lambda y: y[1:],
    "first-and-second": lambda y: y[[0, 1]],
    "images-as-channels": lambda y: y.transpose(0, 1)[:2],
}
RIGHT = {
    "all-images": lambda y: y[: len(y)],
    "rows-of-the-batch": lambda y: y.reshape(len(y), -1),
    "rows-of-the-shape": lambda y: y.view(y.size(0), y.size(1), -1),
    "rows-with-a-free-size": lambda y: y.reshape(-1, 4, 6, 5),
    "rows-of-the-product": lambda y: y.view(len(y), y[0].numel()),
    "channel-two": lambda y: y[:, 2],
    "channels-to-two": lambda y: y[:, :2],
    "channels-from-three": lambda y: y[:, 3:],
    "pairs": lambda y: y.reshape(len(y), 2, 2, 6, 5).sum(1),
    "thirds": lambda y: y[:, :3].reshape(len(y), 3, -1),
    "split-in-two": lambda y: y.tensor_split(2, 1)[1],
    "chunks-of-two": lambda y: y.split(2, 1)[0],
    "times-two": lambda y: y * 2 + 3,
    "groups-of-two": lambda y: y.unflatten(1, (-1, 2)).amax(2),
    "batch-over-batch": lambda y: y * (len(y) // len(y)),
    "expanded-to-the-batch": lambda y: y + y.new_zeros(1, 4, 1, 1).expand(len(y), 4, 6, 5),
    "zeros-for-each": lambda y: y + y.new_zeros(len(y), 4, 6, 5),
}


SQUEEZED = {
    "mean": lambda y: y.mean((2, 3), keepdim=True).squeeze(),
    "pool": lambda y: functional.adaptive_avg_pool2d(y, 1).squeeze(),
    "nothing-to-squeeze": lambda y: y.amax((2, 3)).squeeze(),
}
EMPTY = {
    "front": lambda y: torch.cat([y[:, :0], y], 1),
    "narrow": lambda y: y.narrow(1, 0, 0).sum() + y,
    "split-in-seven": lambda y: torch.cat(y.tensor_split(7, 1), 1),
    "output": lambda y: y[:, :0],
    "output-beside-the-map": lambda y: (y[:, :0], y),
}
UNREAD = {
    "split-in-two": lambda y: y.mean(3, keepdim=True).tensor_split(2, 3)[0].mean((2, 3)),
    "sections": lambda y: y.tensor_split((0, 3), 1)[1].flatten(1),
    "slice": lambda y: (y[:, :0], y)[1],
}


FOR_ONE_IMAGE = "the batch comes first, and all else is one image's|it mixes the images of a batch"

CASES = (
    table(RIGHT, right, the_output, "batches-")
    | table(GROWS, saying("expected a number that does not depend on the batch"), the_output,
            "batches-grow-")
    | table(SHAPES, saying(FOR_ONE_IMAGE), the_output, "batches-of-")
    | table(SQUEEZED, right, the_output, "batches-squeezed-")
    | table(SQUEEZED, right, to_scores, "batches-squeezed-scores-", narrow=narrow)
    | table(EMPTY, saying("input is a part without elements"), the_output, "batches-empty-")
    | table(UNREAD, right, the_output, "batches-empty-unread-")
)  # fmt: skip
CASES["batches-zeros-for-two"] = refused(
    the_output(lambda y: y + y.new_zeros(2, 4, 6, 5)), "at batch 3: RuntimeError"
)
