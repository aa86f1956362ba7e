"""The real server on loopback: what it answers, and what it turns away."""

import gzip
import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from io import BytesIO

import httpx
import pytest
from PIL import Image

from convlin.teach.lessons import lessons
from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.scene import as_json, scene
from convlin.teach.server.application import serve
from convlin.teach.server.hosts import allowed, bracketed
from convlin.teach.web.one_file import STYLES, served
from convlin.teach.web.page_files import PAGE, page_file


@pytest.fixture(scope="module")
def port():
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listening, "127.0.0.1"), daemon=True).start()
    return listening.getsockname()[1]


@pytest.fixture
def client(port):
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client


def raw(port, lines):
    """Send these bytes as they are, and return status and body."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(lines)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def asked(port, target, host="127.0.0.1", method="GET"):
    """Ask for exactly this target, under exactly this Host header."""
    lines = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return raw(port, lines.encode())


def test_the_page_and_its_files(client):
    page = client.get("/")
    assert page.status_code == 200 and page.text == served(lessons("en"))
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for name in (PAGE / "modules.txt").read_text().split():
        module = client.get(f"/page/{name}")
        assert module.content == (PAGE / name).read_bytes()
        assert module.headers["content-type"] == "text/javascript; charset=utf-8"
    for name in STYLES:
        style = client.get(f"/page/{name}.css")
        assert style.content == (PAGE / f"{name}.css").read_bytes()
        assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert client.get("/?size=5x4&at=output:0,0,0").content == page.content


def test_the_page_in_the_language_of_its_link(client):
    chinese = client.get("/?size=5x4&lang=zh")
    assert chinese.text == served(lessons("zh")) and '<html lang="zh-Hans">' in chinese.text
    english = client.get("/?size=5x4&lang=en")
    assert english.text == client.get("/").text and '<html lang="en">' in english.text
    # What cannot be read is refused by the scene, in English.
    assert client.get("/?lang=fr&sise=3").text == english.text


def test_everything_that_the_page_names_is_there(client):
    page = client.get("/").text
    files = re.findall(r'(?:src|href)="(page/[^"]+)"', page)
    assert "page/main.js" in files and len(files) == 1 + len(STYLES)
    assert all(client.get(f"/{name}").status_code == 200 for name in files)
    for name in (PAGE / "modules.txt").read_text().split():
        for other in re.findall(r'from "(\.[^"]+)"', (PAGE / name).read_text("utf-8")):
            path = (PAGE / name).parent.joinpath(other).resolve().relative_to(PAGE)
            assert client.get(f"/page/{path}").status_code == 200


def test_a_scene_is_the_engines(client):
    query = "size=9x7&in=2&kernel=3x2&along=2&lang=zh"
    answer = client.get(f"/api/scene?{query}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == json.loads(as_json(scene(State.of(query))))


def test_scenes_travel_compressed(port):
    link = "/api/scene?size=32&padding=1"
    with closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", link, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        assert answer.getheader("Content-Encoding") == "gzip"
        body = answer.read()
    assert len(body) < 24_000 and json.loads(gzip.decompress(body))["output"]["shape"] == [
        1,
        32,
        32,
    ]


def test_the_picture_of_a_scene_is_where_it_says(client):
    image = client.get("/api/scene?size=64&padding=1").json()["matrix"]["image"]
    answer = client.get(f"/{image}")
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(BytesIO(answer.content)).size == (1024, 1024)  # of 4096 by 4096


@pytest.mark.parametrize(
    "path", ["/", "/page/main.js", "/api/scene", "/api/matrix.png?size=7", "/nowhere"]
)
def test_every_answer_is_guarded(client, path):
    headers = client.get(path).headers
    policy = dict(
        rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers and "server" not in headers


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/scene?size=7", "/api/matrix.png"])
def test_head_is_get_without_a_body(client, path):
    head, whole = client.head(path), client.get(path)
    assert head.status_code == 200 and head.content == b""
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_a_refusal_of_the_engine_is_a_400_with_its_fields(client):
    answer = client.get("/api/scene?transposed=1&mode=reflect&padding=1")
    assert answer.status_code == 400
    assert answer.json() == {
        "error": {"field": "mode", "value": "reflect", "allowed": "zeros", "reason": "transposed"}
    }
    picture = client.get("/api/matrix.png?size=64&in=2")
    assert picture.status_code == 400 and picture.json()["error"]["field"] == "size"


MALFORMED = {
    "nan": ("/api/scene?along=nan", 400, "along"),
    "inf": ("/api/scene?image=inf", 400, "image"),
    "1e999": ("/api/scene?weights=0:1e999", 400, "weights"),
    "twice": ("/api/scene?size=5&size=6", 400, "size"),
    "unknown": ("/api/scene?callback=alert", 400, "'callback'"),
    "markup": ("/api/scene?%3Cscript%3E=1", 400, "'<script>'"),
    "no-query": ("/api/scene?;;", 400, "link"),
    "nul": ("/api/scene?size=%00", 400, "size"),
    "surrogate": ("/api/scene?size=%ed%a0%80", 400, "link"),
    "raw-bytes": ("/api/scene?size=\xff", 400, None),
    "large": ("/api/scene?size=65", 400, "size"),
    "picture": ("/api/matrix.png?size=65", 400, "size"),
    "language": ("/api/scene?lang=xx", 400, "lang"),
    "no-picture": ("/api/scene?picture=cat", 400, "picture"),
    "presets": ("/api/presets", 404, "path"),
    "too-long": ("/api/scene?image=" + "1," * 4097, 414, "link"),
    "too-long-page": ("/?image=" + "1," * 4097, 414, "link"),
    "unknown-path": ("/api/scenes", 404, "path"),
    "unknown-file": ("/page/nowhere.js", 404, "path"),
    "folder": ("/page/views", 404, "path"),
    "no-file": ("/page/", 404, "path"),
    "not-for-pages": ("/page/modules.txt", 404, "path"),
    "up": ("/page/../server.py", 404, "path"),
    "up-encoded": ("/page/%2e%2e/server.py", 404, "path"),
    "up-encoded-whole": ("/page/..%2fserver.py", 404, "path"),
    "up-twice-encoded": ("/page/%252e%252e%252fserver.py", 404, "path"),
    "up-backslash": ("/page/..%5cserver.py", 404, "path"),
    "up-and-down": ("/page/views/../../words/en.toml", 404, "path"),
    "absolute": ("/page//etc/passwd", 404, "path"),
    "absolute-encoded": ("/page/%2fetc%2fpasswd", 404, "path"),
    "nul-file": ("/page/main.js%00.css", 404, "path"),
    "long-file": ("/page/" + "a" * 5000 + ".js", 404, "path"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_get_a_4xx_and_the_reason(port, case):
    target, status, field = MALFORMED[case]
    found, body = asked(port, target)
    assert found == status
    if field is not None:
        error = json.loads(body)["error"]
        assert error["field"] == field and error["allowed"]
        assert set(error) == {"field", "value", "allowed", "reason"}
        assert len(body) < 1500


def test_files_beside_the_folder_are_none_of_its_own(monkeypatch):
    monkeypatch.setattr("convlin.teach.web.page_files.PAGE", PAGE / "views")
    assert page_file("input.js") == PAGE / "views" / "input.js"
    for name in ("../main.js", str(PAGE / "main.js"), "../views/../main.js"):
        assert page_file(name) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/scene", "/api/matrix.png"])
def test_other_methods_are_405(port, method, path):
    status, body = asked(port, path, method=method)
    assert status == 405
    assert json.loads(body)["error"]["allowed"] == "GET"


NAMES = {
    "localhost": 200,
    "LocalHost": 200,
    "localhost:{port}": 200,
    "127.0.0.1:{port}": 200,
    "[::1]:{port}": 200,
    "attacker.example": 421,
    "attacker.example:{port}": 421,
    "localhost.attacker.example": 421,
    "attacker-localhost": 421,
    "attacker.localhost": 421,
    "attacker.example@127.0.0.1": 421,
    "127.0.0.1.attacker.example": 421,
    "127.0.0.1@attacker.example": 421,
    "attacker.example#127.0.0.1": 421,
    "127.0.0.1, attacker.example": 421,
    "192.168.0.1": 421,
    "0.0.0.0": 421,
    "localhost:port": 421,
    "localhost.": 421,
    "": 421,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", ["/", "/api/scene", "/page/main.js", "/nowhere"])
def test_only_loopbacks_names_are_answered(port, name, target):
    status, body = asked(port, target, host=name.format(port=port))
    assert status == (404 if NAMES[name] == 200 and target == "/nowhere" else NAMES[name])
    if status == 421:
        assert json.loads(body)["error"]["field"] == "host"


def test_two_names_or_none_are_refused(port):
    twice = (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: attacker.example\r\nConnection: close\r\n\r\n"
    )
    none = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    old = b"GET / HTTP/1.0\r\n\r\n"
    for lines in (twice, none, old):
        assert 400 <= raw(port, lines)[0] < 500


def test_a_name_in_the_request_line_does_not_help(port):
    status, _ = asked(port, "http://127.0.0.1/api/scene", host="attacker.example")
    assert 400 <= status < 500


def test_the_answer_does_not_depend_on_its_neighbours(port):
    """Many at once, each about another layer: every one is its own."""
    queries = [f"size={4 + n % 9}x{5 + n % 7}&along={n % 5}" for n in range(60)]
    expected = [as_json(scene(State.of(query))) for query in queries]
    with ThreadPoolExecutor(12) as pool:
        url = f"http://127.0.0.1:{port}/api/scene?"
        found = list(pool.map(lambda query: httpx.get(url + query, timeout=60).text, queries))
    assert found == expected


def test_who_listens_elsewhere_answers_there_too():
    assert allowed("192.168.0.7:80", "192.168.0.7") and not allowed("192.168.0.8", "192.168.0.7")
    assert allowed("box.local", "Box.local") and not allowed("box.example", "box.local")
    for host in ("0.0.0.0", "::"):
        assert allowed("192.168.0.7:8765", host) and allowed("[fe80::1]:8765", host)
        assert not allowed("attacker.example", host) and not allowed("[::1", host)
    assert (bracketed("::1"), bracketed("127.0.0.1")) == ("[::1]", "127.0.0.1")
