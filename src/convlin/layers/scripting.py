"""What `torch.jit.script` says of convlin's modules: one clear line, and the ways that work."""

from __future__ import annotations

from typing import NoReturn

from convlin.errors import Description, Refusal, Refused

__all__ = ["TracedOnly"]

GEOMETRY = (
    "its forward reads a geometry, which TorchScript has no type for; the layer that .to_conv() or "
    ".to_linear() gives can be scripted"
)


class TracedOnly:
    """A module whose forward TorchScript's compiler cannot read; tracing, compile and export can.

    PyTorch asks a module for a scriptable twin before it reads any code, and its children too.
    `unscriptable` says why not, and what can be scripted in its place.
    """

    unscriptable = GEOMETRY

    def __prepare_scriptable__(self) -> NoReturn:
        raise Refused(
            Refusal("torch.jit.script", "module", Description(type(self).__name__),
                    "torch.jit.trace(module, example), torch.compile or torch.export",
                    self.unscriptable)
        )  # fmt: skip
