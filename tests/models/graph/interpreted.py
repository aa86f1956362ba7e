"""A trace run on numbers, as slowly and plainly as it can be: what the graph says, and no more."""

import torch
from torch import fx

from convlin.models.graph.call import mapped
from convlin.models.graph.recorder import Wanted
from convlin.models.graph.traced import trace
from convlin.models.graph.varying import BATCH, MODEL_DTYPE, Batch


class All:
    """Holds every name: all operations are wanted whole."""

    def __contains__(self, name):
        return True


def traced(model, window, operations=(), layer=lambda layer: False):
    return trace(model, window, Wanted(operations, layer))


def ran(found, images):
    """Return what a trace makes of images, in their dtype, whatever their number."""
    values = {}

    def at(leaf):
        if isinstance(leaf, fx.Node):
            return values[leaf]
        if isinstance(leaf, Batch):
            return of_batch(leaf, len(images))
        return images.dtype if leaf is MODEL_DTYPE else leaf

    for node in found.graph.nodes:
        if node.op == "output":
            return mapped(node.args[0], at)
        args, kwargs = mapped((node.args, node.kwargs), at)
        if node.op == "placeholder":
            values[node] = images
        elif node.op == "get_attr":
            values[node] = in_dtype(found, node, images.dtype)
        elif node.op == "call_module":
            values[node] = found.model.get_submodule(node.target)(*args)
        else:
            values[node] = node.target(*args, **kwargs)
    raise AssertionError("a graph without an output")


def of_batch(number, count):
    """Return what a number of the batch is in another one."""
    known = {BATCH: number.smaller, BATCH + 1: number.larger}
    return known[count] if count in known else number.each * count


def in_dtype(found, node, dtype):
    """Return a tensor of the trace as it is in a model of this dtype."""
    tensor = found.tensors[node.target]
    of_model = node.meta.get("numbers", MODEL_DTYPE) is MODEL_DTYPE
    return tensor.to(dtype) if of_model and tensor.is_floating_point() else tensor.detach()


def same(results, expected):
    """Whether nested results are equal to the last bit, dtypes and shapes too."""
    torch.testing.assert_close(results, expected, rtol=0, atol=0, equal_nan=True)
