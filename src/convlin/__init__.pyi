from . import figures
from .costs import CostTable
from .errors import ConvlinError, GeometryError, InputError, Refusal, Refused
from .geometry import ConvGeometry, ReceptiveField
from .layers import (
    LocallyConnected1d,
    LocallyConnected2d,
    LocallyConnected3d,
    NearestLayer,
    RecognizedConv,
    SameOutputs,
    nearest_conv,
    recognize,
    same_outputs,
    singular_values,
    to_conv,
    to_conv2d,
    to_linear,
    to_local,
    unroll,
)
from .matrix import ConvMatrix, EntryWeights, Wire
from .models import (
    FullyConvolutional,
    Rewritten,
    WeightMapping,
    cost,
    fully_convolutional,
    rewrite,
)
from .proof import Measured, Proved, Refuted, Verdict, audit, prove
from .spectrum import Spectrum

__all__ = [
    "ConvGeometry",
    "ConvMatrix",
    "ConvlinError",
    "CostTable",
    "EntryWeights",
    "FullyConvolutional",
    "GeometryError",
    "InputError",
    "LocallyConnected1d",
    "LocallyConnected2d",
    "LocallyConnected3d",
    "Measured",
    "NearestLayer",
    "Proved",
    "ReceptiveField",
    "RecognizedConv",
    "Refusal",
    "Refused",
    "Refuted",
    "Rewritten",
    "SameOutputs",
    "Spectrum",
    "Verdict",
    "WeightMapping",
    "Wire",
    "audit",
    "cost",
    "figures",
    "fully_convolutional",
    "nearest_conv",
    "prove",
    "recognize",
    "rewrite",
    "same_outputs",
    "singular_values",
    "to_conv",
    "to_conv2d",
    "to_linear",
    "to_local",
    "unroll",
]
__version__: str
