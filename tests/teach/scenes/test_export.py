"""The page as one file: everything inside, nothing to fetch, and the numbers of the engine."""

import json
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from convlin.teach.document import Paragraph
from convlin.teach.lessons import lessons
from convlin.teach.pictures import KERNELS, PICTURES
from convlin.teach.scenes.page_state import DEFAULTS, State
from convlin.teach.scenes.presets import PRESETS
from convlin.teach.scenes.scene import as_json, scene
from convlin.teach.web.one_file import STYLES, bundle, one_file
from convlin.teach.web.page_data import TABLES
from convlin.teach.web.page_files import PAGE
from convlin.teach.words import LANGUAGES, sentences

MODULES = (PAGE / "modules.txt").read_text().split()
# What a link may open the page with: nothing, a geometry of no lesson, one with values.
STATES = {
    "lessons": None,
    "geometry": "size=7x5&in=2&kernel=2x3&padding=1x0",
    "picture": "picture=noise&image=3:5&weights=0:2.5&at=output:0,1,2",
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


def given(text):
    """The data inside a page."""
    (found,) = [data for _, attrs, data in Tags(text).texts if attrs.get("id") == "given"]
    return json.loads(found)


@pytest.fixture(scope="module", params=LANGUAGES)
def told(request):
    document = lessons(request.param)
    return document, one_file(document)


def test_it_is_small(told):
    document, text = told
    assert len(text.encode()) < 1_000_000
    assert len(one_file(document, State.of("picture=scene&kernel=3")).encode()) < 1_000_000


def test_the_geometries_inside_are_the_engines(told):
    document, text = told
    found = given(text)["geometries"]
    for link, inside in found.items():
        state = State.of(link)
        assert state.geometry_link == link
        assert inside == json.loads(as_json(scene(state)))
    shown = [
        block.view.link for lesson in document.lessons for block in lesson.blocks
        if isinstance(block, Paragraph) and block.view is not None
    ]  # fmt: skip
    for link in [*shown, *(f"?preset={name}" for name in PRESETS)]:
        assert State.of(link).geometry_link in found


@pytest.mark.parametrize("name", STATES)
def test_it_opens_with_the_state_of_a_link(name):
    document = lessons("zh", [4])
    query = STATES[name]
    state = None if query is None else State.of(query)
    data = given(one_file(document, state))
    assert data["opens"] == (None if state is None else state.link)
    if state is not None:
        assert data["geometries"][state.geometry_link] == json.loads(
            as_json(scene(State.of(state.geometry_link)))
        )


def test_the_data_inside_is_what_the_page_is_given(told):
    document, text = told
    data = given(text)
    assert (data["lang"], data["engine"]) == (document.lang, False)
    assert data["defaults"] == DEFAULTS and data["presets"] == PRESETS
    assert data["words"] == {
        key: words for key, words in sentences(document.lang).items() if key.split(".")[0] in TABLES
    }
    for name, picture in PICTURES.items():
        found = data["pictures"][name]
        assert found == {"size": list(picture.shape), "values": picture.ravel().tolist()}
    assert data["kernels"] == {name: kernel.ravel().tolist() for name, kernel in KERNELS.items()}
    assert [len(set(data["colors"][name])) for name in ("few", "many")] == [9, 121]


def test_nothing_is_fetched(told):
    _, text = told
    tags = Tags(text).tags
    for tag, attrs in tags:
        assert tag not in ("base", "iframe", "object", "embed", "img", "audio", "video")
        for name in ("src", "href", "srcset", "action", "xlink:href"):
            assert attrs.get(name, "data:").startswith(("data:", "#"))
        assert not [name for name in attrs if name.startswith("on")]
    (policy,) = [attrs["content"] for tag, attrs in tags if "http-equiv" in attrs]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and "connect-src" not in rules
    assert not any("http" in rule or "*" in rule for rule in rules.values())
    styles = [data for tag, _, data in Tags(text).texts if tag == "style"]
    assert len(styles) >= len(STYLES)
    assert not re.search(r"@import|url\((?!['\"]?(data:|#))", "".join(styles))


def test_the_modules_are_one_script(told):
    _, text = told
    scripts = [data for _, attrs, data in Tags(text).texts if attrs.get("type") == "module"]
    assert len(scripts) == 1 and scripts[0].strip() == bundle().strip()
    assert not re.search(r"^\s*(import|export)\b", bundle(), re.MULTILINE)
    for name in MODULES:
        for line in (PAGE / name).read_text("utf-8").splitlines():
            if not line.startswith("import "):
                assert line.removeprefix("export ") in bundle()


def test_every_module_is_listed_behind_those_it_needs():
    assert sorted(MODULES) == sorted(str(path.relative_to(PAGE)) for path in PAGE.rglob("*.js"))
    for at, name in enumerate(MODULES):
        text = (PAGE / name).read_text("utf-8")
        needed = re.findall(r'^import .* from "(\.[^"]+)";$', text, re.MULTILINE)
        assert len(needed) == len(re.findall(r"^import\b", text, re.MULTILINE)), name
        for other in needed:
            path = (PAGE / name).parent.joinpath(other).resolve().relative_to(PAGE)
            assert str(path) in MODULES[:at], (name, other)


def test_no_name_comes_twice_at_the_top():
    names = re.findall(
        r"^(?:async )?(?:function\*?|class|const|let|var) (\w+)", bundle(), re.MULTILINE
    )
    torn = re.findall(r"^(?:const|let|var) [\[{](.*?)[\]}] =", bundle(), re.MULTILINE)
    names += [name for part in torn for name in re.findall(r"\w+(?=\s*(?:,|$|=))", part)]
    assert len(names) > 100
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_names_that_are_imported_are_exported_unchanged():
    """A name that is changed on its way would be none in one script."""
    for name in MODULES:
        text = (PAGE / name).read_text("utf-8")
        for imported, other in re.findall(
            r'^import \{(.*)\} from "(\.[^"]+)";$', text, re.MULTILINE
        ):
            source = (PAGE / name).parent.joinpath(other).read_text("utf-8")
            for word in imported.split(","):
                assert re.search(
                    rf"^export (?:async )?(?:function\*?|class|const|let) {word.strip()}\b",
                    source, re.MULTILINE,
                ), (name, word)  # fmt: skip


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_text_cannot_end_the_script(lang, monkeypatch):
    wicked = "</script><script>alert(1)</script><!--"
    monkeypatch.setitem(sentences(lang), "views.title", wicked)
    text = one_file(lessons(lang, [4]))
    assert text.lower().count("</script") == 2 and "<!--" not in text
    assert given(text)["words"]["views.title"] == wicked


def test_a_text_of_the_lessons_is_text_too(monkeypatch):
    monkeypatch.setitem(sentences("en"), "page.lead", "<script>alert(1)</script>&amp;")
    text = one_file(lessons("en", [4]))
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;" in text
