"""The model that a scan runs, wherever a task runs: an import path, weights and their digest."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convlin.arguments import shown
from convlin.errors import InputError, Refusal, Refused, one_line
from convlin.models.load import load_model, look_up

__all__ = ["Classifier", "digest_of"]


@dataclass(frozen=True)
class Classifier:
    """A model to be opened anywhere: `spec` an import path, or the module itself, which is pickled.

    windows_through: import path of a function, or a module, that every window goes through first.
    """

    spec: str | nn.Module
    weights: str | None = None
    trust: bool = False
    windows_through: Any = None
    digest: str = ""

    @property
    def is_by_path(self) -> bool:
        """Whether another machine can open it by names alone."""
        return isinstance(self.spec, str) and isinstance(self.windows_through, str | None)

    @property
    def name(self) -> str:
        """The model, in a word."""
        return self.spec if isinstance(self.spec, str) else type(self.spec).__qualname__

    def open(self) -> nn.Module:
        """Return the model in eval mode; raise `InputError` if it is not the one that was meant."""
        model: nn.Module = (
            load_model(self.spec, self.weights, trust=self.trust)
            if isinstance(self.spec, str)
            else self.spec
        )
        if self.digest and (found := digest_of(model)) != self.digest:
            raise InputError(
                f"{self.name}: its weights are {found[:12]}…, expected {self.digest[:12]}…, those "
                "that the scan was begun with"
            )
        return self.behind(model)

    def behind(self, model: nn.Module) -> nn.Module:
        """Return the model behind the function that every window goes through first, if any."""
        function = self.windows_through
        if function is None:
            return model
        if isinstance(function, str):
            function = look_up(function, "--windows-through", "package.module:function")
        first = function if isinstance(function, nn.Module) else Through(function)
        try:
            return nn.Sequential(OrderedDict(windows_through=first, model=model)).eval()
        except Exception as error:  # of a module that is half made
            allowed, why = "a function of windows", one_line(error)
            refusal = Refusal("scan", "windows_through", shown(function), allowed, why)
            raise Refused(refusal) from error


class Through(nn.Module):
    """A function of windows (N, C, *window) as a layer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, windows: Tensor) -> Any:
        """Return what the function makes of windows."""
        try:
            return self.function(windows)
        except SystemExit as error:  # which would end convlin
            raise RuntimeError(one_line(error)) from None


def digest_of(model: nn.Module) -> str:
    """Return a checksum of every tensor that a model is saved with, its name, dtype and shape.

    Raises `Refused` where they cannot be read.

    >>> digest_of(nn.ReLU())[:12]
    'e3b0c44298fc'
    """
    found = hashlib.sha256()
    try:
        for name, value in sorted(model.state_dict().items()):
            if isinstance(value, Tensor):
                found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
                plain = value.detach().cpu().contiguous()
                found.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    except Exception as error:  # of models that are half made, lazy, or on the meta device
        allowed, why = "one whose tensors can be read", one_line(error)
        raise Refused(Refusal("scan", "model", shown(model), allowed, why)) from error
    return found.hexdigest()
