"""Checks for the exercises on best-of-N and the optimum of long answers."""

import math
from collections.abc import Callable

import numpy as np

from alignbook.asymptotics import fixed_n_limits
from alignbook.best_of_n import best_of_n
from alignbook.exercises.verdict import Verdict, forgiving, known_mistake, right, wrong
from alignbook.information import expectation, kl_divergence
from alignbook.tilting import tilt_to_kl
from alignbook.type_classes import log_class_probability, types

TRICK_LOG_P = np.log([0.49, 0.5, 0.01])  # right, wrong, trick
LEARNED, TRUTH = np.array([1.0, 0.0, 3.0]), np.array([1.0, 0.0, -4.0])
TRICK_DRAWS, LONGEST = 16, 3000


@forgiving
def check_growth(nats: float) -> Verdict:
    """Check by how much the gap grows from n letters to 100 n."""
    slips = {
        math.log(100): "The gap holds half a logarithm of n: a ratio of widths, and widths grow like the root of n.",
        0.0: "A letter's share vanishes; this is the divergence of whole answers.",
        1.0: "That is a logarithm to the base 10; nats are natural.",
        math.log(10) / math.log(2): "That is in bits: multiply by log 2.",
        100.0: "It is the logarithm of n that enters, not n.",
    }
    if words := known_mistake(nats, slips, abs_tol=1e-3):
        return wrong(words)
    if not math.isclose(nats, math.log(10), abs_tol=1e-3):
        return wrong("Take the difference of the formula at 100 n and at n: everything else cancels.")
    return right("Nothing of the letters is left in it: a hundredfold length costs log 10 nats, wherever you start.")


@forgiving
def check_power(power: float) -> Verdict:
    """Check the power of N with which the reverse divergence grows for Gaussian letters."""
    slips = {
        1.0: "That is N times a probability of one: how often does a draw of the reference beat one of the tilt?",
        0.25: "A quarter of a squared v squared; divide by the rate, which is half of that.",
        -0.5: "That is the exponent of the chance that the reference's draw wins; N such draws are made.",
        2.0: "The growth rate is half of the rate, not twice it.",
        0.75: "The tilt between the two is at a/2: 2 Lambda(a/2) is a quarter of a squared v squared.",
    }
    if words := known_mistake(power, slips):
        return wrong(words)
    if not math.isclose(power, 0.5, rel_tol=1e-3):
        return wrong("Write the rate, 2 Lambda(a/2) and Lambda(a) in units of a squared v squared, and divide.")
    return right("The square root of N, in the exponent: draws that make best-of-N good make it brittle.")


@forgiving
def check_share(my_share: Callable) -> Verdict:
    """Check a reader's share of the best possible gain that N draws get, however long the answers."""
    for draws in (2, 4, 2.5, 64, 256):
        limit = fixed_n_limits(draws)
        answer, mine = float(limit.gain_ratio), float(my_share(draws))
        budget = math.log(draws) - (draws - 1) / draws
        mean = answer * math.sqrt(2 * budget)
        slips = {
            mean: "That is e(N), the gain in standard deviations: divide by what the optimum gains.",
            mean / math.sqrt(2 * math.log(draws)): "Best-of-N spends less than log N: take off (N - 1)/N.",
            mean / math.sqrt(budget): "Half the square of the move is the cost: the optimum gains the root of 2 kappa.",
            float(limit.variance_ratio): "That is the ratio of variances.",
            math.sqrt(2 * budget) / mean: "You have the ratio the wrong way round.",
        }
        if words := known_mistake(mine, slips, rel_tol=1e-4):
            return wrong(words)
        if not math.isclose(mine, answer, abs_tol=1e-3):
            return wrong(f"For N = {draws:g} the share is {answer:.4f}, yours {mine:.4f}.")
    return right(
        "From 90 percent near one draw to 96 at a million, in the limit of long answers, whatever the letters are."
    )


@forgiving
def check_entropy(my_entropy: Callable) -> Verdict:
    """Check a reader's entropy of the best total's place on a lattice, with P(K <= k) = exp(-e^(b - s (k + 1)))."""
    for step, shift in ((1.0, 0.0), (0.9058, 0.4), (3.0, 1.0), (0.05, 0.2), (0.5, -30.0), (0.7, 40.0)):
        answer, mine = _entropy(step, shift), float(my_entropy(step, shift))
        if math.isclose(mine, answer, abs_tol=1e-4):
            continue
        if math.isclose(mine, answer / math.log(2), abs_tol=1e-4):
            return wrong("That is in bits: use natural logarithms.")
        if math.isclose(mine, -answer, abs_tol=1e-4):
            return wrong("An entropy is not negative: there is a minus before the sum.")
        if math.isnan(mine):
            return wrong(f"For step {step:g} and shift {shift:g} yours is nan: 0 log 0 counts as 0.")
        return wrong(
            f"For step {step:g} and shift {shift:g} the entropy is {answer:.4f}, yours {mine:.4f}: does your range of "
            "k hold all the mass?"
        )
    return right("For small steps it is 1 + gamma - log(step), and the lattice is forgotten.")


@forgiving
def check_turning_length(length: float) -> Verdict:
    """Check the length from which the tilt at best-of-16's divergence has the higher true reward."""
    if not 1 <= length <= LONGEST:
        return wrong(f"Try lengths from 1 to {LONGEST}, got {length:g}.")
    if (lead := _true_lead(round(1.1 * length))) < 0:
        return wrong(
            f"At {round(1.1 * length)} letters, 10 percent more, best-of-16 still leads by {-lead:.2f}: go on."
        )
    if (lead := _true_lead(round(0.9 * length))) > 0:
        return wrong(
            f"At {round(0.9 * length)} letters, 10 percent fewer, the tilt leads already, by {lead:.2f}: earlier."
        )
    return right("The harm grows with a squared, the lead of the tilt with a.")


def _entropy(step: float, shift: float) -> float:
    k = np.arange(math.floor((shift - 7) / step) - 1, math.ceil((shift + 45) / step) + 1)
    mass = np.diff(np.exp(-np.exp(shift - step * (k + 1))))
    mass = mass[mass > 0]
    return float(-np.sum(mass * np.log(mass)))


def _true_lead(length: int) -> float:
    """Return the tilt's mean true reward less that of best-of-16."""
    counts = types(3, length)
    ref, learned, true = log_class_probability(TRICK_LOG_P, counts), counts @ LEARNED, counts @ TRUTH
    best = best_of_n(ref, learned, TRICK_DRAWS)
    tilted = tilt_to_kl(ref, learned, kl_divergence(best, ref)).log_p
    return float(expectation(tilted, true) - expectation(best, true))
