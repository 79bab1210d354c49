"""Tabs that reach this machine only, what axe finds in them, and a lab's page that several tests share."""

from contextlib import contextmanager
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe

LOOPBACK = {None, "localhost", "127.0.0.1", "::1"}  # None: files and data
DESK, PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 700}
SETTLED = "(name) => document.querySelector(`[data-lab='${name}']`).dataset.state === 'settled'"

VALUES = """(name) => [...document.querySelectorAll(`[data-lab="${name}"] .alignbook-panel`)].map((panel) =>
  panel.alignbookView.data("table"))"""
MOVES = """(slider, places) => {
  places.forEach((place) => {
    slider.value = place;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
  return slider.closest(".alignbook-lab").querySelector("[aria-live=polite]").textContent;
}"""


@contextmanager
def fresh_tab(browser, **options):
    """A page that may ask this machine alone; `tab.outside` and `tab.errors` say what else it tried."""
    context = browser.new_context(**options)
    outside, errors = [], []

    def guard(route):
        if urlsplit(route.request.url).hostname in LOOPBACK:
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", guard)
    page = context.new_page()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.outside, page.errors = outside, errors
    yield page
    context.close()


def barriers(tab, context=None, impacts=("minor", "moderate", "serious", "critical")):
    """The rules of axe that something in the page breaks, each with the elements; within `context` if one is given."""
    # what passed, told in full, would take as long again; no rule that runs here reads style sheets
    options = {"resultTypes": ["violations"], "preload": False}
    found = Axe().run(tab, context=context, options=options).response["violations"]
    broken = [rule for rule in found if rule["impact"] in impacts]
    return {rule["id"]: [node["html"][:200] for node in rule["nodes"]] for rule in broken}


def commit(lab):
    """Answer the lab's question, if it asks one, by keyboard alone."""
    form = lab.locator(".alignbook-ask")
    if form.count():
        if form.locator("input[type=radio]").count():
            form.locator("input[type=radio]").first.press("Space")
        for box in form.locator("input[type=number]").all():
            if not box.input_value():
                low, high = (float(box.get_attribute(name)) for name in ("min", "max"))
                box.fill(str((low + high) / 2))
                box.press("Tab")
        form.get_by_role("button", name="Commit").press("Enter")


def main_sliders(lab):
    return lab.locator(".alignbook-main .alignbook-input:not([hidden]) input[type=range]")


def away(slider):
    """Move a slider, in two steps, to the end where it is not; at once, so that nothing settles in between."""
    last = int(slider.get_attribute("max"))
    slider.evaluate(MOVES, [last // 2, 0 if slider.input_value() == str(last) else last])


class Visit:
    """A lab on its page, in one tab for all its tests: loading a chapter takes longer than most of them do.

    Each asks for the lab as it needs it, and only what is missing is done: by the lab's own buttons where they will do.
    A page that is `spent` is loaded anew, as for a reader who was never here.
    """

    def __init__(self, tab, uri, name):
        """Nothing is loaded yet."""
        self.tab, self.uri, self.name = tab, uri, name
        self.selector = f"[data-lab='{name}']"
        self.lab = tab.locator(self.selector)
        self.spent, self.size, self.requests = True, DESK, []
        tab.on("request", lambda request: self.requests.append(request.url))

    @property
    def asks(self):
        """Whether the lab's question is open now."""
        return self.lab.locator(".alignbook-ask").count() > 0

    def load(self, query="", size=DESK):
        """Open the page; a guess that was given before is still known."""
        self.spent, self.size = False, size
        self.tab.set_viewport_size(size)
        self.tab.goto("about:blank")
        self.requests.clear()
        self.tab.goto(self.uri + query)
        self.lab.locator("svg").first.wait_for()

    def settle(self):
        """Wait until the lab has settled."""
        self.tab.wait_for_function(SETTLED, arg=self.name)

    def rows(self):
        """The rows of each panel."""
        return self.tab.evaluate(VALUES, self.name)

    def drawn(self, ghost):
        """The rows of the first panel that are of now (""), of the last setting or of the guess."""
        return [row for row in self.rows()[0] if row["ghost"] == ghost]

    def untouched(self):
        """The lab on a page on which nothing was answered, and nothing moved."""
        if self.spent or self.tab.evaluate("window.alignbookRecords") or "#" in self.tab.url:
            if self.tab.url != "about:blank":
                self.tab.evaluate("localStorage.clear()")
            self.load()
        return self.lab

    def asking(self):
        """The lab with its question open; None if it asks none."""
        forget = self.lab.get_by_role("button", name="Forget my guesses")
        if self.spent:
            self.untouched()
        elif not self.asks and forget.count():
            forget.press("Enter")
        return self.lab if self.asks else None

    def opened(self, size=None):
        """The lab at its start, a guess given, settled, its folds closed; `size` is the page's when it was loaded."""
        if self.spent:
            self.untouched()
        if size not in (None, self.size):
            self.load(size=size)
        commit(self.lab)
        self.settle()
        if "#" in self.tab.url:  # it was moved, if only back to its start
            self.lab.get_by_role("button", name="Reset").press("Enter")
            self.settle()
        for fold in self.lab.locator("details[open] > summary").all():
            fold.press("Enter")
        return self.lab

    def in_scheme(self, scheme):
        """Turn the page light or dark, at once."""
        self.tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        self.tab.wait_for_function(
            "(scheme) => (document.documentElement.dataset.theme ?? scheme) === scheme", arg=scheme
        )
