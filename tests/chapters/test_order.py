"""Vouches for the book's order: no chapter uses a word or a letter that nothing before it has introduced.

`book/glossary.md` says at the end of an entry which chapter introduces the word, `book/notation.md` in its last column
which introduces the letter; `requires` in a chapter's front matter says what its reader knows. What stands in proofs,
hints and solutions has local letters, and a heading may name what its section explains.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tools.chapter_text import minutes, pieces

ROOT = Path(__file__).parents[2]
PRINTED = re.findall(r"file: (chapters/(\d\d)_\w+)", (ROOT / "_toc.yml").read_text("utf-8"))
CHAPTERS = {int(number): ROOT / f"{page}.md" for page, number in PRINTED}
MOST_MINUTES, ROUNDING = 60, 2

# Words that also have an everyday meaning: only where {term} names them they are the book's.
EVERYDAY = {"alignment", "answer", "baseline", "bit", "chosen", "comparison", "concentration", "curvature", "features"}
EVERYDAY |= {"frontier", "group", "law", "likelihood", "margin", "prompt", "reach", "rejected", "score", "support"}
EVERYDAY |= {"advantage", "behavior", "embedding", "simplex", "surprise", "token", "policy", "beta", "head", "body"}
EVERYDAY |= {"length", "letter", "type"}
LOCAL = {"prf:proof", "folded", "exercise", "solution", "solution-start", "Exercises"}

CHAPTER_LINK = re.compile(r"\{(?:ref|doc)\}`(?:Chapter )?(\d+) </?chapter")
ROW = re.compile(r"^\| (?P<symbols>\$.*?) \|(?P<rest>.*)\|$", re.MULTILINE)
MATH = re.compile(r"\$(.+?)\$")
NO_LETTERS = re.compile(r"\\(?:begin|end|text|phantom)\{[^{}]*\}|\\t?frac\{d\}\{d\w+\}")  # names; signs of derivatives
ACCENTED = r"\\(?:mathcal|mathrm|hat|bar)\s*(?:\{[^{}]*\}|\\?\w)"
INDEX = r"_(?:\\mathrm\{\w+\}|[ij]\b|\{[ij]{1,2}\})"
ATOM = re.compile(rf"(?:{ACCENTED}|\\[a-zA-Z]+|[a-zA-Z])(?:{INDEX})?")


class Book(NamedTuple):
    """What the book's reference pages say: the chapter of each term, the chapters of each letter."""

    terms: dict[str, set[int]]
    letters: dict[str, set[int]]


def terms_in(glossary: str) -> dict[str, set[int]]:
    """The glossary's words, each with the chapters that its entry names."""
    body = glossary.split("```{glossary}\n")[1].split("\n```")[0]
    entries = (entry.split("\n", 1) for entry in re.split(r"\n\n(?=\S)", body))
    return {word.strip(): {int(number) for number in CHAPTER_LINK.findall(text)} for word, text in entries}


def letters_in(notation: str) -> dict[str, set[int]]:
    """The letters of the notation's tables, each with its chapters; of those that are kept free, with none."""
    letters: dict[str, set[int]] = {}
    for row in ROW.finditer(notation):
        chapters = {int(number) for number in CHAPTER_LINK.findall(row["rest"])}
        for part in ",".join(MATH.findall(row["symbols"])).split(","):
            for atom in [atom for atom in atoms(part) if atom not in ("i", "j", "\\top")][:1]:
                letters.setdefault(atom, set()).update(chapters)
    return letters


def atoms(formula: str) -> list[str]:
    """The letters of a formula, each with its accent and its index: one of answers, whichever, is written _i."""
    return [re.sub(r"_\{?[ij]+\}?$", "_i", atom) for atom in ATOM.findall(NO_LETTERS.sub("", formula))]


def front_matter(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def known_in(number: int, requires: dict[int, list[int]]) -> set[int]:
    """The chapter and all that it requires, directly or not."""
    return {number}.union(*(known_in(need, requires) for need in requires[number]))


def named(role: str) -> str:
    """The term that a role's text names."""
    target = re.search(r"<(.+)>$", role, re.DOTALL)
    return " ".join((target[1] if target else role).split())


def read(text: str, without: str = "heading") -> str:
    """A page's words in their order, from its first section on; {term} roles stand between ⟦ and ⟧."""
    found = (piece for piece in pieces("## " + text.partition("\n## ")[2]) if not piece.within & {"heading", without})
    words = {"text": lambda piece: piece.text, "term": lambda piece: f"⟦{named(piece.text)}⟧"}
    return " ".join(words[piece.kind](piece) for piece in found if piece.kind in words)


def occurrences(term: str, words: str) -> list[int]:
    """Where a term stands in a page's words as a plain word, in the singular or the plural."""
    pattern = rf"(?<![\w⟦-]){re.escape(term)}s?(?![\w⟧-])".replace(r"\ ", r"\s+")
    return [found.start() for found in re.finditer(pattern, words, re.IGNORECASE if term.islower() else 0)]


def word_faults(number: int, text: str, known: set[int], book: Book) -> list[str]:
    """What is wrong with the order of a page's words, each fault with what to do about it."""
    words, faults = read(text), []
    roles = [role.lower() for role in re.findall(r"⟦(.+?)⟧", words)]
    for term, chapters in book.terms.items():
        linked, plain = term.lower() in roles, occurrences(term, words) if term.lower() not in EVERYDAY else []
        at = f"Chapter{'s' * (len(chapters) > 1)} {' and '.join(map(str, sorted(chapters)))}"
        if linked and not chapters:
            faults.append(
                f"Chapter {number} names {{term}}`{term}`, and the glossary does not say which chapter introduces it: "
                "end its entry in book/glossary.md with {ref}`Chapter N <label-of-chapter-N>`."
            )
        elif (linked or plain) and chapters and not chapters & known:
            faults.append(
                f"Chapter {number} uses `{term}`, which {at} introduces, and requires no such chapter: use other "
                f"words; or explain it here, add {{ref}}`Chapter {number} <...>` to its entry in book/glossary.md; or "
                "lengthen `requires`."
            )
        elif number in chapters and not linked:
            faults.append(f"Chapter {number} introduces `{term}` and never marks it: write {{term}}`{term}` there.")
        elif chapters & known == {number} and plain and (early := before(term, read(text, without="folded"))):
            faults.append(
                f'Chapter {number} introduces `{term}`, but uses it before it marks it (after "{early}"): write '
                f"{{term}}`{term}` there and explain it, or use another word."
            )
    return faults


def before(term: str, words: str) -> str:
    """The words before a term's first plain use, where that comes before its first {term} role."""
    mark, plain = words.lower().find(f"⟦{term.lower()}⟧"), occurrences(term, words)
    return " ".join(words[: plain[0]].split()[-6:]) if plain and not 0 <= mark < plain[0] else ""


def letter_faults(number: int, text: str, known: set[int], book: Book) -> list[str]:
    """What is wrong with the order of a page's letters."""
    formulas = [piece for piece in pieces(text) if piece.kind in ("math", "formula") and not piece.within & LOCAL]
    used = {atom: piece.text for piece in reversed(formulas) for atom in atoms(piece.text)}
    return [
        f'Chapter {number} uses ${letter}$ in "{" ".join(used[letter].split())[:50]}". '
        + (
            f"Chapter {', '.join(map(str, sorted(chapters)))} introduces it, which Chapter {number} does not require: "
            "take another letter, or introduce it here and add its row to book/notation.md."
            if chapters
            else "It is kept free for a later part: take another letter, or give it its row in book/notation.md."
        )
        for letter, chapters in book.letters.items()
        if letter in used and not chapters & known
    ]


@pytest.fixture(scope="module")
def book():
    glossary, notation = ((ROOT / f"book/{page}.md").read_text("utf-8") for page in ("glossary", "notation"))
    return Book(terms_in(glossary), letters_in(notation))


PAGE = """\
---
minutes: 1
requires: [0]
---
# A page on the tilt

*1 minute. Headings and this summary may name a tilt.*

## Words

A law. The {term}`score` of an answer. Then the KL
divergence, and a softmax.

:::{prf:proof}
:class: dropdown
Here $\\kappa$ is local.
:::

## Later

The {term}`softmax`, and $x$.
"""
BOOK = Book(
    terms={"law": {0}, "score": {3}, "KL divergence": {0}, "softmax": {5}, "tilt": {2}, "reach": {4}, "group": set()},
    letters={"x": {0}, r"\kappa": {2}, "K": {3}, "h": set()},
)


def faults_of(page, number=5):
    return word_faults(number, page, {0, number}, BOOK) + letter_faults(number, page, {0, number}, BOOK)


def test_a_page_that_runs_ahead_is_told_what_to_do():
    score, softmax = faults_of(PAGE)
    assert "Chapter 5 uses `score`, which Chapter 3 introduces, and requires no such chapter: use other words" in score
    assert 'uses it before it marks it (after "Then the KL divergence, and a")' in softmax
    assert faults_of(PAGE.replace("{term}`score`", "length").replace("and a softmax", "no more")) == []


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("the tilt", "uses `tilt`, which Chapter 2 introduces"),
        ("two\ntilts", "uses `tilt`, which Chapter 2 introduces"),
        ("the {term}`reaches <reach>`", "uses `reach`, which Chapter 4 introduces"),
        ("the reach", None),  # an everyday word
        ("a tiltyard", None),
        ("a {term}`group`", "does not say which chapter introduces it"),
        ("$K = 2$", 'uses $K$ in "K = 2". Chapter 3 introduces it'),
        ("$$\nK + \\kappa\n$$", "Chapter 2 introduces it"),
        ("$h$", "kept free for a later part"),
    ],
)
def test_a_word_or_a_letter_ahead_of_its_chapter_is_found(added, said):
    sound = PAGE.replace("{term}`score`", "length").replace("and a softmax", "no more")
    found = " ".join(faults_of(f"{sound}\nAnd\n\n{added}\n"))
    assert said in found if said else not found


def test_a_chapter_that_introduces_a_word_marks_it():
    assert any(
        "introduces `softmax` and never marks it" in one for one in faults_of(PAGE.replace("{term}`softmax`", "end"))
    )


def test_minutes_count_the_main_text_alone():
    words = " ".join(["word"] * 170)
    page = (
        f"## Ten words stand in this heading, counted with its text\n\n{words}\n\n$$\nm = 1\n$$\n\n"
        "```{code-cell} ipython3\nshow(LAB)\n```\n"
    )
    assert minutes(page) == pytest.approx(1 + 2 + 6)
    folded = f":::{{prf:proof}}\n:class: dropdown\n{words}\n\n$$\n1\n$$\n:::\n"
    for on_top in (folded, f"## ★ Later\n\n{words}\n\n### Part\n\n{words}\n", f"## Exercises\n\n{words}\n"):
        extra = minutes(page + "\n" + on_top) - minutes(page)
        assert 0 <= extra < 0.01
        assert minutes(page + "\n" + on_top + f"\n## Next\n\n{words}\n") - minutes(page) == pytest.approx(
            171 / 180, abs=0.01
        )
    assert minutes(f"| {words} | $a + b$ |\n|---|---|\n| {words} | {{lab}}`this <x>` |\n") == pytest.approx(344 / 180)


REQUIRES = {number: front_matter(path.read_text("utf-8"))["requires"] for number, path in CHAPTERS.items()}


@pytest.mark.parametrize("number", CHAPTERS)
def test_no_word_is_used_before_it_is_introduced(book, number):
    faults = word_faults(number, CHAPTERS[number].read_text("utf-8"), known_in(number, REQUIRES), book)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("number", CHAPTERS)
def test_no_letter_is_used_before_it_is_introduced(book, number):
    faults = letter_faults(number, CHAPTERS[number].read_text("utf-8"), known_in(number, REQUIRES), book)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("number", CHAPTERS)
def test_a_chapter_takes_the_minutes_that_it_says_and_an_hour_at_most(number):
    """By the formula of book/how_to_read.md; the front matter has whole minutes and may be off by two."""
    text = CHAPTERS[number].read_text("utf-8")
    needed, said = minutes(text), front_matter(text)["minutes"]
    assert needed <= MOST_MINUTES, f"Chapter {number} takes {needed:.1f} minutes: star a section, or shorten it."
    assert abs(needed - said) <= ROUNDING, (
        f"Chapter {number} takes {needed:.1f} minutes: write `minutes: {needed:.0f}`."
    )
    assert f"*{said} minutes. " in text, f"Chapter {number} must begin its summary with *{said} minutes."
