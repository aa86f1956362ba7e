"""A finished scan as a file that others read.

| file | idea |
|---|---|
| `written.py` | which file is written, by its suffix |
| `plain.py` | `.npy` |
| `ome_zarr.py` | OME-Zarr 0.5 |
| `geotiff.py` | GeoTIFF |
| `chosen.py` | windows above a threshold, or the best of each class |
| `listed.py` | those as CSV, or as GeoJSON |
"""

from convlin.scan.exports.written import export_of, write_export

__all__ = ["export_of", "write_export"]
