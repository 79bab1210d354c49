"""When no reward fits: three answers in a ring, and the reward that explains their matches least badly."""

import math
from collections.abc import Iterator

from alignbook.arrays import Array, namespace, to_engine
from alignbook.experiments.declare import Experiment, Number, Prediction, Settings, Table
from alignbook.preferences import bradley_terry, fit_bradley_terry

ANSWERS = ("Canberra", "I don't know", "Sydney")
MATCHES = ((0, 1), (1, 2), (2, 0))
NAMES = tuple(f"{ANSWERS[i]} over {ANSWERS[j]}" for i, j in MATCHES)
TIE = 1e-9  # of rewards that a fit means to be equal

RING = Number(
    "ring",
    "Other two matches",
    low=0.5,
    high=0.95,
    start=0.9,
    grid=(0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
)
CLOSING = Number(
    "closing",
    "Sydney over Canberra",
    low=0.05,
    high=0.95,
    start=0.9,
    grid=(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
)
ASKED = Number(
    "asked",
    "Ask Sydney, Canberra",
    low=1.0,
    high=10.0,
    start=1.0,
    unit="times",
    log=True,
    grid=(1.0, 3.0, 10.0),
)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield one table: the fitted rewards, each match as people and as the fit call it, and what a trainer reports."""
    people, shares = _matches(settings)
    wins = [[0.0] * 3 for _ in ANSWERS]
    for (i, j), chance, share in zip(MATCHES, people, shares, strict=True):
        wins[i][j], wins[j][i] = share * chance, share * (1 - chance)
    counts = to_engine(wins, engine)
    reward = fit_bradley_terry(counts).reward
    loss, accuracy = report(counts, reward)
    first = [ANSWERS[i] for i, _ in MATCHES]
    fitted = [math.exp(float(bradley_terry(reward[i], reward[j]))) for i, j in MATCHES]
    yield {
        "part": ["reward"] * 3 + ["match"] * 6,
        "answer": [*ANSWERS, *first, *first],
        "reward": [float(value) for value in reward] + [None] * 6,
        "match": [None] * 3 + [*NAMES, *NAMES],
        "source": [None] * 3 + ["people"] * 3 + ["best fit"] * 3,
        "chance": [None] * 3 + [*people, *fitted],
        "loss": [loss] * 9,
        "possible_loss": [sum(share * entropy_of(p) for p, share in zip(people, shares, strict=True))] * 9,
        "accuracy": [accuracy] * 9,
    }


def report(wins: Array, reward: Array) -> tuple[float, float]:
    """Return the mean loss and the reward accuracy on shares of wins that sum to one; a tie is right half the time."""
    xp = namespace(wins)
    loss = -xp.sum(wins * bradley_terry(reward[:, None], reward[None, :]))
    ahead = reward[:, None] - reward[None, :]
    right = xp.sum(xp.where(ahead > TIE, wins, xp.where(ahead < -TIE, 0 * wins, wins / 2)))
    return float(loss), float(right)


def entropy_of(chance: float) -> float:
    """Return the least mean loss that anyone can reach who calls a match of this chance."""
    return -chance * math.log(chance) - (1 - chance) * math.log(1 - chance)


def _matches(settings: Settings) -> tuple[list[float], list[float]]:
    """Return the chance of each match's first answer, and the match's share of all comparisons."""
    times = [1.0, 1.0, settings["asked"]]
    return [settings["ring"], settings["ring"], settings["closing"]], [one / sum(times) for one in times]


def describe(table: Table, settings: Settings) -> str:
    """Say what the best fit calls the first and the last match, and what a reward model would report."""
    people, fitted = table["chance"][3:6], table["chance"][6:]
    return (
        f"People prefer Canberra over I don't know in {people[0]:.0%} and Sydney over Canberra in {people[2]:.0%}; the "
        f"best reward says {fitted[0]:.0%} and {fitted[2]:.0%}. Its loss is {table['loss'][0]:.3f} where "
        f"{table['possible_loss'][0]:.3f} is possible, its accuracy {table['accuracy'][0]:.0%}."
    )


OPTIONS = ("0.9", "0.67", "0.5", "no best fit exists")


def _option(table: Table, settings: Settings) -> int:
    return min(range(3), key=lambda i: abs(float(OPTIONS[i]) - table["chance"][6]))


EXPERIMENT = Experiment(
    question="When does no reward fit?",
    parameters=(CLOSING, RING, ASKED),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Canberra is preferred to I don't know, I don't know to Sydney, and Sydney to Canberra, each in 90 of 100 "
            "comparisons. Which chance to beat the next in this ring does the best-fitting reward give to each?"
        ),
        kind="choice",
        options=OPTIONS,
        answer=_option,
        why=(
            "A reward puts the three in a line. Whatever it gains on two matches by moving an answer up, it loses on "
            "the third. All three pull equally hard, so nothing moves: every match is called even."
        ),
    ),
    seeded=False,
)
