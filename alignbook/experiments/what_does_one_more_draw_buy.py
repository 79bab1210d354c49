"""What does one more draw buy? The law of best-of-N, its KL against bound and estimate, and draws that fill the law.

Answers are equally likely and shown by tenths of the reference, from the worst to the best. What is drawn does not
ask the law: the best of N uniform quantiles is a uniform number to the power 1/N, and equals share by lot.
"""

import math
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import Array, to_engine
from alignbook.best_of_n import best_of_n, kl_estimate, kl_upper_bound, win_rate_upper_bound
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.information import expectation, kl_divergence, win_rate

TENTHS = 10
POOLS = {"ten": 10, "a thousand": 1000, "endless": TENTHS}  # where whole tenths tie, ten stand for endless answers
REWARDS = ("all different", "marks 1 to 5", "right or wrong")
TIMES = {"once": 1, "10 times": 10, "1000 times": 1000}
CURVE = np.geomspace(1.0, 1e6, 25)
PAUSES = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)

DRAWS = Number("n", "Draws N", 1, 1_000_000, 64, log=True, grid=(1, 2, 4, 16, 64, 1000, 1_000_000))
ANSWERS = Choice("answers", "Answers", tuple(POOLS), "ten")
REWARD = Choice("reward", "Rewards", REWARDS, REWARDS[0])
DRAWN = Choice("drawn", "Draw best-of-N", tuple(TIMES), "10 times")

COLUMNS = ("part", "step", "tenth", "share", "n", "kl", "bound", "estimate", "loses", "least")


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the law and its account, while more and more answers of best-of-N are drawn."""
    n = settings["n"]
    table: Table = {name: [] for name in COLUMNS}
    for tenth, share in enumerate(law_of_tenths(settings, engine), start=1):
        add_row(table, ("law", None, tenth, share, *[None] * 6))
    for part, places in (("curve", CURVE), ("now", np.array([float(n)]))):
        for row in zip(places.tolist(), *account(settings, places, engine), strict=True):
            add_row(table, (part, None, None, None, *row))
    yield so_far(table)
    drawn = tenths_drawn(np.random.default_rng(seed), settings)
    for count in (pause for pause in PAUSES if pause <= len(drawn)):
        for tenth, found in enumerate(np.bincount(drawn[:count], minlength=TENTHS + 1).tolist()):
            if found:
                add_row(table, ("drawn", count, tenth, found / count, *[None] * 6))
        yield so_far(table)


def law_of_tenths(settings: Settings, engine: str) -> list[float]:
    """Return how much of best-of-N's law lies in each tenth of the answers."""
    ref, reward = pool(settings, engine)
    law = np.exp(np.asarray(best_of_n(ref, reward, float(settings["n"])).tolist()))
    return law.reshape(TENTHS, -1).sum(axis=-1).tolist()


def account(settings: Settings, places: np.ndarray, engine: str) -> list[list[float]]:
    """Return divergence, bound, mean estimate, and what is missing to a win rate of 1, with its bound, at each N."""
    ref, reward = pool(settings, engine)
    n = to_engine(places, engine)
    bound, most = kl_upper_bound(n), win_rate_upper_bound(n)
    law = best_of_n(ref, reward, n)
    kl, wins, estimate = kl_divergence(law, ref), win_rate(law, ref, reward), bound
    if settings["answers"] != "endless":
        estimate = expectation(law, kl_estimate(ref, n[:, None]))
    elif settings["reward"] == REWARDS[0]:  # no atoms
        kl, wins = bound, most
    return [values.tolist() for values in (kl, bound, estimate, 1 - wins, 1 - most)]


def pool(settings: Settings, engine: str) -> tuple[Array, Array]:
    """Return the equally likely answers' log-probabilities and rewards, from the worst to the best."""
    answers = POOLS[settings["answers"]]
    log_p, quantile = np.full(answers, -math.log(answers)), np.arange(answers) / answers
    return to_engine(log_p, engine), to_engine(rewards(quantile, settings["reward"]), engine)


def rewards(quantile: np.ndarray, kind: str) -> np.ndarray:
    """Return the rewards of answers at these quantiles; the best three tenths are right, the others wrong."""
    if kind == "right or wrong":
        return np.where(quantile > 0.7 - 1e-9, 1.0, 0.0)
    return np.floor(5 * quantile + 1e-9) + 1 if kind == "marks 1 to 5" else quantile


def tenths_drawn(rng: np.random.Generator, settings: Settings) -> np.ndarray:
    """Draw best-of-N so many times: the tenths, from 1 to 10, in which the kept answers lie."""
    best, lot = rng.random((2, TIMES[settings["drawn"]]))
    tenth = np.minimum((TENTHS * best ** (1 / settings["n"])).astype(int), TENTHS - 1)
    grades = rewards(np.arange(TENTHS) / TENTHS, settings["reward"])
    first, size = (np.array([use(np.flatnonzero(grades == grade)) for grade in grades]) for use in (np.min, np.size))
    return 1 + first[tenth] + (lot * size[tenth]).astype(int)


def describe(table: Table, settings: Settings) -> str:
    """Say the divergence, its bound and its estimate, the win rate, and where the draws fell."""
    kl, bound, estimate, loses, least = (abs(table[name][table["part"].index("now")]) for name in COLUMNS[5:])
    best = table["share"][TENTHS - 1]
    said = (
        f"Best of {settings['n']:,} from {settings['answers']} answers, {settings['reward']}: {kl:.2f} nats; bound "
        f"{bound:.2f}, estimate {estimate:.2f}. Against one draw of the reference it wins "
        f"{percent(1 - loses)}, at most {percent(1 - least)}. The best tenth has {percent(best)} of its law"
    )
    count = table["step"][-1]
    if not count:
        return f"{said}."
    last = zip(table["step"], table["tenth"], table["share"], strict=True)
    hits = sum(share for step, tenth, share in last if step == count and tenth == TENTHS)
    return f"{said} and {round(hits * count)} of {count} drawn."


def percent(share: float) -> str:
    """Return a share in percent; next to 100 with as many digits as tell it from 100."""
    missing = 1 - share
    digits = -2 - math.floor(math.log10(missing) + 1e-3) if 5e-8 < missing < 1e-3 else 1
    return f"{100 * share:.{digits}f} %"


EXPERIMENT = Experiment(
    question="What does one more draw buy?",
    parameters=(DRAWS, ANSWERS, REWARD, DRAWN),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Ten answers are equally likely, and no two have the same reward. You draw 64 times and keep the best. "
            "How far from the reference is the law of what you keep?"
        ),
        kind="number",
        low=0.0,
        high=6.0,
        unit="nats",
        answer=lambda table, settings: table["kl"][table["part"].index("now")],
        why=(
            "The formula log N - (N-1)/N says 3.17, and log 64 is 4.16. Both count on answers that get better without "
            "end. Of ten answers there is one best, 64 draws nearly always hold it, and to give always one of ten "
            "costs log 10, 2.30 nats, whatever N is."
        ),
    ),
)
