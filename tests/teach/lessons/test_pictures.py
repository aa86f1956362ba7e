"""The small pictures are what they say; a large one is shrunk to the mean of what each pixel covers."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from article import KERNEL
from convlin.demo.sheet import held_out_digits
from convlin.teach.example import LONGEST, Example, telling_output
from convlin.teach.pictures import KERNELS, PICTURES, shrunk
from teach.lessons.loops import rows_of


def test_each_is_small_and_has_one_digit_a_pixel():
    assert list(PICTURES) == ["digits", "scene", "noise"]
    for picture in PICTURES.values():
        assert picture.ndim == 2 and max(picture.shape) <= LONGEST
        assert np.issubdtype(picture.dtype, np.integer) and not picture.flags.writeable
        assert (picture.min(), picture.max()) == (0, 9)


def test_the_digits_are_held_out_ones_of_the_demo():
    images, labels = held_out_digits()
    picture = PICTURES["digits"]
    found = []
    for top, left in np.ndindex(2, 2):
        digit = picture[8 * top :, 8 * left :][:8, :8]
        scaled = [[round(Fraction(9 * int(ink), 16) + Fraction(1, 1000)) for ink in row]
                  for row in images.reshape(len(images), -1)]  # fmt: skip
        found += [int(labels[i]) for i, row in enumerate(scaled) if row == digit.ravel().tolist()]
    assert found == [3, 4, 5, 0]


def test_the_noise_has_no_brightness_that_it_prefers_and_no_row_twice():
    counts = np.bincount(PICTURES["noise"].ravel(), minlength=10)
    # 144 draws of ten: four standard deviations of √(144·0.1·0.9) about 14.4.
    assert (abs(counts - 14.4) < 4 * 3.6).all()
    assert len({tuple(row) for row in PICTURES["noise"]}) == 12


def test_the_kernels():
    assert list(KERNELS) == ["article", "edge", "blur", "sharpen"]
    assert np.array_equal(KERNELS["article"], KERNEL)
    sums = {name: int(kernel.sum()) for name, kernel in KERNELS.items()}
    assert (sums["edge"], sums["blur"], sums["sharpen"]) == (0, 16, 1)
    dark_above = np.repeat([[0.0], [0.0], [4.0], [4.0]], 5, axis=1)
    assert (Example(dark_above, KERNELS["edge"].astype(float)).outputs > 0).all()
    assert not Example(dark_above.T, KERNELS["edge"].astype(float)).outputs.any()


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_finds_something_in_every_picture(name, kernel):
    example = Example(PICTURES[name].astype(float), KERNELS[kernel].astype(float))
    matrix, _, size = rows_of(example)
    values = matrix @ example.image.ravel()
    row, column = telling_output(example)
    assert abs(values[row * size[1] + column]) == abs(values).max() > 9
    assert example.neuron == (row, column)


def test_the_telling_output_reads_most_pixels_and_is_the_first_of_equals():
    image = np.zeros((5, 4))
    image[0, 3] = 9.0  # lights only outputs at the edge, where padding takes the rest
    image[2, 1] = image[3, 2] = 2.0
    example = Example(image, np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]), padding=(1, 1))
    assert example.outputs.max() == 9 and telling_output(example) == (2, 1)
    example = Example(-image, example.kernel, padding=(1, 1))
    assert telling_output(example) == (2, 1)


def covered(pixels, height, width):
    """Area averages in fractions, one new pixel after the other."""
    rows, columns = pixels.shape
    means = np.empty((height, width), dtype=object)
    for a, b in np.ndindex(height, width):
        total = Fraction(0)
        for y, x in np.ndindex(rows, columns):
            down = min(Fraction((a + 1) * rows, height), y + 1) - max(Fraction(a * rows, height), y)
            right = min(Fraction((b + 1) * columns, width), x + 1) - max(
                Fraction(b * columns, width), x
            )
            total += max(down, 0) * max(right, 0) * int(pixels[y, x])
        means[a, b] = total * height * width / (rows * columns)
    return means


@pytest.mark.parametrize(
    ("shape", "longest", "size"),
    [((7, 5), 4, (4, 3)), ((3, 8), 5, (2, 5)), ((1, 9), 2, (1, 2)), ((11, 2), 3, (3, 1))],
)
def test_shrunk_is_the_mean_of_what_is_covered(shape, longest, size):
    pixels = np.random.default_rng(0).integers(0, 256, shape)
    small = shrunk(pixels.astype(float), longest)
    assert small.shape == size
    means = covered(pixels, *size)
    assert all(abs(Fraction(value) - mean) <= Fraction(1, 2) + Fraction(1, 10**9)
               for value, mean in zip(small.ravel(), means.ravel(), strict=True))  # fmt: skip
    assert np.array_equal(small, np.rint(small))


def test_shrunk_as_pillow_does_it():
    pixels = np.random.default_rng(1).integers(0, 256, (60, 96)).astype(np.float32)
    box = Image.fromarray(pixels).resize((32, 20), Image.Resampling.BOX)
    assert abs(shrunk(pixels) - np.asarray(box)).max() <= 0.5 + 1e-4


def test_a_picture_that_is_small_enough_stays_as_it_is():
    pixels = np.array([[0.25, 1.5]])
    assert shrunk(pixels) is pixels
    assert shrunk(np.full((100, 100), 7.0)).tolist() == [[7.0] * LONGEST] * LONGEST
