"""Vouches for what is said of a reader's own run: against the theory's own equation, and in words for every symptom."""

import csv
import io
import itertools
import json
import math

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
from tests.experiments.logs import course, histories, sentence_of, state, table

NOISY, PAIR = TRAINING_LOG.presets


def said(text, **changes):
    settings = starts(EXPERIMENT) | {"training_log": text} | changes
    (frame,) = EXPERIMENT.run(settings, seed=0, engine="numpy")
    return EXPERIMENT.describe(frame, settings)


def curve(frame, series, column="value"):
    return [value for value, name in zip(frame[column], frame["series"], strict=True) if name == series]


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


def test_the_noisy_sample_ends_above_its_prediction_and_shows_displacement():
    log = read_log(TRAINING_LOG.presets[NOISY])
    sentence = said(NOISY)
    last = {name: column[-6:].mean() for name, column in log.training.items()}
    assert (
        f"the loss goes from 0.693 to {last['loss']:.3g}, the reward margin from 0 to {last['margin']:.3g}" in sentence
    )
    assert f"The chosen reward falls by {-last['chosen']:.3g}: likelihood" in sentence
    (frame,) = EXPERIMENT.run(starts(EXPERIMENT), seed=0, engine="numpy")
    predicted = np.mean(curve(frame, own_run.PREDICTION)[-6:])
    assert f"a loss of {predicted:.3g}; it ends {last['loss'] - predicted:.3g} above." in sentence


def test_the_noise_free_sample_ends_where_predicted():
    assert "With all pairs alike its first 20% would lead to a loss of 0.129; it ends there." in said(PAIR)


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
    "goes back": (course(8)[:7] + course(8)[5:], "goes back to an earlier step: 2 rows gave way to later ones."),
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
    assert frames[0]["sentence"].startswith("In 400 steps the loss goes from 0.693 to ")
    assert frames[1]["error"].startswith("ValueError: `rewards/chosen` must be a column of the log, got step, loss.")


def test_a_scale_s_marks_stand_where_the_axis_has_its_lines():
    (frame,) = EXPERIMENT.run(starts(EXPERIMENT), seed=0, engine="numpy")
    assert curve(frame, "loss scale") == [0, 0.25, 0.5, 0.75, 1]
    assert curve(frame, "reward scale") == [-5, -2.5, 0, 2.5, 5]
    for name, marks in own_run.SCALES.items():
        assert curve(frame, name, "shown") == list(marks)


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
    drawn = [curve(frame, name, "shown") for name in ("loss", own_run.HELD_OUT, *own_run.REWARDS)]
    assert max(map(abs, itertools.chain(*drawn))) <= 1 + 1e-12
    assert "nan" not in EXPERIMENT.describe(frame, settings)
