"""Checks for the exercises on Rényi's measures, tilts and types."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from alignbook.exercises.verdict import Verdict, forgiving, known_mistake, right, wrong
from alignbook.experiments.running_example import LETTER_LOG_P, LETTER_REWARD, STEP_LOG_P, STEP_REWARD
from alignbook.information import entropy, kl_divergence, renyi_cross_entropy
from alignbook.type_classes import log_class_probability, types

SAMPLES = (list("aabc"), list("abcdeabcde"), ["Canberra"] * 6 + ["Sydney", "Canberra!"])


@forgiving
def check_agreement(count: float) -> Verdict:
    """Check among how many equally likely letters two agree as often as two of good, fair, poor."""
    agree = float(np.sum(np.exp(2 * LETTER_LOG_P)))
    mistakes = {
        agree: "That is the chance that two letters agree. Among k equally likely ones it is 1/k.",
        -math.log(agree): "That is the entropy of order 2, in nats: exponentiate it.",
        math.exp(
            float(entropy(LETTER_LOG_P))
        ): "That is order 1, the exponential of the entropy. Two draws ask order 2.",
        2.0: "That is the order inf, one over the largest chance. Sum the chances of agreeing on each letter.",
    }
    if words := known_mistake(count, mistakes):
        return wrong(words)
    if not math.isclose(count, 1 / agree, rel_tol=1e-3):
        return wrong(f"Two of so many agree with chance {1 / count:.4g}; here it is 0.2² + 0.5² + 0.3².")
    return right("0.38 = 1/2.63: by pairs that agree, the three letters count as 2.63.")


@forgiving
def check_rate(rate: float) -> Verdict:
    """Check how fast 60 percent of right steps become rare where three in ten are right."""
    often, law = np.log([0.6, 0.4]), STEP_LOG_P
    answer = float(kl_divergence(often, law))
    mistakes = {
        float(kl_divergence(law, often)): "You exchanged the laws: it is the divergence of 0.6 from 0.3.",
        answer / math.log(2): "That is in bits: use natural logarithms.",
        -answer: "The chance falls as e to the minus n times the rate: the rate is positive.",
        0.6 * math.log(2): "You counted the right steps alone. The wrong ones are rarer too: add 0.4 log(0.4/0.7).",
        2 * 0.3**2: "That is Pinsker's bound on it, half the square of 0.6.",
    }
    if words := known_mistake(rate, mistakes, rel_tol=2e-3):
        return wrong(words)
    if not math.isclose(rate, answer, abs_tol=1e-3):
        return wrong("It is the divergence from (0.3, 0.7) of the nearest law with 0.6 of right steps at least.")
    return right(
        "An answer of 100 steps has 60 right ones about once in e to the 19, but for a factor that grows slowly."
    )


@forgiving
def check_count(my_count: Callable[[Sequence[str]], float]) -> Verdict:
    """Check a reader's estimate, from samples, of the number of equally likely answers that agree as often."""
    for samples in SAMPLES:
        size, counts = len(samples), np.array(list(Counter(samples).values()))
        mine, answer = my_count(samples), size * (size - 1) / np.sum(counts * (counts - 1))
        if math.isclose(mine, answer, rel_tol=1e-9):
            continue
        mistakes = {
            size**2 / np.sum(counts**2): "You let a sample agree with itself. Count pairs of different samples alone.",
            1 / answer: "That is the share of pairs that agree: turn it over.",
            math.log(answer): "That is the entropy of order 2, in nats: exponentiate it.",
            len(counts): "That is how many different ones were seen, order 0 of the samples.",
        }
        known = known_mistake(mine, mistakes)
        return wrong(known or f"Of the {size * (size - 1) // 2} pairs in {samples}, count those that agree.")
    if my_count(list("abc")) != math.inf:
        return wrong("Where no pair agrees the estimate is inf: so few samples have no upper bound to offer.")
    return right(
        "The share of pairs that agree is an unbiased estimate of the chance to agree, for any number of samples."
    )


@forgiving
def check_kept(my_letter: Callable) -> Verdict:
    """Check a reader's law of a letter, given that a sequence's mean reward is high."""
    for log_p, reward, length, mean in (
        (LETTER_LOG_P, LETTER_REWARD, 12, -0.9),
        (STEP_LOG_P, STEP_REWARD, 10, 0.6),
    ):
        counts = types(len(log_p), length)
        total = counts @ reward
        mine = np.asarray(my_letter(log_p, reward, length, mean), dtype=float)
        within, beyond = total >= length * mean - 1e-9, total > length * mean + 1e-9
        answer = _mean_share(log_p, counts[within])
        if mine.shape == answer.shape and np.allclose(mine, answer, rtol=0, atol=1e-8):
            continue
        if np.allclose(np.exp(mine), answer, rtol=0, atol=1e-8):
            return wrong("These are logarithms; return probabilities.")
        if np.allclose(mine, np.mean(counts[within], axis=0) / length):
            return wrong("You gave all types one weight. They are not equally likely: log_class_probability.")
        if np.allclose(mine, _mean_share(log_p, counts[beyond])):
            return wrong("A mean reward of exactly `mean` counts too, and sums of floats need a tolerance.")
        if np.allclose(mine, answer * np.sum(np.exp(log_class_probability(log_p, counts[within])))):
            return wrong("Divide by the chance of the half-space: these shares do not sum to one.")
        return wrong(f"At length {length} and mean {mean} the first letter has {answer[0]:.4f}; yours {_first(mine)}.")
    return right("By types, a sum over all sequences in no time.")


@forgiving
def check_rivals(first: Sequence[float], second: Sequence[float]) -> Verdict:
    """Check two laws of which one is more diverse at order 1/2 and the other at order 2."""
    for name, law in (("first", first), ("second", second)):
        if np.any(np.asarray(law) < 0) or not math.isclose(float(np.sum(law)), 1, abs_tol=1e-9):
            return wrong(f"The {name} is no law: chances of at least 0 that sum to one.")
    half, two = ([_renyi(law, order) for law in (first, second)] for order in (0.5, 2.0))
    if half[0] < half[1] and two[0] > two[1]:
        return wrong("They do disagree, the other way round: name the one with more rare answers first.")
    said = f"at order 1/2 the entropies are {half[0]:.4f} and {half[1]:.4f}, at order 2 {two[0]:.4f} and {two[1]:.4f}."
    if not (half[0] > half[1] + 1e-6 and two[0] < two[1] - 1e-6):
        return wrong(f"Both orders prefer the same law, or tie: {said}")
    return right(f"No order is the one that is right: {said}")


def _mean_share(log_p: np.ndarray, counts: np.ndarray) -> np.ndarray:
    chances = log_class_probability(log_p, counts)
    return np.exp(chances - np.logaddexp.reduce(chances)) @ counts / counts[0].sum()


def _renyi(law: Sequence[float], order: float) -> float:
    log_p = np.log(np.asarray([mass for mass in law if mass > 0], dtype=float))
    return float(renyi_cross_entropy(log_p, log_p, order))


def _first(values: np.ndarray) -> str:
    return f"{float(np.ravel(values)[0]):.4f}"
