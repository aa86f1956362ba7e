"""`convlin explain` and `convlin explore` asked in Chinese: all that they refuse, in Chinese."""

import os
import socket
import struct
import sys
import zlib

import pytest
from PIL import Image

from cli.test_explain import BAD
from cli.test_explore import REFUSED
from cli.test_wrong_values import CASES, FITS, ODD, OUTPUTS, PICTURES, commands
from convlin.cli.explain import explain
from convlin.cli.readers_language import language_of
from teach.chinese import english_in

ASK = {"explain": ["--lesson", "1", "--lang", "zh"], "explore": ["--port", "0"]}
LINK = "?lang=zh"


@pytest.fixture
def things(house, monkeypatch):
    """Files of every kind that serve for nothing; and no server ever serves."""
    (house / "folder").mkdir()
    for name in ("pipe", "pipe.html"):
        os.mkfifo(house / name)
    (house / "circle").symlink_to("circle")
    (house / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    Image.effect_noise((64, 64), 50).save(house / "picture.png")
    (house / "cut.png").write_bytes((house / "picture.png").read_bytes()[:900])
    Image.new("F", (9, 8), float("nan")).save(house / "nan.tiff")
    (house / "run.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    monkeypatch.setattr(
        "convlin.teach.server.application.serve", lambda *_: pytest.fail("it serves")
    )
    return house


def refused(run, name, *options, given=()):
    """Run a command in Chinese that is refused; return its line, which is Chinese."""
    ask = [] if any(str(option).startswith("--state") for option in options) else ["--state", LINK]
    result = run(name, *ASK[name], *(ask if name == "explore" else []), *options)
    assert result.exit_code == 2, result.output
    line = result.stderr.removesuffix("\n")
    assert line.startswith("convlin: ") and line.isprintable()
    said = line.removeprefix("convlin: ")
    assert not english_in(said, given=given), said
    return said


@pytest.mark.parametrize("case", [case for case in BAD if case != "language"])
def test_explain(case, run, things):
    arguments = BAD[case][0]
    refused(run, "explain", *arguments, given=[*arguments[1:], "a"])


@pytest.mark.parametrize("case", REFUSED)
def test_explore(case, run, things):
    arguments = [f"{a}&lang=zh" if a in REFUSED["state"][0][1:] else a for a in REFUSED[case][0]]
    if case != "state-of-an-export":  # a link of which nothing can be read asks for no language
        refused(run, "explore", *arguments, given=[*arguments[1:], "b"])


WRONG = {
    case: (name, parameter, values)
    for case, (name, parameter, values) in CASES.items()
    if name in ASK and parameter.name not in ("lang", "state")
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_of_any_option(case, run, things):
    name, parameter, values = WRONG[case]
    option = max(parameter.opts, key=len)
    for value in values:
        if value in FITS.get((name, parameter.name), ()) or value == "pixel.png":
            continue
        value = value.replace("{}", ".html")
        given = value if value.startswith("--") and value != "--" else f"{option}={value}"
        shown = [
            value,
            *value.split("/"),
            "no/such",
            "a.html",
            "x" * 300 + ".html",
            ascii(value)[1:-1],
        ]
        refused(run, name, given, given=shown)


def test_every_option_of_the_two_was_tried():
    tried = {(name, parameter.name) for name, parameter, _ in WRONG.values()}
    options = {(name, p.name) for name in ASK for p in commands()[name].params}
    assert {option for _, option in options - tried} == {"lang", "state"}
    assert OUTPUTS and PICTURES and ODD


USAGE = {
    "lesson-7": (["explain", "--lang", "zh", "--lesson", "7"], "'--lesson' 的值无效：应不大于 6（参见 --help）"),
    "lesson-0": (["explain", "--lesson", "0", "--lang=zh"], "'--lesson' 的值无效：应不小于 1（参见 --help）"),
    "lesson-x": (["explain", "--lang=zh", "--lesson", "x"], "'--lesson' 的值无效：应为整数（参见 --help）"),
    "no-value": (["explain", "--lang", "zh", "--lesson"], "选项 '--lesson' 需要一个值（参见 --help）"),
    "a-value": (["explain", "--lang", "zh", "--force=x"], "选项 '--force' 不带值（参见 --help）"),
    "no-option": (["explain", "--lang", "zh", "--zzz"], "没有选项 --zzz（参见 --help）"),
    "like": (["explain", "--lang", "zh", "--lesso", "1"], "没有选项 --lesso；相近的选项：--lesson（参见 --help）"),
    "extra": (["explain", "--lang", "zh", "one", "two"], "多余的参数：one two（参见 --help）"),
    "two-languages": (["explain", "--lang", "zh", "--lang"], "选项 '--lang' 需要一个值（参见 --help）"),
    "no-language": (["explain", "--lang", "zh", "--lang", "fr"], "'--lang' 的值无效：'fr' 不在可选值之中：'en'、'zh'（参见 --help）"),
    "port": (["explore", "--state", "?lang=zh", "--port", "70000"], "'--port' 的值无效：应不大于 65535（参见 --help）"),
}  # fmt: skip


@pytest.mark.parametrize("case", USAGE)
def test_a_line_that_cannot_be_parsed(case, run):
    arguments, words = USAGE[case]
    result = run(*arguments)
    assert result.exit_code == 2 and result.stderr == f"convlin: {words}\n"


def test_pictures_that_cannot_be_read(run, things):
    lines = {
        name: refused(run, "explain", "--image", name, given=[name])
        for name in ("nan.tiff", "run.eps", "cut.png")
    }
    assert lines["nan.tiff"] == "nan.tiff：不是可读取的图片：其中含有 NaN 或无穷大"
    assert lines["run.eps"].startswith(
        "run.eps：不是可读取的图片：不属于以下任何一种格式：PNG、JPEG、"
    )
    assert lines["cut.png"].startswith("cut.png：不是可读取的图片：图片文件不完整")
    rows = ";".join(["1 " * 33] * 40)
    large = refused(run, "explain", "--image", rows)
    assert large == "--image：尺寸为 40×33，应为 1×1 到 32×32（课文要逐条统计连接）"


def test_a_picture_of_too_many_pixels(run, house):
    parts = [b"IHDR" + struct.pack(">IIBBBBB", 30_000, 20_000, 8, 0, 0, 0, 0), b"IDAT"]
    chunks = [struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts]
    (house / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    said = refused(run, "explain", "--image", "huge.png", given=["huge.png"])
    assert "图片有 600000000 个像素，超过" in said


def test_an_address_that_is_taken_and_one_of_another_machine(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(run, "explore", "--port", port)
    assert said == f"无法在 127.0.0.1 的端口 {port} 上监听：该地址已被占用"
    said = refused(run, "explore", "--host", "192.0.2.1", "--port", 0)
    assert said == "无法在 192.0.2.1 的端口 0 上监听：本机没有这个地址"


def test_a_folder_that_may_not_be_written(run, house, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    said = refused(run, "explain", "--html", "folder.html", given=["folder.html"])
    assert said == "folder.html：无法写入：没有文件夹 . 的写入权限"


def test_a_disk_that_is_full(run, house, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    said = refused(run, "explore", "--export", "page.html", given=["page.html"])
    assert said == "page.html：无法写入：磁盘空间不足"


def test_files_that_are_there_and_extras_that_are_not(run, house, monkeypatch):
    (house / "page.html").write_text("mine")
    for name, option in (("explain", "--html"), ("explore", "--export")):
        said = refused(run, name, option, "page.html", given=["page.html"])
        assert said == "page.html：文件已存在；要覆盖它，请加 --force"
    for command in (explain.__module__, "convlin.cli.explore"):
        monkeypatch.setattr(sys.modules[command], "find_spec", lambda name: None)
    said = refused(run, "explain", "--html", "new.html")
    assert said == '--html 用 matplotlib 绘图，请先安装：pip install "convlin[teach]"'
    said = refused(run, "explore")
    assert said == 'convlin explore 用 matplotlib 绘图，请先安装：pip install "convlin[teach]"'
    monkeypatch.setattr(
        sys.modules["convlin.cli.explore"], "find_spec", lambda name: name == "matplotlib" or None
    )
    said = refused(run, "explore")
    assert said == 'convlin explore 需要网页服务器，请先安装：pip install "convlin[teach]"'


def test_the_same_exception_with_debug(run):
    for arguments, kind in ((["--padding", "15"], "Refused"), (["--html", "a.txt"], "InputError")):
        result = run("--debug", "explain", "--lang", "zh", *arguments)
        assert type(result.exception).__name__ == kind
        assert not english_in(str(result.exception), given=["a.txt"])


def test_other_commands_and_english_are_as_they_were(run):
    assert (
        run("explain", "--lang", "en", "--html", "a.txt").stderr
        == "convlin: a.txt: the file must end in .html\n"
    )
    assert "Invalid value for '--lesson'" in run("explain", "--lesson", "7").stderr
    assert "No such option: --lang" in run("cost", "--lang", "zh").stderr


def test_the_language_of_a_command_line():
    for line in ("--lang zh", "--lang=zh", "--lesson 6 --lang zh", "--lang en --lang zh", "--state ?size=99&lang=zh",
                 "--state=lang=zh", "--port x --state http://a/?lang=zh#b"):  # fmt: skip
        assert language_of(line.split()) == "zh", line
    for line in (
        "",
        "--lang",
        "--lang fr",
        "zh",
        "--lang zh --lang en",
        "--state",
        "--state ?lang=fr",
        "--html lang=zh",
    ):
        assert language_of(line.split()) == "en", line
