"""WAV: one dimension, as many channels as it has."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from convlin.errors import InputError, one_line
from convlin.scan.places import Place
from convlin.scan.sources.arrays import ArrayReader

__all__ = ["sound_reader"]


def sound_reader(path: Path) -> ArrayReader:
    """Map the samples of a WAV file; those of 24 bits are read as a whole."""
    from scipy.io import wavfile

    array: Any = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of chunks that are no samples
            try:
                rate, array = wavfile.read(path, mmap=True)
                array.setflags(write=False)
                held = 0
            except ValueError:
                rate, array = wavfile.read(path)
                held = array.nbytes
    except Exception as error:  # of damaged files: whatever SciPy stumbles over
        raise InputError(f"{path}: not a readable WAV file: {one_line(error)}") from error
    reader = ArrayReader(array, path.name, f"WAV, {rate:,} Hz", path)
    letters = "T" if array.ndim == 1 else "TC"
    place = Place(scale=(1 / rate,), translation=(0.0,), units=("second",), names=("t",))
    reader.facts = replace(reader.facts, axes=letters, memory=held, place=place)
    return reader
