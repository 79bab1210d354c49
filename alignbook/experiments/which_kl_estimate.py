"""Which KL estimate? k1, k2 and k3 from sampled answers of a policy whose divergence from its reference is known."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from alignbook.arrays import Array, namespace, to_engine
from alignbook.experiments.declare import Experiment, Number, Prediction, Settings, Table, add_row
from alignbook.kl_estimators import k1, k2, k3

ESTIMATORS: dict[str, Callable[[Array], Array]] = {"k1": k1, "k2": k2, "k3": k3}
STUDIES = 2000
CURVE = np.geomspace(0.01, 4.0, 33)
GRID = (0.01, 0.02, 0.04, 0.07, 0.1, 0.2, 0.3, 0.45, 0.63, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0)

KL = Number("kl", "True KL", low=0.01, high=4.0, start=0.1, unit="nats", log=True, grid=GRID)
DRAWS = Number("draws", "Answers an estimate", low=1, high=1000, start=1, log=True, grid=(1, 10, 100))


def error(name: str, kl: float | np.ndarray, draws: int) -> float | np.ndarray:
    r"""Return the root mean square error of an estimate from so many answers, by formula.

    The log-ratio is normal with mean D and variance 2D, as for two normal laws of variance 1 whose means are
    $\sqrt{2D}$ apart. k2 alone is biased, by $D^2/2$.
    """
    spread = 2 * kl
    variance = {"k1": spread, "k2": spread**2 / 2 + spread**3 / 4, "k3": np.expm1(spread) - spread}[name]
    return np.sqrt(variance / draws + (kl**2 / 2 if name == "k2" else 0.0) ** 2)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield one table: the spread of many estimates of each kind, and every kind's error against the true KL."""
    kl, draws = settings["kl"], settings["draws"]
    noise = to_engine(np.random.default_rng(seed).standard_normal((STUDIES, draws)), engine)
    log_ratio = kl + math.sqrt(2 * kl) * noise
    table: Table = {name: [] for name in ("part", "estimator", "kl", "low", "middle", "high", "mean", "error")}
    for name, estimator in ESTIMATORS.items():
        estimates = namespace(noise).mean(estimator(log_ratio), axis=-1)
        found = np.asarray(estimates.tolist())
        quantiles = np.quantile(found, [0.05, 0.5, 0.95]).tolist()
        _add(table, "point", name, kl, *quantiles, found.mean(), math.sqrt(np.mean((found - kl) ** 2)))
    for name in ESTIMATORS:
        for at, off in zip(CURVE.tolist(), np.asarray(error(name, CURVE, draws)).tolist(), strict=True):
            _add(table, "curve", name, at, None, None, None, None, off)
    yield table


def describe(table: Table, settings: Settings) -> str:
    """Say what the estimates of each kind average to, and how far off they are."""
    said = [f"{name} {table['mean'][k]:.3g} (error {table['error'][k]:.2g})" for k, name in enumerate(ESTIMATORS)]
    formula = error("k3", settings["kl"], settings["draws"])
    answers = "1 answer" if settings["draws"] == 1 else f"{settings['draws']} answers"
    return (
        f"The true KL is {settings['kl']:g} nat. {STUDIES} estimates from {answers} each average to {', '.join(said)}. "
        f"By formula the error of k3 is {formula:.2g}; k1 and k3 cross at {crossing(table):.2f} nat."
    )


def crossing(table: Table) -> float:
    """Return the true KL at which the errors of k1 and k3 are equal, between two points of their curves."""
    ahead = np.log(_curve(table, "k3")) - np.log(_curve(table, "k1"))
    return math.exp(np.interp(0.0, ahead, np.log(CURVE)))


EXPERIMENT = Experiment(
    question="Which KL estimate?",
    parameters=(KL, DRAWS),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "k1 and k3 are both right on average, and at a tenth of a nat k3 scatters a third as much. From which "
            "true KL on is it k3 that scatters more?"
        ),
        kind="number",
        low=0.0,
        high=4.0,
        unit="nats",
        answer=lambda table, settings: crossing(table),
        why=(
            "k3 holds the ratio of reference to policy, which is rarely large and then huge: its variance grows like "
            "an exponential of the KL, that of k1 like the KL itself. Over a whole answer the KL is soon above a nat."
        ),
    ),
)


def _curve(table: Table, name: str) -> np.ndarray:
    rows = zip(table["part"], table["estimator"], table["error"], strict=True)
    return np.array([off for part, kind, off in rows if part == "curve" and kind == name])


def _add(table: Table, *row: str | float | None) -> None:
    add_row(table, row)
