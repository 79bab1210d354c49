"""Long answers in right and wrong steps, exactly, without going through all numbers of right steps.

Tilt and best-of-N lie within some deviations of the tilt's mean: only the totals there are listed. What lies below is
one answer more, the worst, which holds the rest of the reference; what lies above has less than 1e-16 of each law.
"""

import math
from typing import NamedTuple

import array_api_compat
import numpy as np
from jaxtyping import Float

from alignbook.arrays import Array, log1mexp, log_softmax, logsumexp, namespace, to_engine
from alignbook.asymptotics import Account, aligned_letter
from alignbook.best_of_n import best_of_n
from alignbook.experiments.running_example import RATE, STEP_LOG_P, STEP_REWARD
from alignbook.information import expectation, kl_divergence, variance
from alignbook.tilting import Tilted
from alignbook.type_classes import log_class_probability

GROWING, SLOWLY = "e^(n/10)", "e^(n/1000)"
RATES = {GROWING: RATE, SLOWLY: RATE / 100}  # of draws that grow with the length; others are numbers
DEVIATIONS, FOLDS = 12, 50  # how far the list reaches: deviations of even steps, and of rewards that cost a factor e


class LongAnswers(NamedTuple):
    """Tilt and best-of-N of one length: accounts, divergence, and both laws of the number of right steps.

    Totals of `tilt` and `best_of_n` are over the sequence; the tilt is a tilt of `letter`. `right` lists the numbers
    of right steps that the laws are given at.
    """

    tilt: Account
    best_of_n: Account
    kl_best_of_n_to_tilt: float
    letter: Tilted
    right: np.ndarray
    tilt_log_p: Float[Array, "totals"]
    best_of_n_log_p: Float[Array, "totals"]


def log_draws(draws: str, length: int) -> float:
    """Return log N."""
    return RATES[draws] * length if draws in RATES else math.log(float(draws))


def long_answers(length: int, draws: str, engine: str) -> LongAnswers:
    """Return tilt and best-of-N of that many steps; the tilt's KL is log N at the rate, else best-of-N's own."""
    log_p, reward = to_engine(STEP_LOG_P, engine), to_engine(STEP_REWARD, engine)
    log_n = log_draws(draws, length)
    right = _near(length, aligned_letter(log_p, reward, log_n / length))
    counts = namespace(log_p).asarray(np.stack([right, length - right], axis=-1), device=array_api_compat.device(log_p))
    ref = _with_rest(log_class_probability(log_p, counts))
    place = to_engine(np.concatenate([[right[0] - 1], right]), engine)
    best = best_of_n(ref, place, log_n=log_n)
    kl = float(kl_divergence(best, ref))
    letter = aligned_letter(log_p, reward, RATES.get(draws, kl / length))
    tilted, best_here = log_class_probability(letter.log_p, counts), log_softmax(best[1:])
    account = Account(float(expectation(best_here, place[1:])), kl, float(variance(best_here, place[1:])))
    tilt = Account(*(length * float(part) for part in (letter.reward, letter.kl, letter.variance)))
    gap = float(kl_divergence(best_here, log_softmax(tilted)))
    return LongAnswers(tilt, account, gap, letter, right, tilted, best_here)


def _near(length: int, letter: Tilted) -> np.ndarray:
    """Return the numbers of right steps around the tilt's mean that matter."""
    reach = DEVIATIONS * math.sqrt(length / 4) + FOLDS * float(letter.beta)
    mean = length * float(letter.reward)
    return np.arange(max(0, math.floor(mean - reach)), min(length, math.ceil(mean + reach)) + 1)


def _with_rest(log_p: Array) -> Array:
    """Put the mass that a law is short of in front of it."""
    xp = namespace(log_p)
    listed = xp.clip(logsumexp(log_p), max=0.0)
    return log_softmax(xp.concat([log1mexp(listed)[None], log_p]))
