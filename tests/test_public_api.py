"""What `convlin` promises: its names, how light its door is, and the tree of its exceptions."""

import inspect
import re
import subprocess
import sys

import pytest

import convlin
from convlin import errors

NAMES = [
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
    "Merged",
    "MergedModel",
    "NearestLayer",
    "Proved",
    "ReceptiveField",
    "RecognizedConv",
    "Refusal",
    "Refused",
    "Refuted",
    "Rewritten",
    "Rounded",
    "SameOutputs",
    "ScanPlan",
    "ScanResult",
    "SlidingWindow",
    "Spectrum",
    "Verdict",
    "WeightMapping",
    "WindowPlan",
    "Wire",
    "audit",
    "convert_adapter",
    "convert_checkpoint",
    "cost",
    "figures",
    "fully_convolutional",
    "merge",
    "merge_model",
    "nearest_conv",
    "prove",
    "recognize",
    "reorder_linear",
    "rewrite",
    "same_outputs",
    "scan",
    "singular_values",
    "sliding_window",
    "spectral_norm",
    "testing",
    "to_conv",
    "to_conv1d",
    "to_conv2d",
    "to_linear",
    "to_local",
    "to_pointwise",
    "unpack_attention",
    "unroll",
]


def test_these_names_and_no_others():
    assert sorted(convlin.__all__) == NAMES
    own = {name for name in dir(convlin) if not name.startswith("_")}
    assert own == set(NAMES)


def test_the_docstring_is_a_map_of_every_name():
    assert set(NAMES) <= set(re.findall(r"\w+", convlin.__doc__))
    assert len(convlin.__doc__.splitlines()) < 60


@pytest.mark.parametrize("name", NAMES)
def test_every_name_loads_and_explains_itself(name):
    doc = inspect.getdoc(getattr(convlin, name))
    assert doc, f"{name} has no docstring"
    assert len(doc.splitlines()[0]) <= 100


@pytest.mark.parametrize(
    "name",
    [
        *[
            "audit",
            "cost",
            "fully_convolutional",
            "merge",
            "merge_model",
            "nearest_conv",
            "prove",
            "recognize",
        ],
        *[
            "to_conv",
            "to_conv1d",
            "to_conv2d",
            "to_pointwise",
            "reorder_linear",
            "same_outputs",
            "singular_values",
            "sliding_window",
            "spectral_norm",
            "to_linear",
            "to_local",
            "unpack_attention",
            "unroll",
            "ConvGeometry",
            "ConvMatrix",
        ],
    ],
)
def test_every_entry_point_shows_an_example(name):
    assert ">>>" in inspect.getdoc(getattr(convlin, name))


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no_such_name"):
        convlin.no_such_name  # noqa: B018


def test_import_convlin_imports_nothing_heavy():
    code = (
        "import sys, convlin; convlin.ConvGeometry; convlin.Refused;"
        "print(sorted({'torch', 'numpy', 'scipy', 'matplotlib', 'PIL', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_exception_tree_is_the_one_drawn():
    drawn = {line.strip("│├└─ ").split()[0] for line in errors.__doc__.splitlines() if "──" in line}
    real = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.ConvlinError)
    }
    assert drawn == real - {"ConvlinError"}
    assert issubclass(errors.GeometryError, errors.Refused)
    assert issubclass(errors.Refused, ValueError)
