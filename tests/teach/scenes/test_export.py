"""A state as one file: everything inside, nothing to fetch, and the numbers of the engine."""

import base64
import json
import re
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.page_words import words
from convlin.teach.scenes.scene import as_json, scene
from convlin.teach.web.one_file import bundle, exported
from convlin.teach.web.page_files import PAGE

QUERIES = {
    "article": "preset=lesson1",
    "picture": "size=24&in=2&padding=1&along=2&lang=zh",
    "circular": "size=5x4&padding=1&mode=circular",
}


class Tags(HTMLParser):
    """All tags with their attributes, and the texts of those still open: (tag, attributes, text)."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.inside = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.inside = (tag, dict(attrs))
        self.tags.append(self.inside)

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.texts.append((*self.inside, data))


@pytest.fixture(params=QUERIES)
def page(request):
    state = State.of(QUERIES[request.param])
    return state, exported(state)


def test_the_scene_inside_is_the_engines(page):
    state, text = page
    (found,) = [data for _, attrs, data in Tags(text).texts if attrs.get("id") == "scene"]
    inside, expected = json.loads(found), json.loads(as_json(scene(state)))
    picture, asked = inside["matrix"].pop("image"), expected["matrix"].pop("image")
    assert inside == expected
    assert bool(picture) == bool(asked)
    if picture:
        kind, data = picture.split(",")
        assert kind == "data:image/png;base64"
        size = Image.open(BytesIO(base64.b64decode(data))).size
        assert size == (inside["matrix"]["columns"], inside["matrix"]["rows"])


def test_nothing_is_fetched(page):
    _, text = page
    tags = Tags(text).tags
    for tag, attrs in tags:
        assert tag not in ("base", "iframe", "object", "embed")
        for name in ("src", "href", "srcset", "action"):
            assert attrs.get(name, "data:").startswith(("data:", "#"))
    (policy,) = [attrs["content"] for tag, attrs in tags if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'") and "connect-src" not in policy
    styles = [data for tag, _, data in Tags(text).texts if tag == "style"]
    assert not re.search(r"@import|url\((?!['\"]?data:)", "".join(styles))


def test_the_modules_are_one_script(page):
    _, text = page
    scripts = [data for _, attrs, data in Tags(text).texts if attrs.get("type") == "module"]
    assert len(scripts) == 1 and scripts[0].strip() == bundle().strip()
    assert not re.search(r"^\s*(import|export)\b", bundle(), re.MULTILINE)
    for name in (PAGE / "modules.txt").read_text().split():
        for line in (PAGE / name).read_text("utf-8").splitlines():
            if not line.startswith("import "):
                assert line.removeprefix("export ") in bundle()


def test_every_module_is_listed():
    listed = (PAGE / "modules.txt").read_text().split()
    assert sorted(listed) == sorted(str(path.relative_to(PAGE)) for path in PAGE.rglob("*.js"))


def test_a_text_cannot_end_the_script(monkeypatch):
    wicked = words("en") | {"title": "</script><script>alert(1)</script><!--"}
    monkeypatch.setattr("convlin.teach.scenes.scene.words", lambda language: wicked)
    text = exported(State.of(""))
    assert text.lower().count("</script") == 2 and "<!--" not in text
    (found,) = [data for _, attrs, data in Tags(text).texts if attrs.get("id") == "scene"]
    assert json.loads(found)["words"] == wicked
