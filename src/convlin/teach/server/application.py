"""The page and its answers over HTTP: GET only, one machine, nothing kept."""

from __future__ import annotations

import socket
from functools import cache

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from convlin.errors import Description, Refusal, Refused
from convlin.teach.lessons import lessons
from convlin.teach.refusals import asked_language, translated
from convlin.teach.scenes.matrix_picture import matrix_png
from convlin.teach.scenes.page_state import LONGEST, State
from convlin.teach.scenes.scene import as_json, scene
from convlin.teach.server.hosts import allowed
from convlin.teach.web.one_file import served
from convlin.teach.web.page_files import TYPES, page_file

__all__ = ["application", "serve", "written_page"]

# Pixels a side of a matrix's picture: no screen shows more of it at once, and a zoom of four fills
# one.
MOST = 1024
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def application(host: str = "127.0.0.1") -> Starlette:
    """Return the application of a server that listens at `host`."""
    return Starlette(
        routes=[
            Route("/", _index),
            Route("/page/{path:path}", _file),
            Route("/api/scene", _scene),
            Route("/api/matrix.png", _matrix),
        ],
        middleware=[
            Middleware(_Guard, host=host),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=6),
        ],
        exception_handlers={Refused: _refused, HTTPException: _failed},
    )


def serve(listening: socket.socket, host: str) -> None:
    """Answer on a socket until interrupted."""
    # asyncio sets this only on sockets that were made with TCP by name; without it an answer's
    # body waits some 40 ms for the acknowledgement of its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        application(host), log_level="warning", access_log=False, server_header=False,
        http="h11", ws="none", lifespan="off", timeout_graceful_shutdown=1,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listening])


class _Guard:
    """Turns away requests under foreign names and links too long, and sets every header."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self.host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", ()),
                    *((name.encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        if scope["type"] != "http":
            return
        answer: ASGIApp = self._refusal(scope) or self.app
        await answer(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        names = Headers(scope=scope).getlist("host")
        if len(names) != 1 or not allowed(names[0], self.host):
            wanted = f"localhost, 127.0.0.1, [::1] or {self.host}"
            reason = "the request was sent under a name that is not this server's"
            value = Description(", ".join(names)[:80])
            return _error(scope, Refusal("explore", "host", value, wanted, reason), 421)
        length = len(scope["query_string"])
        if length > LONGEST:
            value, wanted = Description(f"{length:,} bytes"), f"at most {LONGEST:,}"
            refusal = Refusal("explore", "link", value, wanted, "the link is too long")
            return _error(scope, refusal, 414)
        return None


def _index(request: Request) -> Response:
    # The text's language is the link's, else the browser's. A link that cannot be read is refused
    # by the scene.
    link = "?" + request.scope["query_string"].decode("latin-1")
    spoken = request.headers.get("accept-language", "") if "lang=" not in link else ""
    lang = "zh" if spoken.startswith("zh") else asked_language(link)
    return Response(written_page(lang), media_type=TYPES[".html"])


@cache
def written_page(lang: str) -> str:
    """Return the page in a language: its lessons are computed once."""
    return served(lessons(lang))


def _file(request: Request) -> Response:
    return _sent(request.path_params["path"])


def _scene(request: Request) -> Response:
    return _json(as_json(scene(_state(request))))


def _matrix(request: Request) -> Response:
    return Response(matrix_png(_state(request), MOST), media_type="image/png")


def _state(request: Request) -> State:
    try:
        return State.of("?" + request.scope["query_string"].decode("ascii"))
    except UnicodeDecodeError:
        raise Refused(
            Refusal("explore", "link", Description("other bytes"), "ASCII, else %-encoded")
        ) from None


def _sent(name: str) -> Response:
    file = page_file(name)
    if file is None:
        raise HTTPException(404)
    return Response(file.read_bytes(), media_type=TYPES[file.suffix])


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _error(request.scope, error.refusals[0], 400)


def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    field, value, fits = {
        404: ("path", request.url.path[:80], "/, /page/…, /api/scene, /api/matrix.png"),
        405: ("method", request.method[:20], "GET"),
    }.get(error.status_code, ("", "", ""))
    refusal = Refusal("explore", field, value, fits, error.detail)
    return _error(request.scope, refusal, error.status_code, dict(error.headers or {}))


def _error(
    scope: Scope, refusal: Refusal, status: int, headers: dict[str, str] | None = None
) -> Response:
    """Return a refusal in the language of the request, read as far as it can be."""
    refusal = translated(refusal, asked_language("?" + scope["query_string"].decode("latin-1")))
    value = refusal.value if isinstance(refusal.value, str | int) else str(refusal.value)
    error = {
        "field": refusal.field,
        "value": value,
        "allowed": refusal.allowed,
        "reason": refusal.reason,
    }
    return _json(as_json({"error": error}), status, headers)


def _json(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers, media_type="application/json")
