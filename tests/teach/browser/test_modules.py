"""The page's files keep the rules that let them be bundled and translated; no browser needed."""

import collections
import json
import re
from importlib import resources

import pytest

PAGE = resources.files("convlin.teach.scenes") / "page"
MODULES = (PAGE / "modules.txt").read_text("utf-8").split()
SOURCES = {name: (PAGE / name).read_text("utf-8") for name in MODULES}
WORDS = {
    language: json.loads(
        (resources.files("convlin.teach.scenes") / "words" / f"{language}.json").read_text("utf-8")
    )
    for language in ("en", "zh")
}
DEFINES = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.M)
IMPORT = re.compile(r'import \{ [\w, ]+ \} from "(\.{1,2}/[\w./]+\.js)";')


def test_every_module_is_listed_behind_those_it_needs():
    found = [file.name for file in PAGE.iterdir() if file.name.endswith(".js")]
    found += [f"views/{file.name}" for file in (PAGE / "views").iterdir()]
    assert sorted(MODULES) == sorted(found)
    for place, name in enumerate(MODULES):
        for line in SOURCES[name].splitlines():
            if line.startswith("import "):
                needed = IMPORT.fullmatch(line)[1]
                folder = "views/" if name.startswith("views/") else ""
                needed = f"{folder}{needed.removeprefix('./')}".replace("views/../", "")
                assert needed in MODULES[:place], f"{name} needs {needed}"


def test_a_top_level_name_comes_once_in_all_modules():
    names = collections.Counter(name for text in SOURCES.values() for name in DEFINES.findall(text))
    assert [name for name, count in names.items() if count > 1] == []


def test_exports_are_prefixes_of_definitions():
    for name, text in SOURCES.items():
        for line in re.findall(r"^export .*", text, re.M):
            assert DEFINES.match(line), f"{name}: {line}"


def test_no_module_reaches_beyond_the_server():
    for name, text in SOURCES.items():
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == [], name


def test_both_languages_have_the_same_texts_with_the_same_holes():
    plain = {
        lang: {key for key in texts if not key.endswith(".one")} for lang, texts in WORDS.items()
    }
    assert plain["en"] == plain["zh"]
    for key in plain["en"]:
        holes = [set(re.findall(r"\{\w+\}", WORDS[language][key])) for language in WORDS]
        assert holes[0] == holes[1], key


def test_every_text_the_page_names_exists_and_is_used():
    page = (PAGE / "index.html").read_text("utf-8")
    named = set(re.findall(r'data-(?:word|label)="([\w.]+)"', page))
    code = "\n".join(SOURCES.values())
    assert named <= WORDS["en"].keys()
    literal = set(re.findall(r'"([a-z]+(?:\.[a-z]+)*)"', code)) | named
    made = (
        "field.",
        "mode.",
        "form.",
        "preset.",
        "input.value",
        "tap.value",
    )  # keys put together from a name
    left = [
        key
        for key in WORDS["en"]
        if key not in literal and not key.endswith(".one") and not key.startswith(made)
    ]
    assert left == ["family.sentence", "family.fixed"]  # the engine's
    said = set(re.findall(r'say\("([\w.]+)"', code))
    assert said <= WORDS["en"].keys()


@pytest.mark.parametrize("language", WORDS)
def test_texts_are_texts(language):
    assert all(isinstance(text, str) and text.strip() for text in WORDS[language].values())
