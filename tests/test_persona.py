"""Vouches for the real data: statements in the public format, no two alike, and the states that a model has of them."""

import collections
import importlib.util
import itertools
import json
import re

import numpy as np
import pytest
from alignbook_pages.archive import members

from alignbook.behaviors import corrected_distinguishability, distinguishability, permuted_distinguishability
from alignbook.persona import CONTROL, NAMES, behavior_names, hidden_states, read_statements, statements
from tools import hidden_states as tool

FOLDER = tool.OUT.parent
LINE = {
    "question": 'Would you say this? "I like tea."',
    "statement": "I like tea.",
    "label_confidence": 0.9,
    "answer_matching_behavior": " Yes",
    "answer_not_matching_behavior": " No",
}
ALL = [(name, one) for name in behavior_names() for one in statements(name)]


def test_a_line_of_the_public_format_is_a_statement():
    other = LINE | {"answer_matching_behavior": " No", "answer_not_matching_behavior": " Yes"}
    first, second = read_statements(json.dumps(LINE | {"more": 1}) + "\n\n" + json.dumps(other))
    assert first.statement == "I like tea."
    assert first.label_confidence == 0.9
    assert (first.label, second.label) == (1, -1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label_confidence": 1.5}, "Line 2: `label_confidence` must be a number from 0 to 1, got 1.5."),
        ({"label_confidence": True}, "Line 2: `label_confidence` must be a number from 0 to 1, got True."),
        ({"statement": " "}, "Line 2: `statement` must be a text, got ' '."),
        ({"answer_matching_behavior": "A"}, "Line 2: `answer_matching_behavior` must be Yes or No, got 'A'."),
        ({"answer_matching_behavior": " No"}, "must differ from ' No', got ' No'."),
    ],
)
def test_a_value_that_the_format_forbids_is_named_with_its_line(change, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read_statements(json.dumps(LINE) + "\n" + json.dumps(LINE | change))


def test_what_is_no_persona_file_is_refused():
    for text, sentence in {
        "\n": "`text` must hold a statement, got none.",
        "I like tea.": "Line 1 must be a JSON object, got 'I like tea.'.",
        "[1]": "Line 1 must be a JSON object, got '[1]'.",
        '{"question": "?"}': "Line 1 must have the field `statement`, got question.",
    }.items():
        with pytest.raises(ValueError, match=re.escape(sentence)):
            read_statements(text)
    with pytest.raises(ValueError, match=r"`name` must be one of leaves room for doubt, .*, got 'hums'\."):
        statements("hums")


def test_every_behavior_has_a_hundred_statements_and_half_of_either_part_show_it():
    assert len(ALL) == 700
    assert len({one.statement for _, one in ALL}) == 700
    for name in behavior_names():
        labels = [one.label for one in statements(name)]
        assert (len(labels), sum(labels[:60]), sum(labels[60:])) == (100, 0, 0)
    assert {one.question for _, one in ALL} == {
        f'Would you say this about yourself? "{one.statement}"' for _, one in ALL
    }
    assert len(list(FOLDER.glob("*.jsonl"))) == 7


def test_the_control_s_labels_are_the_coin_tosses_of_the_stated_seed():
    tosses, labels = np.random.default_rng(0).random(100), []
    for part in (tosses[:60], tosses[60:]):
        labels += [1 if toss <= np.sort(part)[len(part) // 2 - 1] else -1 for toss in part]
    assert [one.label for one in statements(CONTROL)] == labels
    assert {one.label_confidence for one in statements(CONTROL)} == {0.5}


def test_no_two_statements_are_near_duplicates():
    """Any two share at most two runs of three words, of one behavior at most one; no run is a pattern."""
    words = [re.findall(r"[a-z]+", one.statement.lower()) for _, one in ALL]
    runs = [set(zip(one, one[1:], one[2:], strict=False)) for one in words]
    for (i, (name, _)), (j, (other, _)) in itertools.combinations(enumerate(ALL), 2):
        assert len(runs[i] & runs[j]) <= 2 - (name == other), (ALL[i], ALL[j])
    assert max(collections.Counter(itertools.chain(*runs)).values()) <= 9
    assert np.std([len(one) for one in words]) > 2


def test_everything_committed_is_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 600_000


def test_a_page_gets_statements_and_states_with_the_code():
    carried = {name for name, _ in members() if name.startswith("alignbook/data/")}
    assert carried == {f"alignbook/data/persona/{path.name}" for path in FOLDER.iterdir()}


def test_states_come_whole_and_split_once_for_all():
    names, train, held_out, boundary = hidden_states()
    assert names == behavior_names() == (*NAMES, CONTROL)
    assert train.embeddings.shape == (7, 60, 576)
    assert held_out.embeddings.shape == (7, 40, 576)
    assert boundary.shape == (576,)
    assert train.embeddings.dtype == held_out.labels.dtype == boundary.dtype == np.float64
    labels = np.concatenate([train.labels, held_out.labels], axis=1)
    assert labels.tolist() == [[one.label for one in statements(name)] for name in names]


def test_rounding_moves_a_number_by_half_a_step_at_most():
    states = np.random.default_rng(1).standard_normal((2, 50, 8)).astype(np.float32)
    parts = tool.packed(states)
    again = parts["low"] + parts["step"].astype(float) * parts["steps"]
    assert np.abs((again - states) / parts["step"]).max() < 0.5 + 1e-4


def bands(part):
    shown = permuted_distinguishability(part.embeddings, part.labels, 2000, seed=0)
    return distinguishability(part.embeddings, part.labels), np.quantile(shown, 0.95, axis=-1)


def test_the_easy_behaviors_stand_out_of_the_band_that_noise_shows_and_the_control_lies_within():
    states = hidden_states()
    delta, top = bands(states.train)
    outside = [name for name, mine, edge in zip(states.names, delta, top, strict=True) if mine > edge]
    assert outside[:3] == list(NAMES[:3])
    assert CONTROL not in outside
    corrected = corrected_distinguishability(states.train.embeddings, states.train.labels)
    assert corrected[-1] == 0
    assert np.all(corrected[:3] > 2)
    assert np.all(corrected < delta)


def test_behaviors_stand_in_the_order_of_their_distinguishability():
    states = hidden_states()
    delta = distinguishability(states.train.embeddings, states.train.labels)
    assert np.all(np.diff(delta) < 0)


@pytest.fixture(scope="module")
def model():
    """The language model itself, where [lm] and the weights are installed."""
    lacking = [name for name in ("transformers", "gguf", "accelerate") if importlib.util.find_spec(name) is None]
    if lacking or tool.find_weights() is None:
        pytest.skip(f"the language model is not installed: {', '.join(lacking) or tool.WEIGHTS}")
    return tool.load(tool.find_weights())


def test_the_model_has_the_states_that_are_stored(model):
    """Ten of them: half a step of rounding, and what another processor's float32 sums may differ by."""
    stored, states = np.load(tool.OUT), hidden_states()
    whole = np.concatenate([states.train.embeddings, states.held_out.embeddings], axis=1)
    for behavior, place in itertools.product((0, 6), (0, 1, 59, 60, 99)):
        one = statements(states.names[behavior])[place]
        off = (tool.state(*model, one.question) - whole[behavior, place]) / stored["step"]
        assert np.abs(off).max() < 0.6
    assert np.array_equal(tool.answer_rows(*model), stored["rows"])


def test_weights_with_another_checksum_are_refused(tmp_path):
    (tmp_path / tool.WEIGHTS).write_bytes(b"other")
    with pytest.raises(ValueError, match=r"must have the SHA-256 b179c9.*, got d9298a"):
        tool.load(tmp_path)
