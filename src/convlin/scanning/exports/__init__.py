"""A finished scan as a file that others read.

| file | idea |
|---|---|
| `by_suffix.py` | which file is written, by its suffix |
| `fitting.py` | what a format has place for |
| `in_pieces.py` | scores piece by piece, as they are packed |
| `plain.py` | `.npy` |
| `ome_zarr.py` | OME-Zarr 0.5 |
| `geotiff.py` | GeoTIFF |
| `chosen.py` | windows above a threshold, or the best of each class |
| `listing.py` | a list of those, with names |
| `csv_rows.py`, `geojson.py` | that list as a file |
"""

from convlin.scanning.exports.by_suffix import export_of, require_export, write_export

__all__ = ["export_of", "require_export", "write_export"]
