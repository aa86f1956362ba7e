"""The application: its commands, and how errors become one line and an exit code.

Exit codes: 0 if the command did what it says; 1 if `prove` or `audit` did not prove, or `check`
found what breaks; 2 for bad input, for models that are refused, and for whatever nobody expected;
130 if it was interrupted (Ctrl-C) or terminated (SIGTERM), and left nothing half-written.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from convlin import __version__
from convlin.cli.audit import audit
from convlin.cli.check import check
from convlin.cli.convert import convert
from convlin.cli.cost import cost
from convlin.cli.demo import demo
from convlin.cli.explain import explain
from convlin.cli.explore import explore
from convlin.cli.inspect import inspect
from convlin.cli.plan import plan
from convlin.cli.prove import prove
from convlin.cli.readers_language import InReadersLanguage
from convlin.cli.rewrite import rewrite
from convlin.cli.scan import scan
from convlin.cli.slide import slide
from convlin.cli.unroll import unroll
from convlin.errors import ConvlinError, one_line, printable

__all__ = ["app", "main"]


class OneLineErrors(TyperGroup):
    """A group of commands whose errors are lines on stderr, not tracebacks."""

    debug = False

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and say what was wrong in one line; refusals are a line each.

        An exit code of 1 is a verdict, so no error may end in Python's own, which is 1 too.
        """
        run = partial(super().main, args, prog_name, complete_var, False, windows_expand_args)
        if not standalone_mode:
            return run(**extra)
        try:
            code = run(**extra)
            sys.stdout.flush()  # a full disk behind it shows here, not when Python ends
        except typer.Abort:
            sys.exit(_say("aborted", 130))
        except ConvlinError as error:
            if self.debug:
                raise
            sys.exit(_say(str(error), 2))
        except (BrokenPipeError, SystemExit) as end:
            if not any(isinstance(each, BrokenPipeError) for each in (end, end.__context__)):
                raise
            # Whoever read has read enough, as `head` does; click then exits with 1, and 0 would
            # say that something was proved. So it is what shells make of SIGPIPE.
            _hang_up()
            sys.exit(141)
        except Exception as error:
            if self.debug:
                raise
            if isinstance(error, OSError):
                _hang_up()
            sys.exit(_say(_unexpected(error), 2))
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    cls=OneLineErrors,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo,
    explain,
    explore,
    inspect,
    convert,
    plan,
    slide,
    scan,
    rewrite,
    prove,
    audit,
    check,
    unroll,
    cost,
):
    app.command(cls=InReadersLanguage if command in (explain, explore) else None)(command)


@app.callback(invoke_without_command=True)
def convlin(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error as well.")
    ] = False,
) -> None:
    """Turn convolutions into fully connected layers and back, exactly, with proof.

    MODEL is an import path **package.module:factory**, called without arguments: your own
    code runs, and the working directory is searched first.
    """
    assert isinstance(context.command, OneLineErrors)
    context.command.debug = debug
    if version:
        typer.echo(f"convlin {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; SIGTERM ends it as Ctrl-C does, so that it cleans up behind itself."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # terminals that know no ⇒
    app()


def _unexpected(error: Exception) -> str:
    """Return an error in one line; those of usage are click's, or Typer's own copy of click's."""
    if hasattr(error, "format_message"):
        text = " ".join(error.format_message().split())
        # pydantic, which reads the options for Typer, names the exception before what it says.
        return printable(f"{text.replace('Value error, ', '', 1)} (see --help)")
    return printable(f"stopped by {one_line(error)} (convlin --debug shows where)")


def _hang_up() -> None:
    """Let the rest of stdout go nowhere: Python would try again to write it when it ends."""
    with suppress(OSError, ValueError):  # a stream of no file, as tests have
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str, code: int) -> int:
    for line in text.splitlines():
        typer.secho(f"convlin: {line}", err=True, fg=typer.colors.RED)
    return code
