"""PEFT's LoRA and DoRA adapters in the other layout, with their `adapter_config.json`.

A saved adapter says twice which layers it adapts: its tensors name them, and the patterns of its
config find them again in a model. The same pattern finds other layers in another model (`linear`
would find every one), so patterns are resolved: into the names that the tensors have, then into
the names of the other model, and these are written so that they match nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from convlin.arguments import as_path, choice, shown
from convlin.display.atomic import replacing
from convlin.errors import InputError, Refusal, Refused, one_line
from convlin.models.mapping.checkpoints import new_folder
from convlin.models.mapping.mapping import WeightMapping, require_mapping
from convlin.models.mapping.moves import Moves
from convlin.models.mapping.tensor_files import TensorFile

__all__ = ["convert_adapter", "mapped_config"]

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
PEFT_PREFIX = "base_model.model."
LORA_A = ".lora_A."

# Other values change the base weights when the adapter is loaded, or make it no B·A of a layer.
OFF = (None, False)
GRANTED: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "init_lora_weights": (True, False, "gaussian"),
    "target_parameters": OFF,
    "layer_replication": OFF,
    "alora_invocation_tokens": OFF,
    "use_qalora": OFF,
    "use_bdlora": OFF,
    "velora_config": OFF,
    "kasa_config": OFF,
    "monteclora_config": OFF,
    "arrow_config": OFF,
}


def convert_adapter(
    source: str | Path, target: str | Path, mapping: WeightMapping, to: str = "original"
) -> None:
    """Write the adapter in folder `source` to folder `target` for the other model.

    `to` is "original" or "native". The folder holds what PEFT's `save_pretrained` writes; tensors
    are read from safetensors alone, nothing is unpickled. Raises as `convert_checkpoint` does, and
    `Refused` where PEFT's adapter of one layer is another function on the other.
    """
    choice("convert_adapter", "to", to, ("original", "native"))
    require_mapping("convert_adapter", mapping)
    source = as_path("convert_adapter", "source", source)
    target = as_path("convert_adapter", "target", target)
    file = TensorFile.open(source / TENSORS)
    try:
        config = json.loads((source / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{source / CONFIG}: no readable config: {one_line(error)}") from error
    moves = Moves(mapping.entries, to, file.shapes)
    found = moves.of(file.shapes)
    file.require_whole_numbers(found)
    text = json.dumps(mapped_config(config, file.shapes, moves), indent=2, sort_keys=True)
    with new_folder(target), ExitStack() as stack:
        stack.enter_context(replacing(target / CONFIG)).write(text.encode())
        file.write(found, stack.enter_context(replacing(target / TENSORS)))


def mapped_config(
    config: Any, shapes: Mapping[str, tuple[int, ...]], moves: Moves
) -> dict[str, Any]:
    """Return the config of an adapter with tensors of these shapes, for the other model.

    >>> from convlin.models.mapping.mapping_entry import Entry
    >>> entry = Entry("conv.weight", "conv.linear.weight", (4, 2, 3), None, (4, 6))
    >>> shapes = {"base_model.model.conv.linear.lora_A.weight": (5, 6)}
    >>> config = {"peft_type": "LORA", "r": 5, "lora_alpha": 1, "target_modules": ["linear"]}
    >>> mapped_config(config, shapes, Moves((entry,), "original", shapes))["target_modules"]
    'conv'
    """
    _require_plain_lora(config)
    new_name = moves.renamed(shapes)
    factors = [name for name in shapes if LORA_A in name]
    layers = {name: _bare(new_name[name].partition(LORA_A)[0]) for name in factors}
    ranks = {layers[name]: shapes[name][0] for name in factors}
    alphas = {layers[name]: _alpha(config, _bare(name.partition(LORA_A)[0])) for name in factors}
    turned = any(entry.permute == (1, 0) for entry in filter(None, map(moves.entry, factors)))
    return {
        **config,
        # A string is a regular expression for the whole name; a list would match its ends too.
        "target_modules": "|".join(map(re.escape, sorted(layers.values()))),
        "exclude_modules": None,
        "layers_to_transform": None,
        "layers_pattern": None,
        "rank_pattern": _exact(ranks, config["r"]),
        "alpha_pattern": _exact(alphas, config["lora_alpha"]),
        "modules_to_save": _modules_to_save(config.get("modules_to_save"), new_name),
        # GPT-2's Conv1D is the one layer that PEFT adapts with its inputs first.
        "fan_in_fan_out": moves.to == "original" if turned else config.get("fan_in_fan_out", False),
    }


def _bare(layer: str) -> str:
    return layer.removeprefix(PEFT_PREFIX)


def _require_plain_lora(config: Any) -> None:
    if not isinstance(config, Mapping):
        raise Refused(Refusal(CONFIG, "content", shown(config), "a LoraConfig"))
    refusals = [
        Refusal(CONFIG, field, shown(config[field]), " or ".join(map(str, granted)))
        for field, granted in GRANTED.items()
        if config.get(field, granted[0]) not in granted and config[field] != []
    ]
    numbers = [(field, config.get(field)) for field in ("r", "lora_alpha")]
    refusals += [
        Refusal(CONFIG, field, shown(value), "a number")
        for field, value in numbers
        if not isinstance(value, int | float)
    ]
    if refusals:
        raise Refused(refusals)


def _alpha(config: Mapping[str, Any], layer: str) -> Any:
    """Return what PEFT reads for a layer: that of the first pattern which its name ends with."""
    for pattern, alpha in (config.get("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", layer):
            return alpha
    return config["lora_alpha"]


def _exact(values: Mapping[str, Any], default: Any) -> dict[str, Any]:
    """Return a pattern for the name of each layer that has not the default.

    PEFT lets a pattern match the end of a name, and of several it takes whichever comes first in
    a file that it sorts: `^` leaves one for each layer.
    """
    return {f"^{re.escape(name)}": v for name, v in values.items() if v != default}


def _modules_to_save(wanted: Iterable[str] | None, new_name: Mapping[str, str]) -> Any:
    """Return which modules the adapter holds whole, by name where one of them is renamed."""
    saved = {
        _bare(name).rpartition(".")[0]: _bare(new).rpartition(".")[0]
        for name, new in new_name.items()
        if ".lora_" not in name
    }
    modules: list[str] = []
    for ending in wanted or ():
        found = {name: new for name, new in saved.items() if name.endswith(ending)}
        renamed = any(name != new for name, new in found.items())
        modules += sorted(found.values()) if renamed else [ending]
    return wanted and modules
