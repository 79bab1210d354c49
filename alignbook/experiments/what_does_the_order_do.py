"""What does the order do? Rényi's entropy, divergence and cross entropy of a law with a long tail, and what they weigh.

A law on a million answers of three kinds; answers of one kind are equally likely, so that each kind counts as one. All
three quantities are a log-partition function of the law, divided by its argument, the order less 1: of the answer's
log-probability, of its log-ratio, of the other law's log-probability. What an order weighs is the tilt by it.
"""

import math
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import Array, namespace, to_engine
from alignbook.asymptotics import log_mgf
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row
from alignbook.information import expectation
from alignbook.tilting import tilt

KINDS = ("one", "hundred", "million")
LOG_SIZES = np.log([1.0, 1e2, 1e6])
LOG_P = np.log([0.5, 0.3, 0.2])  # of the kinds; each answer of a kind has an equal share
OTHERS = {"narrow": np.log([0.9, 0.099, 0.001]), "wide": np.log([0.2, 0.3, 0.5])}
MEASURES = ("entropy", "divergence", "cross entropy")
ORDERS = np.linspace(0.0, 4.0, 41).round(1)

ORDER = Number("order", "Order", 0.0, 4.0, 1.0, grid=tuple(np.linspace(0.0, 4.0, 17).tolist()))
MEASURE = Choice("measure", "What is weighed", MEASURES, "entropy")
OTHER = Choice("other", "The other law, q", tuple(OTHERS), "narrow")


def reward_of(measure: str, other: str) -> np.ndarray:
    """Return the reward of an answer of each kind whose log-partition function the measure is."""
    log_p, log_q = LOG_P - LOG_SIZES, OTHERS[other] - LOG_SIZES
    return {"entropy": log_p, "divergence": log_p - log_q, "cross entropy": log_q}[measure]


def values(log_p: Array, reward: Array, orders: Array) -> Array:
    r"""Return $\Lambda(\alpha - 1)/(\alpha - 1)$ at each order; at order 1 it is the mean reward."""
    xp = namespace(log_p)
    excess = orders - 1
    away = xp.where(excess == 0, 1.0, excess)
    return xp.where(excess == 0, expectation(log_p, reward), log_mgf(log_p, reward, away) / away)


def weighed(log_p: Array, reward: Array, order: float) -> Array:
    """Return the law that the order weighs: the tilt with 1/beta = order - 1, of either sign."""
    return tilt(log_p, reward if order > 1 else -reward, 1 / abs(order - 1) if order != 1 else math.inf)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield one table: the law and what the order weighs, the three curves, the point on the chosen one."""
    order, chosen = settings["order"], settings["measure"]
    log_p = to_engine(LOG_P, engine)
    rewards = {name: to_engine(reward_of(name, settings["other"]), engine) for name in MEASURES}
    laws = {"p": log_p, "weighed": weighed(log_p, rewards[chosen], order)}
    table: Table = {name: [] for name in ("part", "answer", "law", "probability", "measure", "order", "nats")}
    for name, law in laws.items():
        for kind, x in zip(KINDS, law.tolist(), strict=True):
            add_row(table, ("law", kind, name, math.exp(x), None, None, None))
    for name, reward in rewards.items():
        sign = 1 if name == "divergence" else -1
        for part, orders in (("curve", ORDERS), ("point", np.asarray([order]))):
            nats = (sign * values(log_p, reward, to_engine(orders, engine))).tolist()
            for x, y in zip(orders.tolist(), nats, strict=True):
                if part == "curve" or name == chosen:
                    add_row(table, (part, None, None, None, name, x, y))
    yield table


def describe(table: Table, settings: Settings) -> str:
    """Say the value at the order, as a count where it is an entropy, and where its weight lies."""
    nats = max(0.0, table["nats"][table["part"].index("point")])  # none is negative, but for rounding
    shares = ", ".join(f"{share:.3f}" for share in table["probability"][3:6])
    counted, other = f", as of {_count(nats)} equally likely answers", ""
    if settings["measure"] != "entropy":
        q = ", ".join(f"{chance:.3f}" for chance in np.exp(OTHERS[settings["other"]]))
        counted, other = "", f", those of the {settings['other']} q are {q}"
    return (
        f"At order {settings['order']:.4g} the {settings['measure']} is {nats:.3f} nats{counted}. The order weighs the "
        f"one usual answer, the hundred and the million as {shares}; their chances are 0.500, 0.300, 0.200{other}."
    )


COUNTS = (177.0, 60.0, 13.0, 4.0)


def _counted(table: Table, settings: Settings) -> int:
    """Return the option nearest to the count at order 2, on the scale of nats."""
    rows = zip(table["measure"], table["order"], table["nats"], strict=True)
    nats = next(nats for measure, order, nats in rows if measure == "entropy" and order == 2.0)
    return min(range(len(COUNTS)), key=lambda k: abs(math.log(COUNTS[k]) - nats))


EXPERIMENT = Experiment(
    question="What does the order do?",
    parameters=(ORDER, MEASURE, OTHER),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Half of a model's answers are one and the same. A hundred others share 30 percent, a million more share "
            "the last 20. The entropy is 5.17 nats, that of 177 equally likely answers. Now draw two answers and see "
            "whether they agree. Among how many equally likely answers would two agree as often?"
        ),
        kind="choice",
        options=tuple(f"about {count:.0f}" for count in COUNTS),
        answer=_counted,
        why=(
            "Two draws agree on the usual answer with chance 0.5 times 0.5, and on others hardly ever: 0.2509 in all, "
            "as among 4. The entropy averages surprises, and the million's, 15 nats each, are a fifth of the draws."
        ),
    ),
    seeded=False,
)


def _count(nats: float) -> str:
    count = math.exp(nats)
    return f"{count:,.0f}" if count > 100 else f"{count:.3g}"
