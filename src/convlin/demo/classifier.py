"""The small digit classifier that ships with the package: ten digits, or nothing.

It reads windows of 32 x 32 pixels. Its convolutions and pools have no padding, so its fully
convolutional form equals sliding it over every window. `scripts/train_digits.py` trains it.
"""

from __future__ import annotations

from importlib import resources

from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor, nn

__all__ = ["NOTHING", "WINDOW", "DigitClassifier", "digit_classifier", "training_record"]

WINDOW = (1, 32, 32)
NOTHING = 10  # the class of windows with no digit in the middle


class DigitClassifier(nn.Module):
    """Convolutions and pools without padding, then Flatten and two fully connected layers."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 5),  # 32 -> 28
            nn.ReLU(),
            nn.MaxPool2d(2),  # 14
            nn.Conv2d(8, 16, 3),  # 12
            nn.ReLU(),
            nn.MaxPool2d(2),  # 6
            nn.Conv2d(16, 32, 3),  # 4
            nn.ReLU(),
        )
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(32 * 4 * 4, 48)
        self.activation = nn.ReLU()
        self.output = nn.Linear(48, NOTHING + 1)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """All layers, in order."""
        return (*self.features, self.flatten, self.hidden, self.activation, self.output)

    def forward(self, window: Float[Tensor, "n 1 32 32"]) -> Float[Tensor, "n 11"]:
        """Return the eleven class scores (logits) of grey windows, 0 = black and 1 = white."""
        values = window
        for layer in self.layers:
            values = layer(values)
        return values


def digit_classifier() -> DigitClassifier:
    """Return the trained classifier, in evaluation mode, float32 on the CPU.

    >>> import torch
    >>> digit_classifier()(torch.ones(1, 1, 32, 32)).argmax().item() == NOTHING
    True
    """
    model = DigitClassifier()
    with _weights() as file:
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return model.eval()


def training_record() -> dict[str, str]:
    """Return what the weight file says of its training: script, seed, held-out accuracy."""
    with _weights() as file:
        return dict(file.metadata())


def _weights() -> safe_open:
    with resources.as_file(resources.files("convlin.demo") / "data" / "digits.safetensors") as path:
        return safe_open(path, framework="pt")
