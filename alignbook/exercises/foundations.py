"""Checks of the exercises on softmax, the logistic loss and divergences.

A checker knows the right answer and the answers that common slips lead to; it compares to half a unit in the
third decimal, so an answer rounded to three decimals is right. The reference law is the running example's:
Canberra 0.2, Sydney 0.4, I don't know 0.3, Melbourne 0.1.
"""

import math
from collections.abc import Callable

import numpy as np

from alignbook.exercises.verdict import Verdict, forgiving, right, wrong
from alignbook.experiments.running_example import REF_LOG_P

REFERENCE = np.exp(REF_LOG_P)
BEST_CANBERRA = 0.3952107063330799  # the root above 0.2 of p log(p/0.2) + (1-p) log((1-p)/0.8) = 0.1
IN_BITS = "That is in bits; the book counts in nats: multiply by log 2."
SWAPPED = "That is D(q || p): weight each log-ratio by p and put p on top."


@forgiving
def check_logit_rise(answer: float) -> Verdict:
    """Check by how much Canberra's logit must rise to make it half of all answers.

    >>> check_logit_rise(4.0)
    Not yet. That is the factor by which the odds grow; a logit is its logarithm.
    """
    slips = {
        4.0: "That is the factor by which the odds grow; a logit is its logarithm.",
        2.0: IN_BITS,
        math.log(2.5): "That is the log of the ratio of the probabilities. Canberra's growth also makes the "
        "others shrink: compare odds, 0.2 to 0.8 before and 1 to 1 after.",
        0.3: "That is the rise of the probability. Logits add up in the log of the odds.",
    }
    return _number(answer, math.log(4), slips, "The odds go from 1:4 to 1:1, so the logit rises by log 4.")


@forgiving
def check_kl_by_hand(answer: float) -> Verdict:
    """Check D(p || q) in nats for p = (0.4, 0.4, 0.1, 0.1) and q the reference law."""
    p = np.array([0.4, 0.4, 0.1, 0.1])
    terms = p * np.log(p / REFERENCE)
    slips = {
        terms.sum() / math.log(2): IN_BITS,
        np.sum(REFERENCE * np.log(REFERENCE / p)): SWAPPED,
        np.abs(terms).sum(): "You added the sizes of the terms. An answer that became rarer counts negative.",
        terms[0]: "You left out the negative term: I don't know became rarer, from 0.3 to 0.1.",
    }
    return _number(answer, terms.sum(), slips, "0.4 log 2 - 0.1 log 3: terms of both signs, sum above 0.")


@forgiving
def check_log_sigmoid(function: Callable) -> Verdict:
    """Check a reader's log sigma(m) on an array of margins from -800 to 800."""
    margins = np.array([-800.0, -1.0, 0.0, 1.0, 40.0, 800.0])
    found = np.asarray(function(margins), dtype=float)
    if found.shape != margins.shape:
        return wrong(f"Six margins must give six values, got shape {found.shape}: use array operations.")
    if not abs(found[2] + math.log(2)) < 1e-12:
        return wrong(f"At margin 0 it is log 1/2 = -0.693, a log-probability and so negative, got {found[2]:.3f}.")
    if not np.isfinite(found).all():
        return wrong("It is not finite at -800 or 800: an exponential overflows before the log is taken.")
    if abs(found[0] + 800) > 1e-9:
        return wrong(f"At margin -800 it is -800, got {found[0]:.4g}: clipping hides how wrong a pair is.")
    if found[4] == 0:
        return wrong("At margin 40 it is -4.2e-18, not 0: 1 + e^-40 was rounded to 1 before the log.")
    exact = -np.logaddexp(0.0, -margins)
    if not np.allclose(found, exact, rtol=1e-12, atol=0):
        return wrong(f"At margin 1 it is -0.313262, got {found[3]:.6f}.")
    return right("It keeps its digits from -800 to 800.")


@forgiving
def check_kl(function: Callable) -> Verdict:
    """Check a reader's D(p || q) of log-probabilities: order, zeros, and batches on leading axes."""
    p, q = np.array([0.3, 0.4, 0.3, 0.0]), REFERENCE
    log_p, log_q = np.log(p), np.log(q)
    if hint := _value_slip(float(function(np.log([0.3, 0.3, 0.3, 0.1]), log_q))):
        return wrong(hint)
    edited, back = float(function(log_p, log_q)), float(function(log_q, log_p))
    if math.isnan(edited):
        return wrong("An answer p never gives makes it nan: 0 · log 0 counts as 0, so mask it first.")
    if back != math.inf:
        return wrong(f"Where q cannot give what p gives the divergence is inf, got {back:.3f}.")
    batch = np.asarray(function(np.stack([log_q, log_p]), log_q))
    if batch.shape != (2,):
        return wrong(f"Two laws give two divergences, got shape {batch.shape}: sum over the last axis only.")
    return right("Order, zeros, infinity and batches are all as they should be.")


@forgiving
def check_within_budget(law: list[float]) -> Verdict:
    """Check a law that should make Canberra as likely as 0.1 nat from the reference allows."""
    p = np.asarray(law, dtype=float)
    if p.shape != (4,) or (p < 0).any() or abs(p.sum() - 1) > 1e-6:
        return wrong(f"A law is four probabilities that sum to one, got a sum of {p.sum():.6g}.")
    spent, backward = _kl(p, REFERENCE), _kl(REFERENCE, p)
    if spent > 0.1005:
        other = " You have measured D(q || p); the budget is for D(p || q)." if backward <= 0.1005 else ""
        return wrong(f"It lies {spent:.4f} nat from the reference, above 0.1.{other}")
    if p[0] >= BEST_CANBERRA - 1e-3:
        return right(f"Canberra {p[0]:.4f} for {spent:.4f} nat. The best is {BEST_CANBERRA:.4f}.")
    if np.ptp(p[1:] / REFERENCE[1:]) > 0.02:
        return wrong(f"Canberra has {p[0]:.4f}. Some answers paid more than others: keep their ratios 4:3:1.")
    return wrong(f"Canberra has {p[0]:.4f} for {spent:.4f} nat: there is budget left.")


@forgiving
def check_grouped_kl(answer: float) -> Verdict:
    """Check D(p || q) for p = (0.3, 0.4, 0.3, 0) once Sydney and Melbourne count as one wrong answer."""
    p, q = np.array([0.3, 0.4, 0.3]), np.array([0.2, 0.5, 0.3])
    slips = {
        0.3 * math.log(1.5): "That is the divergence before grouping: add probabilities, then take logs.",
        _kl(q, p): SWAPPED,
        _kl(p, q) / math.log(2): IN_BITS,
    }
    message = "Grouping lowered 0.122 nat to 0.032."
    return _number(answer, _kl(p, q), slips, message)


def _number(answer: float, truth: float, slips: dict[float, str], message: str) -> Verdict:
    """Compare a number with the truth, then with the values that known slips lead to."""
    if abs(answer - truth) <= 5.1e-4:
        return right(message)
    for value, hint in slips.items():
        if abs(answer - value) <= 5.1e-4:
            return wrong(hint)
    return wrong(f"Got {answer:.4g}, too {'small' if answer < truth else 'large'}.")


def _value_slip(found: float) -> str:
    """Name the slip behind a wrong D(p || q) of two laws without zeros, or return nothing."""
    p = np.array([0.3, 0.3, 0.3, 0.1])
    forward, backward = _kl(p, REFERENCE), _kl(REFERENCE, p)
    slips = {
        backward: "That is D(q || p): weight the log-ratio by the first law.",
        forward / math.log(2): "That is in bits; the book counts in nats: use the natural logarithm.",
        -forward: "The sign is off: the log-ratio is log p minus log q.",
    }
    if abs(found - forward) < 1e-9:
        return ""
    near = (hint for value, hint in slips.items() if abs(found - value) < 1e-9)
    return next(near, f"For p = (0.3, 0.3, 0.3, 0.1) it must be {forward:.6f}, got {found:.6f}.")


def _kl(p: np.ndarray, q: np.ndarray) -> float:
    with np.errstate(divide="ignore"):
        return float(sum(a * (np.log(a) - np.log(b)) for a, b in zip(p, q, strict=True) if a > 0))
