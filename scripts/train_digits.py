"""Train the demo's digit classifier, and write its weights and the held-out digits.

    python scripts/train_digits.py

Needs scikit-learn for the digits. One quarter of them is held out, the same share of each kind,
never trained on, and shipped for the demo's sheets. Training windows are cut from sheets composed
of the other digits: centred within three pixels they are that digit, further than six from any
centre they are nothing, and in between they are left out. Takes about four minutes on two cores.
The same seed gives the same windows; the weights agree up to the rounding of the machine's sums.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from convlin.demo.classifier import NOTHING, WINDOW, DigitClassifier
from convlin.demo.sheet import Sheet, Style, compose
from convlin.display.atomic import replacing, write

DATA = Path(__file__).parents[1] / "src/convlin/demo/data"
SIDE = WINDOW[-1]
NEAR, FAR = 3.0, 6.0  # pixels from the nearest centre: a digit, or nothing
WILD = Style(height=(20, 29), tilt=14, ink=(0.4, 1.0), paper=(0.7, 1.0), noise=0.04)


def windows_of(sheet: Sheet, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Cut labelled windows: half of them near a digit, half anywhere."""
    centres = np.array([(digit.y, digit.x) for digit in sheet.digits])
    kinds = np.array([digit.digit for digit in sheet.digits])
    height, width = sheet.image.shape
    near = centres[rng.integers(len(centres), size=count // 2)] + rng.uniform(
        -2 * FAR, 2 * FAR, (count // 2, 2)
    ) * rng.choice([0.2, 1], (count // 2, 1))
    anywhere = rng.uniform((0, 0), (height, width), (count - count // 2, 2))
    corners = np.concatenate([near, anywhere]) - SIDE / 2
    corners = corners.round().astype(int).clip(0, (height - SIDE, width - SIDE))
    offsets = np.abs(corners[:, None] + SIDE / 2 - centres[None]).max(-1)
    nearest, distance = offsets.argmin(1), offsets.min(1)
    keep = (distance <= NEAR) | (distance > FAR)
    labels = np.where(distance <= NEAR, kinds[nearest], NOTHING)[keep]
    views = np.lib.stride_tricks.sliding_window_view(sheet.image, (SIDE, SIDE))
    cut = views[tuple(corners[keep].T)].astype(np.float32)
    return torch.from_numpy(cut)[:, None], torch.from_numpy(labels)


def centred(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return every digit alone in the middle of a window, in the demo's style of writing."""
    sheets = [
        compose(image[None], label[None], (SIDE, SIDE), count=1, seed=i)
        for i, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    return torch.from_numpy(np.stack([s.image for s in sheets]))[:, None], torch.from_numpy(labels)


def train(images: np.ndarray, labels: np.ndarray, steps: int, seed: int) -> DigitClassifier:
    """Train on a fresh sheet at every step, by Adam with a one-cycle learning rate."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = DigitClassifier()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    for step in range(steps):
        sheet = compose(
            images, labels, (320, 320), count=45, seed=seed * 1_000_000 + step, style=WILD
        )
        inputs, targets = windows_of(sheet, rng, 512)
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 250 == 0 or step == steps - 1:
            print(f"step {step:5d}  loss {loss.item():.4f}", flush=True)
    return model.eval()


def main() -> None:
    """Split, train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=DATA, help="folder to write to")
    arguments = parser.parse_args()
    digits = load_digits()
    learn_x, held_x, learn_y, held_y = train_test_split(
        digits.images.astype(np.uint8),
        digits.target.astype(np.uint8),
        test_size=0.25,
        stratify=digits.target,
        random_state=0,
    )
    model = train(learn_x, learn_y, arguments.steps, arguments.seed)
    windows, truth = centred(held_x, held_y)
    with torch.no_grad():
        accuracy = (model(windows).argmax(1) == truth).double().mean().item()
    print(f"held-out digits, centred: {accuracy:.2%} of {len(truth)}")
    record = {
        "script": "scripts/train_digits.py",
        "seed": str(arguments.seed),
        "steps": str(arguments.steps),
        "held_out": str(len(truth)),
        "held_out_accuracy": f"{accuracy:.4f}",
    }
    out = arguments.out
    out.mkdir(exist_ok=True)
    write(out / "digits.safetensors", save(model.state_dict(), metadata=record))
    with replacing(out / "held_out_digits.npz") as file:
        np.savez_compressed(file, images=held_x, labels=held_y)


if __name__ == "__main__":
    main()
