"""Vouches for "Retrain to match": by enumeration of whole answers, by autograd, by drawing N answers and keeping one.

The second opinion lists all sequences of letters, where the lab counts types.
"""

import itertools
import math
import re

import numpy as np
import pytest
import torch

from alignbook.asymptotics import aligned_letter, finite_length
from alignbook.best_of_n import best_of_n, sample_best_of_n
from alignbook.experiments import retrain_to_match as match
from alignbook.experiments.declare import starts
from alignbook.experiments.running_example import LETTER_LOG_P, LETTER_REWARD
from alignbook.gradient_estimators import at_answers, penalized_reward, rloo_advantages, score_gradient
from alignbook.information import kl_divergence
from alignbook.labs.retrain_to_match import LAB

GRID = list(itertools.product(match.LENGTH.grid, match.RATE.grid))


def last(seed=0, **changes):
    settings = starts(match.EXPERIMENT) | changes
    *_, table = match.run(settings, seed=seed)
    return table, settings


def sequences(length):
    """All answers as rows of letters, and the counts of their letters."""
    letters = np.array(list(itertools.product(range(3), repeat=length)))
    return letters, np.stack([(letters == k).sum(-1) for k in range(3)], axis=-1)


def some_laws(count=20):
    scores = np.random.default_rng(1).standard_normal((count, 3))
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


# The teacher


@pytest.mark.parametrize(("length", "rate"), GRID)
def test_the_teacher_has_the_reward_and_the_kl_of_the_exact_account(length, rate):
    taught, account = match.teacher(length, rate), finite_length(LETTER_LOG_P, LETTER_REWARD, length, rate).best_of_n
    assert taught.reward == pytest.approx(account.reward / length, rel=1e-12)
    assert taught.kl == pytest.approx(account.kl / length, rel=1e-11)
    assert taught.letter.sum() == pytest.approx(1, abs=1e-13)


def test_types_drawn_from_the_law_are_those_of_the_best_of_five_whole_answers():
    taught = match.teacher(4, math.log(5) / 4)
    _, counts = sequences(4)
    kept = counts[sample_best_of_n(counts @ LETTER_LOG_P, counts @ LETTER_REWARD, 5, 200_000, seed=3)]
    for row, log_p in zip(taught.counts, taught.log_p, strict=True):
        share, chance = np.mean((kept == row).all(-1)), math.exp(log_p)
        assert abs(share - chance) < 4.5 * math.sqrt(chance * (1 - chance) / len(kept))  # standard errors, 15 types


@pytest.mark.parametrize(("length", "rate"), GRID)
def test_the_imitator_ends_with_its_teachers_reward_for_less_kl(length, rate):
    """D(best-of-N || reference) = n D(m || reference) + D(best-of-N || m^n): the last is the dependence."""
    taught = match.teacher(length, rate)
    own = length * kl_divergence(np.log(taught.letter), LETTER_LOG_P)
    ref, copy = (np.array([math.lgamma(length + 1) - sum(math.lgamma(c + 1) for c in row) + row @ law
                           for row in taught.counts]) for law in (LETTER_LOG_P, np.log(taught.letter)))  # fmt: skip
    law = np.exp(taught.log_p)
    dependence = law @ (taught.log_p - copy)
    assert dependence > 0
    assert law @ (taught.log_p - ref) == pytest.approx(own + dependence, rel=1e-9)
    assert taught.letter @ LETTER_REWARD == taught.reward


# The steps


def test_the_average_estimate_is_autograds_gradient_of_the_objective():
    """All pairs of answers of three letters, against J / (beta n) summed over all answers."""
    letters, counts = sequences(3)
    beta, ref = 0.7, torch.tensor(LETTER_LOG_P)
    value = penalized_reward(some_laws(), LETTER_LOG_P, LETTER_REWARD / beta, 1.0)
    for log_p, own in zip(some_laws(), value, strict=True):
        pairs = np.array(list(itertools.product(range(27), repeat=2)))
        chances = np.exp(counts @ log_p)[pairs].prod(-1)
        each = match.estimate(np.tile(log_p, (len(pairs), 1)), np.tile(own, (len(pairs), 1)), 1.0 * counts[pairs])
        logits = torch.tensor(log_p, requires_grad=True)
        law = torch.log_softmax(logits, -1)
        answers = law[torch.tensor(letters)].sum(-1)
        total = torch.tensor(LETTER_REWARD)[letters].sum(-1) / beta - (answers - ref[letters].sum(-1))
        (slope,) = torch.autograd.grad((answers.exp() * total).sum() / 3, logits)
        np.testing.assert_allclose(chances @ each, slope, rtol=0, atol=1e-12)


def test_an_estimate_from_counts_is_the_one_from_the_letters_themselves():
    """Every letter with its whole answer's advantage, through the chapter's own score gradient."""
    rng = np.random.default_rng(2)
    laws = some_laws()
    letters = rng.integers(0, 3, (20, 4, 7))
    counts = (letters[..., None] == np.arange(3)).sum(-2) * 1.0
    value = penalized_reward(laws, LETTER_LOG_P, LETTER_REWARD, 1.0)
    answers = at_answers(value, letters.reshape(20, 28)).reshape(20, 4, 7).sum(-1)
    advantages = np.repeat(rloo_advantages(answers), 7, axis=-1)
    expected = score_gradient(laws, letters.reshape(20, 28), advantages)
    np.testing.assert_allclose(match.estimate(laws, value, counts), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("rate", match.RATE.grid)
def test_at_the_optimum_every_answer_is_worth_the_same_and_the_climb_has_no_noise(rate):
    goal = aligned_letter(LETTER_LOG_P, LETTER_REWARD, rate)
    value = penalized_reward(goal.log_p, LETTER_LOG_P, LETTER_REWARD / goal.beta, 1.0)
    counts = 1.0 * np.random.default_rng(0).multinomial(30, np.exp(goal.log_p), size=(256, 2))
    noise = match.estimate(np.tile(goal.log_p, (256, 1)), np.tile(value, (256, 1)), counts)
    assert np.abs(noise).max() < 1e-12


def test_imitation_stands_still_where_autograd_says_so_and_nowhere_near():
    """The mean log-probability of best-of-N's answers, over all sequences of five letters, at the teacher's letter."""
    taught = match.teacher(5, 0.3)
    letters, counts = sequences(5)
    kept = np.exp(best_of_n(counts @ LETTER_LOG_P, counts @ LETTER_REWARD, log_n=1.5))
    for shift in (0.0, 0.2):
        logits = torch.tensor(np.log(taught.letter) + shift * np.array([1.0, 0.0, -1.0]), requires_grad=True)
        score = (torch.tensor(kept) * torch.log_softmax(logits, -1)[torch.tensor(letters)].sum(-1)).sum() / 5
        (slope,) = torch.autograd.grad(score, logits)
        np.testing.assert_allclose(slope, taught.letter - np.exp(torch.log_softmax(logits, -1).tolist()), atol=1e-12)
        assert (np.abs(slope.numpy()).max() < 1e-12) == (shift == 0.0)


# The runs


@pytest.mark.parametrize(("length", "rate"), [(30, 0.1), (300, 0.1), (10, 0.3)])
def test_both_arms_end_where_the_marks_say(length, rate):
    """The average imitator, over 256 seeds and the run's second half, has the teacher's letter but for a known bias."""
    settings = starts(match.EXPERIMENT) | {"length": length, "rate": rate, "steps": 400}
    taught, goal = match.teacher(length, rate), aligned_letter(LETTER_LOG_P, LETTER_REWARD, rate)
    laws = itertools.islice(match.imitate(taught, settings, np.random.default_rng(5), "numpy"), 200, 400)
    mean = np.exp(np.stack(list(laws))).mean((0, 1))
    np.testing.assert_allclose(mean, taught.letter, rtol=0, atol=0.001)  # 256 runs of about 60 independent laws
    laws = itertools.islice(match.climb(goal, settings, np.random.default_rng(5), "numpy"), 400, None)
    assert np.quantile(kl_divergence(next(laws), goal.log_p), 0.95) < 1e-5


def test_longer_answers_bring_the_imitator_to_the_optimum():
    ends = []
    for length in match.LENGTH.grid:
        letter = match.teacher(length, 0.1).letter
        ends.append(float(kl_divergence(np.log(letter), aligned_letter(LETTER_LOG_P, LETTER_REWARD, 0.1).log_p)))
    assert ends == sorted(ends, reverse=True)
    assert ends[-1] < 2e-4
    assert ends[0] > 0.04


@pytest.mark.parametrize("seed", range(3))
def test_the_answer_holds_for_other_seeds_and_the_climb_ends_without_a_band(seed):
    table, settings = last(seed)
    assert match.end_of_imitation(table, settings) == 1
    spread = {name: high - low for name, low, high in zip(table["name"], table["kl low"], table["kl high"], strict=True)
              if low is not None}  # fmt: skip
    assert spread["policy gradient"] < 0.005 < 0.05 < spread["imitation"]


def test_the_question_states_the_start_and_the_tries_their_draws():
    settings = starts(match.EXPERIMENT)
    question = match.EXPERIMENT.prediction.question
    length, draws = (int(re.search(pattern, question)[1]) for pattern in (r"have (\d+) letters", r"Best-of-(\d+)"))
    assert (length, draws) == (settings["length"], round(math.exp(settings["length"] * settings["rate"])))
    said = {label: settings for label, settings in LAB.tries}
    few = said["Three letters, 1.09 draws"]
    assert round(math.exp(few["length"] * few["rate"]), 2) == 1.09
    assert said["Ten times as long"]["length"] == 10 * settings["length"]


def test_every_outcome_of_the_comparison_has_its_option():
    columns = ("part", "name", "gain", "kl")
    for (gain, kl), place in {(0.4, 1): 0, (0.5, 0.8): 1, (0.5, 1.0): 2, (0.5, 1.2): 3, (0.6, 1): 4}.items():
        rows = [("end", match.TEACHER, 0.5, 1.0), ("course", "imitation", gain, kl)]
        table = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
        assert match.end_of_imitation(table, {}) == place
