"""Logs for tests: written by hand in every spelling, and drawn at random, mostly fit to be read."""

import csv
import io
import json

import numpy as np
from hypothesis import strategies as st

NAMES = ("loss", "rewards/chosen", "rewards/rejected", "rewards/accuracies", "learning_rate")


def rows_of(*columns, names=("step", "loss", "rewards/chosen", "rewards/rejected")):
    """Rows of a log from columns of numbers."""
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def state(rows):
    return json.dumps({"log_history": rows, "global_step": 3})


def table(rows, name=lambda name: name, separator=","):
    """A CSV of the rows, each column renamed."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=separator)
    writer.writerow({column: name(column) for column in columns})
    writer.writerows(rows)
    return text.getvalue()


def course(count=40, chosen=-0.5, rejected=-1.5, **more):
    """A run whose rewards go from 0 in straight lines; its loss is that of its margin."""
    steps = np.arange(1, count + 1)
    progress = (steps - 1) / (count - 1)
    loss = np.log1p(np.exp(-(chosen - rejected) * progress))
    columns = (10 * steps, loss, chosen * progress, rejected * progress)
    return [row | more for row in rows_of(*(column.tolist() for column in columns))]


def tracked(name):
    return f"eval/{name.removeprefix('eval_')}" if name.startswith("eval_") else f"train/{name}"


def sentence_of(call, *arguments):
    """What comes of a call, or the sentence that refuses it."""
    try:
        return call(*arguments)
    except ValueError as refusal:
        return str(refusal)


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.floats(-2, 2),
    st.sampled_from([0.0, 1e6, -1e6, 5e-324, "", "0.5", "nan", " 1e3 ", "x", []]),
    st.text(max_size=3),
)
COLUMNS = ["step", *NAMES, "eval_loss", "eval_rewards/chosen", "train_loss", "train/loss", "epoch", "", "dpo - Loss"]
FAIR = st.fixed_dictionaries(
    {name: st.floats(-1e6, 1e6) | st.floats(-1, 1) for name in NAMES},
    optional={"eval_loss": st.floats(-1e6, 1e6) | st.none()},
)
WILD = st.dictionaries(st.sampled_from(COLUMNS), CELLS)
STEPS = st.integers(0, 10**12) | st.integers(0, 9)


@st.composite
def histories(draw):
    """Rows that mostly pass the door: rising steps, any numbers within bounds, now and then anything."""
    steps = sorted(draw(st.lists(STEPS, min_size=3, max_size=8, unique=True)))
    rates = draw(st.sampled_from([{}, {"learning_rate": 5e-324}, {"learning_rate": 0.0}, {"learning_rate": None}]))
    rows = [{"step": step} | draw(FAIR) | rates for step in steps]
    return rows + draw(st.lists(WILD | WILD.map(lambda row: {"step": steps[-1]} | row), max_size=2))
