"""Vouches for the reader's own log: it is read or refused in words, and compared with what the theory predicts."""

import csv
import io
import itertools
import json
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from alignbook.experiments import own_run
from alignbook.experiments.declare import LONGEST_TEXT, checked, checked_value, starts, text_of
from alignbook.experiments.own_run import EXPERIMENT, TRAINING_LOG
from alignbook.experiments.training_log import read_log
from alignbook.labs.lab import declaration
from alignbook.labs.live import LiveLab
from alignbook.labs.own_run import LAB
from tests.experiments import sample_runs

NOISY, PAIR = TRAINING_LOG.presets
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


def said(text, **changes):
    settings = starts(EXPERIMENT) | {"training_log": text} | changes
    (frame,) = EXPERIMENT.run(settings, seed=0, engine="numpy")
    return EXPERIMENT.describe(frame, settings)


def curve(frame, series, column="value"):
    return [value for value, name in zip(frame[column], frame["series"], strict=True) if name == series]


# ---- reading


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


def tracked(name):
    return f"eval/{name.removeprefix('eval_')}" if name.startswith("eval_") else f"train/{name}"


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
    rows = json.loads(TRAINING_LOG.presets[NOISY])["log_history"]
    rows = [row for row in rows if "train_loss" not in row]
    expected, found = read_log(state(rows)), read_log(write(rows))
    for mine, theirs in zip(expected[:2], found[:2], strict=True):
        for name, column in mine.items():
            np.testing.assert_array_equal(column, theirs[name])
    assert len(expected.training["step"]) == 61
    assert len(expected.held_out["step"]) == 6


def test_a_tie_before_the_first_step_is_no_reward_accuracy():
    log = read_log(TRAINING_LOG.presets[NOISY])
    assert json.loads(TRAINING_LOG.presets[NOISY])["log_history"][0]["rewards/accuracies"] == 0
    assert math.isnan(log.training["accuracy"][0])
    assert log.training["accuracy"][1] > 0.5


def test_where_a_resumed_run_goes_back_its_later_rows_count():
    rows = course(8)
    again = [row | {"loss": 0.1} for row in rows[5:]]
    log = read_log(state([*rows[:7], *again]))
    assert log.repeated == 2
    assert log.training["step"].tolist() == [row["step"] for row in rows]
    assert log.training["loss"].tolist() == [row["loss"] for row in rows[:5]] + [0.1] * 3
    assert "The log goes back to an earlier step: 2 rows gave way to later ones." in said(state([*rows[:7], *again]))


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
JSON = st.recursive(CELLS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
STEPS = st.integers(0, 10**12) | st.integers(0, 9)


@st.composite
def histories(draw):
    """Rows that mostly pass the door: rising steps, any numbers within bounds, now and then anything."""
    steps = sorted(draw(st.lists(STEPS, min_size=3, max_size=8, unique=True)))
    rates = draw(st.sampled_from([{}, {"learning_rate": 5e-324}, {"learning_rate": 0.0}, {"learning_rate": None}]))
    rows = [{"step": step} | draw(FAIR) | rates for step in steps]
    return rows + draw(st.lists(WILD | WILD.map(lambda row: {"step": steps[-1]} | row), max_size=2))


TEXTS = st.one_of(
    st.text(),
    st.text("{}[],;:\"'\n\r\t0123456789.e- stepolewardschinj_/", max_size=200),
    JSON.map(json.dumps),
    st.lists(WILD, max_size=6).map(state),
    histories().map(state),
    histories().map(lambda rows: table(rows, tracked)),
    histories().map(lambda rows: table(rows).replace("step", "Step")),
)


def sentence_of(call, *arguments):
    """What comes of a call, or the sentence that refuses it."""
    try:
        return call(*arguments)
    except ValueError as refusal:
        return str(refusal)


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


@given(histories(), st.sampled_from([0.05, 0.2, 1.0]))
def test_every_log_that_is_read_makes_a_table_and_a_sentence(rows, fitted):
    """A row that a wild one spoils is refused; what is not refused stays finite, on scales that hold it."""
    settings = {"training_log": state(rows), "fitted": fitted}
    frame = sentence_of(lambda: next(EXPERIMENT.run(settings, seed=0, engine="numpy")))
    if isinstance(frame, str):
        assert frame.startswith(("`", "The log must"))
        return
    assert len({len(column) for column in frame.values()}) == 1
    for name in ("step", "time", "progress", "value", "shown"):
        assert all(math.isfinite(value) for value in frame[name])
    drawn = [curve(frame, name, "shown") for name in ("loss", "held-out loss", *own_run.REWARDS)]
    assert max(map(abs, itertools.chain(*drawn))) <= 1 + 1e-12
    assert "nan" not in EXPERIMENT.describe(frame, settings)


def test_the_fuzzed_histories_do_pass_the_door():
    """The test above would be idle if nothing passed; count how many of the histories are read."""
    read = []

    @given(histories())
    def count(rows):
        read.append(not isinstance(sentence_of(read_log, state(rows)), str))

    count()
    assert sum(read) > len(read) / 4


# ---- what the theory predicts


def test_the_noise_free_margin_is_the_wright_omega_function():
    """Against Lambert's W, z = c - W(e^c) with c = 1 + grown, in 50 digits and more."""
    for grown in [0.0, 1e-9, 1e-3, 0.1, 1.0, 10.0, 700.0, 1e6, 1e15]:
        with mpmath.workdps(50):
            # beyond c = 709, e^c is no float: mpmath's is
            goal = 1 + mpmath.mpf(grown)
            exact = (
                goal - mpmath.lambertw(mpmath.exp(goal))
                if grown <= 1e6
                else mpmath.findroot(lambda z, goal=goal: z + mpmath.exp(z) - goal, mpmath.log(goal))
            )
        assert abs(own_run.noise_free_margin(np.array([grown]))[0] - float(exact)) < 4e-16 * max(1.0, float(exact))


def test_one_pair_without_noise_follows_the_differential_equation():
    """The margin of one pair obeys m' = |h|^2 sigma(-m), here with |h|^2 = 0.29; descent's steps cost 0.001."""
    log = read_log(TRAINING_LOG.presets[PAIR])
    time = own_run.times(log.training)
    flow = solve_ivp(lambda _, m: 0.29 / (1 + np.exp(m)), (0, time[-1]), [0.0], t_eval=time, rtol=1e-10, atol=1e-12)
    exact = np.log1p(np.exp(-flow.y[0]))
    assert np.abs(log.training["loss"] - exact).max() < 1e-3
    for fitted in own_run.FITTED.grid:
        assert np.abs(own_run.predicted_loss(log.training, time, fitted) - exact).max() < 1e-3


def test_the_prediction_needs_no_unit_of_time():
    log = read_log(TRAINING_LOG.presets[NOISY])
    time = own_run.times(log.training)
    seconds = own_run.predicted_loss(log.training, time, 0.2)
    np.testing.assert_allclose(own_run.predicted_loss(log.training, 1e-9 * time, 0.2), seconds, rtol=1e-12)


def test_time_is_the_learning_rate_summed_over_the_steps_before_each_policy():
    """Step by step: a row at step s after one at r is the mean over the policies after r, ..., s - 1 steps."""
    steps = np.array([1, 10, 20, 30])
    rate = np.full(30, 0.5)
    elapsed = np.concatenate([[0.0], np.cumsum(rate)])  # after 0, 1, 2, ... steps
    expected = [elapsed[r:s].mean() for r, s in itertools.pairwise([0, *steps])]
    training = {"step": steps.astype(float), "learning_rate": np.full(4, 0.5)}
    np.testing.assert_allclose(own_run.times(training), expected, rtol=1e-14)
    training["learning_rate"][2] = math.nan
    np.testing.assert_allclose(own_run.times(training), np.array(expected) / 0.5, rtol=1e-14)


def test_time_follows_warm_up_and_cosine():
    """The sample's rows know their rates every ten steps only; its time is right within 1 % of the whole."""
    log = read_log(TRAINING_LOG.presets[NOISY])
    steps = np.arange(1, 601)
    cosine = 0.5 * (1 + np.cos(np.pi * np.maximum(0, steps - 60) / 540))
    elapsed = np.concatenate([[0.0], np.cumsum(0.008 * np.minimum(1, steps / 60) * cosine)])
    rows = log.training["step"].astype(int)
    expected = np.array([elapsed[r:s].mean() for r, s in itertools.pairwise([0, *rows])])
    assert np.abs(own_run.times(log.training) - expected).max() < 0.01 * expected[-1]


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=30))
def test_the_mean_dpo_loss_is_at_least_that_of_the_mean_margin(margins):
    """Jensen's inequality: no DPO run is refused from below."""
    margins = np.array(margins)
    assert np.logaddexp(0, -margins).mean() >= np.logaddexp(0, -margins.mean()) - 1e-12


# ---- what is said


def test_the_noisy_sample_ends_above_its_prediction_and_shows_displacement():
    log = read_log(TRAINING_LOG.presets[NOISY])
    sentence = said(NOISY)
    last = {name: column[-6:].mean() for name, column in log.training.items()}
    assert (
        f"the loss goes from 0.693 to {last['loss']:.3g}, the reward margin from 0 to {last['margin']:.3g}" in sentence
    )
    assert f"The chosen reward falls by {-last['chosen']:.3g} while the margin grows: this is likelihood" in sentence
    (frame,) = EXPERIMENT.run(starts(EXPERIMENT), seed=0, engine="numpy")
    predicted = np.mean(curve(frame, own_run.PREDICTION)[-6:])
    assert f"a loss of {predicted:.3g}; the run ends {last['loss'] - predicted:.3g} above that." in sentence


def test_the_noise_free_sample_ends_where_predicted():
    assert "would lead to a loss of 0.129; the run ends there." in said(PAIR)


SAID = {
    "rises": (
        course(chosen=0.5, rejected=-0.5),
        "The chosen reward rises by 0.481 and the rejected one falls by 0.481.",
    ),
    "both rise": (
        course(chosen=2.0, rejected=1.0),
        "The chosen reward rises by 1.92 and the rejected one rises by 0.962.",
    ),
    "nothing learned": (course(chosen=-1.0, rejected=0.0), "The margin does not grow: nothing of the preferences"),
    "no growth at first": (course(chosen=-1.0, rejected=0.0), "In the first rows the margin does not grow, so nothing"),
    "IPO": (course(loss=25.0), "A loss of 25 at a margin of 0 is not DPO's: nothing is predicted."),
    "KTO": (course(loss=0.5), "A loss of 0.5 at a margin of 0 is not DPO's: nothing is predicted."),
    "no accuracy": (course(), "the reward margin from 0 to 0.962. The chosen"),
    "accuracy": (course(**{"rewards/accuracies": 0.8}), "the reward accuracy from 80% to 80%."),
    "overfits": (
        [*course(), *({"step": s, "eval_loss": loss} for s, loss in ((100, 0.6), (200, 0.5), (300, 0.55)))],
        "The held-out loss is lowest, 0.5, at step 200 and ends at 0.55: it overfits.",
    ),
    "does not overfit": ([*course(), {"step": 100, "eval_loss": 0.6}], "The held-out loss ends at 0.6."),
}


@pytest.mark.parametrize(("rows", "words"), SAID.values(), ids=SAID)
def test_what_a_run_shows_is_said_plainly(rows, words):
    assert words in said(state(rows))


def test_a_long_log_becomes_means_of_its_rows():
    rng = np.random.default_rng(0)
    rows = [
        row | {"loss": row["loss"] + 0.1 * noise} for row, noise in zip(course(3000), rng.random(3000), strict=True)
    ]
    (frame,) = EXPERIMENT.run({"training_log": state(rows), "fitted": 0.2}, seed=0, engine="numpy")
    loss = curve(frame, "loss")
    assert len(loss) == own_run.MOST_POINTS
    assert abs(np.mean(loss) - np.mean([row["loss"] for row in rows])) < 1e-12
    assert curve(frame, "loss", "step")[-1] == 30_000


# ---- the samples, the parameter, the lab


def test_the_sample_logs_are_what_their_script_makes():
    """Five digits are kept; another machine's sums may turn the last one."""
    kept, made = json.loads(TRAINING_LOG.presets[NOISY]), sample_runs.letter_strings()
    for row, other in zip(kept["log_history"], made["log_history"], strict=True):
        assert row.keys() == other.keys()
        np.testing.assert_allclose(list(row.values()), list(other.values()), rtol=2.1e-5, atol=1e-9)
    lines = [list(csv.reader(io.StringIO(text))) for text in (TRAINING_LOG.presets[PAIR], sample_runs.one_pair())]
    assert lines[0][0] == lines[1][0]
    np.testing.assert_allclose(np.array(lines[0][1:], float), np.array(lines[1][1:], float), rtol=2.1e-5, atol=1e-9)


def test_a_file_s_setting_is_a_sample_s_name_or_a_text():
    assert text_of(TRAINING_LOG, PAIR) == (sample_runs.FOLDER / "one_pair.csv").read_text("utf-8")
    assert text_of(TRAINING_LOG, "a,b\n") == "a,b\n"
    assert text_of(TRAINING_LOG, "{}") == "{}"
    assert checked(EXPERIMENT, {"fitted": 1, "training_log": "{}"}) == {"fitted": 1.0, "training_log": "{}"}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("a run", f"`training_log` must be a text of several lines or one of {NOISY}, {PAIR}, got 'a run'."),
        ("\n" * (LONGEST_TEXT + 1), "`training_log` must have at most 5000000 characters, got 5000001."),
        (7, "`training_log` must be a text, got 7."),
    ],
)
def test_a_setting_that_is_no_file_is_refused_in_words(value, sentence):
    with pytest.raises(ValueError) as refusal:
        checked_value(TRAINING_LOG, value)
    assert str(refusal.value) == sentence


def test_a_declaration_names_the_samples_and_leaves_their_texts():
    (declared,) = (one for one in declaration(LAB)["parameters"] if one["kind"] == "file")
    assert declared == {
        "kind": "file",
        "name": "training_log",
        "label": "Training log",
        "options": [NOISY, PAIR],
        "grid": [NOISY, PAIR],
        "start": NOISY,
    }
    assert "log_history" not in json.dumps(declaration(LAB))


def test_a_notebook_s_lab_reads_a_text_and_says_what_is_wrong_with_it():
    lab, frames = LiveLab(LAB), []
    lab.send = frames.append
    for count, text in enumerate([table(course()), "step,loss\n1,0.7\n"]):
        changed = {"training_log": text}
        message = {"kind": "next", "view": "view", "request": count, "changed": changed, "again": False}
        lab._handle_custom_msg(message, [])
    lab.close()
    assert frames[0]["sentence"].startswith("Up to step 400 the loss goes from 0.693 to ")
    assert frames[1]["error"].startswith("ValueError: `rewards/chosen` must be a column of the log, got step, loss.")


def test_a_scale_s_marks_stand_where_the_axis_has_its_lines():
    (frame,) = EXPERIMENT.run(starts(EXPERIMENT), seed=0, engine="numpy")
    assert curve(frame, "loss scale") == [0, 0.25, 0.5, 0.75, 1]
    assert curve(frame, "reward scale") == [-5, -2.5, 0, 2.5, 5]
    for name, marks in own_run.SCALES.items():
        assert curve(frame, name, "shown") == list(marks)
