"""Checks for the exercises on flipped labels: what they undo, and by which clock."""

import math
from collections.abc import Callable

import numpy as np

from alignbook.dynamics import two_layer_flow
from alignbook.exercises.verdict import Verdict, forgiving, known_mistake, right, wrong

BETA, DISTANCE, HEAD, FEATURE = 0.1, 4.0, 0.5, 1.0


@forgiving
def check_log_odds(base: float, aligned: float) -> Verdict:
    """Check both models' log-odds where the loss on flipped labels is 0.3, from 1 and 6 at beta 0.1."""
    change = -math.log(math.expm1(0.3)) / BETA
    answers = 1 - change, 6 - change
    given = base, aligned
    slips = {
        "The margin is beta times the change: divide by beta.": (1 - change * BETA, 6 - change * BETA),
        "Flipped labels make the log-odds of the right answer fall.": (1 + change, 6 + change),
        "With its own start as reference each model changes by this; add where it started.": (-change, -change),
        "You have the two models the wrong way round.": answers[::-1],
    }
    for words, values in slips.items():
        if np.allclose(given, values, rtol=0, atol=0.06):
            return wrong(words)
    if not np.allclose(given, answers, rtol=0, atol=0.06):
        return wrong("From the loss get the margin, from the margin the change, and take it off both starts.")
    return right("One loss, and two policies five nats apart: the loss cannot tell them from each other.")


@forgiving
def check_separation(separation: float) -> Verdict:
    """Check the separation of a scalar model, w 0.5, a 1, Delta 4, at the moment its log-odds are 0."""
    answer = DISTANCE * math.sqrt(FEATURE**2 - HEAD**2 / 2)
    slips = {
        answer / DISTANCE: "That is the feature a; the separation is a times Delta.",
        DISTANCE * math.sqrt(FEATURE**2 - HEAD**2): "The head moves twice as fast: it is twice the square of a.",
        DISTANCE * FEATURE: "That is the separation at the start; on the way the feature shrinks as well.",
        0.0: "If a were 0, w would have to be imaginary: look at what never changes.",
    }
    if words := known_mistake(separation, slips, rel_tol=1e-9, abs_tol=2e-3):
        return wrong(words)
    if not math.isclose(separation, answer, abs_tol=2e-3):
        return wrong(
            "At log-odds 0 one of the two factors is 0. Which one can be, if w squared less twice a squared stays?"
        )
    return right("The road turns there: beyond it the head has the other sign and the features grow again.")


@forgiving
def check_clock(my_clock: Callable) -> Verdict:
    """Check a reader's reading of the time at which falling log-odds pass a level."""
    times = np.array([0.0, 1.0, 2.0, 4.0])
    cases = {
        "between two rows": ((times, np.array([3.0, 1.0, -1.0, -5.0]), -2.0), 2.5),
        "on a row": ((times, np.array([3.0, 1.0, -1.0, -5.0]), 1.0), 1.0),
        "at the start": ((times, np.array([3.0, 1.0, -1.0, -5.0]), 4.0), 0.0),
        "a level that is never reached": ((times, np.array([3.0, 2.5, 2.2, 2.1]), 0.0), math.inf),
        "a path that rises again": ((times, np.array([3.0, -1.0, 2.0, -1.0]), 0.0), 0.75),
    }
    for name, (case, answer) in cases.items():
        mine = float(my_clock(*case))
        if mine == answer or math.isclose(mine, answer, abs_tol=1e-9):
            continue
        if answer == math.inf:
            return wrong(f"For {name} return inf; yours returns {mine:g}, the end of the log.")
        if name == "between two rows" and mine in times:
            return wrong(f"{name.capitalize()}: you return the row {mine:g}; draw a straight line to the row before.")
        return wrong(f"For {name} the time is {answer:g}, yours {mine:g}.")
    return right("An honest clock also says never.")


@forgiving
def check_length(length: float) -> Verdict:
    """Check the shortest first alignment after which flipped labels need a time of 100 to turn the policy."""
    if not 0 < length < 1e6:
        return wrong(f"A length is a positive time, got {length}.")
    at_the_end = _log_odds_after(length)
    if at_the_end < -0.05:
        return wrong(f"Aligned for {length:g}, the model is at log-odds {at_the_end:.2f} by then: align longer.")
    if at_the_end > 0.05:
        return wrong(f"Aligned for {length:g}, it still stands at {at_the_end:.2f}: a shorter alignment is enough.")
    return right("A few dozen units of alignment buy a hundred: with its own start as reference the pull fades.")


@forgiving
def check_tie(loss: float) -> Verdict:
    """Check the loss at which base and aligned model, aligned to t = 100, arrive at the same time."""
    if not 0 < loss < math.log(2):
        return wrong(f"On the way the loss lies between 0 and log 2, got {loss}.")
    base, aligned = (_time_of_loss(loss, *layers) for layers in ((HEAD, FEATURE), _aligned(100.0)))
    if not math.isclose(base, aligned, rel_tol=0.02):
        first, ahead = ("base", "larger") if base < aligned else ("aligned", "smaller")
        return wrong(
            f"At the loss {loss:g} the times are {base:.3g} (base) and {aligned:.3g} (aligned): the {first} model is "
            f"first, so the tie is at a {ahead} loss."
        )
    return right(f"Both arrive at {base:.1f}. Below this loss the base model is ahead.")


def _aligned(length: float) -> tuple[float, float]:
    end = two_layer_flow(length, BETA, DISTANCE, head=HEAD, feature=FEATURE)
    return float(end.head), float(end.feature)


def _log_odds_after(length: float, flips: float = 100.0) -> float:
    head, feature = _aligned(length)
    return float(two_layer_flow(flips, BETA, DISTANCE, head=head, feature=feature, flipped=True).log_odds)


def _time_of_loss(loss: float, head: float, feature: float) -> float:
    times = np.geomspace(1e-3, 1e5, 4001)
    run = two_layer_flow(times, BETA, DISTANCE, head=head, feature=feature, flipped=True)
    return float(np.interp(-math.log(math.expm1(loss)), run.margin, times))
