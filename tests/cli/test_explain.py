"""`convlin explain`: lessons chosen, one's own numbers, the page, and bad input in one line."""

import re
import sys

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len

from convlin.cli.explain import explain
from convlin.teach.pictures import KERNELS, PICTURES
from convlin.teach.words import LANGUAGES, Words


def flat(text):
    """What is printed, on one line, without the marks of rulings and questions."""
    return " ".join(re.sub(r"^[▌?] ", "", text, flags=re.MULTILINE).split())


def said(key, lang="en", **fields):
    return flat(Words(lang)(key, **fields))


def titles(result):
    return [line.strip("━ ") for line in result.stdout.splitlines() if line.startswith("━━")]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_all_lessons(run, lang):
    result = run("explain", "--lang", lang)
    assert result.exit_code == 0, result.output
    words, printed = Words(lang), flat(result.stdout)
    assert [re.search("[0-9]", title)[0] for title in titles(result)] == list("123456")
    for ruling in ("right", "corrected", "depends", "answered"):
        assert f"▌ {words(f'ruling.{ruling}')}\n" in result.stdout
    one = {"unknowns": 36, "rank": 1, "free": 35}
    fewer = {"inputs": 27, "outputs": 18, "conv": 6, "linear": 486, "over": 6}
    for key, fields in (("sparse.equation", one), ("pointwise.answer_fewer", fewer)):
        # Chinese is broken between any two characters.
        text = said(key, lang, **fields)
        assert text.replace(" ", "") in printed.replace(" ", "")
    assert result.stdout.count(f"? {words('ask.predict')}\n") == 11
    assert max(map(cell_len, result.stdout.splitlines())) <= 80


def test_chosen_lessons_in_chinese_in_their_order(run):
    chosen = [f"--lesson={number}" for number in (6, 4, 3, 4)]
    result = run("explain", "--lang", "zh", *chosen)
    words, keys = Words("zh"), {3: "pointwise", 4: "full_size", 6: "why"}
    assert titles(result) == [
        f"{words('page.lesson', number=number)}  {words(f'{key}.title')}"
        for number, key in keys.items()
    ]
    assert words("ruling.corrected") in result.stdout


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
    sizes = {"image": (2, 3), "kernel": (1, 2), "outputs": (2, 2), "count": 4}
    down = {name: f"{a} down and {b} across" for name, (a, b) in
            {"stride": (1, 2), "padding": (0, 1)}.items()}  # fmt: skip
    printed = flat(result.stdout)
    assert said("sparse.slide", **sizes) in printed
    assert said("sparse.settings", **down, dilation=1) in printed
    assert said("page.own") in printed


def test_own_numbers_that_no_chosen_lesson_uses_are_not_passed_over_in_silence(run):
    result = run("explain", "--lesson", "4", "--image", "1 2; 3 4", "--kernel", "1")
    assert said("page.own") in flat(result.stdout)


def test_own_picture(run, house):
    pixels = np.array([[0, 10, 20], [30, 40, 50], [60, 70, 255]], np.uint8)
    Image.fromarray(pixels).save(house / "tiny.png")
    result = run("explain", "--image", "tiny.png", "--kernel", "1 0; 0 1", "--lesson", "2")
    position = {"row": 2, "column": 1, "value": "100"}
    assert said("sharing.step", **position) in flat(result.stdout)


@pytest.mark.parametrize("size", [(400, 300), (33, 40), (32, 400)])
def test_a_photo_is_made_small(run, house, size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(house / "photo.png")
    result = run("explain", "--image", "photo.png", "--lesson", "1")
    assert result.exit_code == 0, result.output
    scale = 32 / max(size)
    height, width = (max(1, int(n * scale + 0.5)) for n in (size[1], size[0]))
    sizes = {"image": (height, width), "kernel": (3, 3), "outputs": (height - 2, width - 2)}
    count = (height - 2) * (width - 2)
    assert said("sparse.slide", **sizes, count=count) in flat(result.stdout)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("kernel", [*KERNELS, None])
def test_pictures_and_kernels_by_name(run, picture, kernel):
    chosen = [] if kernel is None else ["--kernel", kernel]
    result = run("explain", "--image", picture, *chosen, "--lesson", "1")
    assert result.exit_code == 0, result.output
    height, width = PICTURES[picture].shape
    sizes = {"image": (height, width), "kernel": (3, 3), "outputs": (height - 2, width - 2)}
    printed = flat(result.stdout)
    assert said("sparse.slide", **sizes, count=(height - 2) * (width - 2)) in printed
    # The output told is the largest, of the image and the kernel of that name.
    weights = KERNELS[kernel or "article"]
    values = [
        (weights * PICTURES[picture][y : y + 3, x : x + 3]).sum()
        for y, x in np.ndindex(height - 2, width - 2)
    ]
    largest = max(values, key=abs)
    row, column = (n + 1 for n in divmod(values.index(largest), width - 2))
    told = said("sparse.straighten", first=1, last=height * width, row=row, column=column,
                value=f"{largest}", wires=9, numbers="@").partition("@")[0]  # fmt: skip
    assert told in printed


def test_a_kernel_by_name_on_the_articles_image(run):
    result = run("explain", "--kernel", "edge", "--lesson", "1")
    assert said("page.own_part") in flat(result.stdout)
    # 1 2 1 below, less 1 2 1 above: 2 + 1, at the two pixels lit side by side.
    assert "\n   1  0  0  0  0  1       -1  -2  -1        0  [3]  3   0\n" in result.stdout


def test_the_last_lesson_alone(run):
    result = run("explain", "--lesson", "6")
    assert result.exit_code == 0 and len(titles(result)) == 1
    assert titles(result)[0].endswith(Words("en")("why.title"))


def test_answers_are_read_from_the_input(run):
    result = run("explain", "--ask", "--lesson", "1", input="3\n1\n")
    assert result.exit_code == 0, result.output
    printed = flat(result.stdout)
    assert said("ask.right", answer="27") in printed
    assert said("ask.wrong", answer="35") in printed
    assert said("ask.score", right=1, asked=2) in printed
    nothing = run("explain", "--ask", "--lesson", "1", input="")
    assert nothing.exit_code == 0 and said("ask.wrong", answer="27") in flat(nothing.stdout)


def test_own_rows_that_are_large_are_refused_not_made_small(run):
    row = " ".join("1" * 33)
    result = run("explain", "--image", f"{row}; {row}", "--kernel", "1")
    expected = "--image: size is 2×33, expected 1×1 to 32×32 (the lessons count every wire)"
    assert (result.exit_code, result.stderr) == (2, f"convlin: {expected}\n")


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
    "letters": (["--kernel", "1 a"], "--kernel is '1 a', expected article, edge, blur, sharpen, or rows of equally many numbers, such as '1 0 0; 0 1 0'"),
    "nothing": (["--kernel", ""], "--kernel is '', expected article, edge, blur, sharpen, or rows of equally many numbers, such as '1 0 0; 0 1 0' (numbers in each row: 0)"),
    "not-a-number": (["--kernel", "nan"], "--kernel: number in row 1, column 1 is nan, expected a number from -1,000,000 to 1,000,000"),
    "picture": (["--image", "none.png"], "--image is 'none.png', expected a picture file, digits, scene, noise, or rows of equally many numbers, such as '1 0 0; 0 1 0'"),
    "kernel-name": (["--kernel", "emboss"], "--kernel is 'emboss', expected article, edge, blur, sharpen, or rows of equally many numbers, such as '1 0 0; 0 1 0'"),
    "ask-and-page": (["--ask", "--html", "out.html"], "--ask "),
    "kernel": (["--kernel", "1 1 1 1 1 1 1"], "--kernel: size is 1×7, expected one that covers at most 6×6, the image with its padding (it covers 1×7)"),
    "dilation": (["--dilation", "3,1"], "--kernel: size is 3×3, expected one that covers at most 6×6, the image with its padding (it covers 7×3 with dilation 3×1)"),
    "stride": (["--stride", "0"], "--stride is '0', expected one or two whole numbers from 1 to 999, such as 2 or 2,1"),
    "padding": (["--padding", "-1"], "--padding is '-1', expected one or two whole numbers from 0 to 999, such as 2 or 2,1"),
    "padding-too-large": (["--padding", "15,0"], "--padding: output size is 34×4, expected at most 32×32 (the lessons count every wire)"),
    "lesson-7": (["--lesson", "7"], "Invalid value for '--lesson': "),
    "language": (["--lang", "de"], "Invalid value for '--lang': "),
    "page-name": (["--html", "out.pdf"], "out.pdf: the file must end in .html"),
    "page-folder": (["--html", "a/b.html"], "a/b.html: no such folder: a"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, run, house):
    arguments, words = BAD[case]
    result = run("explain", *arguments)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"convlin: {words}")
    assert not (house / "out.html").exists()
