"""Convolutions as fully connected layers, and back, exactly, with proof.

Public names load when they are first used, so that `import convlin` stays light; the list of them
is the stub beside this file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
