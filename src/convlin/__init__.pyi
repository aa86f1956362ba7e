from .backends.pytorch import FullyConvolutional, fully_convolutional, to_conv, to_linear, unroll
from .errors import ConvlinError, GeometryError, InputError, Refusal, Refused
from .geometry import ConvGeometry, ReceptiveField
from .matrix import ConvMatrix, EntryWeights, Wire
from .proof import Measured, Proved, Refuted, Verdict, audit, prove

__all__ = [
    "ConvGeometry",
    "ConvMatrix",
    "ConvlinError",
    "EntryWeights",
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
    "Wire",
    "audit",
    "fully_convolutional",
    "prove",
    "to_conv",
    "to_linear",
    "unroll",
]
__version__: str
