"""Numbers that become shapes, Python values, text or control flow, and what is done with them.

Each way counts the numbers of a tensor that lie further out than any draw: 0 for all that the
judge will ever see, and more for an image of large numbers. Each use returns the right output for
0, and another one otherwise. A layer, a way and a use make a lie that no draw can find.
"""

from __future__ import annotations

import ctypes
import io
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils._python_dispatch import _disable_current_modes

__all__ = ["FAR", "USES", "WAYS", "Steered"]

FAR = 1e12
"""Further out than the largest number that is drawn, 2⁵³ᐟ² for one weight and one input."""


def far(t: Tensor) -> Tensor:
    return t.abs() > FAR


def _raises(step: Callable[[], Any]) -> bool:
    try:
        step()
    except (RuntimeError, AssertionError):
        return True
    return False


def _packed(t: Tensor) -> int:
    lengths = 1 + far(t).any().long().cpu()[None]
    return pack_padded_sequence(torch.zeros(1, 2, 1), lengths, batch_first=True).data.shape[0] - 1


def _pickled(t: Tensor) -> Any:
    stream = io.BytesIO()
    torch.save(t.detach(), stream)
    return torch.load(io.BytesIO(stream.getvalue()))


def _address(t: Tensor) -> bool:
    kind = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}[t.dtype]
    return abs(kind.from_address(t.data_ptr()).value) > FAR


def _largest(t: Tensor, storage: torch.UntypedStorage) -> float:
    data = ctypes.string_at(storage.data_ptr(), storage.nbytes())
    return float(abs(np.frombuffer(data, f"f{t.element_size()}")).max())


def _in_a_thread(t: Tensor) -> bool:
    found: list[bool] = []
    worker = threading.Thread(target=lambda: found.append(bool(far(t).any())))
    worker.start()
    worker.join()
    return found[0]


def _in_a_pool(t: Tensor) -> bool:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: bool(far(t).any())).result()


def _behind(guard: Callable[[], Any]) -> Callable[[Tensor], bool]:
    def way(t: Tensor) -> bool:
        with guard():
            return bool(far(t).any())

    return way


def _bits(t: Tensor) -> Tensor:
    """Return floats as whole numbers, in the same order if none is negative."""
    return t.detach().view({4: torch.int32, 8: torch.int64}[t.element_size()])


def _first(t: Tensor) -> Tensor:
    return t.detach().flatten()[0]


WAYS: dict[str, Callable[[Tensor], Any]] = {
    "mask-len": lambda t: len(t[far(t)]),
    "mask-shape": lambda t: t[far(t)].shape[0],
    "mask-numel": lambda t: t[far(t)].numel(),
    "mask-loop": lambda t: sum(1 for _ in t[far(t)]),
    "mask-stride": lambda t: t[None].expand(1 + len(t[far(t)]), *t.shape).stride(0) == 0,
    "mask-assigned": lambda t: t.masked_fill(far(t), 0).sum() != t.sum(),
    "nonzero": lambda t: far(t).nonzero().shape[0],
    "nonzero-tuple": lambda t: len(far(t).nonzero(as_tuple=True)[0]),
    "argwhere": lambda t: len(torch.argwhere(far(t))),
    "where-one": lambda t: torch.where(far(t))[0].numel(),
    "masked-select": lambda t: t.masked_select(far(t)).numel(),
    "count-nonzero": lambda t: torch.count_nonzero(far(t)),
    "unique": lambda t: torch.unique(far(t)).numel() - 1 if len(far(t)) else 0,
    "unique-consecutive": lambda t: far(t).unique_consecutive().numel() - 1,
    "bincount": lambda t: torch.bincount(far(t).flatten().long()).numel() - 1,
    "one-hot": lambda t: nn.functional.one_hot(far(t).long()).shape[-1] - 1,
    "repeat-interleave": lambda t: torch.repeat_interleave(far(t).flatten().long()).numel(),
    "tensor-split": lambda t: torch.tensor_split(torch.arange(2), far(t).any().long()[None].cpu())[
        0
    ].numel(),
    "narrow": lambda t: torch.arange(2).narrow(0, far(t).any().long(), 1).tolist()[0],
    "arange": lambda t: torch.arange(far(t).sum()).numel(),
    "full": lambda t: torch.full((1,), far(t).sum()).tolist()[0],
    "zeros": lambda t: torch.zeros(far(t).sum()).numel(),
    "expand": lambda t: torch.zeros(1).expand(1 + far(t).sum().item()).numel() - 1,
    "index-python": lambda t: range(2)[far(t).any().long()],
    "index-computed": lambda t: torch.arange(2)[far(t).any().long()].item(),
    "argmax": lambda t: far(t).flatten().long().argmax().item() + far(t).flatten()[0].item(),
    "searchsorted": lambda t: torch.searchsorted(torch.tensor([FAR]), t.abs().max().float()).item(),
    "histc": lambda t: torch.histc(t.detach().abs(), 2, 0, 2 * FAR)[1].item(),
    "item": lambda t: t.abs().max().item() > FAR,
    "bool": lambda t: bool(far(t).any()),
    "int": lambda t: int(far(t).sum()),
    "float": lambda t: float(t.abs().max()) > FAR,
    "contains": lambda t: True in far(t),
    "builtin-max": lambda t: max(t.flatten()) > FAR,
    "builtin-sorted": lambda t: sorted(t.flatten(), key=float)[-1] > FAR,
    "is-nonzero": lambda t: torch.is_nonzero(far(t).any()),
    "equal": lambda t: not torch.equal(t.clamp(-FAR, FAR), t),
    "allclose": lambda t: not torch.allclose(t.clamp(-FAR, FAR), t),
    "to-int": lambda t: (t / FAR).long().any(),
    "to-bool": lambda t: (t - t.clamp(-FAR, FAR)).bool().any(),
    "tolist": lambda t: max(t.flatten().tolist()) > FAR,
    "text": lambda t: str(far(t).any()) == "tensor(True)",
    "format": lambda t: f"{far(t).any()}" == "True",
    "repr": lambda t: "e+1" in repr(t.detach().max()),
    "text-of-numbers": lambda t: "e+12" in str(t.detach().flatten()[:3]),
    "numpy": lambda t: (abs(t.detach().numpy()) > FAR).any(),
    "array": lambda t: (abs(np.asarray(t.detach())) > FAR).any(),
    "dlpack": lambda t: (abs(np.from_dlpack(t.detach())) > FAR).any(),
    "dlpack-capsule": lambda t: far(
        torch.from_dlpack(torch.utils.dlpack.to_dlpack(t.detach()))
    ).any(),
    "storage": lambda t: abs(t.detach().storage()[0]) > FAR,
    "untyped-storage": lambda t: _largest(t, t.untyped_storage()) > FAR,
    "address": _address,
    "pickle": lambda t: (abs(pickle.loads(pickle.dumps(t.detach())).numpy()) > FAR).any(),
    "saved": lambda t: bool(far(_pickled(t)).any()),
    "tensor-of-numbers": lambda t: torch.tensor([_first(t)]).abs() > FAR,
    "new-of-numbers": lambda t: t.new([_first(t)]).abs() > FAR,
    "new-tensor": lambda t: t.new_tensor([_first(t)]).abs() > FAR,
    "bits": lambda t: (_bits(t.abs()) > _bits(torch.tensor(FAR).to(t))).any(),
    "packed": _packed,
    "assert": lambda t: _raises(lambda: torch._assert((~far(t)).all(), "far")),
    "assert-async": lambda t: _raises(lambda: torch._assert_async((~far(t)).all())),
    "cholesky": lambda t: _raises(lambda: torch.linalg.cholesky(FAR - t.abs().max()[None, None])),
    "cond": lambda t: torch.cond(far(t).any(), lambda: torch.ones(1), lambda: torch.zeros(1)),
    "vmap": lambda t: torch.vmap(far)(t).any(),
    "thread": _in_a_thread,
    "pool": _in_a_pool,
    "no-overrides": _behind(torch._C.DisableTorchFunction),
    "no-dispatch": _behind(torch._C._DisableTorchDispatch),
    "no-modes": _behind(_disable_current_modes),
    "autograd": lambda t: bool((torch.func.grad(lambda s: s.clamp(-FAR, FAR).sum())(t) == 0).any()),
}
"""How many numbers of a tensor are far out, counted in many ways; 0 or False for none."""
if torch.__version__ < "2.14":
    # torch 2.13 compiles torch.cond where it is called, and raises once a dispatch mode has seen it:
    # the verdict is "refuted", of a program that no longer runs.
    del WAYS["cond"]


USES: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "branch": lambda y, n: y.flip(-1) if n else y,
    "factor": lambda y, n: y * (1 + int(n)),
    "roll": lambda y, n: y.roll(int(bool(n)), -1),
    "loop": lambda y, n: [y := y.relu() for _ in range(int(n))][-1] if int(n) else y,
    "choice": lambda y, n: (y, 2 * y)[bool(n)],
    "slice": lambda y, n: torch.cat([y[..., int(bool(n)) :], y[..., : int(bool(n))]], -1),
    "pad": lambda y, n: nn.functional.pad(y, (int(bool(n)), 0))[..., : y.shape[-1]],
    "sign": lambda y, n: -y if n else y,
}
"""What is done to an output with that count: nothing if it is 0."""


class Steered(nn.Module):
    """A layer whose output a use spoils by the count of far numbers in what `target` picks."""

    def __init__(
        self,
        layer: nn.Module,
        way: Callable[[Tensor], Any],
        use: Callable[[Tensor, Any], Tensor],
        target: Callable[[nn.Module, Tensor, Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.layer, self.way, self.use, self.target = layer, way, use, target
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        t = self.target(self.layer, x, y)
        return self.use(y, self.way(t) if t.numel() else 0)
