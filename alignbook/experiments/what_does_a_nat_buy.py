"""What does a nat buy? The tilt at a budget or at a beta, and where it stands on the frontier."""

from collections.abc import Iterator

import numpy as np

from alignbook.arrays import log_softmax, to_engine
from alignbook.experiments.declare import (
    Choice,
    Experiment,
    Number,
    Prediction,
    Settings,
    Table,
    Vector,
    entries_of,
)
from alignbook.information import expectation, kl_divergence
from alignbook.tilting import max_kl, tilt, tilt_to_kl

ANSWERS = ("Canberra", "Sydney", "I don't know", "Melbourne")

REFERENCE = Vector(
    name="reference",
    label="Reference",
    entries=ANSWERS,
    low=0.001,
    high=1.0,
    presets={
        "our assistant": (0.2, 0.4, 0.3, 0.1),
        "the newcomer": (0.01, 0.6, 0.3, 0.09),
        "even": (0.25, 0.25, 0.25, 0.25),
    },
    start="our assistant",
)
REWARD = Vector(
    name="reward",
    label="Reward",
    entries=ANSWERS,
    low=-1.0,
    high=5.0,
    presets={
        "honest": (1.0, 0.0, 0.6, 0.0),
        "tied": (1.0, 0.0, 1.0, 0.0),
        "jackpot": (5.0, 0.0, 0.6, 0.0),
    },
    start="honest",
)
DIAL = Choice("dial", "What you set", ("budget", "beta"), "budget")
KL_BUDGET = Number(
    "kl_budget",
    "KL budget",
    low=0.0,
    high=3.0,
    start=0.1,
    unit="nats",
    grid=(0.0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6, 2.4),
    when=("dial", "budget"),
)
BETA = Number(
    "beta",
    "beta",
    low=0.05,
    high=5.0,
    start=0.5,
    unit="reward per nat",
    log=True,
    grid=(0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0),
    when=("dial", "beta"),
)
BUDGETS = np.concatenate([[0.0, 0.0125, 0.025, 0.05, 0.075], np.linspace(0.1, 3.0, 30)])


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield one table: the bars of both laws, the frontier, and the point on it."""
    weights = np.array(entries_of(REFERENCE, settings["reference"]))
    ref = log_softmax(to_engine(np.log(weights), engine))
    reward = to_engine(entries_of(REWARD, settings["reward"]), engine)
    by_budget = settings["dial"] == "budget"
    law = tilt_to_kl(ref, reward, settings["kl_budget"]).log_p if by_budget else tilt(ref, reward, settings["beta"])
    frontier = tilt_to_kl(ref, reward, to_engine(BUDGETS, engine))
    start, end = expectation(ref, reward), expectation(law, reward)
    bars = [*_probabilities(ref), *_probabilities(law)]
    curve = [float(x) for x in frontier.reward - start]
    yield {
        "part": ["law"] * 8 + ["frontier"] * len(curve) + ["point"],
        "answer": [*ANSWERS, *ANSWERS] + [""] * (len(curve) + 1),
        "law": ["reference"] * 4 + ["tilt"] * 4 + [""] * (len(curve) + 1),
        "x": [0.0] * 8 + BUDGETS.tolist() + [float(kl_divergence(law, ref))],
        "y": [*bars, *curve, float(end - start)],
        "most": [float(max_kl(ref, reward))] * (len(curve) + 9),
    }


def describe(table: Table, settings: Settings) -> str:
    """Say what is spent, what it buys and who gains most."""
    spent, gain, most = table["x"][-1], table["y"][-1], table["most"][0]
    rises = [table["y"][4 + i] - table["y"][i] for i in range(4)]
    winner = max(range(4), key=rises.__getitem__)
    rise = f"{ANSWERS[winner]} goes from {table['y'][winner]:.3f} to {table['y'][4 + winner]:.3f}"
    dial = f"Beta {settings['beta']:g}" if settings["dial"] == "beta" else f"A budget of {settings['kl_budget']:g} nats"
    full = " That is all that can be spent." if spent >= most * (1 - 1e-9) else ""
    return f"{dial} spends {spent:.3f} nats and gains {gain:.3f} of mean reward; {rise}.{full}"


def gain_at(table: Table, budget: float) -> float:
    """Return the frontier's gain at a budget, from the table."""
    rows = [i for i, part in enumerate(table["part"]) if part == "frontier"]
    return float(np.interp(budget, [table["x"][i] for i in rows], [table["y"][i] for i in rows]))


EXPERIMENT = Experiment(
    question="What does a nat buy?",
    parameters=(DIAL, KL_BUDGET, BETA, REFERENCE, REWARD),
    run=run,
    describe=describe,
    prediction=Prediction(
        question="A budget of 0.1 nat buys some gain. How many times that gain does 0.4 nat buy?",
        kind="number",
        low=1.0,
        high=8.0,
        unit="times",
        answer=lambda table, settings: gain_at(table, 0.4) / gain_at(table, 0.1),
        why=(
            "Near the reference the KL divergence grows with the square of the change, and the gain only in "
            "proportion to it: four times the nats allow a change twice as large."
        ),
    ),
)


def _probabilities(log_p) -> list[float]:
    return [float(np.exp(float(x))) for x in log_p]
