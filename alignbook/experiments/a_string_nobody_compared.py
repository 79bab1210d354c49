"""A string nobody compared: a policy that draws letters independently is trained on one pair of six-letter strings."""

import itertools
from collections.abc import Iterator

import numpy as np

from alignbook.arrays import to_engine
from alignbook.dynamics import dpo_descent
from alignbook.experiments.declare import Choice, Experiment, Number, Prediction, Settings, Table, add_row, so_far
from alignbook.losses import dpo_loss
from alignbook.policies import letter_counts, unigram_policy

LETTERS = "ABN"
STRINGS = ["".join(letters) for letters in itertools.product(LETTERS, repeat=6)]
CHOSEN = "BANANA"
REJECTED = {1: "BBBBBB", 2: "BBBBBA", 3: "BBBABA", 4: "BABABA", 5: "BABANA", 6: "ABANAN"}  # by letters shared
STARTS = {"fitted to BANANA": (3 / 6, 1 / 6, 2 / 6), "all letters alike": (1 / 3, 1 / 3, 1 / 3)}
BETA, LEARNING_RATE = 0.5, 0.5
MOMENTS = (0, 3, 10, 30, 100, 300, 1000)
STRIDE = 100  # steps between two chances to stop, some 5 ms of work
TOP = 10

SHARED = Number("shared", "Letters shared", low=1, high=6, start=5, grid=tuple(REJECTED))
STEPS = Number("steps", "Steps", low=0, high=1000, start=1000, grid=MOMENTS)
START = Choice("start", "Before training", tuple(STARTS), "fitted to BANANA")


def run(settings: Settings, *, seed: int = 0, engine: str = "numpy") -> Iterator[Table]:
    """Yield at each moment the ten most likely strings, then the pair."""
    pair = CHOSEN, REJECTED[settings["shared"]]
    logits = to_engine(np.log(STARTS[settings["start"]]), engine)
    counts = to_engine(letter_counts(len(LETTERS), len(CHOSEN)), engine)
    chosen, rejected = (counts[STRINGS.index(string)] for string in pair)
    table: Table = {name: [] for name in ("step", "loss", "place", "string", "role", "chance")}
    training = dpo_descent((chosen - rejected)[None, :], BETA, LEARNING_RATE)
    for snapshot in itertools.islice(training, settings["steps"] + 1):
        if snapshot.step in {*MOMENTS, settings["steps"]}:
            law = np.exp(unigram_policy(logits + snapshot.theta, len(CHOSEN)).tolist())
            loss = float(dpo_loss(snapshot.margin)[0])
            for place, string in zip(
                [*range(1, TOP + 1), "chosen", "rejected"], [*_likeliest(law), *pair], strict=True
            ):
                row = (snapshot.step, loss, str(place), string, _role(string, pair), float(law[STRINGS.index(string)]))
                add_row(table, row)
            yield so_far(table)
        elif snapshot.step % STRIDE == 0:
            yield so_far(table)


def describe(table: Table, settings: Settings) -> str:
    """Say what the loss has come to, and which string is on top."""
    first, best, chosen = table["chance"][TOP], table["chance"][-TOP - 2], table["chance"][-2]
    top, rejected = table["string"][-TOP - 2], table["string"][-1]
    lead = f"{CHOSEN} over {rejected}, {table['step'][-1]} steps: loss {table['loss'][-1]:.2g}"
    return f"{lead}. {CHOSEN} goes from {first:.2g} to {chosen:.2g}; the most likely string is {top} with {best:.2g}."


def winner(table: Table, settings: Settings) -> int:
    """Return the place of the string on top among the options."""
    return OPTIONS.index(table["string"][-TOP - 2])


OPTIONS = ("BANANA", "AAAAAA", "NNNNNN", "BBBBBB")

EXPERIMENT = Experiment(
    question="Which of all 729 strings does one pair teach?",
    parameters=(SHARED, STEPS, START),
    run=run,
    describe=describe,
    prediction=Prediction(
        question=(
            "A model draws six letters, each independently: A half of the time, N a third, B a sixth, as in BANANA. It "
            "is trained on BANANA over BABANA alone. Which string is the most likely after 1000 steps?"
        ),
        kind="choice",
        options=OPTIONS,
        answer=winner,
        why=(
            "The two strings differ in one letter, an N for a B. That is all the pair can teach: more N, less B. The "
            "string farthest in this direction has six N, and A, the commonest letter at first, is left behind."
        ),
    ),
    seeded=False,
)


def _likeliest(law: np.ndarray) -> list[str]:
    """Return the ten most likely strings; equally likely ones come in the order of the alphabet."""
    order = sorted(range(len(law)), key=lambda i: (-float(f"{law[i]:.9e}"), i))
    return [STRINGS[i] for i in order[:TOP]]


def _role(string: str, pair: tuple[str, str]) -> str:
    return {pair[0]: "chosen", pair[1]: "rejected"}.get(string, "uncompared")
