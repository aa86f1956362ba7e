"""The claim that an exchanged layer equals what it replaced, and the verdict on it.

Sites of equal structure have the same claim with other weights. There the exchange is proved once,
for all weights, and every site shows that its tensors are what that exchange makes of its Linear:
the same memory, or equal bit for bit. A proof for all weights costs about two for given ones, so
a site alone is proved for the weights it has; unless those were computed, and so rounded, by the
exchange: for all weights, it is judged in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from convlin.errors import Refused
from convlin.proof import Measured, Proved, Refuted, Verdict, audit, prove
from convlin.proof.verdict import Counterexample

__all__ = ["Claim", "verdicts"]

# Draws of a proof, which is wrong with 1e-11 after two for 25,088 inputs, and less for fewer. One
# alone would leave the root of that, 3e-6; each further one is a further run of the exchange.
DRAWS = 2


@dataclass(frozen=True)
class Claim:
    """`after` equals `before` on every input of that shape.

    `exchange` makes the one of the other, for whatever weights `before` has; None if it was not
    made by a function of it. `rounds`: it computes new weights.
    """

    before: nn.Module
    after: nn.Module
    shape: tuple[int, ...]
    exchange: Callable[[Any], nn.Module] | None = None
    rounds: bool = False

    @property
    def key(self) -> Hashable:
        """Everything that a proof for all weights depends on."""
        return self.shape, _structure(self.before), _structure(self.after)


def verdicts(claims: Sequence[tuple[str, Claim]], *, anew: bool = False) -> Iterator[Verdict]:
    """Yield the verdict on the claim of each site, in order.

    anew: for all weights also where a site is alone, since those will be others.
    """
    keys = [claim.key for _, claim in claims]
    proved: dict[Hashable, tuple[str, Claim, Verdict]] = {}
    for (site, claim), key in zip(claims, keys, strict=True):
        if claim.exchange is None or (keys.count(key) == 1 and not (anew or claim.rounds)):
            yield _judged(prove, claim.before, claim.after, claim.shape)
            continue
        if key not in proved:
            verdict = _judged(audit, claim.exchange, claim.before, claim.shape, draws=DRAWS)
            proved[key] = (site, claim, verdict)
        first, model, verdict = proved[key]
        assert model.exchange is not None
        difference = _other(model.exchange(claim.before), claim.after)
        yield Refuted(difference) if difference else _at(site, first, verdict)


def _judged(judge: Callable[..., Verdict], *claimed: Any, **options: Any) -> Verdict:
    """Return the judge's verdict; why there is none, where it refuses what the model holds.

    An exchange is derived whatever the numbers: on the meta device there are none to judge.
    """
    try:
        with _plain_settings(claimed):
            return judge(*claimed, **options)
    except Refused as refused:
        why = "; ".join(map(str, refused.refusals[:1]))
        return Measured(f"not judged, nor measured: {why}", None)


@contextmanager
def _plain_settings(claimed: Sequence[Any]) -> Iterator[None]:
    """Run without the caller's autocast and default device, which no claim is about."""
    modules = [module for module in claimed if isinstance(module, nn.Module)]
    kinds = {tensor.device.type for module in modules for _, tensor in _tensors(module)}
    with ExitStack() as stack:
        for kind in sorted(kinds - {"meta"}):
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.device("cpu"))
        yield


def _at(site: str, first: str, verdict: Verdict) -> Verdict:
    """Return the verdict for a site that is made as the first one was."""
    if site == first:
        return verdict
    if isinstance(verdict, Proved):
        return replace(verdict, scope=f"as {first}, for all weights", rounding=None)
    if isinstance(verdict, Measured):
        return replace(verdict, reason=f"as {first}: {verdict.reason}", rounding=None)
    return verdict


def _other(made: nn.Module, after: nn.Module) -> Counterexample | None:
    """Return what distinguishes two modules: structure, or a number of a tensor."""
    if _structure(made) != _structure(after):
        return Counterexample("contract", str(made), str(after), field="the exchanged layer")
    for (name, expected), (_, got) in zip(_tensors(made), _tensors(after), strict=True):
        if expected.is_meta:  # it has no numbers
            continue
        if _address(expected) != _address(got) and not torch.equal(expected, got):
            index = (expected != got).nonzero()[0].tolist()
            a, b = (float(side.detach()[tuple(index)]) for side in (expected, got))
            return Counterexample("contract", a, b, field=f"{name}{index}")
    return None


def _structure(module: nn.Module) -> Hashable:
    """Return everything of a module but the numbers in its floating-point tensors."""
    parts: list[Hashable] = []
    for name, part in module.named_modules():
        if isinstance(part, fx.GraphModule):
            parts.append(_steps(part.graph))
        plain = {key: repr(value) for key, value in vars(part).items() if key[0] != "_"}
        parts.append((name, type(part).__qualname__, tuple(sorted(plain.items()))))
    for name, tensor in _tensors(module):
        layout = (tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device)
        numbers = None if tensor.is_floating_point() else tuple(tensor.flatten().tolist())
        parts.append((name, layout, tensor.requires_grad, numbers))
    return tuple(parts)


def _steps(graph: fx.Graph) -> Hashable:
    """Return what a graph does, whatever its values are called."""
    numbers = {node: f"%{number}" for number, node in enumerate(graph.nodes)}
    return tuple(
        (node.op, str(node.target), repr(fx.node.map_arg((node.args, node.kwargs), numbers.get)))
        for node in graph.nodes
    )


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _address(tensor: Tensor) -> Hashable:
    return tensor.untyped_storage().data_ptr(), tensor.storage_offset()
