"""Lesson 6: why a convolution shares its weights, and what that is good for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from convlin.display.numbers import times
from convlin.teach.document import Beside, Block, Figure, Paragraph, Table, View
from convlin.teach.drawings.scored_sheet import scored_sheet
from convlin.teach.lessons.parts import code, grid, judgement, number, question
from convlin.teach.lessons.shown import state_link
from convlin.teach.numbers import Why
from convlin.teach.numbers.head import Head
from convlin.teach.numbers.shifts import Agreement, Shift, Shifts
from convlin.teach.numbers.shuffles import Shuffles
from convlin.teach.words import Words

__all__ = ["why_lesson"]


def why_lesson(words: Words, lesson: Why) -> Iterator[Block]:
    """Yield the blocks of lesson 6."""
    yield from _shifted(words, lesson.shifts)
    yield from _shuffled(words, lesson.shuffles)
    yield from _head(words, lesson.head)


def _shifted(words: Words, shifts: Shifts) -> Iterator[Block]:
    plain = shifts.plain
    options = [words(f"why.ask_{which}") for which in ("stay", "move", "else")]
    yield question(words("why.ask"), options, options[1])
    yield Paragraph(words("why.reason"), _view(plain, "1", "0"))
    yield Beside(
        (
            grid(words, words("why.moved", by=plain.by), plain.moved),
            grid(words, words("why.before"), plain.outputs),
            grid(words, words("why.after"), plain.after),
        )
    )
    yield Paragraph(words("why.follow"), _view(shifts.padded, "1", "1"))
    strided, padded = {"stride": shifts.stride}, {"padding": shifts.padding}
    cases: list[tuple[str, Shift, dict[str, int]]] = [
        ("plain", shifts.plain, {}), ("strided", shifts.strided, strided),
        ("strided", shifts.strided_twice, strided), ("padded", shifts.padded, padded),
        ("connected", shifts.connected, {}),
    ]  # fmt: skip
    rows = []
    for name, shift, steps in cases:
        move = max(1, shift.by // steps.get("stride", 1))
        rows.append(
            (words(f"why.{name}", by=shift.by, **steps), str(move),
             _of(words, shift.compared[move]))
        )  # fmt: skip
    header = words("why.case"), words("why.along"), words("why.equal")
    yield Table(words("why.agreement"), header, tuple(rows))
    yield _ruling(words, shifts)


def _ruling(words: Words, shifts: Shifts) -> Block:
    plain, padded, connected = (
        shift.compared[1] for shift in (shifts.plain, shifts.padded, shifts.connected)
    )
    still = shifts.plain.compared[0]
    follows = shifts.strided_twice.follows
    assert shifts.strided.follows is None and follows is not None
    return judgement(
        words,
        "corrected",
        words("why.claim"),
        words("why.answer"),
        words(
            "why.evidence_plain", by=shifts.plain.by, **vars(plain), same=still.equal,
            all=still.of,
        ),
        words(
            "why.evidence_strided", stride=shifts.stride, by=shifts.strided.by,
            twice=shifts.strided_twice.by, follows=follows,
        ),
        words("why.evidence_padded", padding=shifts.padding, **vars(padded)),
        words("why.evidence_connected", **vars(connected)),
        code=code(words, "shift"),
    )  # fmt: skip


def _view(shift: Shift, stride: str, padding: str) -> View:
    image = ",".join(number(pixel) for pixel in shift.moved.ravel())
    shown = state_link(f"stride={stride}&padding={padding}&image={image}&at=output:0,0,1")
    assert shown is not None
    return View(shown)


def _of(words: Words, found: Agreement) -> str:
    return words("why.of", equal=found.equal, of=found.of)


def _shuffled(words: Words, shuffles: Shuffles) -> Iterator[Block]:
    channels, pixels = len(shuffles.map), shuffles.map[0].size
    image = ",".join(number(pixel) for pixel in shuffles.shuffled.ravel())
    shown = state_link(f"preset=lesson3&image={image}&at=output:0,1,2")
    assert shown is not None
    yield Paragraph(words("why.shuffle", pixels=pixels, channels=channels), View(shown))
    yield Beside(
        tuple(
            grid(words, words("pointwise.channel", number=c + 1), values)
            for c, values in enumerate(shuffles.shuffled)
        )
    )
    rows = [
        (words(f"why.{layer}"), words(f"why.{change}"), _of(words, found.same),
         _of(words, found.alike))
        for layer, change, found in (
            ("flattened", "unchanged", shuffles.flattened),
            ("flattened", "reordered", shuffles.reordered),
            ("pointwise", "unchanged", shuffles.pointwise),
            ("local", "unchanged", shuffles.local),
        )
    ]  # fmt: skip
    header = (words(f"why.{name}") for name in ("layer", "change", "same", "alike"))
    yield Table(words("why.shuffled", pixels=pixels), tuple(header), tuple(rows))
    reach = shuffles.local_reach
    counts = {"columns": reach.off_columns, "both": reach.off_both}
    yield Paragraph(words("why.reach", weights=reach.weights, **counts))


def _head(words: Words, head: Head) -> Iterator[Block]:
    down, across = head.stride
    assert down == across
    yield Paragraph(
        words(
            "why.head", window=head.window, sheet=head.sheet.shape, map=head.map,
            windows=head.windows, stride=down,
        ),
        # The same in small: a kernel as large as the map was, on a larger map.
        View("?size=5x4&in=3&out=3&at=output:1,1,1"),
    )  # fmt: skip
    yield Figure(
        partial(scored_sheet, head, words("why.head_text")),
        words("why.head_text"),
        words("why.head_figure", found=head.right, digits=len(head.digits)),
    )
    shapes = zip(head.fully_connected, head.convolutions, strict=True)
    rows = tuple((times(before), times(after)) for before, after in shapes)
    header = words("why.head_layer"), words("why.head_conv")
    yield Table(words("why.head_table"), header, rows)
    costs = {"one": head.multiply_adds[0], "crops": head.multiply_adds[1]}
    counts = {"windows": head.windows, "ratio": number(head.ratio), **costs}
    largest = f"{head.largest:.1e}"
    if head.within:
        bound = f"{head.bound:.1e}"
        yield Paragraph(words("why.head_same", largest=largest, bound=bound, **counts))
    else:
        yield Paragraph(words("why.head_apart", largest=largest, **counts))
