"""The image and the weights of a state: those of its link, or small whole numbers of their own.

A link gives all values in C order (`1,0,-2.5`), or those that differ from the state's own by
their indices (`7:3,12:-1`), whichever is shorter.
"""

from __future__ import annotations

import math
import re

import numpy as np
from jaxtyping import Int

from convlin.errors import Description, Refusal, Refused
from convlin.teach.article_examples import IMAGE, KERNEL, MAP, MIXING, RAISING
from convlin.teach.scenes.decimals import SCALE, read, shortened, written

__all__ = ["link_of", "own_image", "own_weights", "values_of"]

# The examples of the lessons are what their shapes hold on the page, too.
IMAGES = [np.array(IMAGE)[None], MAP]
WEIGHTS = [np.array(KERNEL)[None, None], *(m[:, :, None, None] for m in (MIXING, RAISING))]


def own_image(shape: tuple[int, int, int]) -> Int[np.ndarray, "c h w"]:
    """Return the image of a shape, in thousandths: a lesson's, or digits.

    >>> (own_image((1, 2, 4)) // SCALE).tolist()
    [[[1, 8, 5, 2], [9, 6, 3, 0]]]
    """
    for image in IMAGES:
        if image.shape == shape:
            return image * SCALE
    index = np.arange(math.prod(shape))
    numbers = (7 * index + 3 * (index // 10) + 1) % 10
    return numbers.reshape(shape) * SCALE


def own_weights(shape: tuple[int, ...]) -> Int[np.ndarray, "a b kh kw"]:
    """Return the weights of a shape, in thousandths: a lesson's, or from -5 to 6, none 0.

    No channel's kernel is another's: each walks through the eleven numbers by steps of its own.

    >>> (own_weights((1, 1, 2, 3)) // SCALE).tolist()
    [[[[-2, -5, 3], [6, -3, 5]]]]
    """
    for weights in WEIGHTS:
        if weights.shape == shape:
            return weights * SCALE
    taps = math.prod(shape[2:])
    pair, tap = np.divmod(np.arange(math.prod(shape)), taps)
    numbers = (((3 * pair + 7) % 10 + 1) * tap + 2 * pair + 3 * (tap // 11) + 3) % 11 - 5
    numbers = np.where(numbers == 0, 6, numbers)
    return numbers.reshape(shape) * SCALE


def values_of(field: str, text: str, own: Int[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
    """Return what a link says of the image or the weights; `Refused` where it does not fit."""
    if not text:
        return own
    parts = text.split(",")
    if ":" not in text:
        if len(parts) != own.size:
            reason = f"one for each of {own.shape}"
            raise Refused(
                Refusal(
                    "explore",
                    field,
                    Description(f"{len(parts)} values"),
                    f"{own.size} values",
                    reason,
                )
            )
        return np.array([read(field, part) for part in parts]).reshape(own.shape)
    values = own.flatten()
    for part in parts:
        index, _, value = part.partition(":")
        if not (re.fullmatch("[0-9]{1,6}", index) and int(index) < own.size):
            allowed = f"index:value, index below {own.size}"
            raise Refused(Refusal("explore", field, shortened(part), allowed))
        values[int(index)] = read(field, value)
    return values.reshape(own.shape)


def link_of(values: Int[np.ndarray, "*shape"], own: Int[np.ndarray, "*shape"]) -> str | None:
    """Return values as a link writes them, None where they are the state's own.

    >>> own = np.array([1000, 2000, 3000])
    >>> link_of(np.array([1000, 2000, -4500]), own), link_of(own, own)
    ('2:-4.5', None)
    """
    numbers = values.ravel().tolist()
    changed = np.flatnonzero(values.ravel() != own.ravel()).tolist()
    if not changed:
        return None
    texts = [written(number) for number in numbers]
    return min(",".join(texts), ",".join(f"{n}:{texts[n]}" for n in changed), key=len)
