"""Every file that a command writes is whole or not there, wherever it goes and whatever ends it."""

import os
import resource
import secrets
import signal
import stat
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import load_npz

from convlin import InputError
from convlin.demo import picture

COMMANDS = {
    "convert": ("convert", "models_here:unpadded", "--window", "3,10,7", "--no-proofs", "-o", "{}.pt2"),
    "unroll": ("unroll", "models_here:padded", "0", "--input-size", "10,7", "-o", "{}.npz"),
    "slide": ("slide", "models_here:padded", "sheet.bmp", "--window", "3,10,7", "--stride", "5",
              "-o", "{}.npz"),
    "explain": ("explain", "--lesson", "5", "--html", "{}.html"),
    "explore": ("explore", "--export", "{}.html"),
    "demo": ("{}.png",),
}  # fmt: skip
WHOLE = {
    "convert": lambda path: zipfile.ZipFile(path).testzip() is None,
    "unroll": lambda path: load_npz(path).shape == (280, 210),
    "slide": lambda path: np.load(path)["scores"].shape == (5, 7, 11),
    "explain": lambda path: path.read_text("utf-8").rstrip().endswith("</html>"),
    "explore": lambda path: path.read_text("utf-8").rstrip().endswith("</html>"),
    "demo": lambda path: Image.open(path).convert("RGB").getpixel((8, 2)) == (8, 16, 24),
}
SHEET = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
SHEET.putpixel((8, 2), (8, 16, 24))


@pytest.fixture
def house(house):
    """The working directory, with a picture in it too."""
    SHEET.save(house / "sheet.bmp")
    return house


@pytest.fixture(params=COMMANDS)
def command(request, run, checked_here):
    """Run a writing command on a name without its suffix: (exit code, its line of error)."""
    arguments = COMMANDS[request.param]
    suffix = arguments[-1].removeprefix("{}")

    def go(name, *, force=True):
        if request.param == "demo":  # what it reads is no matter here, and takes seconds
            try:
                picture.write(SHEET, Path(f"{name}{suffix}"))
            except InputError as error:
                return 2, f"convlin: {error}"
            return 0, ""
        *rest, out = arguments
        result = run(*rest, out.format(name), *(["--force"] if force else []))
        assert "--debug" not in result.stderr
        return result.exit_code, result.stderr.removesuffix("\n")

    go.suffix, go.whole = suffix, WHOLE[request.param]
    go.forces = request.param != "demo"
    return go


def partials(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def refused(answer, words):
    code, line = answer
    assert code == 2 and line.startswith("convlin: ") and len(line.splitlines()) == 1, line
    assert words in line


def test_a_file_that_is_there_is_replaced_and_hands_on_its_permissions(command, house):
    out = house / f"a{command.suffix}"
    out.write_bytes(b"mine")
    out.chmod(0o640)
    before = out.stat().st_ino
    assert command("a") == (0, "")
    assert command.whole(out) and not partials(house)
    assert stat.S_IMODE(out.stat().st_mode) == 0o640 and out.stat().st_ino != before


def test_a_new_file_has_the_permissions_that_the_umask_leaves(command, house):
    old = os.umask(0o027)
    try:
        assert command("a") == (0, "")
    finally:
        os.umask(old)
    assert stat.S_IMODE((house / f"a{command.suffix}").stat().st_mode) == 0o640


@pytest.mark.parametrize("there", [True, False], ids=["link", "dangling-link"])
def test_a_link_stays_one_and_the_file_behind_it_is_written(command, house, there):
    (house / "far").mkdir()
    target, link = house / "far" / "target", house / f"a{command.suffix}"
    if there:
        target.write_bytes(b"mine")
    link.symlink_to(target)
    assert command("a") == (0, "")
    assert link.is_symlink() and command.whole(target) and not partials(house)


REFUSED = {
    "folder": (lambda out: out.mkdir(), "is a folder"),
    "link-to-folder": (lambda out: out.symlink_to("."), "is a folder"),
    "pipe": (lambda out: os.mkfifo(out), "is no regular file"),
    "device": (lambda out: out.symlink_to("/dev/full"), "is no regular file"),
    "circle": (lambda out: out.symlink_to(out.name), "its links lead in a circle"),
    "link-to-nowhere": (lambda out: out.symlink_to("not/there"), "no such folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_file_is_left_alone(command, house, case):
    make, words = REFUSED[case]
    out = house / f"a{command.suffix}"
    make(out)
    if case == "link-to-nowhere" and not command.forces:
        words = "No such file or directory"
    before = out.lstat()
    refused(command("a"), words)
    assert out.lstat().st_ino == before.st_ino and not partials(house)


NAMES = {
    "unwriteable-folder": ("/proc/a", "/proc/a"),  # to root too
    "no-folder-can-be": ("models_here.py/a", "models_here.py"),
    "too-long": ("x" * 252, "File name too long"),
    "too-long-folder": ("x" * 300 + "/a", "File name too long"),
    "null-byte": ("a\0b", "null byte"),
    "escape": ("no\x1b[31m\n[bold]\u202e/a", r"no\x1b[31m\n[bold]\u202e/a"),
}


def contents(folder):
    """Return what is in a folder, but for Python's own cache of a module that was imported."""
    return sorted(path for path in folder.iterdir() if path.name != "__pycache__")


@pytest.mark.parametrize("case", NAMES)
def test_names_that_no_file_can_have_are_refused_in_one_line(command, house, case):
    name, words = NAMES[case]
    if case == "escape" and not command.forces:  # the demo makes folders
        (house / "no\x1b[31m\n[bold]\u202e").write_bytes(b"")
    before = contents(house)
    refused(command(name), words)
    assert contents(house) == before


def test_a_name_of_255_bytes_is_written(command, house):
    name = "卷" * ((255 - len(command.suffix)) // 3)
    assert command(name) == (0, "")
    assert command.whole(house / f"{name}{command.suffix}") and not partials(house)


@contextmanager
def room_for(size):
    """Let no file grow beyond this: what a full disk is to the writer, an OSError within."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("there", [True, False], ids=["over-a-file", "new"])
@pytest.mark.parametrize("size", [0, 500])
def test_a_full_disk_is_one_line_and_leaves_nothing(command, house, there, size):
    out = house / f"a{command.suffix}"
    if there:
        out.write_bytes(b"mine")
    before = {path: path.stat().st_ino for path in contents(house)}
    with room_for(size):
        answer = command("a")
    refused(answer, f"a{command.suffix}: cannot be written: File too large")
    after = {path: path.stat().st_ino for path in contents(house)}
    assert after == before and (not there or out.read_bytes() == b"mine")


def test_two_runs_at_once_each_write_a_whole_file(command, house, monkeypatch):
    """The second begins and ends while the first has written and not yet renamed."""
    sync, answers = os.fsync, []

    def second(descriptor):
        monkeypatch.setattr(os, "fsync", sync)
        assert len(partials(house)) == 1
        answers.append(command("a"))

    monkeypatch.setattr(os, "fsync", second)
    assert command("a") == (0, "") and answers == [(0, "")]
    assert command.whole(house / f"a{command.suffix}") and not partials(house)


def test_a_file_that_came_to_be_meanwhile_is_kept_without_force(command, house, monkeypatch):
    if not command.forces:
        return
    out = house / f"a{command.suffix}"
    monkeypatch.setattr(os, "fsync", lambda descriptor: out.write_bytes(b"mine"))
    refused(command("a", force=False), "exists; overwrite it with --force")
    assert out.read_bytes() == b"mine" and not partials(house)


def test_a_link_laid_where_the_file_would_grow_is_not_followed(command, house, monkeypatch):
    """Names cannot be guessed; where one is, what lies there is not opened."""
    monkeypatch.setattr(secrets, "token_hex", lambda size: "guessed")
    (house / "victim").write_bytes(b"mine")
    (house / f".convlin-guessed{command.suffix}").symlink_to("victim")
    refused(command("a"), "File exists")
    assert (house / "victim").read_bytes() == b"mine"


# Written and not yet renamed: while `convert` checks its file, which takes longest, and on the way
# to the disk.
PAUSED = """
import os, subprocess, sys, time
def pause(*_, **__):
    print("writing", file=sys.stderr, flush=True)
    time.sleep(120)
os.fsync = subprocess.run = pause
from convlin.cli import main
main()
"""


@pytest.mark.parametrize(
    "name, number",
    [("explore", signal.SIGINT), *((name, signal.SIGTERM) for name in COMMANDS if name != "demo")],
)
def test_a_process_that_is_ended_leaves_the_old_file_and_no_other(house, name, number):
    *rest, out = COMMANDS[name]
    out = house / out.format("a")
    out.write_bytes(b"mine")
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSED, *rest, str(out), "--force"],
        cwd=house, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stderr.readline() == "writing\n"
    assert len(partials(house)) == 1
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err in ("", "convlin: aborted\n")  # as Typer's version has it
    assert out.read_bytes() == b"mine" and not partials(house)


PRINTING = {
    "echoed": ("--version",),
    "drawn": ("explore", "--export", "a.html", "--force"),
}


def ends(house, arguments, stdout):
    """Run a command whose stdout is this: its exit code, and what it says on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "convlin", *arguments],
        cwd=house, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("case", PRINTING)
def test_a_full_disk_behind_stdout_is_one_line(house, case):
    with Path("/dev/full").open("w") as full:
        code, err = ends(house, PRINTING[case], full)
    assert code == 2 and len(err.splitlines()) == 1, err
    assert "No space left on device" in err


@pytest.mark.parametrize("case", PRINTING)
def test_a_reader_who_leaves_is_no_error_and_no_proof(house, case):
    read, write = os.pipe()
    os.close(read)
    assert ends(house, PRINTING[case], write) == (141, "")
    os.close(write)


BAD = {
    "no-module": (("inspect", "nowhere:x"), "nowhere:x: no module named nowhere"),
    "a-script": (("inspect", "leaving:x"), "leaving:x: importing leaving raised SystemExit: 0"),
    "no-trust": (("prove", "a.pt2", "a.pt2", "--input-shape", "3"), "a.pt2: an exported program is a program: "),
    "usage": (("inspect", "--\x1b[31m"), "No such option"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_process_says_what_is_wrong_in_one_line(house, case):
    arguments, words = BAD[case]
    (house / "leaving.py").write_text("raise SystemExit(0)")
    (house / "a.pt2").write_bytes(b"")
    code, err = ends(house, arguments, subprocess.DEVNULL)
    assert code == 2 and err.startswith(f"convlin: {words}"), err
    assert err.endswith("\n") and err[:-1].isprintable()
