"""Checks for the exercises on DPO and on what a pair does to answers that nobody compared."""

import itertools
import math
from collections.abc import Callable

import numpy as np

from alignbook.dynamics import dpo_descent
from alignbook.exercises.verdict import Verdict, forgiving, known_mistake, right, wrong
from alignbook.experiments.teach_it_no import CHANCES, LEARNING_RATE, place
from alignbook.losses import dpo_loss, reward_margin
from alignbook.policies import log_linear_policy

PLACES = np.array([(0.0, 0.0), place(180.0, 1.0), place(30.0, 1.0)])  # of No, Never and Yes
START = np.log(CHANCES)


@forgiving
def check_margin(margin: float) -> Verdict:
    """Check the margin at log-probabilities -12.5 and -18, -12 and -15 before training, and beta 0.1."""
    answer = 0.1 * ((-12.5 + 12) - (-18 + 15))
    mistakes = {
        answer / 0.1: "That is the difference of the log-ratios in nats; the margin includes beta.",
        0.1 * (-12.5 + 18): "You left the reference out: subtract each answer's log-probability before training.",
        0.1 * (-0.5 - 3): "You added the two log-ratios; the margin is their difference.",
        -answer: "The sign: chosen minus rejected.",
    }
    if words := known_mistake(margin, mistakes):
        return wrong(words)
    if not math.isclose(margin, answer, rel_tol=1e-3):
        return wrong("Take each answer's log-ratio to the reference, then the difference, then times beta.")
    return right(
        f"The loss is {float(dpo_loss(answer)):.3f} and falling, though the chosen answer has lost half a nat."
    )


@forgiving
def check_winner(name: str) -> Verdict:
    """Check which of four answers wins when one is trained over another."""
    reach = {"certainly": 1.0, "sure": -1.0, "maybe": 0.0, "no": 1.5}
    given = name.strip().lower()
    if given not in reach:
        return wrong(f"The answers are {', '.join(word.capitalize() for word in reach)}; got {name!r}.")
    if given == "maybe":
        return wrong("Maybe is the longest vector, but what counts is how far it reaches along d = (1, -1): 0.")
    if given != "no":
        return wrong(f"{given.capitalize()} reaches {reach[given]:g} along d = (1, -1). Does another reach farther?")
    return right("It reaches 1.5 along d = (1, -1), the chosen one only 1, and nobody compared it.")


@forgiving
def check_dpo_loss(my_loss: Callable) -> Verdict:
    """Check a reader's DPO loss on ordinary pairs, on its typical slips and at huge margins."""
    logps = np.array([[-10.0, -12.0, -11.0, -11.5], [-5.0, -4.0, -4.5, -6.0], [-7.0, -9.0, -7.0, -9.0]]).T
    chosen, rejected, ref_chosen, ref_rejected = logps
    margin = np.asarray(reward_margin(chosen, rejected, ref_chosen, ref_rejected, 0.5))
    mine, answer = np.asarray(my_loss(*logps, 0.5)), dpo_loss(margin)
    if mine.shape != answer.shape:
        return wrong(f"Return one loss for each pair, shape {answer.shape}; yours has shape {mine.shape}.")
    slips = {
        "You have chosen and rejected the wrong way round.": dpo_loss(-margin),
        "Beta belongs inside the sigmoid, times the log-ratios.": 0.5 * np.asarray(dpo_loss(margin / 0.5)),
        "Beta is missing.": dpo_loss(margin / 0.5),
        "The reference is missing: DPO compares log-ratios.": dpo_loss(0.5 * (chosen - rejected)),
        "The reference has the wrong sign.": dpo_loss(0.5 * (chosen - rejected + ref_chosen - ref_rejected)),
    }
    for words, values in slips.items():
        if np.allclose(mine, values):
            return wrong(words)
    if not np.allclose(mine, answer, rtol=1e-10, atol=0):
        return wrong(f"At the margin {margin[0]:g} the loss is {answer[0]:.4f}, yours is {mine[0]:.4f}.")
    huge = np.array([-1e4, 1e4])
    if not np.allclose(my_loss(huge, 0 * huge, 0 * huge, 0 * huge, 1.0), dpo_loss(huge), rtol=1e-10):
        return wrong("Right for small margins; at margins of 10000 something overflows. Chapter 0 has logaddexp.")
    return right("Also at margins of 10000 in size.")


@forgiving
def check_turn(my_turn: Callable) -> Verdict:
    """Check a reader's strength of the tilt at which the chosen answer is most likely."""
    cases = {
        "Yes at 30 degrees": (START, PLACES, _turn(START, PLACES)),
        "Yes at 120 degrees": (START, np.array([*PLACES[:2], place(120.0, 1.0)]), math.inf),
        "a reference whose mean is at No": (np.log([0.2, 0.4, 0.4]), np.array([*PLACES[:2], place(0.0, 1.0)]), 0.0),
    }
    for name, (ref, places, answer) in cases.items():
        mine = float(my_turn(ref, places, 0, 1))
        if mine == answer or (0 < answer < math.inf and abs(mine - answer) < 1e-3):
            continue
        if answer == math.inf:
            return wrong(f"{name}: no answer reaches farther than No, so it rises for ever. Return inf, not {mine:g}.")
        if answer == 0:
            if 0 <= mine < 1e-6:
                continue
            return wrong(f"{name}: No falls from the first step. Return 0, not {mine:g}.")
        if mine < 0:
            return wrong(f"{name}: the pair pushes along f(chosen) - f(rejected), so the strength is positive.")
        return wrong(f"{name}: No is most likely at the strength {answer:.3f}; yours is {mine:g}.")
    return right("It is where the mean of the features crosses the line.")


def _turn(ref_log_p: np.ndarray, places: np.ndarray) -> float:
    reach = places @ (places[0] - places[1])
    low, high = 0.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = np.exp(log_linear_policy(ref_log_p, reach[:, None], np.array([middle]))) @ reach
        low, high = (middle, high) if mean < reach[0] else (low, middle)
    return low


@forgiving
def check_guard(share: float) -> Verdict:
    """Check the smallest share of pairs No over Yes, in whole percent, that keeps No at or above its start."""
    if not 0 <= share <= 1:
        return wrong(f"A share lies between 0 and 1, got {share}.")
    lowest = _lowest_chance_of_no(share)
    if lowest < CHANCES[0] - 1e-12:
        return wrong(
            f"With a share of {share:.2f} the probability of No falls to {lowest:.3f} on the way: more guards."
        )
    if _lowest_chance_of_no(max(share - 0.01, 0)) >= CHANCES[0] - 1e-12:
        return wrong(f"It works, but a share of {share - 0.01:.2f} is enough as well.")
    return right(f"One percent less, and No dips to {_lowest_chance_of_no(share - 0.01):.3f}.")


def _lowest_chance_of_no(share: float) -> float:
    directions = PLACES[[0, 0]] - PLACES[[1, 2]]
    training = dpo_descent(directions, 0.5, LEARNING_RATE, weights=np.array([1 - share, share]))
    path = np.stack([snapshot.theta for snapshot in itertools.islice(training, 5001)])
    return float(np.exp(log_linear_policy(START, PLACES, path))[:, 0].min())
