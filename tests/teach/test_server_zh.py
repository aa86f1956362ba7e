"""The server asked in Chinese: whatever it turns away, it says so in Chinese."""

import json
import socket
import threading

import pytest

from convlin.errors import Description, Refusal
from convlin.teach.refusals import said
from convlin.teach.server.application import serve
from teach.chinese import english_in
from teach.scenes.test_server import MALFORMED, NAMES, asked


@pytest.fixture(scope="module")
def port():
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listening, "127.0.0.1"), daemon=True).start()
    return listening.getsockname()[1]


def must_answer_in_chinese(body):
    error = json.loads(body)["error"]
    for part in ("allowed", "reason"):
        assert not english_in(error[part], chinese=False), error
    return error


@pytest.mark.parametrize("case", [case for case in MALFORMED if MALFORMED[case][2]])
def test_the_server(port, case):
    target, status, field = MALFORMED[case]
    found, body = asked(port, f"{target}{'&' if '?' in target else '?'}lang=zh")
    if "lang=xx" in target:  # two languages are none
        field = "lang"
    assert found == status and must_answer_in_chinese(body)["field"] == field


def test_the_servers_own_refusals(port):
    for name in (name for name, status in NAMES.items() if status == 421 and name):
        must_answer_in_chinese(asked(port, "/api/scene?lang=zh", host=name.format(port=port))[1])
    method = must_answer_in_chinese(asked(port, "/api/scene?lang=zh", method="POST")[1])
    assert method["reason"] == "不支持这种请求方法"
    long = must_answer_in_chinese(asked(port, "/?lang=zh&image=" + "1," * 4097)[1])
    assert long["value"] == "8,208 字节" and long["allowed"] == "不超过 8,192 的长度"
    assert json.loads(asked(port, "/api/scene?padding=99")[1])["error"]["allowed"].startswith(
        "a whole"
    )


def test_the_servers_refusals_as_sentences():
    for field, words in {
        "host": "主机名",
        "path": "路径",
        "method": "请求方法",
        "link": "链接",
    }.items():
        refusal = Refusal("explore", field, "POST", "GET", "Method Not Allowed")
        assert said(refusal, "zh") == f"explore：{words}为 'POST'，应为 GET（不支持这种请求方法）"
    other = Refusal("explore", "link", Description("other bytes"), "ASCII, else %-encoded")
    assert said(other, "zh") == "explore：链接为其他字节，应为 ASCII 字符，其余字符用 % 编码"
