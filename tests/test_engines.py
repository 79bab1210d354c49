"""Vouches that one source serves every engine: same values, kept type and device, batches, and torch's autograd.

Every public function of the lower floors stands in CALLS; a new one without an entry fails here. On all engines it sees
the same data: numpy's draws, moved. Answers of probability 0, ties and several scalars at once are among them.
"""

import inspect
import itertools
import math
from typing import Any, NamedTuple

import array_api_compat
import numpy as np
import pytest
import torch

from alignbook import (
    arrays,
    asymptotics,
    behaviors,
    best_of_n,
    dynamics,
    gradient_estimators,
    information,
    kl_estimators,
    losses,
    policies,
    policy_gradient,
    preferences,
    tilting,
    type_classes,
)

MODULES = (arrays, information, tilting, best_of_n, preferences, behaviors, losses, policies, dynamics)
MODULES += (type_classes, asymptotics, gradient_estimators, kl_estimators, policy_gradient)
NOT_NUMERIC = {"namespace", "engines", "to_engine", "as_arrays", "per_law", "is_floating"}  # tests/test_arrays.py
NOT_NUMERIC |= {"letter_counts"}  # takes no array: tests/test_policies.py
NOT_NUMERIC |= {"types", "number_of_types"}  # take no array: tests/test_type_classes.py
NOT_NUMERIC |= {"gaussian_noise", "laplace_noise"}  # numpy's draws, not yet moved: tests/test_behaviors.py


class Inputs(NamedTuple):
    """The leaves every call is made of; laws are softmaxes, so that a derivative stays among laws."""

    p_logits: Any
    q_logits: Any
    reward: Any
    beta: Any
    order: Any

    @property
    def p(self):
        """The policy."""
        return arrays.log_softmax(self.p_logits)

    @property
    def q(self):
        """The other law, or the reference."""
        return arrays.log_softmax(self.q_logits)


def snapshot(x, noise):
    run = policy_gradient.gradient_ascent(
        x.q, x.reward, x.beta, x.order / 10, start_logits=x.p_logits, noise=noise, seed=3
    )
    return next(itertools.islice(run, 4, None))[1:]


def group(x):
    """Five sampled answers, the same for every law, all of them possible."""
    device = array_api_compat.device(x.reward)
    return arrays.namespace(x.reward).asarray([0, 3, 0, 4, 3], device=device)


def sampled_snapshot(x):
    def rloo(log_p, samples):
        penalized = gradient_estimators.penalized_reward(log_p, x.q, x.reward, x.beta)
        advantages = gradient_estimators.rloo_advantages(gradient_estimators.at_answers(penalized, samples))
        return gradient_estimators.score_gradient(log_p, samples, advantages)

    run = policy_gradient.stochastic_gradient_ascent(
        rloo, x.q, x.reward, x.beta, x.order / 10, group_size=4, start_logits=x.p_logits, seed=3
    )
    return next(itertools.islice(run, 4, None))[1:]


def features(x):
    """Five features of five answers, the same for every law."""
    given = np.random.default_rng(1).standard_normal((ANSWERS, ANSWERS))
    return arrays.namespace(x.reward).asarray(given, dtype=x.reward.dtype, device=array_api_compat.device(x.reward))


def counts(x):
    """The types of two letters' sequences out of five, as many as answers."""
    device = array_api_compat.device(x.reward)
    return arrays.namespace(x.reward).asarray(type_classes.types(ANSWERS, 2)[:ANSWERS], device=device)


def sizes(x):
    """The sizes of these types beside the reward: counts alone have no dtype to keep."""
    return x.reward + arrays.namespace(x.reward).astype(type_classes.log_class_size(counts(x)), x.reward.dtype)


def chain(x):
    """A chain of five letters, each following each."""
    return arrays.log_softmax(features(x) + x.reward[..., None, :] / 4)


def tilted(x):
    """A tilted chain's parts, of the transitions one row."""
    found = asymptotics.tilted_chain(chain(x), x.reward[..., None, :], x.order)
    return found.log_transition[..., 1, :], *found[1:]


def whole_answers(x):
    """Accounts and divergences of answers of four letters."""
    found = asymptotics.finite_length(x.q, x.reward, 4, x.order / 20)
    return *found.tilt, *found.best_of_n, *found[2:4], *found.scaled_cumulants(0.5)


def gaussian_answers(x):
    """Accounts and divergence of answers of many Gaussian letters."""
    found = asymptotics.gaussian_finite_length(40 * x.order, x.beta / 10)
    return *found.tilt, *found.best_of_n, found.kl_best_of_n_to_tilt


def wins(x):
    """A table of wins with every answer met, and more wins for higher rewards."""
    xp = arrays.namespace(x.reward)
    own = xp.eye(ANSWERS, dtype=x.reward.dtype, device=array_api_compat.device(x.reward))
    return (4 + x.reward[..., :, None] - x.reward[..., None, :]) * (1 - own)


def fit(x):
    """A fit's parts, of tables one row."""
    found = preferences.fit_bradley_terry(wins(x), prior_variance=x.beta)
    return found.reward, found.covariance[..., 0, :], found.standard_error[..., 0, :], found.log_likelihood


def comparisons(x):
    pairs = preferences.sample_pairs(x.q, ANSWERS, seed=1)
    return preferences.sample_preferences(x.reward, pairs, label_noise=x.order / 10, seed=1)


def statements(x):
    """Six statements in five features, three of a label, around the reward and its negative."""
    xp = arrays.namespace(x.reward)
    labels = xp.ones_like(x.reward[..., :3])
    rows = xp.concat(
        [features(x)[:3, :] + x.reward[..., None, :], features(x)[1:4, :] - x.reward[..., None, :]], axis=-2
    )
    return rows, xp.concat([labels, -labels], axis=-1)


def clouds(x):
    """One behavior of five noisy statements, of which the first is given, with all labels."""
    data = behaviors.behaviors(x.reward[..., None, :], x.order / 10, num_statements=5, label_noise=0.2, seed=6)
    return data.embeddings[..., 0, 0, :], data.labels[..., 0, :]


def descent(x):
    """The end of a short training on three of the features, as directions of pairs."""
    run = dynamics.dpo_descent(features(x)[..., :3, :], x.beta, x.order / 10)
    shot = next(itertools.islice(run, 4, None))
    return shot.time, shot.theta[..., 0], shot.theta[..., 1], shot.margin[..., 0]


def head(x, train, **options):
    """The end of a short training of a head on two behaviors, from a boundary of its own."""
    rows, labels = statements(x)
    data = behaviors.Behaviors(rows[..., None, :, :], labels[..., None, :])
    run = train(data, x.beta / 4, x.order / 100, boundary=features(x)[4, :] / 10, **options)
    return of_statements(next(itertools.islice(run, 4, None)))


def of_statements(shot):
    """A snapshot's parts, of what has a row for each statement the first."""
    parts = (shot.time, shot.weight_change, shot.change[..., 0], shot.margin[..., 0, 0])
    return (*parts, shot.loss[..., 0], shot.reward_accuracy[..., 0], shot.policy_accuracy[..., 0])


def held_out(x):
    """How a head that is as it is does on the statements."""
    rows, labels = statements(x)
    data = behaviors.Behaviors(rows[..., None, :, :], labels[..., None, :])
    return of_statements(dynamics.evaluate(features(x)[4, :] + 0 * x.reward, data, x.beta / 4, time=x.order))


def two_layers(x):
    """The end of a short training of a head on three hidden units and of the features below it."""
    layers = {"head": x.reward[..., :3], "features": features(x)[:3, :]}
    run = dynamics.two_layer_descent(*statements(x), x.beta / 4, x.order / 100, **layers)
    shot = next(itertools.islice(run, 4, None))
    return shot.time, shot.head[..., 0], shot.features[..., 0, 0], shot.margin[..., 0], shot.log_odds[..., 0]


CALLS = {
    "logsumexp": lambda x: arrays.logsumexp(x.p_logits),
    "log_mean_exp": lambda x: arrays.log_mean_exp(x.p, x.reward),
    "log_softmax": lambda x: arrays.log_softmax(x.p_logits),
    "log_sigmoid": lambda x: arrays.log_sigmoid(30 * x.reward),
    "log1mexp": lambda x: arrays.log1mexp(-x.beta),
    "log_normal_cdf": lambda x: arrays.log_normal_cdf(5 * x.reward - 20),
    "masked": lambda x: arrays.masked(x.reward, x.p > -math.inf),
    "draw": lambda x: arrays.draw(x.p, x.order / 4),
    "tie_ranges": lambda x: arrays.tie_ranges(x.reward),
    "entropy": lambda x: information.entropy(x.p),
    "cross_entropy": lambda x: information.cross_entropy(x.p, x.q),
    "kl_divergence": lambda x: information.kl_divergence(x.p, x.q),
    "kl_from_log_ratio": lambda x: information.kl_from_log_ratio(
        x.q, x.reward - arrays.log_mean_exp(x.q, x.reward)[..., None]
    ),
    "renyi_divergence": lambda x: information.renyi_divergence(x.p, x.q, x.order),
    "renyi_cross_entropy": lambda x: information.renyi_cross_entropy(x.p, x.q, x.order),
    "expectation": lambda x: information.expectation(x.p, x.reward),
    "variance": lambda x: information.variance(x.p, x.reward),
    "win_rate": lambda x: information.win_rate(x.p, x.q, x.reward),
    "log_partition": lambda x: tilting.log_partition(x.q, x.reward, x.beta),
    "tilt": lambda x: tilting.tilt(x.q, x.reward, x.beta),
    "condition_on_best": lambda x: tilting.condition_on_best(x.q, x.reward),
    "max_kl": lambda x: tilting.max_kl(x.q, x.reward),
    "objective": lambda x: tilting.objective(x.p, x.q, x.reward, x.beta),
    "near_optimality_gap": lambda x: tilting.near_optimality_gap(x.p, x.q, x.reward, x.beta),
    "tilt_to_kl": lambda x: tilting.tilt_to_kl(x.q, x.reward, x.order / 10),
    "best_of_n": lambda x: best_of_n.best_of_n(x.q, x.reward, 9 * x.order),
    "best_of_n by its log": lambda x: best_of_n.best_of_n(x.q, x.reward, log_n=x.order),
    "soft_best_of_n": lambda x: best_of_n.soft_best_of_n(x.q, x.reward, 2 * x.order, x.beta),
    "sample_best_of_n by noise": lambda x: best_of_n.sample_best_of_n(x.q, x.reward, 3, ANSWERS),
    "kl_upper_bound": lambda x: best_of_n.kl_upper_bound(2 * x.order),
    "win_rate_upper_bound": lambda x: best_of_n.win_rate_upper_bound(log_n=x.order),
    "kl_estimate": lambda x: best_of_n.kl_estimate(x.q, log_n=x.order[..., None]),
    "best_win_rate": lambda x: best_of_n.best_win_rate(x.order),
    "log_kl_to_best_of_n": lambda x: best_of_n.log_kl_to_best_of_n(x.q, x.q, x.reward, 2 + x.order),
    "log_class_size": sizes,
    "log_class_probability": lambda x: type_classes.log_class_probability(x.q, counts(x)),
    "log_mgf": lambda x: asymptotics.log_mgf(x.q, x.reward, x.order - 1),
    "scaled_cumulant": lambda x: asymptotics.scaled_cumulant(x.q, x.reward, 1 - x.order),
    "rate_function": lambda x: asymptotics.rate_function(x.q, x.reward, x.order / 10 + 1),
    "markov_log_mgf": lambda x: asymptotics.markov_log_mgf(chain(x), x.reward[..., None, :], 1 - x.order),
    "tilted_chain": tilted,
    "aligned_letter": lambda x: asymptotics.aligned_letter(x.q, x.reward, x.order / 10),
    "bahadur_rao": lambda x: asymptotics.bahadur_rao(x.q, x.reward, 9 * x.order, 2.2, 1.0),
    "limits": lambda x: asymptotics.limits(x.q, x.reward, x.order / 10)[4:],
    "finite_length": whole_answers,
    "gaussian_finite_length": gaussian_answers,
    "refined_gap": lambda x: asymptotics.refined_gap(900.0, x.order, x.beta),
    "lattice_gap": lambda x: asymptotics.lattice_gap(900.0, x.order, x.beta, 1.0, x.beta),
    "fixed_n_limits": lambda x: asymptotics.fixed_n_limits(1 + x.order),
    "bradley_terry": lambda x: preferences.bradley_terry(x.reward, x.reward**2 / 10),
    "sample_pairs by noise": lambda x: preferences.sample_pairs(x.q, ANSWERS),
    "sample_preferences by noise": comparisons,
    "win_counts by noise": lambda x: preferences.win_counts(comparisons(x), ANSWERS)[..., 0, :],
    "has_finite_fit": lambda x: preferences.has_finite_fit(wins(x) - 3),
    "fit_bradley_terry": fit,
    "behaviors by noise": clouds,
    "two_differences": lambda x: behaviors.two_differences(x.beta, x.order, x.reward[..., 0], ANSWERS)[..., 1, :],
    "mean_difference": lambda x: behaviors.mean_difference(*statements(x)),
    "distinguishability": lambda x: behaviors.distinguishability(*statements(x)),
    "concentration": lambda x: behaviors.concentration(*statements(x)),
    "priority_level": lambda x: behaviors.priority_level(x.reward, features(x)[0, :]),
    "permuted_distinguishability by noise": lambda x: behaviors.permuted_distinguishability(
        *statements(x), ANSWERS, seed=2
    ),
    "corrected_distinguishability": lambda x: behaviors.corrected_distinguishability(*statements(x)),
    "implicit_reward": lambda x: losses.implicit_reward(x.reward, x.reward**2 / 10, x.beta[..., None]),
    "reward_margin": lambda x: losses.reward_margin(x.reward, x.reward**2 / 10, 1.0, -x.reward, x.beta[..., None]),
    "dpo_loss": lambda x: losses.dpo_loss(30 * x.reward - 40),
    "ipo_loss": lambda x: losses.ipo_loss(x.reward, x.beta[..., None]),
    "cdpo_loss": lambda x: losses.cdpo_loss(x.reward, x.order[..., None] / 10),
    "robust_dpo_loss": lambda x: losses.robust_dpo_loss(x.reward, x.order[..., None] / 10),
    "hinge_loss": lambda x: losses.hinge_loss(x.reward - 0.5),
    "dpo_slope": lambda x: losses.dpo_slope(30 * x.reward - 40),
    "ipo_slope": lambda x: losses.ipo_slope(x.reward, x.beta[..., None]),
    "cdpo_slope": lambda x: losses.cdpo_slope(x.reward, x.order[..., None] / 10),
    "robust_dpo_slope": lambda x: losses.robust_dpo_slope(x.reward, x.order[..., None] / 10),
    "hinge_slope": lambda x: losses.hinge_slope(x.reward - 0.5),
    "softmax_policy": lambda x: policies.softmax_policy(x.p_logits),
    "softmax": lambda x: policies.softmax(x.p_logits),
    "pull_back": lambda x: policies.pull_back(policies.softmax(x.p_logits), x.reward),
    "log_linear_policy": lambda x: policies.log_linear_policy(x.q, features(x), x.reward / 2),
    "last_layer_policy": lambda x: policies.last_layer_policy(features(x), x.reward[..., None, :])[..., 0, :],
    "two_layer_policy": lambda x: policies.two_layer_policy(features(x), features(x), x.reward[..., None, :])[
        ..., 0, :
    ],
    "pull_back_to_parameters": lambda x: policies.pull_back_to_parameters(features(x), x.reward),
    "unigram_policy": lambda x: policies.unigram_policy(x.reward[..., :3], 2)[..., :ANSWERS],
    "sample_answers": lambda x: gradient_estimators.sample_answers(x.p, (ANSWERS,), 3),
    "inverse_cdf": lambda x: gradient_estimators.inverse_cdf(x.p, np.array([0.0, 0.1, 0.5, 0.8, 0.99])),
    "at_answers": lambda x: gradient_estimators.at_answers(x.p, group(x)),
    "penalized_reward": lambda x: gradient_estimators.penalized_reward(x.p, x.q, x.reward, x.beta),
    "mean_baseline_advantages": lambda x: gradient_estimators.mean_baseline_advantages(x.reward),
    "rloo_advantages": lambda x: gradient_estimators.rloo_advantages(x.reward),
    "grpo_advantages": lambda x: gradient_estimators.grpo_advantages(x.reward),
    "score_gradient": lambda x: gradient_estimators.score_gradient(x.p, group(x), x.reward),
    "clipped_surrogate": lambda x: gradient_estimators.clipped_surrogate(
        x.p, x.q, group(x), x.reward - 1.5, x.order / 10
    ),
    "clipped_surrogate_gradient": lambda x: gradient_estimators.clipped_surrogate_gradient(
        x.p, x.q, group(x), x.reward - 1.5, x.order / 10
    ),
    "k1": lambda x: kl_estimators.k1(x.reward / 3),
    "k2": lambda x: kl_estimators.k2(x.reward / 3),
    "k3": lambda x: kl_estimators.k3(x.reward / 3),
    "k1_slope": lambda x: kl_estimators.k1_slope(x.reward / 3),
    "k2_slope": lambda x: kl_estimators.k2_slope(x.reward / 3),
    "k3_slope": lambda x: kl_estimators.k3_slope(x.reward / 3),
    "largest_stable_rate": lambda x: policy_gradient.largest_stable_rate(x.q, x.reward, x.beta),
    "stochastic_gradient_ascent (noise)": lambda x: sampled_snapshot(x),
    "objective_gradient": lambda x: policy_gradient.objective_gradient(x.p, x.q, x.reward, x.beta),
    "gradient_ascent": lambda x: snapshot(x, 0.0),
    "gradient_ascent with noise": lambda x: snapshot(x, 0.5),
    "dpo_descent": descent,
    "gradient_descent": lambda x: head(x, dynamics.gradient_descent, max_norm=0.1),
    "gradient_descent of batches": lambda x: head(x, dynamics.gradient_descent, batch_size=4, seed=2),
    "adam": lambda x: head(x, dynamics.adam),
    "evaluate": held_out,
    "noise_free_margin": lambda x: dynamics.noise_free_margin(x.order, x.beta, 0.5 + x.reward[..., 0]),
    "noise_free_loss": lambda x: dynamics.noise_free_loss(x.order, x.beta, 0.5 + x.reward[..., 0]),
    "noise_free_weight_change": lambda x: dynamics.noise_free_weight_change(x.order, x.beta, 0.5 + x.reward[..., 0]),
    "peak_time": lambda x: dynamics.peak_time(x.beta, x.order),
    "gaussian_reward_accuracy": lambda x: dynamics.gaussian_reward_accuracy(x.order, x.beta),
    "gaussian_policy_accuracy": lambda x: dynamics.gaussian_policy_accuracy(
        x.order, 0.5 + x.reward[..., 0], x.beta, 0.7
    ),
    "bayes_head": lambda x: dynamics.bayes_head(0.5 + x.reward[..., 0], x.order, x.beta),
    "gaussian_flow": lambda x: dynamics.gaussian_flow(5 * x.order, x.beta, 1 + x.reward[..., 0], 0.5),
    "normal_cdf": lambda x: dynamics.normal_cdf(x.reward - 1.5),
    "weight_change_bound": lambda x: dynamics.weight_change_bound(x.order, x.beta, 0.5 + x.reward[..., 0]),
    "linear_regime_error": lambda x: dynamics.linear_regime_error(x.order, x.beta, 0.5 + x.reward[..., 0]),
    "off_course": lambda x: dynamics.off_course(x.order, x.beta, 1 + x.reward[..., 0], 0.3, finite_sample_gap=0.1),
    "accuracy_lower_bound": lambda x: dynamics.accuracy_lower_bound(
        x.order, x.beta, 1 + x.reward[..., 0], 0.5, 0.3, boundary_length=0.01
    ),
    "waiting_time": lambda x: dynamics.waiting_time(0.6, x.beta, 2 + x.order, 0.5, 0.3, boundary_length=0.01),
    "two_layer_descent": two_layers,
    "two_layer_balance": lambda x: dynamics.two_layer_balance(x.reward[..., :3], features(x)[:3, :])[..., 0, 1],
    "two_layer_flow": lambda x: dynamics.two_layer_flow(
        5 * x.order, x.beta, 2.0, head=x.reward[..., 0], feature=x.reward[..., 1], flipped=True
    ),
}
NOT_DIFFERENTIABLE = {  # places in an order, indices of answers, their counts, root finders, eigenvectors, a constant
    "draw",
    "sample_answers",
    "inverse_cdf",
    "k1_slope",
    "tie_ranges",
    "tilt_to_kl",
    "sample_best_of_n by noise",
    "aligned_letter",
    "tilted_chain",
    "limits",
    "finite_length",
    "bahadur_rao",
    "best_win_rate",
    "sample_pairs by noise",
    "sample_preferences by noise",
    "win_counts by noise",
    "has_finite_fit",
    "fit_bradley_terry",
    "two_layer_flow",
    "gaussian_flow",
    "noise_free_margin",
    "noise_free_loss",
    "noise_free_weight_change",
    "waiting_time",
}
# of the reward only the order counts, or on which side of one it lies: a step function
BY_ORDER = {"win_rate", "condition_on_best", "max_kl", "best_of_n", "best_of_n by its log", "hinge_slope"}
BY_ORDER |= {"log_kl_to_best_of_n"}
ANSWERS, BATCH = 5, (4, 3)


def leaves():
    """A batch of four settings by three laws: rows of settings, columns of laws."""
    rng = np.random.default_rng(0)
    p, q = rng.standard_normal((2, 3, ANSWERS))
    p[0, 1] = p[1, 2] = q[1, 2] = -np.inf  # never given by the policy; by neither
    reward = rng.integers(0, 4, (3, ANSWERS)).astype(float)
    return Inputs(p, q, reward, 0.25 + rng.random((4, 1)), np.array([[0.5], [1.0], [2.0], [3.5]]))


def on(engine, dtype="float64"):
    return Inputs(*(arrays.to_engine(leaf, engine, dtype) for leaf in leaves()))


def parts(result):
    """The arrays of a result, which may be a tuple of them."""
    return list(result) if isinstance(result, tuple) else [result]


def as_numpy(array):
    return np.asarray(array.cpu() if isinstance(array, torch.Tensor) else array)


def belongs_to(member, module):
    """A module's own members; a package's may stand in its files."""
    return f"{member.__module__}.".startswith(f"{module.__name__}.")


def test_every_public_function_of_the_lower_floors_is_run_here():
    public = {
        name
        for module in MODULES
        for name, member in vars(module).items()
        if inspect.isfunction(inspect.unwrap(member)) and belongs_to(member, module) and name[0] != "_"
    }
    assert public - NOT_NUMERIC == {name.split()[0] for name in CALLS}


@pytest.mark.parametrize("name", CALLS)
def test_every_engine_gives_numpys_values_and_keeps_type_and_device(name, engine):
    expected, found = parts(CALLS[name](leaves())), parts(CALLS[name](on(engine)))
    for want, got in zip(expected, found, strict=True):
        np.testing.assert_allclose(as_numpy(got), want, rtol=1e-12, atol=1e-12)
        assert as_numpy(got).dtype == want.dtype
        assert array_api_compat.device(got) == array_api_compat.device(on(engine).reward)


@pytest.mark.parametrize("name", CALLS)
def test_single_precision_stays_single_on_every_engine(name, engine):
    # the same rounded data in double precision; single keeps 7 digits, of which a difference of terms may lose two
    rounded = Inputs(*(as_numpy(leaf).astype(np.float64) for leaf in on("numpy", "float32")))
    for want, got in zip(parts(CALLS[name](rounded)), parts(CALLS[name](on(engine, "float32"))), strict=True):
        np.testing.assert_allclose(as_numpy(got), want, rtol=1e-5, atol=1e-5)
        if want.dtype == np.float64:
            assert as_numpy(got).dtype == np.float32


@pytest.mark.parametrize("name", [name for name in CALLS if "noise" not in name])
def test_a_batch_is_its_rows_one_by_one(name):
    x = leaves()
    whole = parts(CALLS[name](x))
    for i, j in np.ndindex(*BATCH):
        row = Inputs(*(leaf[i, 0] if leaf.shape == (4, 1) else leaf[j] for leaf in x))
        for batched, single in zip(whole, parts(CALLS[name](row)), strict=True):
            per_answer = batched.shape[-1:] == (ANSWERS,)
            batch = batched.shape[: batched.ndim - per_answer]
            assert batch in {BATCH, (3,), (4, 1)}
            entry = np.broadcast_to(batched, BATCH + batched.shape[len(batch) :])[i, j]
            np.testing.assert_allclose(entry, single, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.array(2.0), torch.tensor(2.0, dtype=torch.float64)])
def test_a_scalar_may_be_any_kind_of_number(number):
    x = on("torch-cpu" if isinstance(number, torch.Tensor) else "numpy")
    expected = tilting.tilt(x.q, x.reward, 0 * x.beta + 2)[0]
    np.testing.assert_allclose(tilting.tilt(x.q, x.reward, number), expected, rtol=0, atol=1e-15)


def gradcheck(function, inputs):
    """Autograd against central differences with step 1e-6: these are good to 1e-9 of values of order 1."""
    inputs = [leaf.clone().requires_grad_() for leaf in inputs]
    return torch.autograd.gradcheck(function, inputs, eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in CALLS if name not in NOT_DIFFERENTIABLE])
def test_autograd_agrees_with_finite_differences(name):
    x = on("torch-cpu")
    x = x._replace(order=x.order[2:] + 0.25 * (x.order[2:] > 3), beta=x.beta[2:])  # away from order 1: see below

    def finite_parts(*tensors):
        given = Inputs(*tensors)
        held = parts(CALLS[name](given._replace(reward=x.reward) if name in BY_ORDER else given))
        return tuple(torch.where(torch.isfinite(part), part, 0.0) for part in held if part.requires_grad)

    assert gradcheck(finite_parts, x)


@pytest.mark.parametrize("order", [0.0, 1.0, math.inf])
def test_autograd_passes_the_limits_of_the_order(order):
    x = on("torch-cpu")

    def both(p_logits, q_logits):
        p, q = arrays.log_softmax(p_logits), arrays.log_softmax(q_logits)
        divergence = information.renyi_divergence(p, q, order)
        return divergence, information.renyi_cross_entropy(p, q, min(order, 2.0))

    assert gradcheck(both, x[:2])


def test_no_gradient_is_nan_where_a_divergence_is_infinite():
    logits = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    law = arrays.log_softmax(logits)
    hole = torch.tensor([math.log(0.5), math.log(0.5), -math.inf], dtype=torch.float64)
    for divergence in (information.kl_divergence(law, hole), information.cross_entropy(law, hole)):
        assert float(divergence.detach()) == math.inf
        (gradient,) = torch.autograd.grad(divergence, logits, retain_graph=True)
        assert not torch.any(torch.isnan(gradient))
