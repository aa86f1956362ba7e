"""What a model must be to be a function of images, and which of its layers are PyTorch's own."""

from __future__ import annotations

import inspect
import keyword

import torch
from torch import fx, nn

from convlin.errors import Description, Refusal, Refused
from convlin.internals.modules import global_hooks

__all__ = ["is_stock", "require_function_of_images"]


def is_stock(layer: nn.Module) -> bool:
    """Whether a layer runs PyTorch's own code, and no other."""
    if "forward" in vars(layer) or _foreign_hooks(layer):
        return False
    kind, own = type(layer), "torch.nn.modules."
    return kind.__module__.startswith(own) and kind.forward.__module__.startswith(own)


def require_function_of_images(model: nn.Module) -> None:
    """Refuse training mode, hooks that the trace would take for the model's own, further inputs."""
    name = type(model).__name__
    training = [path or name for path, module in model.named_modules() if module.training]
    if training:
        some = ", ".join(training[:3]) + (f" and {len(training) - 3} more" if training[3:] else "")
        raise Refused(
            Refusal(name, "training", Description(f"True in {some}"), "model.eval()",
                    "dropout and batch statistics make no function of one window")
        )  # fmt: skip
    scripted = [path for path, module in model.named_modules()
                if isinstance(module, torch.jit.ScriptModule)]  # fmt: skip
    if scripted:
        raise Refused(
            Refusal(scripted[0] or name, "type", Description("a scripted module"),
                    "a module in Python", "its layers cannot be seen as they run")
        )  # fmt: skip
    an_empty_graph = fx.GraphModule(nn.Module(), fx.Graph())
    for path, _ in model.named_modules():
        parts = path.split(".")
        taken = hasattr(an_empty_graph, parts[0]) and parts[0]
        if taken or any(keyword.iskeyword(part) for part in parts):
            raise Refused(
                Refusal(path, "name", path, "another name", "in Python, a graph has that name, or "
                        "its code cannot")
            )  # fmt: skip
    everywhere = sum(len(hooks) for kind, hooks in global_hooks() if "forward" in kind)
    if everywhere:
        raise Refused(
            Refusal(name, "global hooks", everywhere, "none", "they are no part of the model, and "
                    "would be in the network")
        )  # fmt: skip
    hooks = {**model._forward_hooks, **model._forward_pre_hooks}
    if hooks:
        raise Refused(
            Refusal(name, "forward hooks", len(hooks), "none on the whole model",
                    "whether they belong to it is not known")
        )  # fmt: skip
    parameters = list(inspect.signature(model.forward).parameters.values())[1:]
    several = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    missing = [p.name for p in parameters if p.default is p.empty and p.kind not in several]
    if missing:
        raise Refused(
            Refusal(name, "forward", Description(f"a function that needs {', '.join(missing)} too"),
                    "a function of the images alone")
        )  # fmt: skip


def _foreign_hooks(layer: nn.Module) -> list[str]:
    """Return the names of forward hooks that are not PyTorch's own (weight_norm has such)."""
    hooks = [*layer._forward_pre_hooks.values(), *layer._forward_hooks.values()]
    kinds = [hook if hasattr(hook, "__qualname__") else type(hook) for hook in hooks]
    return [kind.__qualname__ for kind in kinds if not kind.__module__.startswith("torch.nn.utils")]
