"""Weight files and pictures that are wrong in every way: a seeded endless stream of them.

A mutation is a pure function of a seed, so what a number finds can be found again.
"""

import io
import json
import os
import pickle
import struct
import warnings
import zipfile
import zlib

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
    torch.float8_e5m2, torch.complex64, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.uint16, torch.uint32, torch.bool,
]  # fmt: skip
NAMES = ["\x1b[31mred", "two\nlines", "[bold]", "\u202edesrever", "", "a" * 999, "\udcff", "卷积"]


class Runs:
    """Its pickle would create a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def state(random):
    """A state dict for `weights_house:Small`."""
    generator = torch.Generator().manual_seed(int(random.integers(2**31)))
    return {
        "conv.weight": torch.randn(3, 2, 2, 4, generator=generator),
        "conv.bias": torch.randn(3, generator=generator),
        "norm.weight": torch.randn(3, generator=generator),
        "norm.bias": torch.randn(3, generator=generator),
        "norm.running_mean": torch.randn(3, generator=generator),
        "norm.running_var": torch.rand(3, generator=generator),
        "norm.num_batches_tracked": torch.tensor(5),
    }


def saved(thing, **options):
    buffer = io.BytesIO()
    torch.save(thing, buffer, **options)
    return buffer.getvalue()


# What is saved: states that are wrong although their file is right.


def other_dtype(random, state, made):
    name = str(random.choice(list(state)))
    state[name] = torch.ones(state[name].shape).to(DTYPES[random.integers(len(DTYPES))])
    return state


def other_shape(random, state, made):
    name = str(random.choice(list(state)))
    state[name] = torch.zeros(tuple(random.integers(0, 5, random.integers(0, 6))))
    return state


def other_names(random, state, made):
    for name in random.choice(list(state), random.integers(1, 4), replace=False):
        state[NAMES[random.integers(len(NAMES))] + str(name) * int(random.integers(2))] = state.pop(
            name
        )
    return state


def other_values(random, state, made):
    values = [7, "text", None, [1, 2], {"a": 1}, b"bytes", torch.Size([3]), 1.5, {}]
    state[str(random.choice(list(state)))] = values[random.integers(len(values))]
    return state


def other_tensors(random, state, made):
    given = state["conv.weight"]
    kinds = [
        given.to_sparse(), given.to("meta"), torch.nested.nested_tensor([given, given]),
        torch.quantize_per_tensor(given, 0.1, 0, torch.qint8), torch.nn.Parameter(given),
        torch.empty(1).expand(10**9, 10**6), given.conj(), given.transpose(0, 1),
        torch.nn.UninitializedParameter(),
    ]  # fmt: skip
    state["conv.weight"] = kinds[random.integers(len(kinds))]
    return state


def other_wholes(random, state, made):
    wholes = [
        [], list(state.values()), {1: torch.zeros(2)}, {None: torch.zeros(2)}, {}, None, 7,
        {"state_dict": state}, {"state_dict": {"state_dict": state}}, {"state_dict": 7},
        {(1, 2): torch.zeros(1)} | state, torch.zeros(3), torch.nn.Linear(2, 3), Runs(made),
        state | {"x": Runs(made)}, np.zeros(3), {"state_dict": None, **state},
    ]  # fmt: skip
    return wholes[random.integers(len(wholes))]


STATES = [other_dtype, other_shape, other_names, other_values, other_tensors, other_wholes]


# What is done to the bytes.


def flipped(random, content):
    content = bytearray(content)
    for at in random.integers(0, len(content), random.integers(1, 9)):
        content[at] ^= 1 << int(random.integers(8))
    return bytes(content)


def flipped_in_front(random, content):
    head = int(min(len(content), 400))
    return flipped(random, content[:head]) + content[head:]


def cut(random, content):
    return content[: random.integers(len(content))]


def grown(random, content):
    return content + random.bytes(random.integers(1, 99))


def overwritten(random, content):
    at, size = random.integers(len(content)), random.integers(1, 64)
    return content[:at] + random.bytes(size) + content[at + size :]


def moved(random, content):
    at, to = sorted(random.integers(0, len(content), 2))
    return content[:at] + content[to:] + content[at:to]


def doubled(random, content):
    return content + content


def nothing(random, content):
    return b""


def as_it_is(random, content):
    return content


BYTES = [flipped, flipped_in_front, cut, grown, overwritten, moved, doubled, nothing, as_it_is]


# Files that only their format can get wrong.


def safetensors_header(random, made):
    """Lengths, offsets, dtypes and shapes that claim what is not there."""
    huge = [2**31, 2**40, 2**63 - 1, 2**64 - 1, -1, 10**30]
    entry = {"dtype": "F32", "shape": [3, 2, 2, 4], "data_offsets": [0, 192]}
    field = ["dtype", "shape", "data_offsets"][random.integers(3)]
    entry[field] = [
        lambda: "F" + str(random.integers(200)),
        lambda: [int(n) for n in random.choice([0, 1, 4, 10**6, 2**31], 4)],
        lambda: [0, huge[random.integers(len(huge))]],
        lambda: {"a": []},
        lambda: None,
    ][random.integers(5)]()
    text = json.dumps({"conv.weight": entry}).encode()
    if random.integers(3) == 0:
        text = b'{"conv.weight":%s,"conv.weight":%s}' % ((json.dumps(entry).encode(),) * 2)
    length = len(text) if random.integers(3) else huge[random.integers(4)]
    return struct.pack("<Q", length % 2**64) + text + bytes(192)


def zip_bomb(random, made):
    """A whole archive whose members are compressed: small outside."""
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved(state(random)))) as source,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            large = name.endswith("data.pkl") and random.integers(2)
            target.writestr(name, source.read(name) + bytes(2**24 * int(large)))
    return bomb.getvalue()


def many_members(random, made):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        for number in range(random.integers(1, 2000)):
            target.writestr(f"archive/data/{number}", b"")
    return archive.getvalue()


def hand_made_pickle(random, made):
    """Pickles of their own, each with something that a reader must not run or believe."""
    endless = b"\x80\x02" + b"(" * int(random.integers(1, 10**4)) + b"."
    rebuilt = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + b"Nq\x00" * 3 + b"tR."
    choices = [
        pickle.dumps(Runs(made)), pickle.dumps({"conv.weight": np.zeros(3)}), endless, rebuilt,
        b"\x80\x02}q\x00(X\xff\xff\xff\x7fa", b"cos\nsystem\n(X\x02\x00\x00\x00idtR.",
        pickle.dumps(2**10000), pickle.dumps("text"), b"\x80\xff.", b"N.", b"0.", b"h\x07.",
    ]  # fmt: skip
    content = choices[random.integers(len(choices))]
    if random.integers(2):
        return content
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("archive/data.pkl", content)
        target.writestr("archive/version", b"3\n" if random.integers(2) else b"999999999999\n")
    return archive.getvalue()


def tarred(random, made):
    return saved(state(random), _use_new_zipfile_serialization=False)


def npz(random, made):
    buffer = io.BytesIO()
    objects = np.array([Runs(made)], dtype=object) if random.integers(2) else np.zeros(3)
    np.savez(buffer, a=objects)
    return buffer.getvalue()


FILES = [hand_made_pickle, zip_bomb, many_members, tarred, npz]


def mutated(seed, suffix, made):
    """Return the bytes of file number `seed`, named with this suffix.

    made: a path that whatever runs would create.
    """
    random = np.random.default_rng(seed)
    if random.integers(4) == 0:
        if suffix == ".safetensors":
            content = safetensors_header(random, made)
        else:
            content = FILES[random.integers(len(FILES))](random, made)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of tensors that PyTorch calls prototypes
            own = STATES[random.integers(len(STATES))](random, state(random), made)
        try:
            content = save(own) if suffix == ".safetensors" else saved(own)
        except Exception:  # what the format itself cannot hold
            content = saved(state(random)) if suffix != ".safetensors" else save(state(random))
    change = BYTES[random.integers(len(BYTES))] if content and random.integers(3) else as_it_is
    return change(random, content)


PICTURES = {
    "png": ["L", "RGB", "RGBA", "P", "1", "LA", "I;16"],
    "jpeg": ["L", "RGB", "CMYK"],
    "webp": ["RGB", "RGBA"],
    "tiff": ["L", "RGB", "F", "I", "CMYK", "LAB", "1", "I;16"],
    "bmp": ["L", "RGB", "P", "1"],
    "gif": ["L", "P"],
    "ppm": ["L", "RGB", "1"],
    "ico": ["RGBA"],
    "tga": ["L", "RGB"],
    "eps": ["L", "RGB"],
}


def mutated_picture(seed):
    """Return (suffix, bytes) of picture number `seed`; one in nine is whole."""
    random = np.random.default_rng(seed)
    form = list(PICTURES)[random.integers(len(PICTURES))]
    mode = PICTURES[form][random.integers(len(PICTURES[form]))]
    grey = random.integers(0, 256, (37, 41), dtype=np.uint8)
    if mode in ("F", "I", "I;16"):
        kinds = {"F": np.float32, "I": np.int32, "I;16": np.uint16}
        array = grey.astype(kinds[mode])
        if mode == "F" and random.integers(2):
            array[3, 4] = [np.nan, np.inf, -np.inf][random.integers(3)]
        image = Image.fromarray(array)
    elif mode == "LAB":
        image = Image.merge("LAB", [Image.fromarray(grey)] * 3)
    else:
        image = Image.fromarray(grey).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, form)
    content = buffer.getvalue()
    if form == "png" and random.integers(3) == 0:  # a header that claims a huge picture
        size = struct.pack(">II", *(int(n) for n in random.choice([0, 1, 2**16, 2**31 - 1], 2)))
        chunk = b"IHDR" + size + content[24:29]
        content = content[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:]
    return f".{form}", BYTES[random.integers(len(BYTES))](random, content)
