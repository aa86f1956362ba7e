"""`convlin explore`: the server as it is started, the file it writes, and what it refuses."""

import json
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

ADDRESS = re.compile(r"http://\S+")


@pytest.fixture
def started():
    """Start `convlin explore` with these options: the process, and the address it prints."""
    running = []

    def start(*options):
        process = subprocess.Popen(
            [sys.executable, "-m", "convlin", "explore", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        return process, ADDRESS.search(process.stdout.readline())[0]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_it_serves_where_it_says_and_ctrl_c_ends_it_quietly(started):
    process, url = started("--port", "0", "--state", "size=7&along=1.50")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?size=7x7&along=1\.5", url)
    assert httpx.get(url).status_code == 200
    answer = httpx.get(url.replace("/?", "/api/scene?")).json()
    assert answer["link"] == "?size=7x7&along=1.5" and answer["output"]["shape"] == [1, 5, 5]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.strip() == "" and err == ""


def test_a_taken_port_falls_back_only_where_none_was_asked_for(started, run, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        result = run("explore", "--port", number)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"convlin: cannot listen at 127.0.0.1, port {number}: ")
        monkeypatch.setattr("convlin.cli.explore.PORT", number)
        served = []
        monkeypatch.setattr(
            "convlin.teach.server.application.serve", lambda listening, host: served.append(host)
        )
        result = run("explore")
    assert result.exit_code == 0 and served == ["127.0.0.1"]
    assert f"port {number} is taken" in result.stderr
    assert ADDRESS.search(result.stdout)[0] != f"http://127.0.0.1:{number}/"


def test_it_listens_on_loopback_unless_told_otherwise(run, monkeypatch):
    heard = []

    def serve(listening, host):
        heard.append((listening.getsockname()[0], host))

    monkeypatch.setattr("convlin.teach.server.application.serve", serve)
    assert run("explore", "--port", 0).exit_code == 0
    assert run("explore", "--port", 0, "--host", "0.0.0.0").exit_code == 0
    assert heard == [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0")]


def test_the_browser_opens_only_when_asked(run, monkeypatch):
    opened = []
    monkeypatch.setattr("convlin.teach.server.application.serve", lambda listening, host: None)
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert run("explore", "--port", 0).exit_code == 0 and opened == []
    result = run("explore", "--port", 0, "--open", "--state", "?at=output:0,0,1")
    assert opened == [result.stdout.strip()] and opened[0].endswith("/?at=output:0,0,1")


def test_export_writes_one_file(run, house):
    result = run("explore", "--export", "page.html", "--state", "preset=patchify")
    assert result.exit_code == 0, result.output
    page = (house / "page.html").read_text("utf-8")
    found = re.search(r'<script type="application/json" id="given">(.*?)</script>', page)
    given = json.loads(found[1])
    opens = "?size=8x8&in=3&out=4&kernel=4x4&stride=4x4"
    assert (given["opens"], given["engine"]) == (opens, False)
    assert given["geometries"][opens]["matrix"]["rows"] == 4 * 2 * 2
    size = (house / "page.html").stat().st_size
    assert result.stdout == f"wrote page.html ({size:,} bytes)\n"
    assert not list(house.glob(".page*"))
    again = run("explore", "--export", "page.html")
    assert again.stderr == "convlin: page.html: exists; overwrite it with --force\n"
    assert again.exit_code == 2
    assert run("explore", "--export", "page.html", "--force").exit_code == 0
    assert (house / "page.html").read_text("utf-8") != page


def test_an_export_that_fails_leaves_the_old_file(run, house, monkeypatch):
    (house / "page.html").write_text("mine")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = run("explore", "--export", "page.html", "--force")
    assert result.exit_code == 2
    assert result.stderr == "convlin: page.html: cannot be written: No space left on device\n"
    assert (house / "page.html").read_bytes() == b"mine" and not list(house.glob(".page*"))


REFUSED = {
    "state": (["--state", "?size=99"], "explore: size is '99', expected a whole number from 1 to 64, or height × width, such as 5x4"),
    "state-of-an-export": (["--state", "nonsense", "--export", "a.html"], "explore: link is 'nonsense', expected field=value&field=value, in UTF-8"),
    "suffix": (["--export", "page.txt"], "page.txt: the file must end in .html"),
    "no-folder": (["--export", "b/a.html"], "b/a.html: no such folder: b"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_one_line_and_exit_code_2(run, house, case):
    arguments, words = REFUSED[case]
    result = run("explore", *arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [f"convlin: {words}"]
    assert not list(house.glob("*.html"))


def test_a_port_out_of_range(run):
    result = run("explore", "--port", 70000)
    assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1
    assert "--port" in result.stderr and "65535" in result.stderr


def test_no_such_host(run):
    result = run("explore", "--host", "256.1.1.1", "--port", 0)
    assert result.exit_code == 2
    assert result.stderr.startswith("convlin: cannot listen at 256.1.1.1, port 0: ")
    assert len(result.stderr.splitlines()) == 1


def test_the_page_is_not_drawn_without_matplotlib(run, house, monkeypatch):
    import convlin.cli.explore as command

    monkeypatch.setattr(command, "find_spec", lambda name: None)
    for arguments in ((), ("--export", "page.html")):
        result = run("explore", *arguments)
        assert (result.exit_code, result.stderr) == (
            2, 'convlin: convlin explore draws with matplotlib: pip install "convlin[teach]"\n'
        )  # fmt: skip
    assert not list(house.glob("*.html"))


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_extra_is_named(run, house, monkeypatch, package):
    import convlin.cli.explore as command

    found = command.find_spec
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == package else found(name))
    result = run("explore")
    assert result.exit_code == 2
    assert result.stderr == (
        'convlin: convlin explore needs a web server: pip install "convlin[teach]"\n'
    )
    assert run("explore", "--export", "page.html").exit_code == 0  # which needs none


def test_nobody_else_imports_a_web_server(house):
    script = (
        "import sys, convlin, convlin.cli\n"
        "from convlin.teach.lessons import lessons\n"
        "from convlin.teach.scenes.page_state import State\n"
        "from convlin.teach.web.one_file import one_file\n"
        "one_file(lessons('en', [4]), State.of(''))\n"
        "print([name for name in ('starlette', 'uvicorn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
