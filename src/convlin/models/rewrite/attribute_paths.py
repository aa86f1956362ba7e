"""What a method uses of its object, read off its bytecode: `self.mlp[0].weight` is a path.

The instructions are gone through once, in order, with a stack that knows paths and nothing else:

| an instruction that | does to the stack |
|---|---|
| loads a variable | the path goes on top that it stands for: for `self` the empty one |
| loads an attribute, a method, an item | the path on top grows by a step |
| goes on with a loop | an item of what is on top goes on top |
| stores into a variable | the variable stands for the path on top, from there on |
| drops it, or asks what it is: None, another, a Tensor | the path goes, and was of no use |
| does anything else | all paths go, and were used |

Where branches meet and in what functions return, paths are lost: what loops over `zip(self.a, x)`
yield is not known. So what is found is used, and not all that is used is found.
"""

from __future__ import annotations

import dis
import re
from collections.abc import Mapping
from functools import cache
from types import CodeType
from typing import NamedTuple

__all__ = ["EACH", "Path", "Uses", "uses_of"]

Path = tuple[str | int, ...]
"""Names of attributes, numbers of items, and `EACH`."""

EACH = "[each]"
"""The step to some item, nobody knows which."""

ASKING = ("hasattr", "id", "isinstance", "type")  # functions that take no numbers of anything
ASKS = object()  # one of them, on the stack

VARIABLE = re.compile("(LOAD|STORE)_(FAST|DEREF|CLOSURE)")
SILENT = (
    "CACHE", "DELETE_DEREF", "DELETE_FAST", "EXTENDED_ARG", "NOP", "NOT_TAKEN", "PRECALL",
    "PUSH_NULL", "RESUME", "TO_BOOL",
)  # fmt: skip


class Uses(NamedTuple):
    """What a method uses of its first argument, and the names that it may take of `super()`."""

    paths: set[Path]
    above: set[str]


@cache
def uses_of(code: CodeType) -> Uses:
    """Return what the code of a method uses of its first argument.

    >>> def forward(self, x):
    ...     proj = self.proj
    ...     return x.to(proj.weight.dtype) @ proj.weight + self.mlp[0].bias
    >>> sorted(uses_of(forward.__code__).paths)
    [('mlp', 0, 'bias'), ('proj', 'weight'), ('proj', 'weight', 'dtype')]
    """
    uses = Uses(set(), set())
    if code.co_argcount:
        _Walk(code, {code.co_varnames[0]: ()}, uses).run()
    return uses


class _Walk:
    """One pass over code, its variables and its stack."""

    def __init__(self, code: CodeType, variables: Mapping[str, Path], uses: Uses) -> None:
        self.code = code
        self.variables = dict(variables)
        self.uses = uses
        self.stack: list[object] = []  # paths, constants, `ASKS`, and None for all else
        self.within: list[CodeType] = []  # lambdas, comprehensions, generators, functions
        self.iterated: dict[CodeType, Path] = {}

    def run(self) -> None:
        for instruction in dis.get_instructions(self.code):
            if instruction.opname not in SILENT:
                self.step(instruction)
        for code in self.within:
            known = {v: self.variables[v] for v in code.co_freevars if v in self.variables}
            if code in self.iterated:
                known[".0"] = self.iterated[code]  # what a comprehension goes through
            _Walk(code, known, self.uses).run()

    def step(self, instruction: dis.Instruction) -> None:
        name, argument = instruction.opname, instruction.argval
        match name:
            case "LOAD_ATTR" | "LOAD_METHOD":
                self.attribute(argument)
            case "LOAD_SUPER_ATTR":
                self.drop(3)
                self.stack.append(None)
                self.attribute(argument)
            case "LOAD_CONST" | "LOAD_SMALL_INT":
                self.constant(argument)
            case "LOAD_GLOBAL" | "LOAD_NAME":
                self.stack.append(ASKS if argument in ASKING else None)
            case "CALL" if self.stack[-argument - 1 : -argument] == [ASKS]:
                self.drop(argument + 1)
                self.stack.append(None)
            case "BUILD_LIST" | "BUILD_SET" | "BUILD_MAP" if not argument:
                self.stack.append(None)
            case "BUILD_SLICE":
                self.drop(argument)
                self.stack.append(None)
            case "BINARY_SLICE":
                self.drop(2)
            case "GET_ITER":
                if self.within and isinstance(whole := self.top(), tuple):
                    self.iterated.setdefault(self.within[-1], whole)
            case "FOR_ITER":
                self.stack.append(_longer(self.top(), EACH))
            case "SWAP":
                self.stack = [None] * (argument - len(self.stack)) + self.stack
                self.stack[-1], self.stack[-argument] = self.stack[-argument], self.stack[-1]
            case "IS_OP":
                self.drop(2)
            case "POP_TOP":
                self.drop(1)
            case _ if name.endswith("_NONE"):  # a jump if it is None, or is not
                self.drop(1)
            case _ if name == "BINARY_SUBSCR" or instruction.argrepr == "[]":
                index, whole = self.pop(), self.pop()
                self.stack.append(_longer(whole, index if isinstance(index, int | str) else EACH))
            case _ if VARIABLE.search(name):
                self.variable(re.findall("LOAD|STORE", name), argument)
            case _:
                self.use()

    def variable(self, verbs: list[str], names: str | tuple[str, ...]) -> None:
        """Load, and store, as many as one instruction names."""
        for verb, name in zip(verbs, (names,) if isinstance(names, str) else names, strict=True):
            if verb == "LOAD":
                self.stack.append(self.variables.get(name))
            elif isinstance(value := self.pop(), tuple):
                self.variables[name] = value
            else:
                self.variables.pop(name, None)

    def attribute(self, name: str) -> None:
        whole = self.pop()
        if whole is None and "super" in self.code.co_names:
            self.uses.above.add(name)
        self.stack.append(_longer(whole, name))

    def constant(self, value: object) -> None:
        if isinstance(value, CodeType):
            self.within.append(value)
        self.stack.append(value if isinstance(value, int | str) else None)

    def use(self) -> None:
        self.uses.paths.update(path for path in self.stack if isinstance(path, tuple) and path)
        self.stack.clear()

    def top(self) -> object:
        return self.stack[-1] if self.stack else None

    def pop(self) -> object:
        return self.stack.pop() if self.stack else None

    def drop(self, count: int) -> None:
        del self.stack[-count:]


def _longer(path: object, step: str | int) -> Path | None:
    return (*path, step) if isinstance(path, tuple) else None
