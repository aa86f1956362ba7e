"""What an image lies in, read box by box: never more than is asked for, and exactly that.

| file | idea |
|---|---|
| `source.py` | `Source`: any of them as (C, *spatial), checked and in blocks |
| `opened.py` | `open_source`: which of them it is |
| `reader.py` | what every format is asked for |
| `dimensions.py` | which stored axis is a channel, a row, a column |
| `arrays.py` | arrays in memory, mapped files, and `.npy` |
| `file_array.py`, `open_file.py` | numbers that lie in a file as they are |
| `zarr_arrays.py` | Zarr |
| `ome_levels.py` | levels of OME-Zarr |
| `tiffs.py` | tiled TIFF, OME-TIFF, BigTIFF and pyramids |
| `tiff_pages.py`, `tiff_places.py` | tiles of a TIFF, and where its pixels lie |
| `rasters.py` | GeoTIFF, COG and VRT |
| `pictures.py` | PNG, JPEG and the like |
| `sounds.py` | WAV |
| `on_disk.py` | how a file is known again |
"""

from convlin.scanning.sources.opened import Recipe, open_source
from convlin.scanning.sources.reader import Unreadable
from convlin.scanning.sources.source import Source

__all__ = ["Recipe", "Source", "Unreadable", "open_source"]
