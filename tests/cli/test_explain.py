"""`convlin explain`: lessons chosen, one's own numbers, the page, and bad input in one line."""

import sys

import numpy as np
import pytest
from PIL import Image

from convlin.cli.explain import explain


def test_all_lessons_in_english(run):
    result = run("explain")
    assert result.exit_code == 0, result.output
    found = [line for line in result.stdout.splitlines() if line.startswith("━━")]
    assert [line.split()[2] for line in found] == list("12345")
    for words in ("right", "right, with a correction", "open question, answered"):
        assert f"▌ {words}\n" in result.stdout
    assert "- One neuron has 36 weights, and this image gives it 1 equation: 35" in result.stdout
    assert (
        "Fewer only than an FC layer on the flattened map, 27 to 18: 6 against 486."
        in result.stdout
    )


def test_chosen_lessons_in_chinese_in_their_order(run):
    result = run("explain", "--lang", "zh", "--lesson", "4", "--lesson", "3", "--lesson", "4")
    found = [line.strip("━ ") for line in result.stdout.splitlines() if line.startswith("━━")]
    assert found == ["第 3 课  1×1 卷积是通道上的全连接层", "第 4 课  与特征图一样大的卷积核"]
    assert "正确，但需更正" in result.stdout


def test_torch_and_matplotlib_stay_out_of_help_and_terminal(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run("explain", "--lesson", "2").exit_code == 0
    assert "FC layer" in run("explain", "--help").stdout


def test_own_numbers_in_rows(run):
    result = run(
        "explain", "--image", "1,2,0; 3 4 0.5", "--kernel", "2 -1", "--padding", "0,1", "--stride",
        "1,2", "--lesson", "1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    # The first window starts one pixel left of the image: 2·0 - 1·1. The second: 2·2 - 1·0.
    # Both of the second column read two pixels; the largest is the one to follow.
    assert "     1    2    0   *    2  -1   =    -1    4\n" in result.stdout
    assert "     3    4  0.5                     -3 [7.5]\n" in result.stdout
    stride = "give 2×2 outputs. Stride (1,\N{NO-BREAK SPACE}2), padding (0,\N{NO-BREAK SPACE}1)"
    assert stride in result.stdout.replace("\n", " ")
    assert "The image and the kernel of the first two\nlessons are yours" in result.stdout


def test_own_numbers_that_no_chosen_lesson_uses_are_not_passed_over_in_silence(run):
    result = run("explain", "--lesson", "4", "--image", "1 2; 3 4", "--kernel", "1")
    assert "The image and the kernel of the first two lessons are yours" in " ".join(
        result.stdout.split()
    )


def test_own_picture(run, house):
    pixels = np.array([[0, 10, 20], [30, 40, 50], [60, 70, 255]], np.uint8)
    Image.fromarray(pixels).save(house / "tiny.png")
    result = run("explain", "--image", "tiny.png", "--kernel", "1 0; 0 1", "--lesson", "2")
    assert "in row 2, column 1: 100." in result.stdout.replace("\n", " ")


def test_the_page(run, house):
    result = run("explain", "--html", "out.html", "--lang", "zh", "--lesson", "5")
    assert result.exit_code == 0, result.output
    text = (house / "out.html").read_text("utf-8")
    assert result.stdout == f"wrote out.html ({len(text.encode()):,} bytes)\n"
    assert '<html lang="zh-Hans">' in text and "80,564,191,232,000" in text
    assert [path.name for path in house.iterdir() if "partial" in path.name] == []
    again = run("explain", "--html", "out.html", "--lesson", "5")
    assert (again.exit_code, again.stderr) == (
        2, "convlin: out.html: exists; overwrite it with --force\n",
    )  # fmt: skip
    assert run("explain", "--html", "out.html", "--lesson", "5", "--force").exit_code == 0
    assert '<html lang="en">' in (house / "out.html").read_text("utf-8")


def test_a_page_without_matplotlib(run, monkeypatch):
    monkeypatch.setattr(sys.modules[explain.__module__], "find_spec", lambda name: None)
    result = run("explain", "--html", "out.html")
    assert result.exit_code == 2
    assert result.stderr == 'convlin: --html draws with matplotlib: pip install "convlin[teach]"\n'


BAD = {
    "ragged": (["--image", "1 2; 3"], "--image is '1 2; 3', expected rows of equally many numbers, such as '1 0 0; 0 1 0' (numbers in each row: 2, 1)"),
    "empty-row": (["--image", "1 2;"], "--image is '1 2;', expected rows of equally many numbers, such as '1 0 0; 0 1 0' (numbers in each row: 2, 0)"),
    "letters": (["--kernel", "1 a"], "--kernel is '1 a', expected rows of equally many numbers, such as '1 0 0; 0 1 0'"),
    "nothing": (["--kernel", ""], "--kernel is '', expected rows of equally many numbers, such as '1 0 0; 0 1 0' (numbers in each row: 0)"),
    "not-a-number": (["--kernel", "nan"], "--kernel: number in row 1, column 1 is nan, expected a number from -1,000,000 to 1,000,000"),
    "picture": (["--image", "none.png"], "--image is 'none.png', expected a picture file, or rows"),
    "large-picture": (["--image", "large.png"], "--image: size is 40×33, expected 1×1 to 32×32 (the lessons count every wire)"),
    "kernel": (["--kernel", "1 1 1 1 1 1 1"], "--kernel: size is 1×7, expected one that covers at most 6×6, the image with its padding (it covers 1×7)"),
    "dilation": (["--dilation", "3,1"], "--kernel: size is 3×3, expected one that covers at most 6×6, the image with its padding (it covers 7×3 with dilation 3×1)"),
    "stride": (["--stride", "0"], "--stride is '0', expected one or two whole numbers from 1 to 999, such as 2 or 2,1"),
    "padding": (["--padding", "-1"], "--padding is '-1', expected one or two whole numbers from 0 to 999, such as 2 or 2,1"),
    "padding-too-large": (["--padding", "15,0"], "--padding: output size is 34×4, expected at most 32×32 (the lessons count every wire)"),
    "lesson": (["--lesson", "6"], "Invalid value for '--lesson': "),
    "language": (["--lang", "de"], "Invalid value for '--lang': "),
    "page-name": (["--html", "out.pdf"], "out.pdf: the file must end in .html"),
    "page-folder": (["--html", "a/b.html"], "a/b.html: no such folder: a"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, run, house):
    Image.new("L", (33, 40)).save(house / "large.png")
    arguments, words = BAD[case]
    result = run("explain", *arguments)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"convlin: {words}")
    assert not (house / "out.html").exists()
