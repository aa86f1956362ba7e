"""What cannot be made fully convolutional is refused by name, with the reason, all at once."""

import pickle

import pytest
import torch
from dense_oracle import EQUAL, worst
from small_nets import Net, conv
from torch import nn
from torch.nn import functional

from convlin import GeometryError, Refused, fully_convolutional

WINDOW = (3, 10, 9)


def behind(*layers):
    return nn.Sequential(conv(3, 6, 3), *layers)


def run(function, **layers):
    return Net(function, a=conv(3, 6, 3), **layers)


def hooked(layer):
    def twice(module, args, output):
        return output * 2

    twice.__qualname__ = "twice"
    layer.register_forward_hook(twice)
    return layer


def control_flow(m, x):
    return m.a(x) if x.sum() > 0 else x


# name: (model, "layer: field", words of the reason)
REFUSED = {
    "upsample": (behind(nn.Upsample(scale_factor=2), nn.Flatten(), nn.Linear(6 * 16 * 14, 2)),
                 "1: Upsample cannot be made fully convolutional: ", "upsampling"),
    "transposed": (behind(nn.ConvTranspose2d(6, 2, 3), nn.Flatten(), nn.Linear(2 * 10 * 9, 2)),
                   "1: ConvTranspose2d cannot be made fully convolutional: ", "upsampling"),
    "pixel-shuffle": (behind(conv(6, 4, 1), nn.PixelShuffle(2), nn.Flatten()), "2: PixelShuffle cannot be made fully convolutional: ", "upsampling"),
    "interpolate": (run(lambda m, x: functional.interpolate(m.a(x), scale_factor=2).flatten(1)),
                    "upsample_nearest2d: upsample_nearest2d cannot be made fully convolutional: ", "upsampling"),
    "attention": (run(lambda m, x: m.mix(*[m.a(x).flatten(2).transpose(1, 2)] * 3)[0],
                      mix=nn.MultiheadAttention(6, 2, batch_first=True)),
                  "mix: MultiheadAttention cannot be made fully convolutional: ", "attention: every cell looks at all others"),
    "recurrence": (run(lambda m, x: m.line(m.a(x).flatten(2).transpose(1, 2))[0], line=nn.LSTM(6, 5)),
                   "line: LSTM cannot be made fully convolutional: ", "recurrence: it runs along the whole image"),
    "softmax-over-space": (run(lambda m, x: m.a(x).softmax(2).flatten(1)), "softmax: dim", "it runs over space"),
    "softmax-of-a-flat-map": (run(lambda m, x: m.a(x).flatten(1).softmax(1)), "softmax: dim", "over space"),
    "layer-norm-of-a-map": (behind(nn.LayerNorm((6, 8, 7)), nn.Flatten(), nn.Linear(6 * 56, 2)),
                            "1: normalized_shape", "it normalises over space"),
    "batch-statistics": (behind(nn.BatchNorm2d(6, track_running_stats=False), nn.Flatten()),
                         "1: track_running_stats", "whatever batch there is"),
    "batch-norm-of-a-flat-map": (behind(nn.Flatten(), nn.BatchNorm1d(6 * 56), nn.Linear(6 * 56, 2)),
                                 "2: input", "every element of the map (6, 8, 7) has weights of its own"),
    "position-embedding": (run(lambda m, x: (m.a(x) + m.where).flatten(1), where=nn.Parameter(torch.zeros(6, 8, 7))),
                           "add: weights", "position embedding"),
    "adaptive-then-relu": (behind(nn.AdaptiveAvgPool2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(54, 2)),
                           "2: input", "1 of (8, 7) to (3, 3) cells"),
    "adaptive-max": (behind(nn.AdaptiveMaxPool2d(3), nn.Flatten()), "1: output_size", "unequal size"),
    "window-meets-map": (run(lambda m, x: (m.a(x) * m.b(x)).flatten(1), b=conv(3, 6, (10, 9))),
                         "mul: operands", "cannot meet each cell of a map"),
    "part-of-the-map": (run(lambda m, x: m.head(m.a(x).flatten(1)[:, :50]), head=nn.Linear(50, 2)),
                        "head: input", "the map is (6, 8, 7)"),
    "rows-of-the-map": (behind(nn.Linear(7, 3), nn.Flatten()), "1: input", "the map is (6, 8, 7)"),
    "batch-in-channels": (run(lambda m, x: m.a(x).view(1, -1, 8, 7).flatten(1)), "view: result", "images of a batch"),
    "batch-turned": (run(lambda m, x: m.a(x).flip(0).flatten(1)), "flip: result", "images of a batch"),
    "batch-in-numbers": (run(lambda m, x: m.a(x).flatten(1) * x.shape[0]), "mul: ", "2 at batch 2 and 3 at batch 3"),
    "dropout-always-on": (run(lambda m, x: functional.dropout(m.a(x)).flatten(1)), "dropout: training", "in eval mode too"),
    "mean-in-another-dtype": (run(lambda m, x: m.a(x).mean((2, 3), dtype=torch.float32)), "mean: dtype", ""),
    "unknown-layer": (behind(nn.Unfold(2), nn.Flatten()), "1: operation is Unfold", "convlin has no rule for it"),
    "random": (run(lambda m, x: (m.a(x) + torch.rand(6, 1, 1)).flatten(1)), "rand: operation", "it draws random numbers; test_refusals.py:"),
    "control-flow": (run(control_flow), "Net: forward", "is_nonzero of what is made of the images"),
    "unknown-function": (run(lambda m, x: torch.fft.fft2(m.a(x)).abs().flatten(1)), "fft_fft2: operation", ""),
    "wrong-window": (behind(nn.Flatten(), nn.Linear(100, 2)), "2: input", "at batch 2: RuntimeError"),
    "window-too-small": (behind(conv(6, 6, 12), nn.Flatten()), "1: input", "Kernel size can't be greater"),
}  # fmt: skip


def view_and_back(m, x):
    y = m.a(x)
    z = y.permute(0, 2, 3, 1).contiguous()
    z.relu_()
    return (y.permute(0, 2, 3, 1) + z).flatten(1)


# What a tracer with symbols stops at, and a run of the model's own code does not.
RIGHT = {
    "a-tuple-twice": run(lambda m, x: (2 * m.a(x).chunk(2, 1))[2].flatten(1)),
    "tuples-joined": run(lambda m, x: (m.a(x).chunk(2, 1) + x.chunk(3, 1))[1].flatten(1)),
    "own-tensor": run(lambda m, x: (m.w.expand_as(m.a(x)) - m.a(x)).flatten(1), w=nn.Parameter(torch.ones(6, 1, 1))),
    "numpys-names": run(lambda m, x: m.a(x).mean(axis=(2, 3))),
    "hook-on-a-layer": behind(hooked(nn.ReLU()), nn.Flatten(), nn.Linear(6 * 56, 2)),
    "parametrized-linear": behind(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(6 * 56, 2))),
    "layer-of-operations": behind(nn.LPPool2d(2, 2), nn.Flatten(), nn.Linear(6 * 12, 2)),
    "map-output": behind(nn.ReLU()),
    "flattened-map-output": run(lambda m, x: m.a(x).view(-1, 6 * m.same(x.shape[2] - 2) * 7), same=nn.Identity()),
    "vector-in-two-axes": run(lambda m, x: m.a(x).mean((2, 3)).view(-1, 2, 3)),
    "a-copy-that-might-be-a-view": run(view_and_back),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_python_and_no_operation_is_no_reason_to_refuse(name):
    model = RIGHT[name].eval()
    network = fully_convolutional(model, WINDOW)
    assert network.report.exact
    images = torch.randn(2, 3, 13, 11, generator=torch.Generator().manual_seed(1)).double()
    assert worst(model, network, images) < EQUAL


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_layer_field_and_reason(name):
    model, place, reason = REFUSED[name]
    with pytest.raises(Refused) as caught:
        fully_convolutional(model.eval(), WINDOW, proofs=False, allow_inexact=True)
    text = str(caught.value)
    assert text.startswith(place), text
    assert reason in text


def test_all_refusals_come_together_breaks_too():
    model = nn.Sequential(
        conv(3, 6, 3, padding=1), nn.GroupNorm(3, 6), nn.FractionalMaxPool2d(2, 5), nn.Upsample(scale_factor=2),
        nn.Flatten(),
    )  # fmt: skip
    with pytest.raises(Refused) as caught:
        fully_convolutional(model.eval(), WINDOW)
    assert [refusal.site for refusal in caught.value.refusals] == ["2.rand", "3"]


def test_an_inner_module_that_cannot_be_traced_is_named():
    model = nn.Sequential(conv(3, 6, 3), nn.Sequential(run(control_flow), nn.Flatten()))
    with pytest.raises(
        Refused, match=r"^1\.0: forward is is_nonzero of what is made of the images.*test_refusals"
    ):
        fully_convolutional(model.eval(), WINDOW)


def test_training_mode_is_refused_by_name():
    model = behind(nn.Dropout(), nn.Flatten(), nn.Linear(6 * 56, 2)).eval()
    model[1].train()
    with pytest.raises(Refused, match=r"training is True in 1, expected model.eval\(\)"):
        fully_convolutional(model, WINDOW)


def test_hooks_on_the_whole_model_are_refused():
    model = behind(nn.Flatten(), nn.Linear(6 * 56, 2)).eval()
    model.register_forward_hook(lambda module, args, output: output * 2)
    with pytest.raises(Refused, match="forward hooks is 1"):
        fully_convolutional(model, WINDOW)


def test_a_second_input_is_refused():
    class Two(nn.Module):
        def forward(self, x, mask):
            return x * mask

    with pytest.raises(Refused, match="needs mask too"):
        fully_convolutional(Two().eval(), WINDOW)


@pytest.mark.parametrize("window", [(3,), (3, 0, 4), (3, 4, 5, 6, 7)])
def test_an_impossible_window_is_refused(window):
    with pytest.raises(
        Refused, match=r"window is .* expected \(C, L\), \(C, H, W\) or \(C, D, H, W\)"
    ):
        fully_convolutional(nn.Flatten().eval(), window)


def test_an_unknown_head_is_refused():
    with pytest.raises(Refused, match="head is 'fast', expected 'conv' or 'linear'"):
        fully_convolutional(nn.Flatten().eval(), WINDOW, head="fast")


@pytest.mark.parametrize("shape", [(1, 3, 9, 12), (1, 3, 12, 8), (1, 4, 12, 12), (3, 12, 12)])
def test_images_that_do_not_fit_are_refused_in_one_line(shape):
    network = fully_convolutional(
        behind(nn.Flatten(), nn.Linear(6 * 56, 2)).eval(), WINDOW, proofs=False
    )
    with pytest.raises(GeometryError) as caught:
        network(torch.zeros(shape))
    assert str(caught.value) == f"images: shape is {shape}, expected (N, 3, ≥10, ≥9)"


def many_pads(count):
    layers = [conv(3, 3, 3, padding=1 + i % 2) for i in range(count)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)).eval()


EXACT = "; convlin.sliding_window(model, (3, 10, 9), stride=…) (convlin slide) is exactly the classifier on every crop"
INEXACT = "; allow_inexact=True (--allow-inexact) converts it all the same, equal at the window alone: on larger images every score may be off"


def test_many_breaks_of_a_kind_are_one_line_and_both_ways_out_are_named():
    with pytest.raises(Refused) as caught:
        fully_convolutional(many_pads(7), WINDOW)
    assert [refusal.site for refusal in caught.value.refusals] == list("0123456")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(
        "0, 1 and 5 more: padding is ((1, 1), (1, 1)), …, expected 0 (the window sees"
    )
    assert EXACT + INEXACT in line
    assert fully_convolutional(many_pads(7), WINDOW, allow_inexact=True, proofs=False).report.seen


def test_many_that_never_can_are_one_line():
    model = nn.Sequential(conv(3, 4, 3), *[nn.Upsample(scale_factor=2) for _ in range(4)])
    with pytest.raises(Refused) as caught:
        fully_convolutional(model.eval(), WINDOW)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(
        "1, 2 and 2 more: Upsample cannot be made fully convolutional: upsampling"
    )


def test_few_breaks_keep_a_line_each():
    with pytest.raises(Refused) as caught:
        fully_convolutional(many_pads(3), WINDOW)
    lines = str(caught.value).splitlines()
    assert [line[: line.index(":")] for line in lines] == ["0", "1", "2"]
    assert EXACT + INEXACT in lines[-1]


def test_every_reason_is_one_line_and_every_refusal_is_there():
    padded, head = many_pads(4)[:4], many_pads(4)[4:]
    halved = [nn.MaxPool2d(2, ceil_mode=True) for _ in range(2)]  # of 13 cells, and of 7
    with pytest.raises(Refused) as caught:
        fully_convolutional(nn.Sequential(*padded, *halved, *head).eval(), WINDOW)
    assert [refusal.site for refusal in caught.value.refusals] == list("012345")
    first, second = str(caught.value).splitlines()
    assert first.startswith("0, 1 and 2 more: padding is ((1, 1), (1, 1)), …, expected 0 (")
    assert second.startswith("4 and 5: ceil_mode is True, expected a map that leaves no remainder")
    assert EXACT + INEXACT in second


@pytest.mark.parametrize(("count", "named"), [(1, "1"), (2, "1 and 3"), (3, "1, 3 and 5")])
def test_few_that_are_alike_are_one_line_that_names_them_all(count, named):
    pairs = [(conv(3, 3, 1), nn.MaxPool2d(3, 1, padding=1)) for _ in range(count)]
    model = nn.Sequential(*[layer for pair in pairs for layer in pair], nn.Flatten())
    with pytest.raises(Refused) as caught:
        fully_convolutional(model.eval(), WINDOW)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{named}: padding is ((1, 1), (1, 1)), expected 0 (")
    assert len(caught.value.refusals) == count


def test_allow_inexact_is_no_way_out_where_a_layer_never_can():
    model = many_pads(7)
    model[2] = nn.Upsample(scale_factor=2)
    with pytest.raises(Refused) as caught:
        fully_convolutional(model.eval(), WINDOW)
    text = str(caught.value)
    assert text.endswith(f"{EXACT}: what cannot be converted runs window by window there")
    assert "allow_inexact" not in text


@pytest.mark.parametrize("name", ["random", "batch-statistics", "dropout-always-on"])
def test_no_way_out_is_named_where_there_is_none(name):
    with pytest.raises(Refused) as caught:
        fully_convolutional(REFUSED[name][0].eval(), WINDOW)
    assert "sliding_window" not in str(caught.value) and "allow_inexact" not in str(caught.value)


def test_a_refusal_can_be_pickled_with_all_it_says():
    with pytest.raises(Refused) as caught:
        fully_convolutional(many_pads(5), WINDOW)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.refusals == caught.value.refusals
