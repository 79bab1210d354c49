"""Take the README's picture, book/_static/cover.png, from a built page: make book, then tools/cover.py."""

from pathlib import Path

from find_browser import FLAGS, find
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "_build/html/chapters/02_kl_constrained_optimum.html"
COVER = ROOT / "book/_static/cover.png"
SIZE = {"width": 1180, "height": 850}
CHART = "figure.alignbook-chart"


def main() -> None:
    """Photograph the first chart of Chapter 2 with the text and the code above it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=FLAGS)
        tab = browser.new_page(viewport=SIZE, color_scheme="light")
        tab.goto(PAGE.as_uri())
        tab.wait_for_function("() => MathJax.startup.promise.then(() => true)")
        tab.locator(f"{CHART} svg").first.wait_for()
        tab.locator(CHART).first.evaluate("(chart) => chart.scrollIntoView({ block: 'end', behavior: 'instant' })")
        tab.screenshot(path=COVER)
        browser.close()
    print(f"{COVER.relative_to(ROOT)}: {COVER.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
