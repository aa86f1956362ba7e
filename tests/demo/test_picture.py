"""The picture: its colours say what the reading says, and it is written whole or not at all."""

import numpy as np
import pytest
import torch
from PIL import Image

from convlin import InputError
from convlin.demo.detect import Detection, score
from convlin.demo.one_pass import Reading
from convlin.demo.picture import MISSED, RAMP, RIGHT, WRONG, draw, write
from convlin.demo.sheet import Digit
from convlin.geometry import ReceptiveField

FIELD = ReceptiveField((32, 32), (4, 4), (0, 0))


def reading(size=(100, 160), found=(), truth=()):
    rows, columns = FIELD.cells(size)
    scores = torch.zeros(11, rows, columns)
    scores[10] = 50.0
    for detection in found:
        scores[detection.digit, int(detection.y - 16) // 4, int(detection.x - 16) // 4] = 100.0
    result = None if truth is None else score(found, truth)
    image = np.full(size, 0.9, np.float32)
    return Reading(image, FIELD, scores, tuple(found), truth, result)


def colours(picture):
    """Return the colours of the third panel, where detections are marked, and of the key."""
    pixels = np.asarray(picture)[136:]
    pixels = pixels[:, 2 * pixels.shape[1] // 3 + 10 :]
    return pixels.reshape(-1, 3)


def area(picture, colour):
    return int((colours(picture) == colour).all(-1).sum())


A, B = Detection(40, 48, 3, 0.9), Detection(60, 120, 5, 0.8)


def test_right_wrong_and_missed_have_their_colours():
    empty = draw(reading(truth=()), "t", "s")
    right = draw(reading(found=(A, B), truth=(Digit(40, 48, 3), Digit(60, 120, 5))), "t", "s")
    mixed = draw(reading(found=(A, B), truth=(Digit(40, 48, 3), Digit(60, 120, 6))), "t", "s")
    assert area(right, RIGHT) > area(empty, RIGHT)
    assert area(right, WRONG) == area(empty, WRONG) and area(right, MISSED) == area(empty, MISSED)
    assert area(empty, RIGHT) < area(mixed, RIGHT) < area(right, RIGHT)
    assert area(mixed, WRONG) > area(empty, WRONG) and area(mixed, MISSED) > area(empty, MISSED)


def test_without_the_truth_nothing_is_called_wrong():
    picture = draw(reading(found=(A,), truth=None), "t", "s")
    assert area(picture, RIGHT) > 0 and area(picture, WRONG) == 0 and area(picture, MISSED) == 0


def test_heat_lies_in_the_middle_of_its_window():
    size = (100, 160)
    picture = np.asarray(draw(reading(size, found=(A,)), "t", "s"))
    scale = 1000 / 160
    top, left = 136, 40 + 1000 + 40
    y, x = round(top + 40 * scale), round(left + 48 * scale)
    assert abs(picture[y, x].astype(int) - RAMP[-1]).max() <= 40
    y, x = round(top + 40 * scale), round(left + 80 * scale)
    assert abs(picture[y, x].astype(int) - RAMP[0]).max() <= 2


@pytest.mark.parametrize("size", [(32, 32), (32, 700), (900, 40), (1500, 1201)])
def test_sheets_of_any_size_are_drawn(size):
    picture = draw(reading(size, truth=None), "title", "subtitle")
    assert picture.width >= 3 * 520 and picture.height >= 136 + 92
    assert max(picture.size) < 4000


@pytest.mark.parametrize("name", ["a.png", "b.jpg", "deep/er/c.webp"])
def test_pictures_are_written_in_the_format_of_their_name(tmp_path, name):
    write(Image.new("RGB", (8, 6), "red"), tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        assert picture.size == (8, 6)
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [(tmp_path / name).name]


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    picture = Image.new("RGB", (8, 6))
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=r"x\.gif: a picture ends in \.png, \.jpg or \.webp"):
        write(picture, tmp_path / "x.gif")
    with pytest.raises(InputError, match=r"folder\.png: is a folder"):
        write(picture, tmp_path / "folder.png")
    with pytest.raises(InputError, match=r"x\.png: cannot be written"):
        write(picture, tmp_path / "file" / "x.png")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder.png"}


def test_a_failure_half_way_leaves_the_old_picture(tmp_path):
    path = tmp_path / "a.jpg"
    write(Image.new("RGB", (8, 6)), path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="cannot be written"):
        write(Image.new("RGBA", (8, 6)), path)  # JPEG holds no transparency
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.jpg"]


SIZES = {
    (32, 32): (3 * 1000 + 4 * 40, 136 + 1000 + 92),
    (900, 40): (3 * 520 + 4 * 40, 136 + 1000 + 92 + 520 * 97 // 40 + 40),  # 97 = 0.42·230, of 40
    (400, 460): (3 * 1000 + 4 * 40, 136 + 870 + 92),  # twice 230: it needs no closer look
    (400, 461): (3 * 1000 + 4 * 40, 136 + 868 + 92 + round(97 * 1000 / 230) + 40),
}


@pytest.mark.parametrize("size", SIZES)
def test_panels_captions_and_the_closer_look_have_their_sizes(size):
    assert draw(reading(size, truth=None), "t", "s").size == SIZES[size]


def test_the_colours_of_the_heat_end_at_log_odds_of_twelve():
    """Half of that lies at three quarters of the ramp, and more at its end."""
    made = reading(found=(A,), truth=None)
    i, j = (40 - 16) // 4, (48 - 16) // 4
    for odds, level in ((12.0, 5.0), (6.0, 3.75), (24.0, 5.0), (0.0, 2.5)):
        made.scores[:] = 0.0
        made.scores[10] = 50.0
        made.scores[3, i - 1 : i + 2, j - 1 : j + 2] = 50.0 + odds
        picture = np.asarray(draw(made, "t", "s"), dtype=float)
        shown = picture[round(136 + 40 * 6.25), round(40 + 1000 + 40 + 48 * 6.25)]
        colour = [np.interp(level, range(6), RAMP[:, c]) for c in range(3)]
        assert np.abs(shown - np.array(colour)).max() <= 1, (odds, shown, colour)
