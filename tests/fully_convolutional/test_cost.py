"""What converting and running costs: bytes and multiply-adds, never seconds."""

import copy

import torch
from small_nets import conv
from torch import nn
from torch._subclasses import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from convlin import fully_convolutional


class Allocated(TorchDispatchMode):
    """Adds up the bytes of every storage that an operation makes."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = {tensor.untyped_storage().data_ptr() for tensor in real(args)}
        for tensor in real(result if isinstance(result, tuple | list) else (result,)):
            storage = tensor.untyped_storage()
            self.bytes += 0 if storage.data_ptr() in given else storage.nbytes()
        return result


def real(values):
    """Return the tensors that have memory: neither fake nor on the meta device."""
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    return [t for t in tensors if not isinstance(t, FakeTensor) and not t.is_meta]


def test_a_copy_of_the_weights_would_be_noticed():
    layer = nn.Linear(7, 5)
    with Allocated() as allocated:
        layer.weight.view(5, 7, 1, 1)
    assert allocated.bytes == 0
    with Allocated() as allocated:
        copy.deepcopy(layer)
    assert allocated.bytes == 4 * (35 + 5)


def test_converting_vgg16_allocates_under_5_percent_of_its_weights():
    with torch.device("meta"):
        model = models.vgg16(weights=None)
    model = model.to_empty(device="cpu").eval()
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    with Allocated() as allocated:
        network = fully_convolutional(
            model, (3, 224, 224), allow_inexact=True, proofs=False, check=False
        )
    assert 0 < allocated.bytes < 0.05 * weights
    assert network.report.parameters_after == network.report.parameters_before == 138_357_544


def test_the_dense_map_takes_the_multiply_adds_of_its_own_cells():
    model = nn.Sequential(
        conv(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), conv(4, 6, (2, 3)), nn.Flatten(),
        nn.Linear(6 * 4 * 5, 7), nn.ReLU(), nn.Linear(7, 2),
    ).eval()  # fmt: skip
    network = fully_convolutional(model, (3, 12, 16), proofs=False)

    def adds(height, width):
        """Multiply-adds by hand: outputs × inputs each reads, layer by layer."""
        first = (height - 2) * (width - 2) * 4 * 27
        rows, columns = (height - 2) // 2 - 1, (width - 2) // 2 - 2
        second = rows * columns * 6 * 24
        cells = (rows - 3) * (columns - 4)
        return first + second + cells * (7 * 120 + 2 * 7), cells

    dense, cells = adds(40, 52)
    assert cells == 15 * 19 == network.cells((40, 52))[0] * network.cells((40, 52))[1]
    slid = cells * adds(12, 16)[0]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, 40, 52))
    assert counter.get_total_flops() == 2 * dense
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.zeros(cells, 3, 12, 16))
    assert counter.get_total_flops() == 2 * slid
    assert slid > 10 * dense
