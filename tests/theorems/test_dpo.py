"""The statements of Chapter 4, each on random instances, at its edges, and once without one of its assumptions.

The second opinion: a general optimizer on the loss written over all answers' log-probabilities, training by torch's
autograd that knows nothing of margins, derivatives by autograd, and closed forms.
"""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar, root
from strategies import normalized

from alignbook.dynamics import dpo_descent
from alignbook.information import entropy, kl_divergence
from alignbook.losses import (
    cdpo_loss,
    dpo_loss,
    hinge_loss,
    implicit_reward,
    ipo_loss,
    ipo_slope,
    reward_margin,
    robust_dpo_loss,
)
from alignbook.policies import letter_counts, log_linear_policy, unigram_policy
from alignbook.preferences import bradley_terry
from alignbook.tilting import log_partition, tilt

INSTANCES = 60
ROUNDING = 1e-12


def problems(seed, answers=4):
    """References, rewards and betas; rewards of order 1, for which outcomes of comparisons are open."""
    rng = np.random.default_rng(seed)
    ref, reward = normalized(rng.standard_normal((INSTANCES, answers))), rng.standard_normal((INSTANCES, answers))
    return ref, reward, 10.0 ** rng.uniform(-0.5, 0.5, INSTANCES)


def margins(log_p, ref_log_p, beta):
    """The reward margin of every ordered pair of answers."""
    column, row = (log_p[..., :, None], log_p[..., None, :])
    ref_column, ref_row = (ref_log_p[..., :, None], ref_log_p[..., None, :])
    return reward_margin(column, row, ref_column, ref_row, np.asarray(beta)[..., None, None])


def after(run, steps):
    return next(itertools.islice(run, steps, None))


# The optimum, turned inside out


def test_the_implicit_reward_of_the_tilt_is_the_reward_but_for_the_partition_function():
    ref, reward, beta = problems(0)
    found = implicit_reward(tilt(ref, reward, beta), ref, beta[:, None])
    log_z = log_partition(ref, reward, beta)[:, None]
    np.testing.assert_allclose(found, reward - beta[:, None] * log_z, rtol=0, atol=ROUNDING * 10)


def test_the_partition_function_cancels_from_every_margin():
    ref, reward, beta = problems(0)
    found = margins(tilt(ref, reward, beta), ref, beta)
    np.testing.assert_allclose(found, reward[:, :, None] - reward[:, None, :], rtol=0, atol=ROUNDING * 100)


def test_read_with_another_beta_every_margin_is_off_by_the_ratio():
    ref, reward, beta = problems(0)
    found = margins(tilt(ref, reward, beta), ref, 3 * beta)
    np.testing.assert_allclose(found, 3 * (reward[:, :, None] - reward[:, None, :]), rtol=0, atol=ROUNDING * 300)


def test_a_constant_of_the_prompt_changes_no_margin_and_no_preference():
    ref, reward, beta = problems(1)
    for constant in (-7.0, 40.0):
        shifted = reward + constant
        np.testing.assert_allclose(
            margins(tilt(ref, shifted, beta), ref, beta), margins(tilt(ref, reward, beta), ref, beta), atol=1e-10
        )
        np.testing.assert_allclose(
            bradley_terry(shifted[:, 0], shifted[:, 1]), bradley_terry(reward[:, 0], reward[:, 1]), atol=ROUNDING
        )


# The population optimum


def population_weights(reward, sampled, noise=0.0):
    """How often i is chosen over j: a pair of different answers from a law, then Bradley-Terry, then flipped labels."""
    chance = np.exp(bradley_terry(reward[:, None], reward[None, :]))
    chance = (1 - noise) * chance + noise * (1 - chance)
    together = np.outer(sampled, sampled) * (1 - np.eye(len(reward)))
    return together / together.sum() * chance


def plain_optimum(ref_log_p, weights, beta):
    """The law at which a general root finder sees the population's DPO loss, convex in the logits, at rest."""
    ref, w = torch.tensor(ref_log_p), torch.tensor(weights)

    def loss(free):
        logits = torch.cat([torch.zeros(1, dtype=torch.float64), free]) / beta
        log_ratio = torch.log_softmax(logits, -1) - ref
        margin = beta * (log_ratio[:, None] - log_ratio[None, :])
        return torch.sum(w * -torch.nn.functional.logsigmoid(margin))

    def slope(x):
        return torch.autograd.functional.jacobian(loss, torch.tensor(x)).numpy()

    def curvature(x):
        return torch.autograd.functional.hessian(loss, torch.tensor(x)).numpy()

    found = root(slope, beta * (ref_log_p[1:] - ref_log_p[0]), jac=curvature, options={"xtol": 1e-13})
    assert np.max(np.abs(found.fun)) < 1e-12
    return normalized(np.array([0.0, *found.x]) / beta)


def test_under_bradley_terry_the_population_optimum_of_dpo_is_the_tilt():
    ref, reward, beta = problems(2)
    optimum = tilt(ref, reward, beta)
    rng = np.random.default_rng(2)
    for k in range(INSTANCES):
        sampled = np.exp(ref[k]) if k % 2 else rng.dirichlet(np.ones(4)) * 0.8 + 0.05  # by the reference, or by anyone
        found = plain_optimum(ref[k], population_weights(reward[k], sampled), beta[k])
        assert np.max(np.abs(np.exp(found) - np.exp(optimum[k]))) < 1e-8


def test_descent_on_the_population_ends_at_the_tilt():
    ref, reward, beta = problems(3)
    law = np.full(4, 0.25)
    weights = np.stack([population_weights(r, law).ravel() for r in reward])
    first, second = np.divmod(np.arange(16), 4)
    directions = np.eye(4)[first] - np.eye(4)[second]
    run = dpo_descent(directions, beta, 4 / beta**2, weights=weights, record_every=10_000)
    found = log_linear_policy(ref, np.eye(4), after(run, 1).theta)
    np.testing.assert_allclose(np.exp(found), np.exp(tilt(ref, reward, beta)), rtol=0, atol=1e-8)


def test_with_flipped_labels_the_optimum_is_not_the_tilt():
    ref, reward, beta = problems(4)
    optimum, even = tilt(ref, reward, beta), np.full(4, 0.25)
    for k in range(10):
        found = plain_optimum(ref[k], population_weights(reward[k], even, noise=0.2), beta[k])
        assert np.max(np.abs(np.exp(found) - np.exp(optimum[k]))) > 1e-3


def test_the_loss_leaves_open_what_becomes_of_an_answer_that_was_never_compared():
    ref, reward, beta = (x[0] for x in problems(5))
    weights = population_weights(reward, np.array([1 / 3, 1 / 3, 1 / 3, 0]))
    optimum = tilt(ref, reward, beta)

    def loss(log_p):
        return np.sum(weights * dpo_loss(margins(log_p, ref, beta)))

    for logit in (-5.0, 3.0, 20.0):
        other = normalized(optimum + logit * np.eye(4)[3])
        assert float(loss(other)) == pytest.approx(float(loss(optimum)), rel=1e-13)
        assert abs(math.exp(other[3]) - math.exp(optimum[3])) > 0.01


# The gradient


def test_the_gradient_of_dpo_weighs_a_pair_by_how_wrong_the_policy_is():
    """- beta sigma(-m) (f+ - f-), from any start; the log-partition has no part in it."""
    rng = np.random.default_rng(6)
    for _ in range(INSTANCES):
        ref, features = torch.tensor(normalized(rng.standard_normal(5))), torch.tensor(rng.standard_normal((5, 3)))
        theta, beta = torch.tensor(rng.standard_normal(3), requires_grad=True), float(rng.uniform(0.1, 2))
        log_p = torch.log_softmax(ref + features @ theta, -1)
        margin = beta * ((log_p - ref)[0] - (log_p - ref)[1])
        (slope,) = torch.autograd.grad(-torch.nn.functional.logsigmoid(margin), theta)
        surprise = 1 / (1 + math.exp(float(margin.detach())))
        np.testing.assert_allclose(slope, -beta * surprise * (features[0] - features[1]), rtol=0, atol=1e-14)


# One pair is an exponential tilt


def one_pair(seed, answers=6):
    rng = np.random.default_rng(seed)
    return normalized(rng.standard_normal(answers)), rng.standard_normal((answers, 2)), float(rng.uniform(0.1, 1.5))


def plain_run(ref, features, pairs, beta, make_optimizer, steps):
    """Parameters and law after training by autograd on the whole softmax."""
    ref, features = torch.tensor(ref), torch.tensor(features)
    theta = torch.zeros(features.shape[-1], dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer([theta])
    for _ in range(steps):
        optimizer.zero_grad()
        log_ratio = torch.log_softmax(ref + features @ theta, -1) - ref
        chosen, rejected = zip(*pairs, strict=True)
        margin = beta * (log_ratio[list(chosen)] - log_ratio[list(rejected)])
        (-torch.nn.functional.logsigmoid(margin)).mean().backward()
        optimizer.step()
    return theta.detach().numpy(), torch.log_softmax(ref + features @ theta, -1).detach().numpy()


GRADIENT_DESCENT = functools.partial(torch.optim.SGD, lr=0.3)
ADAM = functools.partial(torch.optim.Adam, lr=0.03)


def off_the_line(theta, direction):
    """The share of theta that is not along the direction."""
    along = direction * (theta @ direction) / (direction @ direction)
    return np.linalg.norm(theta - along) / np.linalg.norm(theta)


def test_training_on_one_pair_tilts_the_reference_along_the_difference_of_features():
    for seed in range(INSTANCES):
        ref, features, beta = one_pair(seed)
        direction = features[0] - features[1]
        theta, log_p = plain_run(ref, features, [(0, 1)], beta, GRADIENT_DESCENT, 60)
        assert off_the_line(theta, direction) < 1e-10
        c = theta @ direction / (direction @ direction)
        np.testing.assert_allclose(log_p, tilt(ref, features @ direction, 1 / c), rtol=0, atol=1e-10)
        shot = after(dpo_descent(direction[None], beta, 0.3), 60)
        np.testing.assert_allclose(shot.theta, c * direction, rtol=0, atol=1e-10)


def test_training_on_two_pairs_leaves_every_line():
    for seed in range(10):
        ref, features, beta = one_pair(seed)
        theta, _ = plain_run(ref, features, [(0, 1), (2, 3)], beta, GRADIENT_DESCENT, 60)
        assert off_the_line(theta, features[0] - features[1]) > 1e-3


def test_under_adam_one_pair_is_no_tilt_along_the_difference_of_features():
    """Adam moves every coordinate alike, so it follows the signs of the difference."""
    for seed in range(10):
        ref, features, beta = one_pair(seed)
        direction = features[0] - features[1]
        theta, _ = plain_run(ref, features, [(0, 1)], beta, ADAM, 60)
        assert off_the_line(theta, np.sign(direction)) < 1e-2
        assert off_the_line(theta, direction) > 2e-2


def test_the_margin_of_one_pair_runs_on_a_clock_of_its_own():
    """Gradient flow: m + e^m = 1 + beta^2 |d|^2 t; descent with steps h is within a first-order error of it."""
    rng = np.random.default_rng(7)
    direction, beta = rng.standard_normal((INSTANCES, 1, 3)), rng.uniform(0.2, 2, INSTANCES)
    speed = beta**2 * np.sum(direction**2, axis=(-2, -1))
    misses = []
    for steps in (4000, 8000):  # to beta^2 |d|^2 t = 20 for every instance
        shot = after(dpo_descent(direction, beta, 20 / steps / speed, record_every=steps), 1)
        misses.append(shot.margin[:, 0] + np.exp(shot.margin[:, 0]) - 21)
    assert np.all(np.abs(misses[1]) < 0.01)
    np.testing.assert_allclose(misses[0] / misses[1], 2, rtol=0.01)


def test_the_chosen_answer_falls_exactly_on_the_far_side_of_the_line():
    """The slope of log pi(chosen) along the tilt is <f+ - E_pi f, f+ - f->."""
    for seed in range(INSTANCES):
        ref, features, _ = one_pair(seed)
        direction = features[0] - features[1]
        for c in (0.0, 0.5, 2.0):
            strength = torch.tensor(c, dtype=torch.float64, requires_grad=True)
            tilted = torch.log_softmax(torch.tensor(ref) + strength * torch.tensor(features @ direction), -1)
            (slope,) = torch.autograd.grad(tilted[0], strength)
            mean = np.exp(log_linear_policy(ref, features, c * direction)) @ features
            assert float(slope) == pytest.approx((features[0] - mean) @ direction, abs=1e-13)


def test_after_one_pair_what_has_begun_to_fall_falls_for_ever():
    c = np.linspace(0, 30, 301)
    began_to_fall = 0
    for seed in range(INSTANCES):
        ref, features, _ = one_pair(seed)
        direction = features[0] - features[1]
        change = np.diff(log_linear_policy(ref, features, c[:, None] * direction)[:, 0])
        falling = change < 0
        assert np.all(falling[1:] >= falling[:-1])
        began_to_fall += bool(falling[-1])
    assert 20 < began_to_fall < INSTANCES


def test_after_one_pair_the_answer_that_reaches_farthest_wins_compared_or_not():
    uncompared = 0
    for seed in range(INSTANCES):
        ref, features, _ = one_pair(seed)
        direction = features[0] - features[1]
        reach = features @ direction
        gap = np.diff(np.sort(reach))[-1]
        law = np.exp(log_linear_policy(ref, features, 60 / gap * direction))
        assert law[np.argmax(reach)] > 1 - 1e-12
        uncompared += np.argmax(reach) > 1
    assert uncompared > 20


def test_teach_it_no_it_learns_yes():
    """Three answers: the chosen one rises, then falls to nothing while loss and accuracy look perfect."""
    features = np.array([[1.0, 0.2], [0.5, 0.0], [2.0, -0.3]])  # chosen, rejected, never compared
    ref = np.log([0.3, 0.58, 0.12])
    run = list(itertools.islice(dpo_descent((features[0] - features[1])[None], 1.0, 0.5, record_every=2), 1000))
    law = np.exp(log_linear_policy(ref, features, np.stack([shot.theta for shot in run])))
    margin = np.array([float(shot.margin[0]) for shot in run])
    assert law[0, 0] == pytest.approx(0.30)
    assert law[:, 0].max() == pytest.approx(0.337, abs=0.001)
    assert law[-1, 0] < 0.01
    assert law[-1, 2] > 0.99
    assert np.all(np.diff(margin) > 0)
    assert float(dpo_loss(margin[-1])) < 0.01
    at_28 = np.flatnonzero((law[:, 0] < 0.28) & (margin > 0.1))[0]
    assert 0.2 < float(dpo_loss(margin[at_28])) < 0.35  # it falls while most of the loss is still ahead


# When the chosen answer falls: three cases


def test_on_plain_logits_an_answer_chosen_once_and_rejected_once_is_squeezed_out():
    """A > B and C > A from an even table of four: pi(A) = 1/(2 + 2 cosh x) at logits x, -x of C and B."""
    a, b, c = np.eye(4)[:3]
    for beta in (0.1, 1.0):
        run = dpo_descent(np.stack([a - b, c - a]), beta, 0.2 / beta, record_every=3)
        shots = list(itertools.islice(run, 1000))
        law = np.exp(log_linear_policy(np.full(4, -math.log(4)), np.eye(4), np.stack([s.theta for s in shots])))
        margin = np.stack([shot.margin for shot in shots])
        assert np.all(np.diff(margin, axis=0) > 0)
        np.testing.assert_allclose(law[:, 0], 1 / (2 + 2 * np.cosh(margin[:, 0] / beta)), rtol=1e-10)
        assert law[0, 0] == pytest.approx(0.25)
        assert np.min(np.abs(law[:, 0] - 0.08)) < 0.01
        assert law[-1, 0] < 0.005


def test_on_strings_a_pair_that_differs_in_one_letter_raises_a_string_nobody_compared():
    """All 729 strings of six letters: aaabbc chosen over aabbbc moves mass from b to a, wherever they stand."""
    strings = ["".join(letters) for letters in itertools.product("abc", repeat=6)]
    chosen, rejected = strings.index("aaabbc"), strings.index("aabbbc")
    logits, counts = np.log([0.5, 0.3, 0.2]), letter_counts(3, 6)
    direction = (counts[chosen] - counts[rejected])[None].astype(float)
    assert direction.tolist() == [[1.0, -1.0, 0.0]]
    run = list(itertools.islice(dpo_descent(direction, 0.5, 1.0, record_every=10), 80))
    law = np.exp(unigram_policy(logits + np.stack([shot.theta for shot in run]), 6))
    assert law[0, chosen] == pytest.approx(22.5e-4, rel=1e-12)
    assert np.all(np.diff([float(shot.margin[0]) for shot in run]) > 0)
    assert law[-1, chosen] < 1e-8
    assert law[-1, strings.index("aaaaaa")] > 0.9
    assert law[-1].argmax() == strings.index("aaaaaa")


def test_with_fixed_features_the_chosen_answer_may_dip_and_recover():
    """A > B and A > C in directions at right angles: the fast pair lifts D, the slow one ends above it."""
    features = np.array([[0.0, 0.0], [-1.0, 0.0], [0.0, -0.2], [1.5, -1.0]])  # A, B, C, and D that nobody compared
    directions = features[[0, 0]] - features[[1, 2]]
    run = list(itertools.islice(dpo_descent(directions, 1.0, 1.0, record_every=10), 400))
    law = np.exp(log_linear_policy(np.full(4, -math.log(4)), features, np.stack([shot.theta for shot in run])))[:, 0]
    assert np.all(np.diff(np.stack([shot.margin for shot in run]), axis=0) > 0)
    lowest = int(np.argmin(law))
    assert law[0] == pytest.approx(0.25)
    assert law[lowest] == pytest.approx(0.067, abs=0.001)
    assert law[-1] > 0.98
    assert np.all(np.diff(law[: lowest + 1]) < 0)
    assert np.all(np.diff(law[lowest:]) > 0)


# A head alone raises the chosen token; moving features need not


def one_token(seed, tokens=5, width=3):
    """Slopes in time of log pi(chosen) under gradient flow on one pair, from the head alone and from the features."""
    rng = np.random.default_rng(seed)
    head = torch.tensor(rng.standard_normal((tokens, width)), requires_grad=True)
    hidden = torch.tensor(rng.standard_normal(width), requires_grad=True)
    ref, beta = torch.tensor(normalized(rng.standard_normal(tokens))), float(rng.uniform(0.1, 2))
    log_p = torch.log_softmax(head @ hidden, -1)
    margin = beta * ((log_p - ref)[0] - (log_p - ref)[1])
    rise = torch.autograd.grad(log_p[0], (head, hidden), retain_graph=True)
    descent = torch.autograd.grad(torch.nn.functional.logsigmoid(margin), (head, hidden))
    slopes = [float(torch.sum(up * step)) for up, step in zip(rise, descent, strict=True)]
    pull = beta / (1 + math.exp(float(margin.detach())))
    return slopes, pull, np.exp(log_p.detach().numpy()), head.detach().numpy(), hidden.detach().numpy()


def test_one_pair_raises_the_chosen_token_by_the_head_and_moves_it_either_way_by_the_features():
    fell = 0
    for seed in range(INSTANCES):
        (by_head, by_features), pull, law, head, hidden = one_token(seed)
        assert by_head == pytest.approx(pull * hidden @ hidden * (1 - law[0] + law[1]), rel=1e-11)
        assert by_features == pytest.approx(pull * (head[0] - law @ head) @ (head[0] - head[1]), rel=1e-9, abs=1e-13)
        assert by_head > 0
        fell += by_features < 0
    assert 0 < fell < INSTANCES


# What beta bounds


@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0])
def test_beta_does_not_bound_the_kl_of_a_policy_trained_on_sure_labels(beta):
    """One pair, always labeled the same: the KL tends to the surprise of the chosen answer, whatever beta is."""
    for ref in (np.log([0.5, 0.5]), np.log([0.2, 0.8])):
        run = dpo_descent(np.array([[1.0, -1.0]]), beta, 1e9 / beta**2, record_every=50)
        kl = [float(kl_divergence(log_linear_policy(ref, np.eye(2), s.theta), ref)) for s in itertools.islice(run, 3)]
        assert kl[0] < kl[1] <= kl[2] + 1e-15
        assert kl[2] == pytest.approx(-ref[0], abs=1e-5)


@pytest.mark.parametrize("beta", [0.1, 1.0, 10.0])
def test_ipo_ends_at_a_margin_of_one_half_and_so_beta_bounds_its_kl(beta):
    ref = np.log([0.5, 0.5])
    slope = functools.partial(ipo_slope, beta=beta)
    shot = after(dpo_descent(np.array([[1.0, -1.0]]), beta, 0.1, slope=slope), 200)
    assert float(shot.margin[0]) == pytest.approx(0.5, abs=1e-12)
    law = log_linear_policy(ref, np.eye(2), shot.theta)
    chosen = 1 / (1 + math.exp(-1 / (2 * beta)))
    np.testing.assert_allclose(np.exp(law), [chosen, 1 - chosen], rtol=1e-10)
    assert float(kl_divergence(law, ref)) == pytest.approx(math.log(2) - float(entropy(law)), abs=1e-12)
    assert float(kl_divergence(law, ref)) < 1 / (8 * (2 * beta) ** 2) + 1e-12  # a log-ratio of range 1/(2 beta)


def test_with_label_noise_beta_does_bound_the_kl():
    """A share e of flipped labels ends at the margin log((1 - e)/e): a log-ratio of that over beta."""
    noise, ref = 0.1, np.log([0.5, 0.5])
    for beta in (0.5, 2.0):
        run = dpo_descent(np.array([[1.0, -1.0], [-1.0, 1.0]]), beta, 1 / beta**2, weights=np.array([1 - noise, noise]))
        shot = after(run, 400)
        assert float(shot.margin[0]) == pytest.approx(math.log(9), abs=1e-10)
        chosen = 1 / (1 + 9 ** (-1 / beta))
        np.testing.assert_allclose(np.exp(log_linear_policy(ref, np.eye(2), shot.theta))[0], chosen, rtol=1e-10)


# Where five losses are lowest


def written_out(name, noise, beta):
    """Each loss from its formula in probabilities, with none of the package's functions."""

    def surprise(m):
        return math.log1p(math.exp(-m)) if m > 0 else math.log1p(math.exp(m)) - m

    smooth = [1 - noise, noise]
    formulas = {
        "DPO": surprise,
        "IPO": lambda m: (m / beta - 1 / (2 * beta)) ** 2,
        "cDPO": lambda m: smooth[0] * surprise(m) + smooth[1] * surprise(-m),
        "robust": lambda m: (smooth[0] * surprise(m) - smooth[1] * surprise(-m)) / (1 - 2 * noise),
        "hinge": lambda m: max(0.0, 1 - m),
    }
    return formulas[name]


def promised(name, noise, flips):
    """The margin at which the statement puts the lowest mean; inf where there is none."""
    twice = 2 * noise * (1 - noise)
    flipped = {
        "DPO": math.log((1 - noise) / noise),
        "IPO": 0.5 - noise,
        "cDPO": math.log((1 - twice) / twice),
        "robust": math.inf,
        "hinge": 1.0,
    }
    sure = {"DPO": math.inf, "IPO": 0.5, "cDPO": flipped["DPO"], "robust": math.inf, "hinge": 1.0}
    return (flipped if flips else sure)[name]


@pytest.mark.parametrize("flips", [False, True], ids=["sure labels", "a share flipped"])
@pytest.mark.parametrize("name", ["DPO", "IPO", "cDPO", "robust", "hinge"])
def test_where_five_losses_are_lowest(name, flips):
    rng = np.random.default_rng(11)
    for noise, beta in zip(rng.uniform(0.01, 0.49, INSTANCES), 10.0 ** rng.uniform(-1, 1, INSTANCES), strict=True):
        loss, share = written_out(name, noise, beta), noise if flips else 0.0

        def mean(m, loss=loss, share=share):
            return (1 - share) * loss(m) + share * loss(-m)

        low = promised(name, noise, flips)
        if low == math.inf:
            heights = [mean(m) for m in np.linspace(-20, 20, 81)]
            assert np.all(np.diff(heights) < 0)
            continue
        found = minimize_scalar(mean, bounds=(-20, 20), method="bounded", options={"xatol": 1e-9}).x
        flat = name == "hinge" and not flips
        assert (found >= low - 1e-6) if flat else found == pytest.approx(low, abs=2e-6)
        assert mean(low) <= mean(found) + 1e-12


def test_only_robust_dpo_falls_without_bound_and_half_of_the_labels_flipped_leave_dpo_nothing_to_learn():
    assert written_out("robust", 0.1, 1.0)(1e4) < -1e3
    assert all(written_out(name, 0.1, 1.0)(m) >= 0 for name in ("DPO", "IPO", "cDPO", "hinge") for m in (-50.0, 50.0))
    fair = minimize_scalar(lambda m: (written_out("DPO", 0.5, 1.0)(m) + written_out("DPO", 0.5, 1.0)(-m)) / 2)
    assert abs(fair.x) < 1e-4  # without the assumption that the share is below one half


@pytest.mark.parametrize("margin", [-3.0, 0.2, 40.0])
def test_the_package_s_five_losses_are_the_ones_of_the_statement(margin):
    found = {
        "DPO": dpo_loss(margin),
        "IPO": ipo_loss(margin, 0.5),
        "cDPO": cdpo_loss(margin, 0.1),
        "robust": robust_dpo_loss(margin, 0.1),
        "hinge": hinge_loss(margin),
    }
    for name, value in found.items():
        assert float(value) == pytest.approx(written_out(name, 0.1, 0.5)(margin), rel=1e-12)
