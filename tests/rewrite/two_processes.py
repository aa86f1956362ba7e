"""Run as a script: what users do to a rewritten model on two processes, compared with one process.

Every process prints a line of JSON for every case: the largest relative difference, how many
parameters got a gradient, and the error, if any.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import convlin

CASES = ("int8-native", "lora-native", "lora-same", "plain-native", "plain-same")


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, stride=4),
        nn.ReLU(),
        nn.Conv2d(16, 32, 1, padding=1, padding_mode="reflect"),
        nn.ReLU(),
        nn.Conv2d(32, 16, 1),
    ).eval()


def prepared(model, way):
    """Return the model as the tool leaves it, and the parameters that cannot be sharded."""
    if way == "lora":
        from peft import LoraConfig, get_peft_model

        kinds = (nn.Linear, nn.Conv2d)
        names = [
            n for n, m in model.named_modules() if type(m) in kinds or hasattr(m, "padding_mode")
        ]
        names = [n for n in names if not any(other.startswith(f"{n}.") for other in names)]
        return get_peft_model(
            model, LoraConfig(r=2, target_modules=names, init_lora_weights=False)
        ).eval(), set()
    if way == "plain":
        return model, set()
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig())
    whole = {p for p in model.parameters() if type(p) is not nn.Parameter}
    assert len(whole) == 3, "torchao did not reach the three layers"
    return model, whole


def sharded(way, keys, mesh):
    """Return the largest relative difference, and how many parameters got a gradient."""
    torch.manual_seed(1)
    images = torch.randn(2, 3, 12, 16)
    model = convlin.rewrite(network(), "linear", keys=keys, proofs=False).model
    model, whole = prepared(model, way)
    expected = model(images).detach()
    layers = next(m for m in model.modules() if isinstance(m, nn.Sequential))
    for layer in layers:
        if [*layer.parameters()]:
            fully_shard(layer, mesh=mesh, ignored_params=whole or None)
    fully_shard(model, mesh=mesh, ignored_params=whole or None)
    outputs = model(images)
    if way != "int8":
        outputs.square().mean().backward()
    trained = sum(p.grad is not None for p in model.parameters())
    worst = (outputs.detach() - expected).abs().max() / expected.abs().max()
    return worst.item(), trained


def work(rank, meeting):
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    for case in CASES:
        row = {"case": case, "rank": rank, "difference": None, "trained": None, "error": ""}
        try:
            row["difference"], row["trained"] = sharded(*case.split("-"), mesh)
        except Exception as error:
            row["error"] = repr(error)
        sys.stdout.write(json.dumps(row) + "\n")  # in one piece: two processes share the pipe
        sys.stdout.flush()
    dist.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder, "meeting").as_posix()
        torch.multiprocessing.spawn(work, (meeting,), nprocs=2)
