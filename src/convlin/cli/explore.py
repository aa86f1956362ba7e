"""`convlin explore`: the local page, or one state of it as a file."""

from __future__ import annotations

import socket
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from convlin.cli.terminal import output, shown
from convlin.cli.written_files import check_output
from convlin.display.atomic import write
from convlin.errors import InputError

if TYPE_CHECKING:
    from convlin.teach.scenes.page_state import State

__all__ = ["explore"]

PORT = 8765


def explore(
    host: Annotated[
        str, typer.Option(metavar="HOST", help="The address to listen at.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            help=f"The port; 0: any free one. Without it {PORT}, or a free one if that is taken.",
            metavar="N",
            min=0,
            max=65535,
        ),
    ] = None,
    state: Annotated[str, typer.Option(metavar="LINK", help="What to show: a page's link.")] = "",
    lang: Annotated[
        Literal["en", "zh"] | None,
        typer.Option(help="English or Chinese; without it the link's, or English."),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in the browser.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the page with this state; it needs no server."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Overwrite the exported file.")] = False,
) -> None:
    """Serve the lessons' page with the engine behind it: any convolution, seen in linked views.

    Sliders change the geometry; counts and values follow. A link holds all of it. The page
    works without a network. Ctrl-C ends it.
    """
    if export is not None:
        check_output(export, ".html", force)
    from convlin.teach.scenes.page_state import State

    first = State.of(state)
    if lang is not None:
        first = State.of(_in_language(first.link, lang))
    if find_spec("matplotlib") is None:
        raise InputError('convlin explore draws with matplotlib: pip install "convlin[teach]"')
    if export is not None:
        _write(export, first, force)
        return
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise InputError('convlin explore needs a web server: pip install "convlin[teach]"')

    from convlin.teach.server.application import serve, written_page
    from convlin.teach.server.hosts import bracketed

    with _listening(host, port) as listening:
        written_page(first.lang)  # the first answer then is as quick as all others
        number = listening.getsockname()[1]
        if port is None and number != PORT:
            typer.echo(f"port {PORT} is taken; this is a free one", err=True)
        query = first.link if len(first.link) > 1 else ""
        url = f"http://{bracketed(host)}:{number}/{query}"
        output().print(url, markup=False, soft_wrap=True)
        if browser:
            webbrowser.open(url)
        try:
            serve(listening, host)
        except KeyboardInterrupt:
            typer.echo()


def _in_language(link: str, lang: str) -> str:
    """Return a link of the page in a language.

    >>> _in_language("?size=5x4&lang=zh", "en"), _in_language("?", "zh")
    ('?size=5x4&lang=en', '?lang=zh')
    """
    rest = [field for field in link[1:].split("&") if field and not field.startswith("lang=")]
    return "?" + "&".join([*rest, f"lang={lang}"])


def _listening(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens at host and port; `InputError` where none can."""
    wanted = PORT if port is None else port
    try:
        family = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0][0]
        try:
            return socket.create_server((host, wanted), family=family)
        except OSError:
            if port is not None:
                raise
        return socket.create_server((host, 0), family=family)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen at {host}, port {wanted}: {reason}") from None


def _write(out: Path, state: State, force: bool) -> None:
    from convlin.teach.lessons import lessons
    from convlin.teach.web.one_file import one_file

    write(out, one_file(lessons(state.lang), state).encode(), force=force)
    size = out.stat().st_size
    output().print(f"wrote {shown(out)} ({size:,} bytes)", soft_wrap=True)
