"""Vouches for a lab in Notebook 7, which is started with the settings of `make lab`."""

from tools.drive_notebook import LAB, in_state


def test_a_lab_is_drawn_and_moves(notebook7, run_live):
    page = run_live(notebook7)
    lab = page.locator(LAB)
    assert lab.locator("svg").count() == 2
    run = lab.get_attribute("data-painted")
    lab.locator("input[type=range]").first.fill("60")
    in_state(lab, "settled")
    assert lab.get_attribute("data-painted") != run
    assert page.outside == []
    assert page.errors == []
