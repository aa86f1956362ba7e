"""Every public function, constructor and method with arguments that it takes."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

import convlin

__all__ = ["CALLS", "NOT_CALLED"]


kept = []  # folders


def net():
    return nn.Sequential(
        nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 3 * 4, 2)
    ).eval()


def windows():
    return convlin.sliding_window(net(), (2, 4, 5), stride=1, check=False)


def slide(images):
    return windows()(images)


def geometry(**fields):
    return convlin.ConvGeometry(2, 3, (2, 2), **fields)


def matrix():
    return convlin.unroll(nn.Conv2d(2, 3, 2), (4, 5))


def merge(first, second, more, parallel, scales):
    return convlin.merge(first, second, more, parallel=parallel, scales=scales)


def family():
    return convlin.same_outputs(nn.Linear(4, 2), torch.ones(1, 4))


def mapping():
    return convlin.rewrite(nn.Conv2d(2, 5, 1), keys="native", plan=True).mapping


@functools.cache
def folder():
    """Return a folder that is gone when the process is."""
    kept.append(tempfile.TemporaryDirectory())
    return kept[-1].name


def checkpoint():
    path = f"{folder()}/model.safetensors"
    save_file({"weight": torch.ones(5, 2, 1, 1), "bias": torch.ones(5)}, path)
    return path


def adapter():
    """Return a folder as PEFT saves an adapter of the convolution."""
    path = Path(folder()) / "adapter"
    path.mkdir(exist_ok=True)
    config = {"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["conv"]}
    (path / "adapter_config.json").write_text(json.dumps(config))
    save_file({"bias": torch.ones(5)}, path / "adapter_model.safetensors")
    return str(path)


def saved_mapping():
    path = f"{folder()}/saved.json"
    mapping().save(path)
    return path


SHAPES = {"weight": (5, 2, 1, 1), "linear.weight": (5, 2)}
GEOMETRY = {
    "in_channels": 2, "out_channels": 3, "kernel": (2, 2), "stride": 1, "padding": 0,
    "dilation": 1, "groups": 1, "padding_mode": "zeros", "transposed": False, "output_padding": 0,
}  # fmt: skip
LOCAL = {
    "in_channels": 2, "out_channels": 3, "kernel_size": 2, "stride": 1, "padding": 0,
    "dilation": 1, "groups": 1, "bias": True, "padding_mode": "zeros", "device": None,
    "dtype": None,
}  # fmt: skip

# name → (function, arguments by name); a list of arguments is positional only.
CALLS = {
    "audit": lambda: (
        convlin.audit,
        {"convert": convlin.to_linear, "layer": nn.Conv2d(2, 3, 1), "input_shape": (2, 3, 4),
         "draws": 1, "seed": 0, "copies": None, "unbatched": False},
    ),
    "testing.check": lambda: (
        convlin.testing.check,
        {"convert": convlin.to_conv2d, "layer": nn.Linear, "where": None, "sized": False,
         "refusals": (ValueError,), "unbatched": True, "copies": None, "measured": False,
         "seed": 0},
    ),
    "prove": lambda: (
        convlin.prove,
        {"a": nn.Conv2d(2, 3, 2), "b": nn.Conv2d(2, 3, 2), "input_shape": (2, 3, 4),
         "failure_probability": 1e-3, "seed": 0},
    ),
    "cost": lambda: (convlin.cost, {"layer_or_model": nn.Conv2d(2, 3, 2), "input_size": (4, 5)}),
    "fully_convolutional": lambda: (
        convlin.fully_convolutional,
        {"model": net(), "window": (2, 4, 5), "images": None, "stride": 1,
         "allow_inexact": False, "head": "conv", "proofs": False, "check": False, "progress": None},
    ),
    "sliding_window": lambda: (
        convlin.sliding_window,
        {"model": net(), "window": (2, 4, 5), "stride": 1, "memory": "1GB", "check": False,
         "progress": None},
    ),
    "SlidingWindow": lambda: (slide, {"images": torch.ones(1, 2, 5, 7)}),
    "SlidingWindow.plan": lambda: (windows().plan, {"image_size": (5, 7), "images": 1}),
    "SlidingWindow.cells": lambda: (windows().cells, {"image_size": (5, 7)}),
    "SlidingWindow.window_of": lambda: (windows().window_of, {"cell": (1, 2)}),
    "SlidingWindow.crop": lambda: (windows().crop, {"cell": (1, 2)}),
    "scan": lambda: (
        convlin.scan,
        {"model": net(), "source": np.ones((2, 6, 7), np.float32), "out": None,
         "semantics": "window", "window": (2, 4, 5), "stride": 1, "weights": None, "trust": False,
         "axes": None, "level": 0, "channels": None, "nodata": None, "lift_bomb_limit": False,
         "scale": None, "mean": 0.5, "std": 2.0, "windows_through": None, "edges": "inside",
         "region": None, "mask": None, "outputs": None, "classes": None, "softmax": False,
         "dtype": "float32", "threshold": None, "top": None, "points": False, "names": None, "memory": None, "task": None,
         "band": None, "engine": "serial", "workers": None, "threads": 1, "shard": None,
         "stall": 60.0, "resume": False, "skip_unreadable": False, "check": False,
         "dry_run": False, "progress": None},
    ),
    "merge": lambda: (
        merge,
        {"first": nn.Conv2d(2, 3, 2), "second": nn.Conv2d(3, 2, 1), "more": nn.Conv2d(2, 3, 1),
         "parallel": False, "scales": None},
    ),
    "merge-parallel": lambda: (
        merge,
        {"first": nn.Conv2d(2, 3, 2), "second": nn.Conv2d(2, 3, 2), "more": nn.Conv2d(2, 3, 2),
         "parallel": True, "scales": (1, 0.5, 2)},
    ),
    "merge_model": lambda: (
        convlin.merge_model,
        {"model": net(), "input_shape": (2, 4, 5), "everything": False, "progress": None},
    ),
    "Merged.multiply_adds": lambda: (
        convlin.merge(nn.Conv2d(2, 3, 2), nn.Conv2d(3, 2, 1)).multiply_adds,
        {"input_size": (4, 5)},
    ),
    "nearest_conv": lambda: (
        convlin.nearest_conv,
        {"matrix": nn.Linear(40, 36), "geometry": geometry(), "input_size": (4, 5)},
    ),
    "recognize": lambda: (
        convlin.recognize,
        {"matrix": matrix().toarray(), "input_shape": (2, 4, 5), "output_shape": (3, 3, 4),
         "padding_mode": "zeros"},
    ),
    "reorder_linear": lambda: (
        convlin.reorder_linear,
        {"linear": nn.Linear(12, 3), "feature_size": (2, 2, 3), "order": "HWC", "to": "WHC"},
    ),
    "same_outputs": lambda: (
        convlin.same_outputs,
        {"layer": nn.Conv2d(2, 3, 2), "data": torch.ones(1, 2, 4, 5)},
    ),
    "singular_values": lambda: (
        convlin.singular_values,
        {"conv": nn.Conv2d(2, 3, 2), "input_size": (4, 5), "k": 3, "tolerance": 1e-3},
    ),
    "spectral_norm": lambda: (
        convlin.spectral_norm,
        {"conv": nn.Conv2d(2, 3, 2), "input_size": (4, 5), "tolerance": 1e-3},
    ),
    "to_conv": lambda: (
        convlin.to_conv,
        {"linear": nn.Linear(12, 3), "feature_size": (2, 2, 3), "order": "HWC", "stride": 1,
         "ndim": 2, "copy": False},
    ),
    "to_conv-rows": lambda: (convlin.to_conv, {"linear": nn.Linear(12, 3), "ndim": 1}),
    "to_conv1d": lambda: (convlin.to_conv1d, {"conv": nn.Conv2d(2, 3, (1, 2)), "copy": False}),
    "to_pointwise": lambda: (
        convlin.to_pointwise, {"conv": nn.Conv2d(2, 3, 2, stride=2), "copy": False}
    ),
    "to_conv2d": lambda: (convlin.to_conv2d, {"layer": nn.Conv1d(2, 3, 2), "copy": False}),
    "to_linear": lambda: (
        convlin.to_linear,
        {"conv": nn.Conv2d(2, 3, 2), "input_size": (4, 5), "exchange": "dense_at_size",
         "groups": "batched", "copy": False, "memory_limit": 2**20},
    ),
    "to_linear-windows": lambda: (
        convlin.to_linear,
        {"conv": nn.Conv2d(2, 4, 2, groups=2), "input_size": None, "exchange": "windows",
         "groups": "block_diagonal", "copy": True, "memory_limit": 2**20},
    ),
    "to_linear-transposed": lambda: (
        convlin.to_linear,
        {"conv": nn.ConvTranspose2d(2, 4, 2, stride=2, groups=2), "input_size": (4, 5),
         "exchange": "unpatchify", "groups": "batched", "copy": False, "memory_limit": 2**20},
    ),
    "to_local": lambda: (
        convlin.to_local,
        {"conv": nn.Conv2d(2, 3, 2), "input_size": (4, 5), "memory_limit": 2**20},
    ),
    "rewrite": lambda: (
        convlin.rewrite,
        {"model": nn.Sequential(nn.Conv2d(2, 3, 2, 2)), "to": "linear", "only": "0", "skip": None,
         "keys": "native", "plan": False, "example": torch.ones(1, 2, 4, 6), "copy": False,
         "in_place": False, "proofs": False, "progress": None},
    ),
    "convert_checkpoint": lambda: (
        convlin.convert_checkpoint,
        {"source": checkpoint(), "target": f"{checkpoint()}.new", "mapping": mapping(),
         "to": "native"},
    ),
    "convert_adapter": lambda: (
        convlin.convert_adapter,
        {"source": adapter(), "target": f"{adapter()}.new", "mapping": mapping(), "to": "native"},
    ),
    "WeightMapping": lambda: (convlin.WeightMapping, {"entries": mapping().entries}),
    **{
        f"WeightMapping.{name}": lambda name=name, state=state: (
            getattr(mapping(), name),
            {"thing": {state: torch.ones(5, 2, 1, 1).reshape(SHAPES[state])}, "names": None,
             "target_names": None},
        )
        for name, state in (("to_original", "linear.weight"), ("from_original", "weight"))
    },
    "WeightMapping.prefixed": lambda: (mapping().prefixed, {"prefix": "model."}),
    "WeightMapping.from_dict": lambda: (
        convlin.WeightMapping.from_dict, {"data": mapping().as_dict()}
    ),
    "WeightMapping.save": lambda: (mapping().save, {"path": f"{folder()}/mapping.json"}),
    "WeightMapping.load": lambda: (convlin.WeightMapping.load, {"path": saved_mapping()}),
    "unpack_attention": lambda: (
        convlin.unpack_attention, {"attention": nn.MultiheadAttention(4, 2), "copy": False}
    ),
    "unroll": lambda: (
        convlin.unroll,
        {"conv": nn.Conv2d(2, 3, 2), "input_size": (4, 5), "memory_limit": 2**20},
    ),
    "ConvGeometry": lambda: (convlin.ConvGeometry, dict(GEOMETRY)),
    "ConvGeometry.of": lambda: (convlin.ConvGeometry.of, {"module": nn.Conv2d(2, 3, 2)}),
    **{
        f"ConvGeometry.{name}": lambda name=name: (
            getattr(geometry(padding=1), name), {"input_size": (4, 5)}
        )
        for name in ("output_size", "sizes", "connections")
    },
    "ConvMatrix": lambda: (
        convlin.ConvMatrix,
        {"geometry": geometry(), "weight": torch.ones(3, 2, 2, 2), "input_size": (4, 5),
         "memory_limit": 2**20},
    ),
    "ConvMatrix.with_kernel": lambda: (matrix().with_kernel, {"weight": torch.ones(3, 2, 2, 2)}),
    "ConvMatrix.tocsr": lambda: (matrix().tocsr, {"copy": True}),
    "ConvMatrix.to_torch": lambda: (matrix().to_torch, {"layout": "csr"}),
    "ConvMatrix.norm": lambda: (matrix().norm, {"ord": 1}),
    "ConvMatrix.wires": lambda: (matrix().wires, {"output": (2, 1, 1)}),
    **{
        f"LocallyConnected{ndim}d": lambda ndim=ndim: (
            getattr(convlin, f"LocallyConnected{ndim}d"), LOCAL | {"input_size": (3, 4, 5)[:ndim]}
        )
        for ndim in (1, 2, 3)
    },
    "SameOutputs": lambda: (
        convlin.SameOutputs, {"layer": nn.Linear(4, 2), "data": torch.ones(1, 4)}
    ),
    "SameOutputs.another": lambda: (family().another, {"seed": 0}),
    "SameOutputs.agreement": lambda: (family().agreement, {"other": nn.Linear(4, 2)}),
    "SameOutputs.witness": lambda: (family().witness, {"other": nn.Linear(4, 2)}),
    "ReceptiveField": lambda: (
        convlin.ReceptiveField, {"size": (3, 3), "stride": (1, 1), "offset": (0, 0)}
    ),
    "ReceptiveField.pixel": lambda: (convlin.ReceptiveField.pixel, {"ndim": 2}),
    "ReceptiveField.then": lambda: (
        convlin.ReceptiveField.pixel(2).then, {"later": convlin.ReceptiveField.pixel(2)}
    ),
    "ReceptiveField.reads": lambda: (convlin.ReceptiveField.pixel(2).reads, {"cell": (1, 2)}),
    "ReceptiveField.cells": lambda: (convlin.ReceptiveField.pixel(2).cells, {"input_size": (4, 5)}),
}  # fmt: skip

# What functions return or raise: values that nobody makes by hand, and the room of pictures.
NOT_CALLED = {
    "ConvlinError", "CostTable", "EntryWeights", "FullyConvolutional", "GeometryError",
    "InputError", "Measured", "MergedModel", "NearestLayer", "Proved", "RecognizedConv", "Refusal", "Refused",
    "Refuted", "Rewritten", "Rounded", "ScanPlan", "ScanResult", "Spectrum", "Verdict",
    "WindowPlan", "Wire", "figures",
}  # fmt: skip
