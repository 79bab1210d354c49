"""Theorems of Chapter 8: what flipped labels undo, with frozen and with moving features, by three clocks.

The second opinions: torch's autograd on the whole softmax for the frozen features, scipy's integration of both layers
for the moving ones, with its events as clocks. Each assumption has a test in which it is dropped and the statement
fails.
"""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from alignbook.behaviors import Behaviors, behaviors
from alignbook.dynamics import adam, gradient_descent, two_layer_descent, two_layer_flow
from alignbook.experiments import undo_it
from alignbook.experiments.undoing import FLIP_STEPS, Layers, aligned, training, world
from alignbook.losses import dpo_loss

INSTANCES = 60
EXAMPLE = {"beta": 0.1, "distinguishability": 4.0}
ROOT = math.sqrt(2)


def after(run, steps):
    return next(itertools.islice(run, steps, None))


# With frozen features, losses and margins do not see the start


def softmax_training(embeddings, labels, start, reference, beta, rate, steps):
    """Losses of every step, and the last unembedding, of DPO on the whole softmax by autograd: rows 0 Yes, 1 No."""
    x, c = torch.tensor(embeddings), torch.tensor(labels)
    reference, w, losses = torch.tensor(reference), torch.tensor(start), []

    def log_odds(w):
        log_p = torch.log_softmax(x @ w.T, -1)
        return c * (log_p[:, 0] - log_p[:, 1])

    for _ in range(steps):
        w.requires_grad_()
        loss = -torch.nn.functional.logsigmoid(beta * (log_odds(w) - log_odds(reference))).mean()
        losses.append(float(loss.detach()))
        (slope,) = torch.autograd.grad(loss, w)
        w = w.detach() - rate * slope
    return np.array(losses), w.numpy()


def instance(seed):
    """Embeddings, labels, a base unembedding of four answers, beta and a rate."""
    rng = np.random.default_rng(seed)
    embeddings, labels = rng.standard_normal((8, 3)), np.where(rng.random(8) < 0.5, 1.0, -1.0)
    return embeddings, labels, rng.standard_normal((4, 3)), rng.uniform(0.1, 1.0), rng.uniform(0.05, 0.5)


def test_with_frozen_features_base_and_aligned_heads_have_the_same_loss_path():
    for seed in range(INSTANCES):
        x, c, base, beta, rate = instance(seed)
        _, up = softmax_training(x, c, base, base, beta, rate, 15)
        other = np.random.default_rng(seed + 1000).standard_normal(base.shape)
        paths = [softmax_training(x, -c, head, head, beta, rate, 15)[0] for head in (base, up, other)]
        np.testing.assert_allclose(paths[1], paths[0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(paths[2], paths[0], rtol=0, atol=1e-12)
        ours = gradient_descent(Behaviors(x[None], -c[None]), beta, rate)
        np.testing.assert_allclose([float(after(ours, 0).loss[0])], paths[0][:1], rtol=0, atol=1e-12)


def test_undoing_takes_exactly_as_long_as_doing():
    for seed in range(INSTANCES):
        x, c, base, beta, rate = instance(seed)
        _, up = softmax_training(x, c, base, base, beta, rate, 15)
        _, down = softmax_training(x, -c, up, up, beta, rate, 15)
        assert np.abs(up - base).max() > 1e-3
        np.testing.assert_allclose(down, base, rtol=0, atol=1e-12)


@pytest.mark.parametrize("optimizer", [gradient_descent, adam])
@pytest.mark.parametrize("options", [{}, {"batch_size": 3}, {"max_norm": 0.05}])
def test_the_tie_and_the_way_back_survive_batches_clipping_and_adam(optimizer, options):
    """Adam's step from -u with -h is minus that from u with h, as a gradient's is."""
    x, c, base, beta, rate = instance(3)
    head = base[0] - base[1]
    runs = [
        after(optimizer(Behaviors(x[None], label[None]), beta, rate, boundary=start, **options), 20)
        for label, start in ((c, head), (-c, head), (-c, head + 5.0))
    ]
    np.testing.assert_array_equal(runs[1].loss, runs[2].loss)
    np.testing.assert_allclose(runs[1].change, -runs[0].change, rtol=0, atol=1e-13)


def test_a_common_reference_tells_the_heads_apart():
    """Dropped: the reference is the start."""
    for seed in range(INSTANCES):
        x, c, base, beta, rate = instance(seed)
        _, up = softmax_training(x, c, base, base, beta, rate, 15)
        paths = [softmax_training(x, -c, head, base, beta, rate, 15)[0] for head in (base, up)]
        assert np.all(paths[1] > paths[0] + 1e-4)


def test_weight_decay_tells_the_heads_apart():
    """Dropped: what moves the head is the gradient alone."""
    x, c, base, beta, rate = instance(4)
    aligned_head = base + 20 * (softmax_training(x, c, base, base, beta, rate, 15)[1] - base)
    losses = []
    for start in (base, aligned_head):
        head = start
        for _ in range(15):
            head = 0.99 * softmax_training(x, -c, head, start, beta, rate, 1)[1]
        losses.append(softmax_training(x, -c, head, start, beta, rate, 1)[0][0])
    assert abs(losses[0] - losses[1]) > 0.01


def test_moving_features_tell_the_models_apart():
    """Dropped: the body is frozen."""
    start = world(4, 0, "numpy")
    up = aligned(start, 100.0)
    for train_features, same in ((True, False), (False, True)):
        frozen_up = up if train_features else aligned(start, 100.0, train_features=False)
        losses = []
        for layers in (start.base, frozen_up):
            both = {"head": layers.head, "features": layers.features, "train_features": train_features}
            shot = after(two_layer_descent(start.inputs, -start.labels, 0.1, 0.1, **both), 20)
            losses.append(dpo_loss(shot.margin))
        assert np.allclose(*losses, rtol=0, atol=1e-12) is same


# One road


def integrated(w, a, product, beta, distance, sign, time, events=(), accuracy=1e-11):
    """Both layers, integrated; any number of hidden units."""
    width = len(w)

    def slopes(_, state):
        w, a = state[:width], state[width:]
        margin = sign * beta * (w @ a - product) * distance / 2
        k = sign * beta * distance / 2 / (1 + math.exp(min(margin, 700)))
        return np.concatenate([2 * k * a, k * w])

    method = "LSODA" if time > 100 else "DOP853"
    return solve_ivp(slopes, [0, time], np.concatenate([w, a]), rtol=accuracy, atol=accuracy / 10, method=method,
                     events=events, dense_output=True)  # fmt: skip


def model(seed, width=None):
    rng = np.random.default_rng(seed)
    width = int(rng.integers(1, 5)) if width is None else width
    w, a = rng.standard_normal((2, width))
    return w, a, rng.uniform(0.05, 0.5), rng.uniform(1.0, 5.0), rng


def road(w, a):
    return w + ROOT * a, w - ROOT * a


def test_both_combinations_keep_their_directions_and_trade_one_factor():
    for seed in range(INSTANCES):
        w, a, beta, distance, rng = model(seed)
        product, sign = rng.standard_normal(), rng.choice([-1, 1])
        end = integrated(w, a, product, beta, distance, sign, 10 ** rng.uniform(0, 2)).y[:, -1]
        (up, down), (up_end, down_end) = road(w, a), road(*np.split(end, 2))
        factors = [np.linalg.norm(y) / np.linalg.norm(x) for x, y in ((up, up_end), (down, down_end))]
        np.testing.assert_allclose(up_end, factors[0] * up, rtol=0, atol=1e-8)
        np.testing.assert_allclose(down_end, factors[1] * down, rtol=0, atol=1e-8)
        assert factors[0] * factors[1] == pytest.approx(1, rel=1e-8)
        assert (factors[0] > 1) is (sign > 0)


def test_margin_plus_its_exponential_grows_at_the_pace_that_log_odds_tell():
    for seed in range(INSTANCES):
        w, a, beta, distance, rng = model(seed)
        product, sign = w @ a - rng.choice([-1, 1]) * 0.1, rng.choice([-1, 1])
        run = integrated(w, a, product, beta, distance, sign, 20.0).sol
        q = np.prod([v @ v for v in road(w, a)])

        def value(t, run=run, product=product, sign=sign, scale=beta * distance / 2):
            w, a = np.split(run(t), 2)
            margin = sign * scale * (w @ a - product)
            return margin + math.exp(margin), w, a

        for t in (1.0, 10.0):
            slope = (value(t + 1e-3)[0] - value(t - 1e-3)[0]) / 2e-3
            _, w_t, a_t = value(t)
            pace = w_t @ w_t + 2 * a_t @ a_t
            odds = distance / 2 * w_t @ a_t
            assert slope == pytest.approx(beta**2 * distance**2 / 4 * pace, rel=1e-4, abs=1e-6)
            assert pace == pytest.approx(math.sqrt(32 * odds**2 / distance**2 + q), rel=1e-8)


def test_flipped_labels_lead_back_over_the_way_out():
    """Any reference: at the base's log-odds the model is the base again, whatever the time it took."""
    for seed in range(INSTANCES):
        w, a, beta, distance, _ = model(seed)
        w_up, a_up = np.split(integrated(w, a, w @ a, beta, distance, 1, 20.0).y[:, -1], 2)
        for product in (w_up @ a_up, w @ a):

            def at_base(_, state, w=w, a=a):
                return np.prod(np.split(state, [len(w)]), axis=0).sum() - w @ a

            at_base.terminal = True
            back = integrated(w_up, a_up, product, beta, distance, -1, 1e6, at_base).y[:, -1]
            np.testing.assert_allclose(back, np.concatenate([w, a]), rtol=0, atol=1e-6)


def test_noise_in_the_inputs_leads_off_the_road():
    """Dropped: the inputs have no noise."""
    start = world(4, 0, "numpy")
    gaps = []
    for noise in (0.0, 1.0):
        inputs = start.labels[..., None] * np.eye(16)[0] * 2.0
        inputs = inputs + noise * (start.inputs - inputs)
        *_, (_, up) = training(inputs, start.labels, start.base, start.base, until=100.0, lengths=12)
        combinations = [
            road(layers.head, layers.features[..., 0]) for layers in (start.base, Layers(up.head, up.features))
        ]
        cosine = [
            np.sum(x * y, -1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)
            for x, y in zip(*combinations, strict=True)
        ]
        gaps.append(1 - np.min(cosine))
    assert gaps[0] < 1e-9
    assert gaps[1] > 1e-4


def test_with_features_that_freeze_the_speed_up_is_the_square_of_the_separations_ratio():
    """Times to several losses, by integration of the head alone."""
    for seed in range(INSTANCES):
        w, a, beta, distance, _ = model(seed)
        w_up, a_up = np.split(integrated(w, a, w @ a, beta, distance, 1, 30.0).y[:, -1], 2)
        for loss in (0.6, 0.35, 0.05):
            margin = -math.log(math.expm1(loss))
            times = [
                frozen_time(head, feature, head @ feature, beta, distance, margin)
                for head, feature in ((w, a), (w_up, a_up))
            ]
            assert times[0] / times[1] == pytest.approx((a_up @ a_up) / (a @ a), rel=1e-6)


def frozen_time(w, a, product, beta, distance, margin):
    """Time until flipped labels have this margin, features frozen: the head's equation, integrated."""
    scale = beta * distance / 2

    def slope(_, w):
        return -2 * scale / (1 + math.exp(-scale * (w @ a - product))) * a

    def there(_, w):
        return -scale * (w @ a - product) - margin

    there.terminal = True
    return solve_ivp(slope, [0, 1e9], w, rtol=1e-10, atol=1e-12, method="LSODA", events=there).t[-1]


# Three clocks


def clock(arm, reference, event, beta, distance):
    """Time at which an event of the log-odds happens on flipped labels, all layers moving."""
    w, a = arm

    def there(_, state):
        return distance / 2 * (state[: len(w)] @ state[len(w) :]) - event

    there.terminal = True
    return integrated(w, a, reference, beta, distance, -1, 1e9, there, accuracy=1e-8).t[-1]


def two_arms(seed):
    w, a, beta, distance, rng = model(seed)
    up = np.split(integrated(w, a, w @ a, beta, distance, 1, 10 ** rng.uniform(0.5, 1.7)).y[:, -1], 2)
    odds = [distance / 2 * head @ feature for head, feature in ((w, a), up)]
    return (w, a), tuple(up), odds, beta, distance


def test_clock_1_is_the_clock_of_change_or_of_place_by_the_reference():
    for seed in range(INSTANCES):
        base, up, odds, beta, distance = two_arms(seed)
        loss = np.random.default_rng(seed).uniform(0.2, 0.6)
        level = -math.log(math.expm1(loss)) / beta
        for arm, product, place in ((up, up[0] @ up[1], odds[1] - level), (up, base[0] @ base[1], odds[0] - level)):
            run = integrated(*arm, product, beta, distance, -1, clock(arm, product, place, beta, distance))
            w, a = np.split(run.y[:, -1], 2)
            margin = -beta * distance / 2 * (w @ a - product)
            assert float(dpo_loss(margin)) == pytest.approx(loss, abs=1e-6)


def test_a_spread_over_statements_parts_clock_1_from_clock_2():
    """Dropped: one margin for all statements. By Jensen the mean loss is above that of the mean margin."""
    noisy = behaviors(np.array([[1.0, 0.0]]), 1.0, num_statements=400)
    shot = after(gradient_descent(Behaviors(noisy.embeddings, -noisy.labels), 1.0, 1.0), 40)
    assert float(shot.loss[0]) > float(dpo_loss(shot.margin.mean())) + 0.05


def test_the_arms_tie_at_one_change_and_the_base_arm_is_ahead_beyond():
    """Over a grid of changes the lead passes once, from the aligned arm to the base arm, or is the base arm's."""
    turned = 0
    for seed in range(INSTANCES):
        base, up, odds, beta, distance = two_arms(seed)
        half = sum(odds) / 2
        changes = (odds[1] - odds[0] + abs(half) + 30) * np.array([0.02, 0.2, 0.5, 1.0])
        leads = []
        for change in changes:
            times = [
                clock(arm, arm[0] @ arm[1], start - change, beta, distance)
                for arm, start in ((base, odds[0]), (up, odds[1]))
            ]
            leads.append(times[0] - times[1])  # positive: the aligned arm is first
        signs = np.sign(leads)
        assert np.all(np.diff(signs) <= 0)
        assert np.all(signs[changes <= half] > 0)
        assert signs[-1] < 0
        if half <= 0:
            assert np.all(signs < 0)
        turned += signs[0] > 0
    assert 10 < turned < INSTANCES


def lead(arms, change, beta, distance):
    """Time by which the second arm is ahead of the first at a change, each with its own start as reference."""
    timed = functools.partial(clock, beta=beta, distance=distance)
    first, second = (timed((w, a), w @ a, distance / 2 * (w @ a) - change) for w, a in arms)
    return first - second


def test_the_tie_lies_between_half_the_sum_of_the_log_odds_and_the_sum():
    tested = 0
    for seed in range(2 * INSTANCES):
        base, up, odds, beta, distance = two_arms(seed)
        total = sum(odds)
        if beta * total > 0.2:  # below, the leads are within the integration's error
            assert lead((base, up), total / 2, beta, distance) > 0
            assert lead((base, up), total, beta, distance) < 0
            tested += 1
    assert tested >= INSTANCES


def test_with_a_pull_that_hardly_fades_the_tie_is_at_the_sum():
    """The edge: the weight is nearly constant, and the upper bound is reached."""
    base, up = example_arm(0.0), example_arm(10.0)
    total = 2 * float(base[0] @ base[1] + up[0] @ up[1])
    assert lead((base, up), 0.99 * total, 1e-3, 4.0) > 0 > lead((base, up), total, 1e-3, 4.0)


def test_with_features_frozen_from_then_on_there_is_no_tie():
    """Dropped: all layers move."""
    base, up = example_arm(0.0), example_arm(100.0)
    for margin in (0.1, 5.57, 20.0):  # the second is beta times the sum
        times = [frozen_time(w, a, w @ a, 0.1, 4.0, margin) for w, a in (base, up)]
        assert times[1] < times[0]


@pytest.mark.parametrize("common", [False, True])
def test_the_base_arm_is_first_at_every_place(common):
    for seed in range(INSTANCES):
        base, up, odds, beta, distance = two_arms(seed)
        product = base[0] @ base[1]
        own = product if common else up[0] @ up[1]
        back = clock(up, own, odds[0], beta, distance)
        for below in (0.5, 3.0):
            times = [clock(arm, ref, odds[0] - below, beta, distance) for arm, ref in ((base, product), (up, own))]
            assert times[1] > times[0]
            if common:
                assert times[1] == pytest.approx(back + times[0], rel=1e-6)


def test_features_that_freeze_let_an_aligned_model_be_first_at_a_place():
    """Dropped: all layers move. At -8 first: with its own start as reference after 1, 3, 10; with the base always."""
    base = example_arm(0.0)
    lengths = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)

    def time_at(length, common, place=-8.0):
        w, a = example_arm(length)
        product = base[0] @ base[1] if common else w @ a
        return frozen_time(w, a, product, 0.1, 4.0, 0.1 * (2 * float(product) - place))

    assert time_at(0.0, common=True) == pytest.approx(29.495, abs=1e-3)
    own, common = ([time_at(length, kind) for length in lengths] for kind in (False, True))
    assert own == pytest.approx([28.2, 24.9, 22.4, 74.5, 337.0, 1150.7], abs=0.06)
    assert common == pytest.approx([27.4, 22.3, 10.9, 6.6, 5.5, 5.1], abs=0.06)
    assert all(time_at(length, common=True, place=0.0) > time_at(0.0, True, 0.0) for length in lengths)


def test_the_reference_decides_how_long_the_way_back_takes():
    """All layers moving, to the base model's log-odds: the figures of the chapter."""
    base = example_arm(0.0)
    for length, own, common in ((10.0, 12.61, 6.80), (100.0, 682.42, 9.76)):
        up = example_arm(length)
        found = [clock(up, head @ feature, 1.0, 0.1, 4.0) for head, feature in (up, base)]
        assert found == pytest.approx([own, common], rel=1e-3)


# The example's figures


def example_arm(length):
    start = two_layer_flow(length, **EXAMPLE, head=0.5, feature=1.0)
    return np.array([float(start.head)]), np.array([float(start.feature)])


def test_the_figures_of_the_example():
    """beta 0.1, Delta 4, w 1/2, a 1, aligned to t = 100: separation 17.8; the loss, the policy, and their tie."""
    base, up = example_arm(0.0), example_arm(100.0)
    assert 4 * up[1][0] == pytest.approx(17.789, abs=1e-3)
    fall = -math.log(math.expm1(0.35)) / 0.1
    timed = functools.partial(clock, beta=0.1, distance=4.0)
    odds = {name: 2 * float(w @ a) for name, (w, a) in (("base", base), ("aligned", up))}
    assert timed(base, base[0] @ base[1], odds["base"] - fall) == pytest.approx(13.700, abs=1e-3)
    assert timed(up, up[0] @ up[1], odds["aligned"] - fall) == pytest.approx(0.800, abs=1e-3)
    assert timed(base, base[0] @ base[1], 0.0) == pytest.approx(2.683, abs=1e-3)
    assert timed(up, up[0] @ up[1], 0.0) == pytest.approx(979.31, abs=0.05)
    change = -math.log(math.expm1(0.016664)) / 0.1
    ties = [timed(arm, arm[0] @ arm[1], o - change) for arm, o in ((base, odds["base"]), (up, odds["aligned"]))]
    assert ties == pytest.approx([52.06, 52.06], abs=0.05)


@pytest.mark.parametrize("width", [2, 16, 64])
@pytest.mark.parametrize("length", [100.0, 300.0])
def test_over_seeds_widths_and_lengths_the_loss_is_the_aligned_model_s_and_the_place_the_base_s(width, length):
    """With noise, and with either reference: the clock of place, in every seed, is the base model's."""
    for common in (False, True):
        first = firsts(width, length, common)
        assert np.all(first["loss"] == (not common))
        assert np.all(first["change"])
        assert not np.any(first["place"])


def test_after_a_short_alignment_the_base_model_is_first_by_every_clock():
    """Dropped: the length of the first alignment. The change that clocks ask for is beyond the tie."""
    for width in (16, 64):
        assert not np.any([won for won in firsts(width, 3.0, common=False).values()])


def firsts(width, length, common):
    """For each clock, in which of the seeds the aligned model is first."""
    start, found = world(width, 1, "numpy"), {}
    for name, layers in (("base", start.base), ("aligned", aligned(start, length))):
        reference = start.base if common else layers
        run = training(start.inputs, -start.labels, layers, reference, until=30_000.0, lengths=FLIP_STEPS)
        rows = [(t, np.mean(dpo_loss(s.margin), -1), -np.mean(s.log_odds, -1)) for t, s in run]
        times, losses, odds = (list(column) for column in zip(*rows, strict=True))
        found[name] = undo_it.clocks(times, np.stack(losses), np.stack(odds))
    return {name: found["aligned"][name] < found["base"][name] for name in undo_it.CLOCKS}
