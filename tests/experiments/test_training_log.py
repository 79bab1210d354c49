"""Vouches for the door of a reader's own log: every spelling is read alike, and the rest is refused in words."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignbook.experiments.own_run import TRAINING_LOG
from alignbook.experiments.training_log import read_log
from tests.experiments.logs import CELLS, WILD, course, histories, rows_of, sentence_of, state, table, tracked

SAMPLE = TRAINING_LOG.presets[TRAINING_LOG.start]


def test_a_small_log_by_hand():
    rows = rows_of([1, 10, 20], [0.7, 0.6, 0.5], [0.0, 0.2, 0.1], [0.0, -0.1, -0.5])
    rows[1] |= {"rewards/accuracies": 0.75, "learning_rate": 1e-6}
    held_out = {"step": 20, "eval_loss": 0.55, "eval_rewards/chosen": 0.3}
    log = read_log(state([*rows, held_out, {"step": 20, "train_loss": 0.6, "total_flos": 0.0}]))
    assert log.training["step"].tolist() == [1, 10, 20]
    assert log.training["loss"].tolist() == [0.7, 0.6, 0.5]
    np.testing.assert_allclose(log.training["margin"], [0.0, 0.3, 0.6], atol=1e-15)
    np.testing.assert_array_equal(log.training["accuracy"], [math.nan, 0.75, math.nan])
    np.testing.assert_array_equal(log.training["learning_rate"], [math.nan, 1e-6, math.nan])
    assert (log.held_out["step"].tolist(), log.held_out["loss"].tolist()) == ([20], [0.55])
    assert log.held_out["chosen"].tolist() == [0.3]
    assert log.repeated == 0


SPELLINGS = {
    "a bare list": json.dumps,
    "JSON after a byte order mark": lambda rows: "\ufeff\n" + state(rows),
    "CSV": table,
    "semicolons": lambda rows: table(rows, separator=";"),
    "tabs": lambda rows: table(rows, separator="\t"),
    "underscores": lambda rows: table(rows, lambda name: name.replace("/", "_")),
    "a tracker": lambda rows: table(rows, lambda name: "train/global_step" if name == "step" else tracked(name)),
    "a tracker's run": lambda rows: table(
        rows, lambda name: "Step" if name == "step" else f"dpo - 7 - {tracked(name)}"
    ),
    "all underscores": lambda rows: table(
        rows, lambda name: tracked(name).replace("/", "_") if name != "step" else name
    ),
}


@pytest.mark.parametrize("write", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_gives_the_same_log(write):
    rows = json.loads(SAMPLE)["log_history"]
    rows = [row for row in rows if "train_loss" not in row]
    expected, found = read_log(state(rows)), read_log(write(rows))
    for mine, theirs in zip(expected[:2], found[:2], strict=True):
        for name, column in mine.items():
            np.testing.assert_array_equal(column, theirs[name])
    assert len(expected.training["step"]) == 61
    assert len(expected.held_out["step"]) == 6


def test_a_tie_before_the_first_step_is_no_reward_accuracy():
    log = read_log(SAMPLE)
    assert json.loads(SAMPLE)["log_history"][0]["rewards/accuracies"] == 0
    assert math.isnan(log.training["accuracy"][0])
    assert log.training["accuracy"][1] > 0.5


def test_where_a_resumed_run_goes_back_its_later_rows_count():
    rows = course(8)
    again = [row | {"loss": 0.1} for row in rows[5:]]
    log = read_log(state([*rows[:7], *again]))
    assert log.repeated == 2
    assert log.training["step"].tolist() == [row["step"] for row in rows]
    assert log.training["loss"].tolist() == [row["loss"] for row in rows[:5]] + [0.1] * 3


GOOD = course(5)
REFUSED = {
    "": "`training_log` must hold a log, got an empty text.",
    '{"log_history": [': "`training_log` must be JSON or CSV; its JSON fails in line 1: Expecting value.",
    "[" * 100_000: "`training_log` must be JSON as trainers write it, got numbers or brackets without end.",
    "[" + "9" * 5000 + "]": "`training_log` must be JSON as trainers write it, got numbers or brackets without end.",
    '{"epoch": 1.0, "train_loss": 0.5}': (
        "`log_history` must be in the JSON, as in trainer_state.json, got only epoch, train_loss."
    ),
    '{"log_history": {"step": 1}}': "`log_history` must be a list of rows, each with its names, got something else.",
    "[1, 2, 3]": "`log_history` must be a list of rows, each with its names, got something else.",
    "[]": "`step` must be a column of the log, got no columns.",
    "Dear reader,\nthis is a letter.\n": "`step` must be a column of the log, got dear reader.",
    "Wall time,Step,Value\n1,1,0.5\n": (
        "The log must hold all curves in one table; TensorBoard's own CSV holds a single one."
    ),
    "step,a - loss,b - loss\n1,2,3\n": "The log must be of one run, got several columns loss.",
    "step,loss\n1,2,3\n": "Row 1 must have a cell for each of 2 names, got 3 cells.",
    'step,loss\n1,"2'
    + "x" * 200_000: "`training_log` must be JSON or CSV; as CSV it fails: field larger than field limit (131072).",
    state([{"loss": 1.0}]): "`step` must be a column of the log, got loss.",
    state([{"step": 1, "eval_loss": 1.0}]): "`loss` must be a column of the log, got step, eval_loss.",
    state([{"step": 1, "loss": 2.0, "epoch": 0.1}]): (
        "`rewards/chosen` must be a column of the log, got step, loss, epoch. "
        "A run without pairs, such as supervised fine-tuning, has no such rewards."
    ),
    state(GOOD[:2]): "The log must have at least 3 rows of training, got 2.",
    state(GOOD[::-1]): "The log must have at least 3 rows of training, got 1 and 4 that later rows repeat.",
    state([{**GOOD[0], "step": "first"}]): "`step` must be a number, got 'first' in row 1.",
    state([{**GOOD[0], "step": 0.5}]): "`step` must be a whole number, got 0.5 in row 1.",
    state([{**GOOD[0], "step": -1}]): "`step` must be a whole number, got -1 in row 1.",
    state([{**GOOD[0], "step": 1e300}]): "`step` must be at most 1e+12 in size, got 1e+300 in row 1.",
    state([{**GOOD[0], "loss": "n/a"}]): "`loss` must be a number, got 'n/a' at step 10.",
    state([{**GOOD[0], "loss": True}]): "`loss` must be a number, got a bool at step 10.",
    state([{**GOOD[0], "loss": [0.7]}]): "`loss` must be a number, got a list at step 10.",
    state([{**GOOD[0], "loss": math.nan}]): (
        "`loss` must be a finite number, got nan at step 10: cut the log before the run diverged."
    ),
    state([{**GOOD[0], "rewards/chosen": -math.inf}]): (
        "`rewards/chosen` must be a finite number, got -inf at step 10: cut the log before the run diverged."
    ),
    state([{**GOOD[0], "rewards/rejected": 10**400}]): (
        "`rewards/rejected` must be a finite number, got inf at step 10: cut the log before the run diverged."
    ),
    state([{**GOOD[0], "loss": 1e7}]): "`loss` must be at most 1e+06 in size, got 1e+07 at step 10.",
    state([*GOOD, {"step": 9, "eval_loss": "?"}]): "`eval_loss` must be a number, got '?' at step 9.",
    table([{**GOOD[0], "loss": "?"}], lambda name: f"train/{name}".replace("train/step", "step")): (
        "`train/loss` must be a number, got '?' at step 10."
    ),
    table([{**GOOD[0], "loss": "0,69"}], separator=";"): "`loss` must be a number, got '0,69' at step 10.",
}


@pytest.mark.parametrize(("text", "sentence"), REFUSED.items(), ids=REFUSED.values())
def test_a_log_that_lacks_what_it_needs_is_refused_in_words(text, sentence):
    with pytest.raises(ValueError) as refusal:
        read_log(text)
    assert str(refusal.value) == sentence


JSON = st.recursive(CELLS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
TEXTS = st.one_of(
    st.text(),
    st.text("{}[],;:\"'\n\r\t0123456789.e- stepolewardschinj_/", max_size=200),
    JSON.map(json.dumps),
    st.lists(WILD, max_size=6).map(state),
    histories().map(state),
    histories().map(lambda rows: table(rows, tracked)),
    histories().map(lambda rows: table(rows).replace("step", "Step")),
)


@given(TEXTS)
def test_no_text_whatever_breaks_the_door(text):
    """Nothing but a sentence comes out of `read_log`; warnings are errors here."""
    log = sentence_of(read_log, text)
    if isinstance(log, str):
        assert log.endswith(".")
        assert len(log) < 700
        return
    assert len(log.training["step"]) >= 3
    for name in ("step", "loss", "chosen", "rejected", "margin"):
        assert np.isfinite(log.training[name]).all()
    assert (np.diff(log.training["step"]) > 0).all()


def test_the_fuzzed_histories_do_pass_the_door():
    """The test above would be idle if nothing passed; count how many of the histories are read."""
    read = []

    @given(histories())
    def count(rows):
        read.append(not isinstance(sentence_of(read_log, state(rows)), str))

    count()
    assert sum(read) > len(read) / 4
