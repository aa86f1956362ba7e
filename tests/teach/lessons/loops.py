"""What an example is, by loops that share no code with convlin."""

import itertools

import numpy as np


def rows_of(example):
    """The matrix of an example, by sliding the kernel over numbered pixels."""
    (h, w), (kh, kw) = example.image.shape, example.kernel.shape
    (sy, sx), (py, px), (dy, dx) = example.stride, example.padding, example.dilation
    down = range(0, h + 2 * py - dy * (kh - 1), sy)
    across = range(0, w + 2 * px - dx * (kw - 1), sx)
    matrix, taps = np.zeros((len(down) * len(across), h * w)), {}
    for row, (top, left) in enumerate(itertools.product(down, across)):
        for ty, tx in np.ndindex(kh, kw):
            y, x = top + ty * dy - py, left + tx * dx - px
            if 0 <= y < h and 0 <= x < w:
                matrix[row, y * w + x] = example.kernel[ty, tx]
                taps[row, y * w + x] = ty * kw + tx
    return matrix, taps, (len(down), len(across))


def windows_of(example):
    _, taps, size = rows_of(example)
    windows = np.zeros((size[0] * size[1], example.kernel.size))
    for (row, pixel), tap in taps.items():
        windows[row, tap] = example.image.ravel()[pixel]
    return windows


def by_tap(taps):
    places = {}
    for (row, pixel), tap in taps.items():
        places.setdefault(tap, ([], []))
        places[tap][0].append(row)
        places[tap][1].append(pixel)
    return places


def correlate(image, kernels, stride, padding):
    """Slide kernels (o, c, kh, kw) over a map (c, h, w), one position after the other."""
    _, h, w = image.shape
    o, _, kh, kw = kernels.shape
    padded = np.zeros((len(image), h + 2 * padding, w + 2 * padding), dtype=int)
    padded[:, padding : padding + h, padding : padding + w] = image
    tops = range(0, padded.shape[1] - kh + 1, stride)
    lefts = range(0, padded.shape[2] - kw + 1, stride)
    return np.array([
        [[sum(int(kernels[k, c, y, x]) * int(padded[c, top + y, left + x])
              for c, y, x in np.ndindex(kernels.shape[1:])) for left in lefts] for top in tops]
        for k in range(o)
    ])  # fmt: skip


def moved(image, by):
    rows = [[0] * by + row[: len(row) - by] for row in image.tolist()]
    return np.array(rows)
