"""The lines of Python under the rulings are run as they stand, and print the lessons' numbers."""

import doctest
from pathlib import Path

import pytest

import convlin.teach.lessons
from convlin.teach.document import Exercise, Judgement
from convlin.teach.example import article_example
from convlin.teach.lessons import lessons
from convlin.teach.lessons.parts import code
from convlin.teach.numbers import full_size, pointwise, sharing, sparse, uses, why
from convlin.teach.words import LANGUAGES, Words

FOLDER = Path(convlin.teach.lessons.__file__).parent / "snippets"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))


def parsed(name):
    text = (FOLDER / f"{name}.txt").read_text("utf-8")
    return text, doctest.DocTestParser().get_doctest(text, {}, name, name, 0)


@pytest.mark.parametrize("name", NAMES)
def test_it_prints_what_it_says(name):
    text, test = parsed(name)
    wrong = []
    results = doctest.DocTestRunner().run(test, out=wrong.append)
    assert results.failed == 0, "".join(wrong)
    assert results.attempted == len(test.examples)
    assert 4 <= text.count(">>> ") + text.count("\n... ") <= 6
    assert max(map(len, text.splitlines())) <= 76


@pytest.mark.parametrize("name", NAMES)
def test_the_lines_to_copy_run_alone(name):
    lines = code(Words("en"), name).lines
    assert lines.splitlines() == [
        line for example in parsed(name)[1].examples for line in example.source.splitlines()
    ]
    compile(lines, name, "exec")


def printed():
    """What the snippets print, by the numbers of the lessons."""
    one, forms = sparse(article_example()), sharing(article_example()).weights
    flat, three, wide = full_size(), pointwise(), uses().channels
    plain, found = why().shifts.plain, uses().collapse
    numbers = ", ".join(f"{number:2}" for number in one.numbers)
    counts = three.weights["conv"], three.weights["linear"], three.over_channels
    apart, together = (list(map(int, pair)) for pair in found.activated)
    return {
        "sparse": [f"({one.example.matrix.shape}, {one.entries}, array([{numbers}]))"],
        "other_weights": [f"{one.one.free}", f"{one.conv.free}"],
        "sharing": [f"({forms['conv']}, {forms['local']}, {forms['linear']})"],
        "pointwise": [f"(torch.Size({list(three.mixing.shape)}), True)", "'Proved'"],
        "fewer": [f"{counts}"],
        "full_size": [
            f"(torch.Size({[flat.outputs, *flat.shape]}), {flat.all}, {flat.linear})", "True"
        ],
        "place": ["True", "True"],
        "channels": [f"{(wide.weights, wide.multiply_adds)}", f"{wide.flattened}"],
        "activation": [
            f"tensor({found.product.tolist()})", f"(tensor({apart}), tensor({together}))"
        ],
        "shift": [f"(tensor({plain.compared[1].equal}), tensor({plain.compared[0].equal}))"],
        "collapse": ["(torch.Size([5, 5]), True)"],
        "unique": ["0", "0"],
    }  # fmt: skip


def test_they_print_the_numbers_of_the_lessons():
    def bare(text):
        return "".join(text.split())

    expected = printed()
    assert set(NAMES) == expected.keys() | {"size"}
    for name, texts in expected.items():
        wants = [example.want for example in parsed(name)[1].examples if example.want]
        assert list(map(bare, wants)) == list(map(bare, texts)), name
    sizes = uses().sizes
    first, one, refused = (e.want for e in parsed("size")[1].examples if e.want)
    assert bare(first) == bare(str([case.pointwise for case in sizes]))
    assert [case.flattened for case in sizes] == [True, False, False]
    assert one == "torch.Size([1, 18])\n" and "1x105 and 27x18" in refused


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_ruling_has_one_and_none_is_left_over(lang):
    blocks = [block for lesson in lessons(lang).lessons for block in lesson.blocks]
    rulings = [block.code for block in blocks if isinstance(block, Judgement)]
    exercises = [block.code for block in blocks if isinstance(block, Exercise)]
    shown = [found.doctest for found in [*rulings, *exercises]]
    assert len(rulings) == len(NAMES) - 2 and len(exercises) == 2
    assert sorted(shown) == sorted(parsed(name)[0].rstrip() for name in NAMES)
    assert {found.title for found in rulings} == {Words(lang)("try.title")}
