"""Vouches for a lab in Notebook 7, which is started with the settings of `make lab`."""

from tools.drive_notebook import LAB, cells_and_place, in_state


def test_a_lab_is_drawn_and_moved_by_keys_that_the_notebook_does_not_hear(notebook7, run_live):
    page = run_live(notebook7)
    lab = page.locator(LAB)
    assert lab.locator("svg").count() == 2
    slider = lab.locator("input[type=range]").first
    slider.focus()
    before, run, cells = int(slider.input_value()), lab.get_attribute("data-painted"), cells_and_place(page)
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "d", "d"):  # d, d deletes a cell
        slider.press(key)
    assert int(slider.input_value()) == before + 1
    in_state(lab, "settled")
    assert lab.get_attribute("data-painted") != run
    assert cells_and_place(page) == cells
    assert page.outside == []
    assert page.errors == []
