"""Whatever is refused has its Chinese sentence, without an English clause in it."""

import ast
import errno
import os
import random
import re
import tomllib
from pathlib import Path
from string import Formatter

import numpy as np
import pytest

import convlin
from convlin.errors import Description, GeometryError, InputError, Refusal, Refused, one_line
from convlin.teach.example import Example, article_example
from convlin.teach.refusals import asked_language, retold, said, translated, usage
from convlin.teach.scenes.matrix_picture import matrix_png
from convlin.teach.scenes.page_limits import BOUNDS, PAIRS
from convlin.teach.scenes.page_state import DEFAULTS, LONGEST, OPTIONAL, State
from convlin.teach.scenes.presets import PRESETS
from teach.chinese import english_in
from teach.lessons.test_numbers import IMAGE, KERNEL
from teach.lessons.test_numbers import REFUSED as EXAMPLES
from teach.scenes.test_state import REFUSED as LINKS

ROOM = Path(convlin.__file__).parent
TABLES = tomllib.loads((ROOM / "teach/words/refusals.toml").read_text("utf-8"))
# What the teaching commands run through before anything is drawn or computed.
MODULES = (
    *(path.relative_to(ROOM).as_posix() for path in sorted((ROOM / "teach").rglob("*.py"))),
    *("cli/explain.py", "cli/explore.py", "cli/images.py", "cli/written_files.py"),
    *("display/inputs.py", "display/atomic.py", "display/languages.py"),
)


def refused(call, *arguments, **named):
    """Return what a call is refused with."""
    with pytest.raises(Refused) as caught:
        call(*arguments, **named)
    return caught.value


def must_be_chinese(error):
    """Every line of an error is Chinese, and only what the reader or the code wrote is not."""
    told = retold(error, "zh")
    assert type(told) is type(error) and str(told) == said(error, "zh")
    for line, refusal in zip(str(told).splitlines(), told.refusals, strict=True):
        assert not english_in(line), line
        for part in (refusal.allowed, refusal.reason):
            assert not english_in(part, chinese=False), part
        if isinstance(refusal.value, Description):
            assert not english_in(refusal.value, chinese=False), refusal.value
    for before, after in zip(error.refusals, told.refusals, strict=True):
        assert (before.site, before.field) == (after.site, after.field)


def test_english_is_found_in_chinese():
    for text in (
        "应为 a whole number",
        "应为 0 到 16 的整数，or more",
        "size is 3",
        "卷积核 covers",
    ):
        assert english_in(text), text
    assert not english_in("a.png：--image 为 'no such', size 为 3x4，应为 en", given=["a.png"])


@pytest.mark.parametrize("case", LINKS)
def test_links(case):
    must_be_chinese(refused(State.of, LINKS[case][0]))


@pytest.mark.parametrize("case", EXAMPLES)
def test_examples(case):
    article = {"image": IMAGE.astype(float), "kernel": KERNEL.astype(float)}
    must_be_chinese(refused(Example, **article | EXAMPLES[case][0]))


def test_what_only_a_program_can_ask_of_an_example():
    article = article_example()
    for steps in (
        {"stride": (0, 1)},
        {"dilation": (1, 0)},
        {"padding": (-1, 0)},
        {"stride": (1.5, 1)},
    ):
        error = refused(Example, article.image, article.kernel, **steps)
        assert isinstance(error, GeometryError)
        must_be_chinese(error)


def test_a_matrix_too_large_for_a_picture():
    must_be_chinese(refused(matrix_png, State.of("size=64&in=2")))


VALUES = ("", "0", "-1", "99", "3x99", "99x3", "1.5", "²", "nan", "large", "5x5x5", "a,b", "1:2", "9" * 50,
          "'", '"', "{count}", "zeros", "expected", "2 values", "图 values", "z" * 99, "%", "1,2,3")  # fmt: skip


def drawn_link(draw):
    """Return a link of a few fields, each with a value of its bounds, beyond, or of nothing."""
    fields = []
    for name in draw.sample([*DEFAULTS, *OPTIONAL, "sise"], draw.randint(1, 6)):
        low, high = BOUNDS.get(name, (-2, 12))
        number = [str(draw.randint(low, high)) for _ in range(1 + (name in PAIRS))]
        known = {
            "mode": ["zeros", "reflect", "circular", "replicate"], "transposed": ["0", "1"],
            "preset": [*PRESETS], "lang": ["en", "zh"],
            "at": [f"{kind}:{','.join(str(draw.randint(0, 9)) for _ in range(draw.randint(1, 5)))}"
                   for kind in ("output", "input", "tap", "entry", "pixel")],
            "image": [f"{draw.randint(0, 99)}:{draw.randint(-9, 9)}"],
        }.get(name, ["x".join(number)])  # fmt: skip
        fields.append(f"{name}={draw.choice(known if draw.random() < 0.8 else VALUES)}")
    return "&".join(fields)


def test_links_drawn_at_random(pytestconfig):
    draw, found = random.Random(5), set()
    for _ in range(1500 * pytestconfig.getoption("seeds")):
        try:
            State.of(drawn_link(draw))
        except Refused as error:
            must_be_chinese(error)
            found |= {re.sub(r"\d+", "N", refusal.allowed) for refusal in error.refusals}
    assert len(found) > 15  # it is a kind that is drawn, not one refusal again and again


@pytest.mark.parametrize("name", [*DEFAULTS, *OPTIONAL, "sise"])
def test_every_field_with_every_value(name):
    for value in VALUES:
        try:
            State.of(f"{name}={value}")
        except Refused as error:
            must_be_chinese(error)


def written(call, position, name):
    """Return an argument of a call as it is written, its fields as {}; None if it is no text."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    node = call.args[position] if position < len(call.args) else keywords.get(name)
    if isinstance(node, ast.JoinedStr):
        parts = ("{}" if isinstance(v, ast.FormattedValue) else v.value for v in node.values)
        return "".join(parts)
    return node.value if isinstance(node, ast.Constant) else None


def texts_of(name):
    """Yield (table, text) for all that a module's refusals say in so many words."""
    for call in ast.walk(ast.parse((ROOM / name).read_text("utf-8"))):
        called = getattr(getattr(call, "func", None), "id", "")
        parts = {
            "InputError": [(0, "", "error")],
            "Description": [(0, "", "value")],
            "Refusal": [(3, "allowed", "allowed"), (4, "reason", "reason")],
        }.get(called, [])
        for position, part, table in parts:
            text = written(call, position, part)
            if text and text.replace("{}", ""):
                yield table, text


def loose(text):
    """Return the pattern of a text with {holes}, each of which may hold anything."""
    return re.compile(".+".join(map(re.escape, re.split(r"\{\w*\}", text))))


@pytest.mark.parametrize("module", MODULES)
def test_every_text_in_the_code_has_a_template(module):
    """A refusal that is added to these files without its Chinese fails here."""
    for table, text in texts_of(module):
        fits = [e for e in TABLES[table] if loose(e).fullmatch(text) or loose(text).fullmatch(e)]
        assert fits, (table, text)
        if table == "error" and not text.endswith("{}"):  # then the system says the rest
            told = str(retold(InputError(text.replace("{}", "7")), "zh"))
            assert "“" not in told, told


def test_the_code_says_something_in_most_of_these_files():
    assert sum(1 for module in MODULES for _ in texts_of(module)) > 40


@pytest.mark.parametrize("table", TABLES)
def test_templates_are_chinese_with_the_same_holes(table):
    for english, chinese in TABLES[table].items():
        holes = [
            {name for _, name, _, _ in Formatter().parse(text) if name}
            for text in (english, chinese)
        ]
        assert holes[1] <= holes[0], english
        if table not in ("cause", "problem", "allowed"):
            assert holes[1] == holes[0], english
        assert not english_in(re.sub(r"\{\w+\}", "", chinese), chinese=False), chinese
        bare = re.sub(r"\{\w+\}", "", chinese)
        assert not re.search(r"[\u4e00-\u9fff] ?[,.;:?!()](?!\w)", bare), (
            chinese,
            "western punctuation",
        )
        assert not re.search(r"[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9][\u4e00-\u9fff]", bare), (
            chinese
        )


def test_the_words():
    for query, words in {
        "size=3x9&kernel=4x2": "explore：size 为 3，应为不小于 4 的高度（卷积核覆盖 4 个像素，填充为 (0, 0)）",
        "in=4&out=6&groups=4": "explore：out 为 6，应为分组数 4 的倍数",
        "mode=mirror": "explore：mode 为 'mirror'，应为 zeros、reflect、replicate、circular 之一",
        "image=1,2": "explore：image 为 2 个值，应为 36 个值（形状为 (1, 6, 6)，每个元素一个值）",
        "size": "explore：链接为 'size'，应为“字段=值&字段=值”形式的文本，用 UTF-8 编码",
    }.items():  # fmt: skip
        assert said(refused(State.of, query), "zh") == words
    large = refused(Example, np.zeros((4, 33)), KERNEL.astype(float))
    assert said(large, "zh") == "--image：尺寸为 4×33，应为 1×1 到 32×32（课文要逐条统计连接）"


def test_english_stays_as_it_is():
    error = refused(State.of, "size=99")
    assert retold(error, "en") is error and translated(error.refusals[0], "en") is error.refusals[0]
    assert said(error, "en") == str(error) and usage("No such option: --x", "en") is None


UNKNOWN = {
    "allowed": Refusal("explore", "size", 3, "a number that nobody thought of"),
    "reason": Refusal("explore", "size", 3, "0 or 1", "a reason that nobody gave"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_fits_no_template_is_english_as_a_whole(case):
    refusal = UNKNOWN[case]
    assert translated(refusal, "zh") is refusal and said(refusal, "zh") == str(refusal)
    way_out = Refused(Refusal("explore", "size", 3, "0 or 1"), "try another")
    assert retold(way_out, "zh") is way_out
    unknown = InputError("a.txt: something else")
    assert retold(unknown, "zh") is unknown and usage("Something else.", "zh") is None


def test_what_readers_write_is_never_translated():
    """Not even where it reads like the code's own words, or like a template's hole."""
    for text in ("2 values", "0 or 1", "{count}", "x, expected 整数", "it's", "zeros (transposed)"):
        refusal = Refusal("explore", "mode", text, "0 or 1")
        assert said(refusal, "zh") == f"explore：mode 为 {text!r}，应为 0 或 1"
        error = InputError(
            f"--stride is {text!r}, expected one or two whole numbers from 1 to 999, such as 2 or 2,1"
        )
        assert (
            str(retold(error, "zh"))
            == f"--stride 为 {text!r}，应为一个或两个 1 到 999 的整数，如 2 或 2,1"
        )
        file = InputError(f"{text}.png: no such file")
        assert str(retold(file, "zh")) == f"{text}.png：文件不存在"
    escaped = retold(InputError("a\x1b\n.txt: is a folder"), "zh")
    assert str(escaped) == r"a\x1b\n.txt：这是文件夹，不是文件"


def test_unknown_words_of_the_system_are_quoted():
    known = InputError("a.html: cannot be written: No space left on device")
    assert str(retold(known, "zh")) == "a.html：无法写入：磁盘空间不足"
    other = InputError("a.html: cannot be written: Stale file handle")
    assert str(retold(other, "zh")) == "a.html：无法写入：“Stale file handle”"


KNOWN = (
    *("ENOENT", "EACCES", "EPERM", "ENAMETOOLONG", "ENOSPC", "EFBIG", "EROFS", "EIO", "EISDIR"),
    *("ENOTDIR", "ELOOP", "EMFILE", "EADDRINUSE", "EADDRNOTAVAIL"),
)


@pytest.mark.parametrize("name", KNOWN)
def test_common_words_of_the_system_are_said_in_chinese(name):
    said = os.strerror(getattr(errno, name))
    for way in ("written", "read"):
        told = str(retold(InputError(f"a.html: cannot be {way}: {said}"), "zh"))
        assert not english_in(told, given=["a.html"]) and "“" not in told
    whole = OSError(getattr(errno, name), said, "b: c")
    told = str(retold(InputError(f"b: c: cannot be read: {one_line(whole)}"), "zh"))
    assert told.startswith("b: c：无法读取：") and "“" not in told and "Errno" not in told


def test_the_language_of_a_link_is_read_where_nothing_else_can_be():
    for link in (
        "?lang=zh",
        "lang=zh&size=99",
        "?size=%ff&lang=zh",
        "?sise&&lang=zh#matrix",
        "http://a/?b=c?lang=zh",
    ):
        assert asked_language(link) == "zh", link
    for link in ("", "?lang=en", "?lang=ZH", "?lang=fr", "?lang", "?size=zh", "#lang=zh"):
        assert asked_language(link) == "en", link
    assert asked_language("?image=" + "1," * LONGEST + "&lang=zh") == "zh"
