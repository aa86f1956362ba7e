from .backends.pytorch import FullyConvolutional, fully_convolutional, to_conv, to_linear
from .errors import ConvlinError, GeometryError, InputError, Refusal, Refused
from .geometry import ConvGeometry, ReceptiveField
from .proof import Measured, Proved, Refuted, Verdict, audit, prove

__all__ = [
    "ConvGeometry",
    "ConvlinError",
    "FullyConvolutional",
    "GeometryError",
    "InputError",
    "Measured",
    "Proved",
    "ReceptiveField",
    "Refusal",
    "Refused",
    "Refuted",
    "Verdict",
    "audit",
    "fully_convolutional",
    "prove",
    "to_conv",
    "to_linear",
]
__version__: str
