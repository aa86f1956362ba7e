"""What each number in the judge is for: with half or twice of it, something here fails.

Memory, runs and draws are counted, never seconds; what a number lets through or keeps out is shown
on a pair of modules, or on the sums themselves.
"""

from __future__ import annotations

import copy
import tracemalloc
from fractions import Fraction

import pytest
import torch
from torch import nn

from convlin.errors import Refused
from convlin.numerics.roundoff import unit
from convlin.proof import Measured, Proved, Refuted, audit, entrance, prove, same, sensitivity
from convlin.proof.algebra import Value
from convlin.proof.counterexample import shrink
from convlin.proof.draws import SMALLEST, Draws, is_prime, parts, primes_between
from convlin.proof.modular import Plan
from convlin.proof.outcome import Outcome, run
from convlin.proof.remembered import state
from convlin.proof.residues import LARGEST_PRIME
from convlin.proof.storage import sample
from convlin.proof.trial import Trial
from convlin.proof.twins import Twins
from convlin.proof.ways import OFFSETS, batches_for
from convlin.proof.whole import draws_for

ONE = Value(weights=1, inputs=1, coefficient=2)


class Rule(nn.Module):
    """A function of a weight and an input."""

    def __init__(self, rule, weight):
        super().__init__()
        self.weight, self.rule = nn.Parameter(weight), rule

    def forward(self, x):
        return self.rule(x, self.weight)


def plan_of(*weights, dtype=torch.float64, value=ONE):
    linear = nn.Linear(len(weights), 1, bias=False, dtype=dtype)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([weights], dtype=dtype))
    return Plan.of(value, value, Twins([linear]))


# -- draws and primes ------------------------------------------------------------------------


def test_primes_are_counted_from_where_the_bound_holds():
    primes = list(filter(is_prime, range(2 * SMALLEST)))
    for largest in range(SMALLEST, 2 * SMALLEST):
        assert primes_between(largest) <= sum(largest / 2 < p <= largest for p in primes)
    assert primes_between(SMALLEST - 1) > 4  # 23, 29, 31 and 37


def test_sums_of_degree_eleven_have_a_plan_and_of_degree_twelve_none():
    """Primes up to 57 are large enough; of primes up to 43, one draw would miss more than half."""
    plans = [plan_of(1.0, value=Value(inputs=degree, coefficient=1)) for degree in (10, 11, 12, 13)]
    assert [plan and plan.largest for plan in plans] == [79, 57, None, None]
    assert plans[1].draws_for(1e-9) <= 30


def test_two_draws_are_enough_for_float32_of_every_size():
    info = torch.finfo(torch.float32)
    plan = plan_of(info.smallest_normal / 2**22, info.max, dtype=torch.float32)
    assert plan.largest == LARGEST_PRIME
    assert plan.draws_for(1e-9) == 2


def test_primes_are_small_enough_for_quotients_to_round_to_the_nearest():
    """The derivation of `convlin.proof.residues`, in exact numbers: its last line."""
    prime = next(n for n in range(LARGEST_PRIME, 2, -1) if is_prime(n))
    u = Fraction(unit(torch.float64))
    assert prime * (2 * u + u**2) < Fraction(1, 2 * prime)
    assert prime**2 < 2**50


@pytest.mark.parametrize("size", [1e-150, 1e-250, 1e150])
def test_weights_of_extreme_sizes_are_proved(size):
    linear = nn.Linear(3, 2, dtype=torch.float64)
    other = nn.Sequential(copy.deepcopy(linear))
    with torch.no_grad():
        linear.weight[1, 2] = other[0].weight[1, 2] = size
    assert isinstance(prove(linear, other, (3,)), Proved)
    with torch.no_grad():
        other[0].weight[1, 2] = size * (1 + 2**-52)
    assert isinstance(prove(linear, other, (3,)), Refuted)


@pytest.mark.parametrize("size", [5e-324, 1e-290, 1e300])
def test_weights_beyond_the_powers_of_two_of_a_float_are_measured(size):
    linear = nn.Linear(3, 2, dtype=torch.float64)
    with torch.no_grad():
        linear.weight[1, 2] = size
    verdict = prove(linear, nn.Sequential(copy.deepcopy(linear)), (3,))
    assert isinstance(verdict, Measured), verdict


def test_draws_are_filled_piece_by_piece(one_thread):
    """A piece of whole numbers is 256 KiB; a tensor of its size would be 400 KB."""
    flat, draws = torch.empty(100_000, dtype=torch.float64), Draws(0)
    tracemalloc.start()
    draws.fill(flat, 2**20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 2**18 <= peak < 2**18 + 2**15


def test_a_large_tensor_has_work_for_sixteen_threads():
    assert [len(parts(torch.empty(n))) for n in (2**16, 2**20, 2**22)] == [1, 16, 16]


# -- whole numbers ---------------------------------------------------------------------------


def test_forty_draws_take_whole_numbers_up_to_two_but_not_up_to_one():
    """Four million summands leave float32 M = 2, and sixteen million M = 1."""
    assert [draws_for(2 / (2 * largest + 1), 1e-9) for largest in (1, 2, 3)] == [None, 23, 17]


@pytest.mark.parametrize(("inputs", "draws"), [(4199, 5), (4299, 6)])
def test_a_difference_in_the_own_dtype_is_missed_once_in_a_billion(inputs, draws):
    """M = 63 and 62: five draws miss it with 9.7·10⁻¹⁰, and with 1.05·10⁻⁹."""
    values = [Value(weights=1, inputs=1, coefficient=inputs + 1)] * 2
    layer = nn.Linear(inputs, 1)
    trial = Trial(copy.deepcopy, layer, Twins([layer]), Draws(0), values)
    assert trial.in_own_dtype(torch.device("cpu"), torch.float32).count == draws


def clamped(layer):
    return Rule(lambda x, w: layer.rule(x, w).clamp(-600, 600), layer.weight)


def test_numbers_off_the_list_reach_a_thousand():
    identity = Rule(lambda x, w: (x + w - w).clamp(-1e9, 1e9), torch.ones(7))
    assert isinstance(audit(clamped, identity, (7,), seed=0), Refuted)


def test_one_number_in_a_hundred_off_the_list_lies_where_curves_bend():
    values = [Value(inputs=1, coefficient=1).off_the_list("aten.relu", exact=True)] * 2
    relu = nn.ReLU()
    largest = Trial(copy.deepcopy, relu, Twins([relu]), Draws(0), values).largest
    small = Draws(0).numbers((10**6,), largest).abs() <= 10
    assert 0.01 < small.double().mean() < 0.0105
    assert isinstance(audit(lambda layer: nn.SiLU(), relu, (40,), seed=0), Refuted)


# -- inputs ----------------------------------------------------------------------------------


def test_up_to_a_megapixel_five_inputs_are_run_at_once():
    assert max(batches_for((1, 1024, 1024))) == 5
    assert max(batches_for((1, 1025, 1024))) == 2


def test_offsets_are_those_that_an_alignment_tells_apart():
    assert sorted(offset % 64 for offset in OFFSETS) == list(range(64))


def test_an_input_of_two_gibibytes_is_taken_and_a_larger_one_refused():
    shape = 2**14, 2**14
    assert entrance.checked_shape(shape) == shape
    with pytest.raises(Refused, match="at most 268435456 numbers"):
        entrance.checked_shape((*shape[:1], shape[1] + 1))


def test_a_layer_that_repeats_more_numbers_than_that_is_refused():
    layer = nn.Linear(1, 1, bias=False)
    layer.weight = nn.Parameter(torch.zeros(1, 1).expand(2**14, 2**14))
    entrance.require_programs("audit", layer=layer)
    layer.weight = nn.Parameter(torch.zeros(1, 1).expand(2**14, 2**14 + 1))
    with pytest.raises(Refused, match="memory of its own"):
        entrance.require_programs("audit", layer=layer)


def test_ten_thousand_draws_are_as_many_as_there_may_be():
    assert entrance.checked_draws(10_000) == 10_000
    with pytest.raises(Refused, match="draws is 10001, expected at most 10000"):
        entrance.checked_draws(10_001)


# -- runs and memory -------------------------------------------------------------------------


def test_a_program_is_run_three_times_before_it_is_called_steady(monkeypatch):
    runs = []
    monkeypatch.setattr(same, "run", lambda *args: (runs.append(1), run(*args))[1])
    assert same.repeats(nn.Linear(3, 2), torch.ones(1, 3)) is not None
    assert len(runs) == 3


def shrunk(size, needed):
    """Shrink a difference that shows wherever all of `needed` numbers are there; count the runs."""
    runs = []

    def pair(x):
        runs.append(1)
        both = (x[0, ::needed] != 0).all().double().reshape(1)
        return Outcome((both,)), Outcome((torch.zeros(1, dtype=torch.float64),))

    def differ(mine, theirs):
        return mine.numbers != theirs.numbers

    x = torch.ones(1, size, dtype=torch.float64)
    result = shrink(pair, differ, x, pair(x), linear=False)
    return int((result.x != 0).sum()), len(runs)


def test_shrinking_takes_four_hundred_runs_at_most():
    assert shrunk(1000, 300) == (4, 389)  # ten rounds of halves, and of what lies apart in them
    remaining, runs = shrunk(1000, 90)
    assert remaining > 12
    assert 400 <= runs < 450


def unexplained(one, other, weight):
    """Return where two rules differ by more than rounding moves either."""
    sides = [(Rule(rule, weight), nn.Sequential) for rule in (one, other)]
    x = torch.full((1, len(weight)), 7.0, dtype=torch.float64)
    mine, theirs = (run(module, x.to(weight.dtype)) for module, _ in sides)
    far = mine.numbers != theirs.numbers
    assert far.all()
    return sensitivity.unexplained(far, mine, theirs, sides, x, weight.dtype)


def test_what_rounding_moves_a_quarter_of_the_time_is_missed_once_in_a_trillion():
    runs = []

    def counted(x, w):
        runs.append(1)
        return x * w

    assert unexplained(counted, lambda x, w: x - w, torch.ones(3)).all()
    moved = len(runs) - 3  # one is seen, and two are compared with it
    assert 1e-13 < 0.75**moved < 1e-11


@pytest.mark.parametrize(("units", "explained"), [(12, True), (24, False)])
def test_rounding_moves_numbers_by_up_to_sixteen_last_places(units, explained):
    """A weight lies some units below the threshold of a step, and far above the other side's."""
    threshold = 1 + units * torch.finfo(torch.float64).eps
    rules = (lambda x, w: (w - threshold).sign(), lambda x, w: (w - 0.5).sign())
    far = unexplained(*rules, torch.ones(5, dtype=torch.float64))
    assert bool(far.any()) is not explained


def test_a_change_of_a_thousandth_is_noticed_in_four_kilobytes():
    tensor = torch.zeros(2**20)
    before = sample(tensor)
    assert len(before) == 4 * 2**10
    for start in (1, 500, 2**19 + 7):
        tensor[start : start + 2**10] = 1
        assert sample(tensor) != before
        tensor[start : start + 2**10] = 0


def test_a_hundred_thousand_objects_are_looked_at():
    memory = [[0] for _ in range(80_000)]
    before = state(memory)
    memory[-1][0] = 1
    assert state(memory) != before
    assert len(state([[] for _ in range(150_000)])) <= 100_000
