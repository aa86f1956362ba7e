"""The page's files keep the rules that let them be bundled and translated; no browser needed."""

import collections
import re

import pytest

from convlin.teach.web.page_data import TABLES
from convlin.teach.web.page_files import PAGE
from convlin.teach.words import LANGUAGES, sentences

MODULES = (PAGE / "modules.txt").read_text("utf-8").split()
SOURCES = {name: (PAGE / name).read_text("utf-8") for name in MODULES}
WORDS = {
    language: {
        key: text for key, text in sentences(language).items() if key.partition(".")[0] in TABLES
    }
    for language in LANGUAGES
}
DEFINES = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.M)
IMPORT = re.compile(r'import \{ [\w, ]+ \} from "(\.{1,2}/[\w./]+\.js)";')
# Keys put together from a name: `field.${name}` and the like.
MADE = ("field.", "form.", "preset.", "picture.", "dial.", "straighten.", "views.")


def test_every_module_is_listed_behind_those_it_needs():
    found = [path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*.js")]
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


def test_what_is_imported_is_exported_and_used():
    exported = {
        name: set(
            re.findall(r"^export (?:async )?(?:function\*?|const|let|class) (\w+)", text, re.M)
        )
        for name, text in SOURCES.items()
    }
    for name, text in SOURCES.items():
        body = "\n".join(line for line in text.splitlines() if not line.startswith("import "))
        for names, path in re.findall(
            r'^import \{ (.*) \} from "(?:\.{1,2}/)+([\w./]+)";', text, re.M
        ):
            source = path if path in SOURCES else f"views/{path}"
            for one in names.split(", "):
                assert one in exported[source], f"{name}: {one}"
                assert re.search(rf"\b{one}\b", body), f"{name} does not use {one}"


def test_exports_are_prefixes_of_definitions():
    for name, text in SOURCES.items():
        for line in re.findall(r"^export .*", text, re.M):
            assert DEFINES.match(line), f"{name}: {line}"


def test_no_module_reaches_beyond_the_server():
    for name, text in SOURCES.items():
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == [], name


def test_both_languages_have_the_same_texts_with_the_same_holes():
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    for key, text in WORDS["en"].items():
        holes = [set(re.findall(r"\{(\w+)\}", one)) for one in (text, WORDS["zh"][key])]
        assert holes[0] == holes[1], key


def test_every_text_the_page_names_exists_and_is_used():
    html = "".join((PAGE / name).read_text("utf-8") for name in ("bar.html", "views.html"))
    named = set(re.findall(r'data-(?:word|label)="([\w.]+)"', html))
    code = "\n".join(SOURCES.values())
    said = set(re.findall(rf'"((?:{"|".join(TABLES)})\.\w+)"', code))
    assert named <= WORDS["en"].keys()
    assert said <= WORDS["en"].keys()
    left = [key for key in WORDS["en"].keys() - named - said if not key.startswith(MADE[:-1])]
    # What the terminal and the text beside the views say of the same tables.
    elsewhere = {"ask.predict", "ask.reveal", "ask.prompt", "ask.unknown", "try.title"}
    put_together = {"views.input_value", "views.tap_value"}
    assert sorted(set(left) - elsewhere - put_together) == []


@pytest.mark.parametrize("language", WORDS)
def test_texts_are_texts(language):
    assert all(isinstance(text, str) and text.strip() for text in WORDS[language].values())
