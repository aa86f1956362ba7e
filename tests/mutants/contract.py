"""The parameters, or what else the layer keeps: right numbers, no drop-in."""

import torch
from torch import nn
from torch.nn import functional

from mutants.enrol import PLAIN, Form, faulty


def _conv(x, w, b):
    return functional.conv2d(x, w, b)


def _with(conv, weight, bias, **options):
    form = Form(conv, _conv)
    form.weight = nn.Parameter(weight, **options)
    form.bias = nn.Parameter(bias, **options)
    return form


@faulty("contract", PLAIN, 3, 4, 7, copies=False)
def cloned(conv):
    """Copies the weights although they were to be shared: the two drift apart in training."""
    return _with(conv, conv.weight.detach().clone(), conv.bias.detach().clone())


@faulty("contract", PLAIN, 3, 4, 7, copies=False)
def bias_cloned(conv):
    """Shares the weight, and copies the bias."""
    return _with(conv, conv.weight.detach(), conv.bias.detach().clone())


@faulty("contract", PLAIN, 3, 4, 7, copies=True)
def aliased(conv):
    """Shares the weights although a copy was asked for."""
    return Form(conv, _conv)


@faulty("contract", lambda: PLAIN().double(), 3, 4, 7)
def dtype_dropped(conv):
    """Builds the new layer in the default dtype (passes for NPUs)."""
    form = _with(conv, conv.weight.detach().float(), conv.bias.detach().float())
    form.rule = lambda x, w, b: functional.conv2d(x, w.to(x), b.to(x))
    return form


@faulty("contract", PLAIN, 3, 4, 7)
def gradients_lost(conv):
    """Wraps the weights without asking for gradients."""
    return _with(conv, conv.weight.detach(), conv.bias.detach(), requires_grad=False)


@faulty("contract", lambda: PLAIN().requires_grad_(False), 3, 4, 7)
def gradients_gained(conv):
    """Unfreezes a frozen layer: a new Parameter asks for gradients."""
    return _with(conv, conv.weight, conv.bias)


@faulty("contract", PLAIN, 3, 4, 7)
def detached(conv):
    """Keeps the parameters, and computes with detached ones."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w.detach(), b.detach()))


@faulty("contract", lambda: PLAIN().eval(), 3, 4, 7)
def mode_lost(conv):
    """Returns a module in training mode for a layer in eval mode."""
    return Form(conv, _conv).train()


@faulty("contract", PLAIN, 3, 4, 7)
def parameters_as_buffers(conv):
    """Registers the weights as buffers: no optimiser finds them."""
    form = nn.Module()
    form.register_buffer("weight", conv.weight.detach())
    form.register_buffer("bias", conv.bias.detach())
    form.forward = lambda x: functional.conv2d(x, form.weight, form.bias)
    return form


@faulty("contract", lambda: PLAIN().requires_grad_(False), 3, 4, 7)
def frozen_parameters_as_buffers(conv):
    """The same for a frozen layer, where no gradient shows it."""
    return parameters_as_buffers(conv)


@faulty("contract", PLAIN, 3, 4, 7)
def not_a_module(conv):
    """Returns a function, which no model can hold."""
    return lambda x: functional.conv2d(x, conv.weight, conv.bias)


@faulty("contract", PLAIN, 3, 4, 7)
def layer_modified(conv):
    """Flips the layer's own weights in place on the way."""
    with torch.no_grad():
        conv.weight.copy_(conv.weight.flip(3))
    return Form(conv, lambda x, w, b: functional.conv2d(x, w.flip(3), b))


@faulty("contract", PLAIN, 3, 4, 7)
def layer_modified_by_numpy(conv):
    """Sorts the layer's own bias in place, through numpy."""
    conv.bias.detach().numpy()[::-1].sort()
    return Form(conv, _conv)


@faulty("contract", PLAIN, 3, 4, 7)
def layer_stripped(conv):
    """Moves the bias out of the layer it was given."""
    form = Form(conv, _conv)
    conv.bias = None
    return form


@faulty("exception", PLAIN, 3, 4, 7)
def crashes(conv):
    """Fails on layers it never met."""
    raise KeyError("Conv2d")


@faulty("contract", PLAIN, 3, 4, 7)
def weight_detached(conv):
    """Multiplies by a detached weight: right outputs, and a weight that never learns."""
    return Form(conv, lambda x, w, b: functional.conv2d(x, w.detach(), b))


@faulty("contract", PLAIN, 3, 4, 7)
def input_detached(conv):
    """Detaches its input: the layers before it never learn."""
    return Form(conv, lambda x, w, b: functional.conv2d(x.detach(), w, b))
