"""Bytes that reading takes, measured in a process of its own: run as a script.

Prints a line of JSON for each kind: what the source says, and the most that was resident while it
was opened and read in bands, less what was before.
"""

import ctypes
import gc
import json
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import psutil

SIZE, BAND = (2048, 3001), 48


class Watch:
    """The most resident bytes, seen every millisecond."""

    def __enter__(self):
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        self.process, self.running = psutil.Process(), True
        self.before = self.most = self.process.memory_info().rss
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while self.running:
            self.most = max(self.most, self.process.memory_info().rss)
            time.sleep(0.0005)

    def __exit__(self, *_):
        self.running = False
        self.thread.join()

    @property
    def taken(self):
        return self.most - self.before


def tiff(path, rgb, **options):
    import tifffile

    tifffile.imwrite(path, rgb, photometric="rgb", **options)


def raster(path, rgb, **options):
    import rasterio

    with rasterio.open(
        path, "w", driver="GTiff", height=rgb.shape[0], width=rgb.shape[1], count=3, dtype="uint8",
        crs="EPSG:3857", transform=rasterio.Affine(2, 0, 5, 0, -2, 7), **options,
    ) as file:  # fmt: skip
        file.write(rgb.transpose(2, 0, 1))


def chunks(path, rgb, **options):
    import zarr

    made = zarr.create_array(str(path), shape=(3, *rgb.shape[:2]), dtype="u1", **options)
    made[:] = rgb.transpose(2, 0, 1)


def picture(path, rgb, **options):
    from PIL import Image

    Image.fromarray(rgb).save(path, **options)


def npy(path, rgb):
    np.save(path, rgb.transpose(2, 0, 1))


TILED = {"tiled": True, "blockxsize": 256, "blockysize": 256}
KINDS = {
    "tiles.tif": (tiff, {"tile": (256, 256), "compression": "zlib"}),
    "jpeg.tif": (tiff, {"tile": (256, 256), "compression": "jpeg"}),
    "strip.tif": (tiff, {"rowsperstrip": SIZE[0], "compression": "zlib"}),
    "plain.tif": (tiff, {}),
    "geo.tif": (raster, {"compress": "deflate", **TILED}),
    "geolzw.tif": (raster, {"compress": "lzw", **TILED}),
    "geostrips.tif": (raster, {"compress": "lzw"}),
    "chunks.zarr": (chunks, {"chunks": (3, 256, 256)}),
    "shards.zarr": (chunks, {"chunks": (3, 128, 128), "shards": (3, 1024, 1024)}),
    "wide.zarr": (chunks, {"chunks": (1, 1000, 3001)}),
    "a.npy": (npy, {}),
    "a.png": (picture, {"compress_level": 1}),
    "a.jpg": (picture, {}),
    "progressive.jpg": (picture, {"progressive": True, "subsampling": 0}),
    "a.webp": (picture, {"quality": 10, "method": 0}),
}


def write(folder):
    rgb = np.random.default_rng(0).integers(0, 9, (*SIZE, 3), np.uint8)
    for name, (how, options) in KINDS.items():
        how(folder / name, rgb, **options)


def read(path, window=(3, 8, 8)):
    """Return what a source says that it takes, as it is read in bands."""
    from convlin.scanning.sources import open_source

    with open_source(path, window=window) as source:
        height, width = source.shape[1:]
        for top in range(0, height, BAND):
            source.read(((top, min(top + BAND, height)), (0, width)))
        box = source.shape[0] * BAND * width
        return source.memory + source.held((BAND, width)) + box


def main(folder):
    warnings.simplefilter("ignore")
    small = folder / "small"
    small.mkdir()
    tiny = np.zeros((64, 80, 3), np.uint8)
    for name, (how, options) in KINDS.items():  # imports, and what libraries make once
        how(
            small / name,
            tiny,
            **options | {"rowsperstrip": 64} if "rowsperstrip" in options else options,
        )
        read(small / name)
    for name in KINDS:
        with Watch() as watch:
            says = read(folder / name)
        print(json.dumps({"kind": name, "says": says, "takes": watch.taken}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
