"""The trained classifier, rewritten once for all tests that use it; they copy it to change it."""

from types import SimpleNamespace

import pytest

import convlin
from rewrite.real_models import MODELS, photographs


@pytest.fixture(scope="session")
def classifier():
    """EfficientNet-Lite0 with its weights, by the keys of its rewrite."""
    model, pictures, made = MODELS["efficientnet_lite0"].model(), photographs(), {}

    def by_keys(keys):
        if keys not in made:
            made[keys] = convlin.rewrite(model, "linear", keys=keys, example=pictures)
        return SimpleNamespace(original=model, pictures=pictures, result=made[keys])

    return by_keys
