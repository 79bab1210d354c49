"""Vouches for a lab's Python side: pulled runs that nothing keeps alive, traits, errors, and the record."""

import dataclasses
import gc
import itertools
import json
import threading

import altair as alt
import ipywidgets
import nbformat
import pytest
import traitlets
from nbclient import NotebookClient

import alignbook.labs
from alignbook.experiments.declare import Number, starts
from alignbook.experiments.pull import plain
from alignbook.labs import show
from alignbook.labs.lab import Lab, declaration
from alignbook.labs.live import LiveLab
from alignbook.labs.record import DIGITS, grid, last_frame, page, record
from tests import labs_sample as sample


class Browser:
    """Asks a lab for frames as the front end does, and keeps the answers."""

    def __init__(self, lab: LiveLab, view: str = "view"):
        """Take the lab's answers."""
        self.lab, self.view, self.count, self.frames = lab, view, 0, []
        others = lab.send
        lab.send = lambda frame: self.frames.append(frame) if frame["view"] == self.view else others(frame)

    def pull(self, again: bool = False, **changed):
        """Ask for one frame."""
        self.count += 1
        message = {"kind": "next", "view": self.view, "request": self.count, "changed": changed, "again": again}
        self.lab._handle_custom_msg(message, [])
        return self.frames[-1]

    def until_done(self, **changed):
        """Ask until the run has ended."""
        frame = self.pull(**changed)
        while not (frame.get("done") or frame.get("error")):
            frame = self.pull()
        return frame

    def leave(self):
        """Say that the view is gone."""
        self.lab._handle_custom_msg({"kind": "stop", "view": self.view}, [])


@pytest.fixture
def lab():
    sample.STARTED.clear()
    live = show(sample.OPEN)
    yield live
    live.close()


def alive() -> int:
    gc.collect()
    return sum(generator() is not None for generator in sample.STARTED)


def test_the_last_frame_is_the_end_of_the_run(lab):
    frame = Browser(lab).until_done()
    expected = last_frame(sample.GROWTH, starts(sample.GROWTH))
    assert frame["table"] == plain(expected, 6)
    assert frame["sentence"] == "At rate 0.5 the curve reaches 1 after 10 steps."


def test_nothing_runs_until_the_browser_asks(lab):
    assert sample.STARTED == []


def test_a_long_run_comes_in_pieces(lab):
    browser = Browser(lab)
    first = browser.pull(steps=1_000_000)
    assert not first["done"]
    assert len(browser.pull()["table"]["step"]) > len(first["table"]["step"])


def test_the_latest_setting_wins_and_leaves_one_run(lab):
    browser = Browser(lab)
    for move in range(100):
        browser.pull(steps=1_000_000, rate=0.1 + 0.005 * move)
    assert alive() == 1
    assert browser.until_done(steps=10, rate=1.0)["sentence"].startswith("At rate 1 ")
    assert alive() == 0


def test_run_again_starts_from_the_beginning(lab):
    browser = Browser(lab)
    browser.pull(steps=1_000_000)
    browser.pull()
    browser.pull(again=True)
    assert len(sample.STARTED) == 2
    assert alive() == 1


def test_each_view_has_a_run_of_its_own_and_takes_it_along(lab):
    views = [Browser(lab, name) for name in ("left", "right")]
    for view in views:
        view.pull(steps=1_000_000)
    assert alive() == 2
    for view in views:
        view.leave()
    assert alive() == 0


def test_views_that_never_said_goodbye_do_not_pile_up(lab):
    for number in range(20):
        Browser(lab, f"tab {number}").pull(steps=1_000_000)
    assert alive() <= 4


def test_a_closed_lab_leaves_no_run(lab):
    Browser(lab).pull(steps=1_000_000)
    assert alive() == 1
    lab.close()
    assert alive() == 0


def test_a_cell_run_again_closes_what_it_showed_before(monkeypatch):
    parent = {"metadata": {"cellId": "a-cell"}, "header": {"msg_id": "first"}}
    monkeypatch.setattr(alignbook.labs, "get_ipython", lambda: type("Shell", (), {"get_parent": lambda _: parent})())
    sample.STARTED.clear()
    twins = [show(sample.OPEN), show(sample.OPEN)]
    for twin in twins:
        Browser(twin).pull(steps=1_000_000)
    assert alive() == 2
    parent["header"] = {"msg_id": "second"}
    show(sample.OPEN).close()
    assert alive() == 0


def test_two_threads_may_ask_at_once(lab):
    browsers = [Browser(lab, name) for name in ("main", "subshell")]
    threads = [threading.Thread(target=browser.until_done, kwargs={"steps": 500_000}) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alive() == 0
    assert not [frame for browser in browsers for frame in browser.frames if "error" in frame]


def test_an_error_in_a_run_is_one_sentence_and_a_traceback(lab):
    frame = Browser(lab).until_done(seed=13)
    assert frame["error"] == "ValueError: `seed` must not be 13, got 13."
    assert "in grow" in frame["traceback"]
    assert alive() == 0


def test_a_setting_out_of_bounds_is_refused_in_words(lab):
    assert "rate" in Browser(lab).pull(rate=7.0)["error"]
    assert lab.rate == 0.5


def test_a_teacher_s_slider_links_to_a_parameter(lab):
    slider = ipywidgets.FloatSlider(value=0.25, min=0.1, max=1.0)
    ipywidgets.link((slider, "value"), (lab, "rate"))
    browser = Browser(lab)
    assert browser.until_done()["sentence"].startswith("At rate 0.25 ")
    slider.value = 1.0
    assert browser.until_done()["sentence"].startswith("At rate 1 ")
    browser.pull(rate=0.5)
    assert slider.value == 0.5


def test_a_vector_is_a_preset_or_a_list_of_numbers(lab):
    browser = Browser(lab)
    assert browser.until_done(weights="odd")["table"]["height"][-1] == 1.25
    assert browser.until_done(weights=[2.0, 2.0])["table"]["height"][-1] == 2.0
    with pytest.raises(traitlets.TraitError):
        lab.weights = [1.0]


def test_a_parameter_may_not_take_a_widget_s_own_name():
    layout = Number("layout", "Layout", 0.0, 1.0, 0.5)
    experiment = dataclasses.replace(sample.GROWTH, parameters=(layout,))
    with pytest.raises(ValueError, match="`name` must not be one that every widget has, got \\['layout'\\]"):
        LiveLab(Lab(experiment, sample.chart))


def test_tries_must_name_parameters():
    with pytest.raises(ValueError, match="`tries` must be up to three settings"):
        Lab(sample.GROWTH, sample.chart, tries=(("A typo", {"rat": 1.0}),))


def test_the_answer_comes_with_the_last_frame_at_the_start():
    live = LiveLab(sample.LAB)
    browser = Browser(live)
    assert "answer" not in browser.until_done(rate=1.0)
    done = browser.until_done(rate=0.5)
    assert (done["answer"], done["why"]) == (1.0, "Both weights count.")
    live.close()


def test_words_stand_for_a_lab_and_do_not_tell_the_answer(lab):
    asked = LiveLab(sample.LAB)
    assert asked._repr_mimebundle_()[0]["text/plain"] == "How does it grow?"
    asked.close()
    words = lab._repr_mimebundle_()[0]["text/plain"]
    assert words == "How does it grow? At rate 0.5 the curve reaches 0 after 0 steps."


def test_a_notebook_without_a_browser_gets_one_frame_and_goes_on():
    cells = ["from tests.labs_sample import OPEN\nfrom alignbook.labs import show\nshow(OPEN)", "1 + 1"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown, after = (cell.outputs[0].data for cell in notebook.cells)
    assert shown["text/plain"].endswith("after 0 steps.")
    assert after["text/plain"] == "2"


def recorded_table(content, run):
    return {name: content["columns"][at] for name, at in zip(content["names"], content["runs"][run], strict=True)}


def test_the_record_equals_the_runs_it_came_from():
    content = json.loads(json.dumps(record(sample.LAB)))
    for run, settings in enumerate(grid(sample.GROWTH)):
        table = last_frame(sample.GROWTH, settings)
        assert recorded_table(content, run) == plain(table, DIGITS)
        assert content["sentences"][run] == sample.describe(table, settings)


def test_a_column_that_runs_share_is_kept_once():
    content = record(sample.LAB)
    assert len(content["runs"]) == 16
    assert len({run[0] for run in content["runs"]}) == 1


def test_a_number_that_a_choice_hides_is_recorded_at_its_start_only():
    slow = Number("pace", "Pace", 0.0, 1.0, 0.5, grid=(0.0, 0.5, 1.0), when=("shape", "square"))
    experiment = dataclasses.replace(sample.GROWTH, parameters=(sample.SHAPE, slow))
    assert [tuple(settings.values()) for settings in grid(experiment)] == [
        ("line", 0.5),
        *(("square", pace) for pace in (0.0, 0.5, 1.0)),
    ]


def test_too_large_a_record_is_refused():
    fine = dataclasses.replace(sample.RATE, grid=tuple(0.1 + 0.001 * k for k in range(400)))
    with pytest.raises(ValueError, match="must record at most 250 runs, got 400"):
        grid(dataclasses.replace(sample.GROWTH, parameters=(fine,)))
    heavy = dataclasses.replace(sample.GROWTH, describe=lambda table, settings: "x" * 40_000)
    with pytest.raises(ValueError, match="within 300000 bytes"):
        record(Lab(heavy, sample.chart))


def test_a_start_that_is_not_recorded_is_refused():
    away = dataclasses.replace(sample.RATE, start=0.3)
    with pytest.raises(ValueError, match="`start` must be one of the recorded values"):
        grid(dataclasses.replace(sample.GROWTH, parameters=(away,)))


def test_an_answer_that_nobody_could_give_is_refused():
    wrong = dataclasses.replace(sample.PREDICTION, answer=lambda table, settings: 5.0)
    with pytest.raises(ValueError, match=r"`answer` must be between 0\.0 and 3\.0, got 5\.0"):
        record(Lab(dataclasses.replace(sample.GROWTH, prediction=wrong), sample.chart))


def test_a_page_holds_the_outcome_in_its_record_alone():
    source = page(sample.LAB)
    about, _, runs = source.partition('<script type="application/json" class="alignbook-record">')
    assert "Both weights count." not in about
    assert "the curve reaches" not in about
    assert json.loads(runs.removesuffix("</script></section>"))["answer"] == 1.0


def test_a_record_cannot_end_its_script_early():
    spoken = dataclasses.replace(sample.GROWTH, describe=lambda table, settings: "</script>")
    assert page(Lab(spoken, sample.chart)).count("</script>") == 2


def test_a_lab_is_recorded_where_the_book_is_built(monkeypatch):
    monkeypatch.setenv("ALIGNBOOK_RECORD", "1")
    assert list(show(sample.LAB)._repr_mimebundle_()) == ["text/html", "text/plain"]


def test_a_lab_s_declaration_carries_no_rows():
    spec = declaration(sample.LAB)["spec"]
    assert spec["data"] == {"name": "table"}
    assert "datasets" not in spec
    assert isinstance(sample.LAB.chart(alt.NamedData("table")), alt.LayerChart)
    assert not set(itertools.chain(*declaration(sample.LAB)["prediction"])) & {"why", "answer"}
