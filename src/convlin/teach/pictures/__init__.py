"""Small pictures and named kernels to try, and one's own pictures made small.

| file | idea |
|---|---|
| `small_pictures.py` | digits, a drawn scene, noise: whole numbers from 0 to 9 |
| `named_kernels.py` | edge, blur, sharpen, and the article's |
| `shrunk.py` | a large picture by the mean of what each pixel covers |
"""

from convlin.teach.pictures.named_kernels import KERNELS
from convlin.teach.pictures.shrunk import shrunk
from convlin.teach.pictures.small_pictures import PICTURES

__all__ = ["KERNELS", "PICTURES", "shrunk"]
