"""Open a `.pt2` archive without running any code that it brings along.

`torch.export.load` unpickles, evaluates symbolic sizes and guards as Python, resolves operators by
attribute path, imports the types of its tree specifications, and loads compiled libraries. So the
archive is read here first, and only what is known to be harmless is written into a fresh archive in
memory, which alone goes to PyTorch: what was inspected is what is loaded.

- Members are stored, as PyTorch stores them, never compressed; together no larger than the file.
- Pickled payloads, which are zip archives of their own, load with `weights_only=True`.
- Operators are those of ATen, and integer arithmetic.
- Symbolic sizes are arithmetic of symbols; names are plain; trees are lists, tuples and dicts.
- Guards and metadata, which only describe, are left out.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import nn

from convlin.errors import InputError

__all__ = ["load_archive"]

JSON_LIMIT = 64 * 2**20  # bytes; the program of VGG-16 takes 0.2 MB
PLAIN_MEMBERS = re.compile(
    r"(archive_format|archive_version|version|byteorder|\.data/version|\.data/serialization_id"
    r"|\.format_version|\.storage_alignment|data/(weights|constants)/(weight|tensor)_\d+"
    r"|(extra|extra_files)/.*)"
)
PROGRAM = re.compile(r"(models/[\w-]+|serialized_exported_program)\.json")
CONFIG = re.compile(r"data/(weights|constants)/[\w-]+_config\.json")
PICKLED = re.compile(
    r"(data/(weights|constants|sample_inputs)/[\w-]+|serialized_(state_dict|constants|example_inputs))\.pt"
)
NAME = re.compile(r"[\w.+-]*")
ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
UNSAFE_ATEN = frozenset({"from_file"})  # opens, and can create, a file of any name
ARITHMETIC = re.compile(
    r"(_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
    r"|math\.(ceil|floor|trunc|sqrt)|torch\.sym_(max|min|int|float|not|ite))"
)
TREES = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict"})
SYMBOLIC = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.keyword),
    *(ast.Name, ast.Constant, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Load),
)
SYMBOL = re.compile(
    r"[a-z]+\d+|Symbol|Add|Mul|Pow|Integer|Rational|Float|Max|Min|(Python)?Mod|FloorDiv|CleanDiv"
    r"|(Ceil|Floor|Trunc|Round)ToInt|ToFloat|(Int|Float)TrueDiv|PowByNatural|FloatPow|Abs"
    r"|OpaqueUnaryFn_sqrt|(Une|E)quality|(Strict)?(Less|Greater)Than|Eq|Ne|L[te]|G[te]|And|Or|Not"
    r"|floor|ceiling|true|false|oo|int_oo"
)


def load_archive(path: Path, *, trust: bool = False) -> nn.Module:
    """Return the module of an exported program, after inspection of its file unless `trust`.

    Raises `InputError` that names the member of the archive which is not known to be harmless.
    """
    try:
        source = path if trust else io.BytesIO(_inspected(path))
        return torch.export.load(source).module()
    except InputError:
        raise
    except Exception as error:  # of damaged files: whatever their readers stumble over
        raise InputError(f"{path}: not a readable .pt2 archive: {_told(error)}") from error


def _inspected(path: Path) -> bytes:
    """Return the archive again, holding nothing but inspected members."""
    with zipfile.ZipFile(path) as archive:
        _sizes(path, archive, path.stat().st_size)
        members = {name: archive.read(name) for name in archive.namelist()}
    root = _root(list(members))
    pickled = _pickled_payloads(path, root, members)
    clean = io.BytesIO()
    with zipfile.ZipFile(clean, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, _member(path, name, name.removeprefix(root), content, pickled))
    return clean.getvalue()


def _sizes(path: Path, archive: zipfile.ZipFile, limit: int, site: str = "") -> None:
    """Refuse compressed, overlapping, and repeated members, also those that differ in case only."""
    entries = archive.infolist()
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise _refusal(path, site + entry.filename, "is compressed, which PyTorch never does")
        if entry.filename.endswith(".json") and entry.file_size > JSON_LIMIT:
            raise _refusal(path, site + entry.filename, f"is larger than {JSON_LIMIT:,} bytes")
    if sum(entry.file_size for entry in entries) > limit:
        raise _refusal(path, site + entries[0].filename, "and others overlap")
    names = [entry.filename.casefold() for entry in entries]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise _refusal(path, site + repeated, "occurs more than once")


def _root(names: list[str]) -> str:
    """Return the folder, with its slash, that holds every member; none in PyTorch 2.6."""
    roots = {name.partition("/")[0] for name in names if "/" in name}
    (root,) = roots if len(roots) == 1 else ("",)
    return f"{root}/" if root and all(name.startswith(f"{root}/") for name in names) else ""


def _pickled_payloads(path: Path, root: str, members: dict[str, bytes]) -> frozenset[str]:
    """Return the members that a payload table declares to be pickled."""
    pickled = set()
    for name, content in members.items():
        if CONFIG.fullmatch(name.removeprefix(root)):
            for payload in _json(path, name, content).get("config", {}).values():
                if payload.get("use_pickle"):
                    pickled.add(str(PurePosixPath(name).parent / str(payload.get("path_name"))))
    return frozenset(pickled)


def _member(path: Path, name: str, short: str, content: bytes, pickled: frozenset[str]) -> bytes:
    """Return a member's content, scrubbed where it only describes; refuse what is not known."""
    if name in pickled or PICKLED.fullmatch(short):
        _weights_only(path, name, content)
    elif PROGRAM.fullmatch(short):
        return _program(path, name, _json(path, name, content))
    elif CONFIG.fullmatch(short):
        _plain(path, name, _json(path, name, content))
    elif short.startswith("data/aotinductor/"):
        raise _refusal(path, name, "is compiled code")
    elif not PLAIN_MEMBERS.fullmatch(short):
        raise _refusal(path, name, "is none of the members of an exported program")
    return content


def _weights_only(path: Path, name: str, content: bytes) -> None:
    if not content:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as nested:
            _sizes(path, nested, len(content), f"{name}/")
        torch.load(io.BytesIO(content), weights_only=True)
    except InputError:
        raise
    except Exception as error:  # an unpickler stumbles in many ways
        raise _refusal(path, name, "holds a pickle that weights_only=True refuses") from error


def _json(path: Path, name: str, content: bytes) -> Any:
    try:
        table = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _refusal(path, name, "is not JSON") from error
    if not isinstance(table, dict):
        raise _refusal(path, name, "is not a table")
    return table


def _program(path: Path, name: str, program: dict[str, Any]) -> bytes:
    program["guards_code"] = []
    _scrub(program)
    _plain(path, name, program)
    return json.dumps(program).encode()


def _scrub(value: Any) -> None:
    """Drop the metadata of every node: stack traces and the modules it came from."""
    if isinstance(value, dict):
        if "metadata" in value:
            value["metadata"] = {}
        for item in value.values():
            _scrub(item)
    elif isinstance(value, list):
        for item in value:
            _scrub(item)


def _plain(path: Path, name: str, value: Any, key: str = "") -> None:
    """Walk a table; refuse strings that PyTorch would evaluate to more than a number or a name."""
    if isinstance(value, dict):
        for inner, item in value.items():
            if inner in ("as_custom_obj", "custom_obj", "custom_obj_values") and item:
                raise _refusal(path, name, "holds a custom or script object")
            _plain(path, name, inner)
            _plain(path, name, item, inner)
    elif isinstance(value, list):
        for item in value:
            _plain(path, name, item, key)
    elif isinstance(value, str):
        fits, what = _rule(key, value)
        if not fits:
            raise _refusal(path, name, f"{what} {value[:80]!r}")


def _rule(key: str, value: str) -> tuple[bool, str]:
    """Return whether a string under `key` is harmless, and what it would be."""
    match key:
        case "target":
            return _is_known_operator(value), "calls"
        case "expr_str":
            return _is_arithmetic(value), "holds the size expression"
        case "in_spec" | "out_spec":
            return _is_tree(value), "holds the tree"
        case "as_string" | "as_strings":
            return True, ""  # passed on as a string
        case "path_name":
            return re.fullmatch(r"(weight|tensor)_\d+", value) is not None, "holds the object"
        case _:
            return NAME.fullmatch(value) is not None, "holds the name"


def _is_known_operator(target: str) -> bool:
    if ARITHMETIC.fullmatch(target):
        return True
    match = ATEN.fullmatch(target)
    if match is None or match[1] in UNSAFE_ATEN:
        return False
    packet = getattr(torch.ops.aten, match[1], None)
    return isinstance(getattr(packet, match[2], None), torch._ops.OpOverload)


def _is_arithmetic(expression: str) -> bool:
    """Return whether a size is numbers, symbols, operators and known functions of them."""
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, SYMBOLIC) and _is_symbolic(node) for node in ast.walk(tree))


def _is_symbolic(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name):
            return SYMBOL.fullmatch(name) is not None
        case ast.Constant(value=str(name)):  # the name in Symbol('s0', integer=True)
            return SYMBOL.fullmatch(name) is not None
        case ast.Constant(value=value):
            return isinstance(value, int | float | None)
        case ast.Call(func=function):
            return isinstance(function, ast.Name)
    return True


def _is_tree(text: str) -> bool:
    try:
        _, tree = json.loads(text)
        return _is_tree_node(tree)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def _is_tree_node(node: dict[str, Any]) -> bool:
    context = json.loads(node["context"] or "null")
    keys = [] if context is None else context
    plain = isinstance(keys, list) and all(isinstance(key, str | int) for key in keys)
    named = plain and all(NAME.fullmatch(str(key)) for key in keys)
    return node["type"] in TREES and named and all(map(_is_tree_node, node["children_spec"]))


def _refusal(path: Path, member: str, what: str) -> InputError:
    return InputError(f"{path}: member {member} {what}; open it only if you trust it (--trust)")


def _told(error: BaseException) -> str:
    """Return an exception in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
