"""How long is long? The divergence of best-of-N from the tilt at every length, exactly, and what formulas say of it."""

import functools
import math
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import to_engine
from alignbook.asymptotics import (
    aligned_letter,
    finite_length,
    fixed_n_limits,
    gaussian_finite_length,
    lattice_gap,
    refined_gap,
)
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.experiments.long_answers import GROWING, RATES, SLOWLY, log_draws, long_answers
from alignbook.experiments.running_example import LETTER_LOG_P, LETTER_REWARD, STEP_LOG_P, STEP_REWARD

BINARY, TERNARY, NORMAL = "right or wrong", "good, fair or poor", "normal"
FORMULAS = {BINARY: "lattice formula", TERNARY: "smooth formula", NORMAL: "smooth formula"}
LENGTHS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
LONGEST = {BINARY: 1_000_000, TERNARY: 300, NORMAL: 1_000_000}  # of three letters there are n^2/2 types
CURVE = np.round(np.geomspace(1, 1_000_000, 73))
FROM, TO = 1000, 1_000_000
COLUMNS = ("part", "length", "gap", "letter", "formula", "chosen")

LENGTH = Number("length", "Length n", 1, 1_000_000, 10_000, unit="letters", log=True, grid=LENGTHS)
DRAWS = Choice("draws", "Draws N", (GROWING, SLOWLY, "64"), GROWING)
LETTERS = Choice("letters", "Letters", (BINARY, NORMAL, TERNARY), BINARY)


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield the gap at ever longer lengths, then the formula's curve."""
    letters, draws, chosen = settings["letters"], settings["draws"], settings["length"]
    table: Table = {name: [] for name in COLUMNS}
    ladder = sorted({*LENGTHS, chosen})
    curve = formula(letters, draws, np.concatenate([ladder, CURVE])).tolist()
    for length, said in zip(ladder, curve, strict=False):
        gap = exact_gap(letters, draws, length, engine) if length <= LONGEST[letters] else math.nan
        add_row(table, ("exact", length, *map(_known, (gap, gap / length, said)), int(length == chosen)))
        yield so_far(table)
    for length, said in zip(CURVE.tolist(), curve[len(ladder) :], strict=True):
        add_row(table, ("formula", length, _known(said), _known(said / length), None, None))
    if draws == GROWING and LONGEST[letters] >= FROM:  # the question is about these: a guess starts from here
        add_row(table, ("asked", FROM, exact_gap(letters, draws, FROM, engine), None, None, None))
    yield table


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


@functools.lru_cache(maxsize=1000)  # a slider's move adds one length to those that every setting shares
def exact_gap(letters: str, draws: str, length: int, engine: str) -> float:
    """Return D(best-of-N || tilt) in nats, of the tilt at KL log N at a rate and else at best-of-N's own."""
    log_n = log_draws(draws, length)
    if letters == BINARY:
        return long_answers(length, draws, engine).kl_best_of_n_to_tilt
    if letters == NORMAL:
        found = gaussian_finite_length(to_engine(float(length), engine), log_n / length)
        shift = math.sqrt(2 * float(found.best_of_n.kl))
        at_own = shift * (shift - float(found.best_of_n.reward) / math.sqrt(length))
        return float(found.kl_best_of_n_to_tilt) if draws in RATES else at_own
    log_p, reward = to_engine(LETTER_LOG_P, engine), to_engine(LETTER_REWARD, engine)
    by_types = finite_length(log_p, reward, length, log_n / length)
    if draws in RATES:
        return float(by_types.kl_best_of_n_to_tilt)
    letter = aligned_letter(log_p, reward, by_types.best_of_n.kl / length)
    return float((length * letter.reward - by_types.best_of_n.reward) / letter.beta)  # the identity, at equal KL


def formula(letters: str, draws: str, lengths: np.ndarray) -> np.ndarray:
    """Return what the limit theorems say of the gap at these lengths; nan where they are void."""
    if draws not in RATES:
        return np.full(len(lengths), float(fixed_n_limits(float(draws)).divergence))
    if letters == NORMAL:
        return refined_gap(lengths, 1.0, 1 / math.sqrt(2 * RATES[draws]))
    if letters == TERNARY:
        letter = aligned_letter(LETTER_LOG_P, LETTER_REWARD, RATES[draws])
        return refined_gap(lengths, letter.variance, letter.beta)
    letter = aligned_letter(STEP_LOG_P, STEP_REWARD, RATES[draws])
    return lattice_gap(lengths, letter.variance, letter.beta, 1.0, -(lengths * letter.reward) % 1.0)


def describe(table: Table, settings: Settings) -> str:
    """Say the gap, in all and a letter, and what the formula says."""
    here = next((row for row, mark in enumerate(table["chosen"]) if mark), None)
    if here is None:
        return f"{len(table['length'])} lengths so far."
    n, gap, said = (table[name][here] for name in ("length", "gap", "formula"))
    name = FORMULAS[settings["letters"]] if settings["draws"] in RATES else "limit at fixed N"
    claim = f"the {name} is void there." if said is None else f"the {name} says {said:.3f}."
    if gap is None:
        return f"{n:,} letters: those of three kinds are counted up to {LONGEST[TERNARY]}; {claim}"
    return (
        f"{n:,} letters, {_number(settings['draws'], n)} draws: D(best-of-N ‖ tilt) is {gap:.3f} nats, {gap / n:.2g} a "
        f"letter; {claim}"
    )


def _number(draws: str, length: int) -> str:
    log_n = log_draws(draws, length)
    return draws if draws not in RATES else f"e^{log_n:,.3g}" if log_n < 100 else f"e^{log_n:,.0f}"


OPTIONS = ("it falls to 0", "it stays as it is", "it grows like log n", "it grows like n")


def growth(table: Table, settings: Settings) -> int:
    """Return how the gap goes from a thousand letters to a million, by its ratio; the formula's where none is exact."""
    rows = zip(table["part"], table["length"], table["gap"], table["formula"], strict=True)
    known = [(math.log(n), formula if gap is None else gap) for part, n, gap, formula in rows if part == "exact"]
    lengths, gaps = zip(*((n, gap) for n, gap in known if gap is not None), strict=True)
    first, last = np.interp(np.log([FROM, TO]), lengths, gaps)
    return sum(bool(last > least * first) for least in (0.5, 1.5, 30))


EXPERIMENT = Experiment(
    question="How long is long?",
    parameters=(LENGTH, DRAWS, LETTERS),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "Best-of-N with N = e^(n/10) draws meets the tilt as answers get long. What does the whole divergence "
            "D(best-of-N ‖ tilt), in nats, do as the length n goes from 1,000 to 1,000,000 letters?"
        ),
        kind="choice",
        options=OPTIONS,
        answer=growth,
        why=(
            "Best-of-N meets the tilt letter by letter: the divergence over n falls to 0. The whole of it grows like "
            "half of log n: the tilt spreads its totals over a range like the square root of n, best-of-N over a few, "
            "and to say where in that range its total lies costs the logarithm of its length."
        ),
    ),
    seeded=False,
)
