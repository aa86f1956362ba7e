"""The same small image in every format, and an SVS-like pyramid: synthetic, and called so."""

import warnings

import numpy as np


def image(shape=(3, 37, 53), dtype=np.uint8, seed=0):
    """Return an image whose channels, rows and columns all differ."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "ui":
        return random.integers(0, 200, shape).astype(dtype)
    return random.standard_normal(shape).astype(dtype)


def npy(path, array):
    np.save(path / "a.npy", array)
    return path / "a.npy", {}


def fortran_npy(path, array):
    np.save(path / "f.npy", np.asfortranarray(array))
    return path / "f.npy", {}


def memmap(path, array):
    made = np.memmap(path / "a.raw", array.dtype, "w+", 16, array.shape)
    made[:] = array
    made.flush()
    return np.memmap(path / "a.raw", array.dtype, "r", 16, array.shape), {}


def in_memory(path, array):
    return array[:, ::-1][:, ::-1], {}


def zarr3(path, array):
    import zarr

    made = zarr.create_array(
        str(path / "a.zarr"), shape=array.shape, chunks=(2, 10, 16), dtype=array.dtype
    )
    made[:] = array
    return path / "a.zarr", {}


def zarr2(path, array):
    import zarr

    made = zarr.create_array(
        str(path / "a2.zarr"), shape=array.shape, chunks=(3, 16, 9), dtype=array.dtype,
        zarr_format=2,
    )  # fmt: skip
    made[:] = array
    return path / "a2.zarr", {}


def zarr_in_a_group(path, array):
    import zarr

    group = zarr.create_group(str(path / "g.zarr"))
    made = group.create_array(
        "inner/image", shape=array.shape, chunks=(1, 8, 8), shards=(1, 16, 16), dtype=array.dtype
    )
    made[:] = array
    return path / "g.zarr" / "inner" / "image", {}


def zarr_array(path, array):
    import zarr

    return zarr.open_array(str(zarr3(path, array)[0]), mode="r"), {}


def ome_zarr(path, array, version="0.5"):
    import zarr

    group = zarr.create_group(str(path / "o.zarr"), zarr_format=3 if version == "0.5" else 2)
    sets = []
    for level, each in enumerate((array, array[:, ::2, ::2])):
        named = {"dimension_names": ("c", "y", "x")} if version == "0.5" else {}
        made = group.create_array(
            str(level), shape=each.shape, chunks=(1, 16, 16), dtype=each.dtype, **named
        )
        made[:] = each
        size = 0.5 * 2**level
        its = [
            {"type": "scale", "scale": [1.0, size, size]},
            {"type": "translation", "translation": [0.0, 7.0 + size / 2, size / 2 - 3.0]},
        ]
        sets.append({"path": str(level), "coordinateTransformations": its})
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"]
    scales = {"multiscales": [{"axes": axes, "datasets": sets, "version": version}]}
    group.update_attributes({"ome": scales | {"version": version}} if version == "0.5" else scales)
    return path / "o.zarr", {}


def ome_zarr_04(path, array):
    return ome_zarr(path, array, "0.4")


def tiled_tiff(path, array):
    import tifffile

    tifffile.imwrite(
        path / "t.tif", array.transpose(1, 2, 0), tile=(16, 32), photometric="rgb",
        compression="zlib",
    )  # fmt: skip
    return path / "t.tif", {}


def planar_big_tiff(path, array):
    import tifffile

    tifffile.imwrite(
        path / "b.tif", array, tile=(32, 16), photometric="rgb", planarconfig="separate",
        bigtiff=True, compression="lzw",
    )  # fmt: skip
    return path / "b.tif", {}


def striped_tiff(path, array):
    import tifffile

    tifffile.imwrite(path / "s.tif", array.transpose(1, 2, 0), photometric="rgb", rowsperstrip=5)
    return path / "s.tif", {}


def ome_tiff(path, array):
    import tifffile

    tifffile.imwrite(
        path / "o.ome.tif", array, ome=True, tile=(16, 16), metadata={"axes": "CYX"},
        photometric="minisblack",
    )  # fmt: skip
    return path / "o.ome.tif", {}


TRANSFORM = (2.0, 0.0, 500000.0, 0.0, -3.0, 4100000.0)


def geotiff(
    path, array, crs="EPSG:32633", nodata=None, compress="deflate", tile=(32, 16),
    interleave="pixel", part=None, **options,
):  # fmt: skip
    """Write a raster; of it, `part` alone."""
    import affine
    import rasterio

    rows, columns = part or ((0, array.shape[1]), (0, array.shape[2]))
    with rasterio.open(
        path / "g.tif", "w", driver="GTiff", height=array.shape[1], width=array.shape[2],
        count=len(array), dtype=array.dtype, crs=crs, transform=affine.Affine(*TRANSFORM),
        tiled=True, blockxsize=tile[1], blockysize=tile[0], compress=compress, nodata=nodata,
        interleave=interleave, **options,
    ) as file:  # fmt: skip
        window = rasterio.windows.Window.from_slices(rows, columns)
        file.write(array[:, slice(*rows), slice(*columns)], window=window)
    return path / "g.tif", {}


def vrt(path, array):
    import rasterio.shutil

    raster, _ = geotiff(path, array)
    rasterio.shutil.copy(raster, path / "v.vrt", driver="VRT")
    return path / "v.vrt", {}


def png(path, array):
    from PIL import Image

    Image.fromarray(array.transpose(1, 2, 0)).save(path / "p.png")
    return path / "p.png", {}


def channels_last(path, array):
    np.save(path / "l.npy", array.transpose(1, 2, 0))
    return path / "l.npy", {"axes": "YXC"}


def turned(path, array):
    np.save(path / "x.npy", array.transpose(2, 0, 1)[None])
    return path / "x.npy", {"axes": "TXCY"}


ANY_DTYPE = (npy, fortran_npy, memmap, in_memory, zarr3, zarr2, zarr_in_a_group, zarr_array,
             ome_zarr, ome_zarr_04, channels_last, turned, geotiff, vrt)  # fmt: skip
BYTES = (tiled_tiff, planar_big_tiff, striped_tiff, ome_tiff, png)
FORMATS = (*ANY_DTYPE, *BYTES)
ON_DISK = tuple(each for each in FORMATS if each is not in_memory)


def write_pyramid(path, rgb, factors=(1, 4), tile=(64, 64), compression="jpeg"):
    """Write rgb (rows, columns, 3) as SVS does: each level a page, tiled, JPEG; synthetic."""
    import tifffile

    about = "Aperio Image Library v0.0 (synthetic)\r\n|AppMag = 20|MPP = 0.5"
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for number, factor in enumerate(factors):
            rows, columns = (n // factor for n in rgb.shape[:2])
            level = rgb[: rows * factor, : columns * factor]
            level = level.reshape(rows, factor, columns, factor, 3).mean((1, 3))
            file.write(
                level.round().astype(np.uint8), tile=tile, photometric="rgb",
                compression=compression, description=about if number == 0 else "Aperio",
                metadata=None,
            )  # fmt: skip
            if number == 0:  # a thumbnail comes second
                file.write(rgb[::8, ::8], photometric="rgb", description="Aperio", metadata=None)
    return path


def wav(path, samples, rate=8000):
    from scipy.io import wavfile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wavfile.write(path / "s.wav", rate, samples)
    return path / "s.wav"


def tiff_packed(path, array, packing):
    import tifffile

    tifffile.imwrite(
        path / "k.tif", array.transpose(1, 2, 0), tile=(16, 32), photometric="rgb",
        compression=packing,
    )  # fmt: skip
    return path / "k.tif"


def zarr_packed(path, array, kind):
    """Write a Zarr array whose chunks are packed, or put together in shards."""
    import numcodecs
    import zarr
    from zarr import codecs

    one = {"shape": array.shape, "chunks": (1, 16, 32), "dtype": array.dtype}
    packed = {
        "raw": {"compressors": None},
        "blosc": {"compressors": codecs.BloscCodec()},
        "zstd": {"compressors": codecs.ZstdCodec()},
        "gzip": {"compressors": codecs.GzipCodec()},
        "crc32c": {"compressors": [codecs.ZstdCodec(), codecs.Crc32cCodec()]},
        "shard": {
            "shards": (3, 32, 32), "compressors": [codecs.ZstdCodec(), codecs.Crc32cCodec()]
        },
        "v2": {"zarr_format": 2, "compressors": numcodecs.Blosc()},
    }  # fmt: skip
    if kind == "first":
        inner = codecs.ShardingCodec(
            chunk_shape=(1, 16, 32), codecs=[codecs.BytesCodec(), codecs.Crc32cCodec()],
            index_location="start",
        )  # fmt: skip
        made = zarr.create(
            store=str(path), shape=array.shape, chunks=(3, 32, 32), dtype=array.dtype,
            codecs=[inner], zarr_format=3,
        )  # fmt: skip
    else:
        made = zarr.create_array(str(path), **one | packed[kind])
    made[:] = array
    return path
