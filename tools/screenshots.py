"""Build the book and take pictures of it, light, dark, on a phone, into screenshots/: tools/screenshots.py [PAGE...].

Every page is taken, or those named (chapters/04_dpo.html), and every lab on them, twice: before the reader commits
to a prediction, and after.
"""

import subprocess
import sys
from pathlib import Path

from find_browser import FLAGS, find
from playwright.sync_api import Browser, Locator, sync_playwright

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build/html"
PICTURES = ROOT / "screenshots"
LAB = "section.alignbook-lab"
VIEWS = {
    "light": (1280, "light"),
    "dark": (1280, "dark"),
    "phone": (390, "light"),
    "phone-dark": (390, "dark"),
}


def main(pages: list[str]) -> None:
    """Photograph each page in each view."""
    subprocess.run(["make", "--silent", "book"], cwd=ROOT, check=True)
    PICTURES.mkdir(exist_ok=True)
    found = pages or [path.relative_to(SITE).as_posix() for path in sorted(SITE.glob("[a-z]*/**/*.html"))]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=FLAGS)
        for page in found:
            for view in VIEWS:
                take(browser, page, view)
        browser.close()


def take(browser: Browser, page: str, view: str) -> None:
    """Photograph one page, whole, once its formulas, charts and labs stand."""
    width, scheme = VIEWS[view]
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    tab.goto((SITE / page).as_uri())
    tab.wait_for_function("() => !window.MathJax || MathJax.startup.promise.then(() => true)")
    drawn = "(places) => [...document.querySelectorAll(places)].every((place) => place.querySelector('svg'))"
    tab.wait_for_function(drawn, arg=f"figure.alignbook-chart, {LAB}")
    target = PICTURES / f"{page.removesuffix('.html').replace('/', '-')}-{view}.png"
    tab.screenshot(path=target, full_page=True)
    print(target.relative_to(ROOT))
    tab.set_viewport_size({"width": width, "height": 1600})  # a whole lab at once, clear of the header
    for lab in tab.locator(LAB).all():
        take_lab(lab, view)
    tab.close()


def take_lab(lab: Locator, view: str) -> None:
    """Photograph one lab before and after its prediction; one that asks nothing, after alone."""
    name, commit = lab.get_attribute("data-lab"), lab.get_by_role("button", name="Commit")
    if commit.count():
        shoot(lab, f"{name}-{view}-before.png")
        if lab.locator("input[type=radio]").count():
            lab.locator("input[type=radio]").first.check()
        commit.click()
    lab.and_(lab.page.locator("[data-state=settled]")).wait_for()
    shoot(lab, f"{name}-{view}-after.png")


def shoot(lab: Locator, name: str) -> None:
    """Photograph one lab as it stands."""
    lab.screenshot(path=PICTURES / name)
    print((PICTURES / name).relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
