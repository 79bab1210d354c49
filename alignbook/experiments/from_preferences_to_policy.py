"""From preferences to policy: DPO on comparisons drawn from a known reward, against the tilt it should reach."""

import itertools
from collections.abc import Iterator

import array_api_compat
import numpy as np

from alignbook.arrays import Array, namespace, to_engine
from alignbook.dynamics import dpo_descent
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.running_example import ANSWERS, REF_LOG_P, REWARD
from alignbook.information import kl_divergence
from alignbook.policies import softmax_policy
from alignbook.preferences import sample_pairs, sample_preferences, win_counts
from alignbook.tilting import tilt

COMPARED = {  # how likely an answer is to be in a pair
    "all answers alike": (0.25, 0.25, 0.25, 0.25),
    "as the reference draws": tuple(np.exp(REF_LOG_P).tolist()),
    "never Canberra": (0.0, 1 / 3, 1 / 3, 1 / 3),
}
BETA, LEARNING_RATE, STEPS = 0.5, 5.0, 300
STUDIES = 32  # data sets of one kind, each with a training of its own
MOMENTS = {0, 1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 130, 200, 300}

PAIRS = Number("pairs", "Pairs", low=10, high=3000, start=3000, log=True, grid=(10, 30, 100, 300, 1000, 3000))
NOISE = Number("noise", "Label noise", low=0.0, high=0.45, start=0.2, grid=(0.0, 0.1, 0.2, 0.3, 0.4))
COVERAGE = Choice("coverage", "Compared", tuple(COMPARED), "all answers alike")


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the distance to the tilt as training goes on, over many data sets; at the end also the laws."""
    ref, reward = to_engine(REF_LOG_P, engine), to_engine(REWARD, engine)
    target = tilt(ref, reward, BETA)
    with np.errstate(divide="ignore"):
        drawn_from = np.tile(np.log(COMPARED[settings["coverage"]]), (STUDIES, 1))
    pairs = sample_pairs(to_engine(drawn_from, engine), settings["pairs"], seed=seed)
    data = sample_preferences(reward, pairs, label_noise=settings["noise"], seed=seed)
    directions, shares = _each_outcome(win_counts(data, len(ANSWERS)))
    names = ("part", "step", "low", "middle", "high", "answer", "law", "probability")
    table: Table = {name: [] for name in names}
    training = dpo_descent(directions, BETA, LEARNING_RATE, weights=shares)
    log_p = ref
    for snapshot in itertools.islice(training, STEPS + 1):
        if snapshot.step in MOMENTS:
            log_p = softmax_policy(ref + snapshot.theta)
            spread = np.quantile(kl_divergence(log_p, target).tolist(), [0.05, 0.5, 0.95])
            _append(table, ("distance", snapshot.step, *spread.tolist(), None, None, None))
            yield so_far(table)
    means = np.exp(log_p.tolist()).mean(axis=0)
    for law, chances in (("reference", np.exp(REF_LOG_P)), ("tilt", np.exp(target.tolist())), ("DPO", means)):
        for answer, chance in zip(ANSWERS, chances.tolist(), strict=True):
            _append(table, ("law", None, None, None, None, answer, law, chance))
    yield table


def describe(table: Table, settings: Settings) -> str:
    """Say how far from the tilt the trainings end, and what they make of Canberra."""
    end = max(i for i, part in enumerate(table["part"]) if part == "distance")
    low, middle, high = (table[name][end] for name in ("low", "middle", "high"))
    flipped = f"{settings['noise']:.0%} of labels flipped"
    said = (
        f"{settings['pairs']} pairs, {flipped}: the median training ends {middle:.2g} nats from the tilt, nine in ten "
        f"between {low:.2g} and {high:.2g}."
    )
    if table["part"][-1] != "law":  # the laws come with the last frame
        return said
    goal, mean = (table["probability"][place] for place in (-2 * len(ANSWERS), -len(ANSWERS)))
    return f"{said} Canberra gets {mean:.2f} on average, and {goal:.2f} under the tilt."


def where_it_ends(table: Table, settings: Settings) -> int:
    """Return which option the mean law fulfills, by how far Canberra has come from the reference towards the tilt."""
    goal, mean = (table["probability"][place] for place in (-2 * len(ANSWERS), -len(ANSWERS)))
    start = float(np.exp(REF_LOG_P[0]))
    way = (mean - start) / (goal - start)
    return 0 if abs(way - 1) < 0.05 else 1 if way < 1 else 2


EXPERIMENT = Experiment(
    question="Does DPO reach the tilt?",
    parameters=(PAIRS, NOISE, COVERAGE),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "3000 comparisons follow a known reward, but a fifth of the labels, picked at random, is flipped. "
            "Where does DPO end?"
        ),
        kind="choice",
        options=("at the tilt", "between reference and tilt", "beyond the tilt"),
        answer=where_it_ends,
        why=(
            "Flips do not cancel out. An answer that wins 9 of 10 comparisons now wins 7.4 of 10, so its lead in "
            "log-odds shrinks from 2.2 to 1.05, and with it every implicit reward."
        ),
    ),
)


def _append(table: Table, row: tuple) -> None:
    add_row(table, row)


def _each_outcome(wins: Array) -> tuple[Array, Array]:
    """Return for each outcome, i beat j, the direction of its pair in a table of logits, and its share of all."""
    xp, answers = namespace(wins), range(len(ANSWERS))
    wins = xp.astype(wins, xp.float64)
    outcomes = [(i, j) for i in answers for j in answers if i != j]
    counts = xp.stack([wins[..., i, j] for i, j in outcomes], axis=-1)
    each = xp.eye(len(ANSWERS), dtype=wins.dtype, device=array_api_compat.device(wins))
    return xp.stack([each[i] - each[j] for i, j in outcomes]), counts / xp.sum(counts, axis=-1, keepdims=True)
