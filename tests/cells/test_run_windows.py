"""How a sliding window runs: gradients, dtypes, layouts, batches, sizes, outputs and memory."""

import pytest
import torch
from torch import nn

from cells.planted_nets import conv
from cells.slide_oracle import CLOSE, crop, grid, off, shared, slid
from convlin import GeometryError, sliding_window
from rounding import gamma

WINDOW, STRIDE, SIZE = (20, 17), (3, 2), (34, 28)


def net(**outputs):
    """Return a small padded net, one of everything that is ordinary."""
    torch.manual_seed(3)
    model = nn.Sequential(
        conv(2, 6, padding=1, into=3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True),
        conv(2, 8, padding="same", padding_mode="reflect", into=6), nn.GELU(),
        nn.Flatten(), nn.Linear(8 * 10 * 9, 5),
    )  # fmt: skip
    return model.double().eval()


def noise(batch=1, size=SIZE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, *size, generator=generator).double()


def windows_of(model, **options):
    return sliding_window(model, (3, *WINDOW), stride=STRIDE, **options)


def test_the_plan_of_the_net_shares_both_convolutions():
    plan = windows_of(net()).plan(SIZE)
    shared(plan, "0")
    shared(plan, "4")
    assert plan.windows == 5 * 6
    assert (plan.window, plan.stride, plan.image_size) == ((3, *WINDOW), STRIDE, SIZE)


def test_cells_windows_and_crops_are_where_they_are_said_to_be():
    windows = windows_of(net())
    assert windows.window == (3, *WINDOW)
    assert windows.stride == STRIDE
    assert windows.cells(SIZE) == (5, 6)
    assert windows.window_of((4, 1)) == ((12, 32), (2, 19))
    images = noise()
    place = windows.window_of((2, 3))
    there = images[(..., *(slice(*side) for side in place))]
    assert torch.equal(there, crop(images, (2, 3), WINDOW, STRIDE))


@torch.no_grad()
def test_what_the_check_saw_is_said():
    seen = windows_of(net(), check=True).seen
    assert seen.windows > 1
    assert seen.dtype == "float64"
    assert seen.difference < CLOSE
    assert windows_of(net(), check=False).seen is None


class Nonlinear(nn.Module):
    """Functions whose gradients are made of what they returned, some of them written in place."""

    def __init__(self):
        super().__init__()
        self.a, self.b = conv(2, 4, padding=1, into=3), conv(2, 4, padding=1)
        self.in_place = nn.ReLU(inplace=True)
        self.head = nn.Linear(4 * 20 * 17, 5)

    def forward(self, x):
        y = self.a((x * 0.3).exp().sub(1)).sigmoid().neg()
        y = self.in_place(self.b(y.tanh()) + y).sqrt().mul(2)
        y = self.b(y + 1).softmax(1) * y
        return self.head(y.add_(1).flatten(1))


@pytest.mark.parametrize(
    "build", [net, lambda: Nonlinear().double().eval()], ids=["net", "nonlinear"]
)
def test_gradients_of_images_and_weights_are_those_of_the_crops(build):
    model = build()
    windows = windows_of(model, check=False)
    plan = windows.plan(SIZE, images=2)
    assert sum(row.share for row in plan.rows) > 1
    images = noise(2).requires_grad_()
    for wanted in ([images, *model.parameters()], list(model.parameters()), [images]):
        scores, expected = windows(images), slid(model, images, WINDOW, STRIDE)
        weights = torch.randn(scores.shape, generator=torch.Generator().manual_seed(1)).double()
        gradients = torch.autograd.grad((scores * weights).sum(), wanted)
        assert off(gradients, torch.autograd.grad((expected * weights).sum(), wanted)) < CLOSE


class OfImages(nn.Module):
    """What begins with functions of elements, and returns a map that it goes on with."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.rand(3, 1, 1))
        self.a = conv(2, 4, padding=1, into=3)

    def forward(self, x):
        y = x.relu()
        y = y.sub_(self.mean).mul_(2)
        z = self.a(y)
        w = z.relu_().neg()
        return y.mean((2, 3)), z[:, :, 3:6], w.sigmoid_().amax((2, 3)), x[:, :, 0]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_images_and_outputs_are_not_written_over(mode):
    torch.manual_seed(6)
    model = OfImages().double().eval()
    windows = windows_of(model, check=False)
    shared(windows.plan(SIZE), "a")
    images = noise(2)
    before = images.clone()
    with mode():
        scores = windows(images)
        again = windows(images)
    assert torch.equal(images, before)
    assert off(scores, slid(model, images.clone(), WINDOW, STRIDE)) < CLOSE
    assert off(again, scores) < CLOSE


@torch.no_grad()
def test_float32_is_off_by_rounding_alone():
    model = net().float()
    images = noise().float()
    scores = windows_of(model)(images)
    assert scores.dtype == torch.float32
    expected = slid(net(), images.double(), WINDOW, STRIDE)
    own = slid(model, images, WINDOW, STRIDE)
    bound = gamma(8 * 10 * 9, torch.float32)
    assert off(scores.double(), expected) < 2 * bound
    assert off(scores, own) < 2 * bound


@torch.no_grad()
def test_bfloat16_runs():
    model = net().bfloat16()
    images = noise().bfloat16()
    scores = windows_of(model, check=False)(images)
    assert scores.dtype == torch.bfloat16
    assert off(scores, slid(model, images, WINDOW, STRIDE)) < 0.05


@torch.no_grad()
@pytest.mark.parametrize(
    "given",
    [
        lambda images: images.to(memory_format=torch.channels_last),
        lambda images: images.transpose(2, 3).contiguous().transpose(2, 3),
        lambda images: images.expand(3, -1, -1, -1),
        lambda images: images.flip(0),
    ],
    ids=["channels-last", "columns", "expanded", "flipped"],
)
def test_images_of_any_layout_are_read_alike(given):
    model = net()
    images = given(noise())
    before = images.clone()
    scores = windows_of(model)(images)
    assert off(scores, slid(model, images, WINDOW, STRIDE)) < CLOSE
    assert torch.equal(images, before)


@torch.no_grad()
def test_images_of_a_batch_are_apart():
    model = net()
    windows = windows_of(model)
    images = torch.cat([noise(seed=seed) for seed in range(3)])
    scores = windows(images)
    assert scores.shape == (3, 5, 5, 6)
    assert off(scores, slid(model, images, WINDOW, STRIDE)) < CLOSE
    assert off(windows(images[1:2]), scores[1:2]) < CLOSE


@torch.no_grad()
@pytest.mark.parametrize("size", [WINDOW, (20, 18), (22, 17), (23, 17), (20, 60)])
def test_images_of_one_window_or_hardly_more(size):
    model = net()
    windows = windows_of(model)
    images = noise(size=size)
    assert windows(images).shape[2:] == grid(size, WINDOW, STRIDE)
    assert off(windows(images), slid(model, images, WINDOW, STRIDE)) < CLOSE
    assert (windows.plan(size).ratio == 1) == (windows.plan(size).windows == 1)


@torch.no_grad()
def test_one_window_serves_images_of_every_size():
    model = net()
    windows = windows_of(model)
    for size in [(40, 31), WINDOW, (26, 50), (40, 31)]:
        images = noise(size=size)
        assert off(windows(images), slid(model, images, WINDOW, STRIDE)) < CLOSE


@pytest.mark.parametrize(
    "shape",
    [(1, 3, 19, 30), (1, 3, 30, 16), (1, 4, 30, 30), (1, 3, 30), (3, 30, 30), (1, 3, 30, 30, 30)],
    ids=str,
)
def test_images_that_do_not_fit_are_named(shape):
    windows = windows_of(net())
    with pytest.raises(GeometryError) as caught:
        windows(torch.zeros(shape).double())
    assert str(caught.value) == f"images: shape is {shape}, expected (N, 3, ≥20, ≥17)"


@pytest.mark.parametrize("size", [(19, 30), (30,), (30, 30, 30)], ids=str)
def test_a_plan_for_what_does_not_fit_is_refused(size):
    with pytest.raises(GeometryError):
        windows_of(net()).plan(size)


@torch.no_grad()
@pytest.mark.parametrize("part", [0.05, 0.2, 0.5, 1.0])
def test_scores_are_alike_however_little_memory_they_may_take(part):
    model = net()
    size = (90, 80)
    least, most = (windows_of(model, check=False).plan(n).memory for n in (WINDOW, size))
    memory = int(least + part * (most - least))
    windows = windows_of(model, memory=memory, check=False)
    plan = windows.plan(size)
    assert plan.memory <= memory
    assert (max(plan.tiles) > 1) == (part < 1)
    shared(plan, "0")
    images = noise(size=size)
    assert off(windows(images), slid(model, images, WINDOW, STRIDE)) < CLOSE


class Outputs(nn.Module):
    """Several outputs: of a shared map, of the head, a map, and nested."""

    def __init__(self):
        super().__init__()
        self.body, self.map = conv(2, 5, padding=1, into=3), conv(2, 2, padding=1, into=5)
        self.head = nn.Linear(5 * 20 * 17, 4)

    def forward(self, x):
        y = self.body(x).tanh()
        return {
            "scores": self.head(y.flatten(1)).softmax(-1),
            "maps": [self.map(y), y.amax(-1)],
            "pair": (y.mean((2, 3)), x[:, :, 3, 5]),
        }


@torch.no_grad()
def test_the_structure_of_several_outputs_is_kept():
    torch.manual_seed(5)
    model = Outputs().double().eval()
    windows = windows_of(model)
    images = noise(2)
    scores = windows(images)
    assert scores["scores"].shape == (2, 4, 5, 6)
    assert scores["maps"][0].shape == (2, 2, *WINDOW, 5, 6)
    assert scores["maps"][1].shape == (2, 5, WINDOW[0], 5, 6)
    assert isinstance(scores["pair"], tuple)
    shared(windows.plan(SIZE), "body")
    assert off(scores, slid(model, images, WINDOW, STRIDE)) < CLOSE


@torch.no_grad()
def test_the_stride_of_its_own_is_the_nets():
    torch.manual_seed(5)
    model = nn.Sequential(
        conv(2, 4, stride=2, padding=1, into=3), nn.ReLU(), nn.AvgPool2d((2, 1)), nn.Flatten(),
        nn.Linear(4 * 5 * 9, 3),
    ).double().eval()  # fmt: skip
    windows = sliding_window(model, (3, *WINDOW))
    assert windows.stride == (4, 2)
    images = noise()
    assert off(windows(images), slid(model, images, WINDOW, (4, 2))) < CLOSE


@torch.no_grad()
def test_weights_are_the_models_own():
    model = net()
    windows = windows_of(model)
    images = noise()
    before = windows(images)
    model[0].weight.mul_(2)
    assert off(windows(images), slid(model, images, WINDOW, STRIDE)) < CLOSE
    assert not torch.allclose(before, windows(images))


@torch.no_grad()
def test_progress_counts_up_to_all_there_is():
    told = []
    windows = windows_of(net())
    windows(noise(), progress=lambda *numbers: told.append(numbers))
    assert told
    _, done, total = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == total[-1] == 5 * 6
