"""How long a message is: what of many refusals, of long values and of many numbers it shows."""

import pytest

from convlin.arguments import elements
from convlin.errors import Description, Refusal, Refused, first_line


@pytest.mark.parametrize(("count", "lines"), [(3, 3), (4, 1), (53, 1)])
def test_many_alike_are_one_line(count, lines):
    alike = [Refusal(f"layer{n}", "padding", (1, n % 2), "0") for n in range(count)]
    text = str(Refused(alike))
    assert len(text.splitlines()) == lines
    assert lines > 1 or text.startswith(
        f"layer0, layer1 and {count - 2} more: padding is (1, 0), …"
    )


@pytest.mark.parametrize(("length", "whole"), [(500, True), (501, False)])
def test_a_long_value_is_cut(length, whole):
    value = Description("x" * length)
    assert (f"{value}, expected" in str(Refusal("site", "field", value, "less"))) is whole


@pytest.mark.parametrize(("length", "whole"), [(500, True), (501, False)])
def test_what_an_exception_of_others_says_is_cut(length, whole):
    assert first_line(ValueError("x" * length)) == "x" * 500 + "…" * (not whole)


def test_as_many_numbers_as_a_shape_of_pytorch_has_are_read():
    assert elements(range(64)) == tuple(range(64))
    assert elements(range(65)) is None and elements(iter(range(65))) is None
