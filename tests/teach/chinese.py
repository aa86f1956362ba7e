"""Which English a Chinese sentence holds, names and what the reader wrote apart."""

import re

from convlin.teach.pictures import KERNELS, PICTURES
from convlin.teach.scenes.page_state import DEFAULTS, OPTIONAL
from convlin.teach.scenes.presets import PRESETS

# A text of the reader's or of the system, as Python or Chinese quotes it.
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|“[^”]*”")
NAMES = {
    *DEFAULTS, *OPTIONAL, *PRESETS, *PICTURES, *KERNELS, "zeros", "reflect", "replicate", "circular", "sise", "en", "zh",
    "explore", "convlin", "matplotlib", "pip", "install", "html", "UTF", "ASCII", "GET", "NaN", "nan", "inf",
    "PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "localhost",
}  # fmt: skip
SYNTAX = (
    "output:c,y,x", "input:c,y,x", "tap:o,i,ty,tx", "entry:row,column",
    "/page/…", "/api/scene", "/api/matrix.png",
)  # fmt: skip


def english_in(text, given=(), chinese=True):
    """Return the words of a sentence that are no names: not `given`, quoted, an option or a size.

    chinese: whether it must have Chinese words at all; if so and it has none, it is all English.
    """
    text = re.sub(r"--[a-z-]+|\d+x\d+", " ", QUOTED.sub(" ", text))
    for part in (*sorted(filter(None, given), key=len, reverse=True), *SYNTAX):
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", " ", text)
    if chinese and not re.search("[\u4e00-\u9fff]", text):
        return [text]
    return [word for word in re.findall("[A-Za-z][A-Za-z0-9]*", text) if word not in NAMES]
