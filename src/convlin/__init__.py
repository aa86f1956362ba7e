"""Convolutions as fully connected layers, and back, exactly, with proof.

One layer
    to_linear             a convolution as a fully connected layer, drop-in
    to_conv               a fully connected layer as a convolution
    to_conv2d             a layer as a convolution in two dimensions
    to_conv1d             a convolution in two dimensions as one in one
    to_pointwise          a convolution of patches as space-to-depth and a kernel of 1
    reorder_linear        a Linear on a flattened map, for another order of flattening
    unpack_attention      multi-head attention with its four projections as layers
    merge                 layers with nothing between them as one: a Merged
    to_local              a convolution as a locally connected layer: nothing shared
    LocallyConnected1d, LocallyConnected2d, LocallyConnected3d

A whole model
    rewrite               every layer that has an equal form, exchanged for it: a Rewritten
    WeightMapping         how the weights of such a model relate to the original's
    convert_checkpoint    files of weights, from one layout to the other
    convert_adapter       LoRA and DoRA adapters likewise
    merge_model           every chain with nothing between, as one layer: a MergedModel
    fully_convolutional   a classifier on images of any size: a FullyConvolutional
    sliding_window        exactly the classifier on every window: a SlidingWindow, with a WindowPlan
    scan                  the same on images of any size, on disk: a ScanResult, or its ScanPlan
    cost                  what a layer or model costs in every form: a CostTable

Proof
    prove                 are two given modules equal, for every input?
    audit                 is a conversion right, for all weights and every input?
    testing               check(convert): on which layer does it break? For anybody's tests
    Verdict               Proved, Rounded, Refuted (with a counterexample) or Measured

The matrix of a convolution, and back
    unroll                the sparse matrix: a ConvMatrix, of Wire and EntryWeights
    recognize             the convolution that a matrix is: a RecognizedConv
    nearest_conv          the one that it is nearest to: a NearestLayer
    singular_values       singular values with a certain bound: a Spectrum
    spectral_norm         the largest of them, with its gradient
    same_outputs          all weights that give the same outputs: SameOutputs

Numbers and pictures
    ConvGeometry          everything about a convolution but its weights
    ReceptiveField        which pixels a cell sees
    figures               wires, matrices, forms, energies, a model's exchanges

Errors: ConvlinError is raised for what cannot be done. Refused carries every Refusal, of which
GeometryError is about the numbers themselves; InputError is about files, paths and options.

These names are what is stable; the modules that they live in are private. Each of them loads when
it is first used, so that `import convlin` stays light. `help(convlin.to_linear)` shows an example.
"""

import lazy_loader

__getattr__, _public, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"


def __dir__() -> list[str]:
    return [*_public(), "__all__", "__doc__", "__version__"]
