"""Vouches for the book's front door: the map, the labs' own pages and pictures, what shared pages tell, symptoms."""

import json
import re
import struct
from graphlib import TopologicalSorter
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import numpy as np
import pytest
import yaml
from alignbook_pages import front_page, lab_pages, preview, social
from alignbook_pages.chapter_map import ROW, arc, middle, needs
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"^from alignbook\.labs\.(\w+) import", re.MULTILINE)
CURVE = re.compile(r"M\S+ (?P<upper>\S+)C.* (?P<lower>\S+)$")


def documents(entry):
    """The pages of the table of contents below an entry."""
    below = [part for key in ("parts", "chapters", "sections") for part in entry.get(key, [])]
    return [*([entry["file"]] if "file" in entry else []), *(page for part in below for page in documents(part))]


CONTENTS = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
PAGES = [CONTENTS["root"], *documents(CONTENTS)]
LABS = {name: page for page in reversed(PAGES) for name in SHOWN.findall((ROOT / f"{page}.md").read_text("utf-8"))}


def front_matter(page):
    return yaml.safe_load((ROOT / f"{page}.md").read_text("utf-8").split("---\n")[1])


CHAPTERS = {int(Path(page).name[:2]): front_matter(page) for page in PAGES if page.startswith("chapters/")}
EDGES = {(need, number) for number, front in CHAPTERS.items() for need in front["requires"]}


def soup(built_book, page):
    return BeautifulSoup((built_book / f"{page}.html").read_text("utf-8"), "html.parser")


@pytest.fixture(scope="module")
def chapter_map(built_book):
    return soup(built_book, "book/index").select_one(".alignbook-map")


def test_the_chapters_requirements_have_no_ring_and_name_chapters_of_the_book():
    order = list(TopologicalSorter({number: front["requires"] for number, front in CHAPTERS.items()}).static_order())
    assert sorted(order) == sorted(CHAPTERS)
    assert all(need < number for need, number in EDGES)


def test_the_map_s_list_is_what_the_front_matter_says(chapter_map):
    found = {int(line["data-chapter"]): line for line in chapter_map.select("li")}
    assert list(found) == sorted(CHAPTERS)
    for number, front in CHAPTERS.items():
        assert [int(need) for need in found[number]["data-requires"].split()] == front["requires"]
        words = found[number].get_text()
        assert f"{front['minutes']} minutes, {needs(tuple(front['requires']))}" in words
        assert re.search(rf"chapters/{number:02}_\w+\.html$", found[number].a["href"])


def test_the_map_s_arcs_are_the_front_matter_s(chapter_map):
    drawn = chapter_map.svg.select("path")
    ends = [CURVE.match(path["d"]).groupdict() for path in drawn]
    rows = {str(ROW * (row + 0.5)): number for row, number in enumerate(sorted(CHAPTERS))}
    assert len(drawn) == len(EDGES)
    assert {(rows[end["upper"]], rows[end["lower"]]) for end in ends} == EDGES
    assert [circle["cy"] for circle in chapter_map.svg.select("circle")] == list(rows)


def test_an_arc_joins_the_middles_of_its_rows():
    assert arc(0, 2).startswith(f'<path d="M64 {middle(0)}C')
    assert arc(0, 2).endswith(f'64 {middle(2)}"/>')


def test_a_requirement_is_said_in_words():
    assert needs(()) == "needs no other chapter"
    assert needs((2,)) == "needs Chapter 2"
    assert needs((0, 2, 5)) == "needs Chapters 0, 2 and 5"


@pytest.mark.parametrize("name", LABS)
def test_a_lab_has_a_page_that_leads_to_its_home(built_book, name):
    page = soup(built_book, f"labs/{name}")
    lab = page.select_one("section.alignbook-lab")
    assert lab["data-lab"] == name
    assert page.select_one("article h1").get_text() == lab.p.get_text()
    address, _, anchor = page.select_one("a.alignbook-home")["href"].partition("#")
    home = soup(built_book, urljoin(f"labs/{name}.html", address).removesuffix(".html"))
    section = home.find(id=anchor)
    assert section.select_one(f'[data-lab="{name}"]') or section.find_next(attrs={"data-lab": name})
    assert home.select_one(f'a[href="../labs/{name}.html"]').get_text() == "Open this lab alone"


@pytest.mark.parametrize("name", LABS)
def test_the_page_of_a_lab_reads_the_record_that_its_chapter_reads(built_book, name):
    pages = f"labs/{name}", LABS[name]
    labs = [soup(built_book, page).find(attrs={"data-lab": name}) for page in pages]
    alone, shown = (urljoin(f"{page}.html", lab["data-record"]) for page, lab in zip(pages, labs, strict=True))
    assert alone == shown
    assert alone.startswith(f"_static/labs/{name}.js?v=")
    assert labs[0].script.get_text() == labs[1].script.get_text()


def test_all_labs_are_listed(built_book):
    listed = soup(built_book, "book/index").select(".alignbook-labs li > a:first-child")
    assert sorted(Path(link["href"]).stem for link in listed) == sorted(LABS)


@pytest.mark.parametrize("name", LABS)
def test_a_lab_has_a_picture_of_the_usual_size(built_book, name):
    picture = (built_book / preview.address(name)).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (preview.WIDTH, preview.HEIGHT)


@pytest.mark.parametrize("name", LABS)
def test_a_picture_gives_no_outcome_away(built_book, name):
    lab, record = declared(built_book, name), recorded(built_book, name)
    rows = preview.known(lab, record)
    if lab["prediction"] is None:
        assert rows
    else:
        assert all(row["step"] == 0 for row in rows)
    sheet = preview.composed(lab, record)
    assert record.get("why", "no outcome") not in sheet
    assert not [sentence for sentence in record["sentences"] if sentence in sheet]
    assert "currentColor" not in sheet


def declared(built_book, name):
    return json.loads(soup(built_book, f"labs/{name}").select_one("section.alignbook-lab script").get_text())


def recorded(built_book, name):
    text = (built_book / f"_static/labs/{name}.js").read_text("utf-8")
    return json.loads(text.partition(" = ")[2].strip().removesuffix(";"))


@pytest.mark.parametrize("page", [*PAGES, *(f"labs/{name}" for name in LABS)])
def test_a_page_tells_what_it_is_where_it_is_shared(built_book, page):
    head = soup(built_book, page).head
    told = {tag["property"]: tag["content"] for tag in head.select("meta[property]")}
    assert told["og:site_name"] == "alignbook"
    assert told["og:title"]
    assert len(told["og:description"].split()) > 3
    assert (built_book / urljoin(f"{page}.html", told["og:image"])).is_file()
    assert "og:url" not in told
    assert head.select_one('meta[name="twitter:card"]')["content"] == "summary_large_image"
    assert len(head.select('meta[name="description"]')) == 1


def test_a_chapter_tells_its_number_its_minutes_and_what_it_is_good_for(built_book):
    head = soup(built_book, "chapters/02_kl_constrained_optimum").head
    told = {tag["property"]: tag["content"] for tag in head.select("meta[property]")}
    assert told["og:title"] == "2. The KL-constrained optimum"
    assert told["og:description"] == f"{CHAPTERS[2]['minutes']} minutes. Afterwards you can {CHAPTERS[2]['after']}."
    assert told["og:image"] == "../_static/labs/what_does_a_nat_buy.png"


def test_the_site_s_own_address_tells_what_it_is_and_leads_to_the_front_door(built_book):
    page, door = soup(built_book, "index"), "book/index.html"
    assert page.html["lang"] == "en"
    assert page.title.get_text() == "alignbook"
    assert page.select_one('link[rel="canonical"]')["href"] == door
    assert page.select_one('meta[http-equiv="refresh"]')["content"] == f"0; url={door}"
    assert page.body.a["href"] == door  # for whoever's browser does not move on by itself
    told = {tag["property"]: tag["content"] for tag in page.select("meta[property]")}
    assert len(told["og:description"].split()) > 3
    assert told["og:description"] == page.select_one('meta[name="description"]')["content"]
    assert (built_book / told["og:image"]).is_file()


def test_the_site_s_own_address_is_whole_where_it_is_known():
    said = front_page.page("book/index", "alignbook", "https://example.org/b/", "Words & more.", "_static/x.png")
    page = BeautifulSoup(said, "html.parser")
    assert page.select_one('link[rel="canonical"]')["href"] == "https://example.org/b/book/index.html"
    assert page.body.a["href"] == "book/index.html"
    assert "Words & more." in page.body.get_text()


@pytest.mark.parametrize("name", LABS)
def test_a_search_finds_a_lab_by_its_question_and_knows_no_outcome(built_book, name):
    found = json.loads((built_book / "searchindex.js").read_text("utf-8").partition("(")[2].rstrip().removesuffix(")"))
    page = found["docnames"].index(f"labs/{name}")
    lab = declared(built_book, name)
    assert found["titles"][page] == lab["question"]
    words = {one for terms in ("terms", "titleterms") for one, at in found[terms].items() if page in np.ravel(at)}
    address = soup(built_book, f"labs/{name}").select_one("a.alignbook-home")["href"]
    home, _, anchor = address.removeprefix("../").partition("#")
    section = soup(built_book, home.removesuffix(".html")).find(id=anchor)
    heading = (
        section.find_parent("section").find(["h2", "h3"]).get_text()
        if section.name == "span"
        else section.find(["h2", "h3"]).get_text()
    )
    told = re.findall(r"\w+", f"{json.dumps(lab, ensure_ascii=False)} {heading}".lower())
    assert words
    # the index holds stems: their first letters must stand in what the page says before a guess
    assert [
        one for one in words if not any(word.startswith(one[: min(3, len(one) - 1)].lower()) for word in told)
    ] == []


def test_addresses_are_whole_where_the_site_s_is_known():
    said = social.tags("labs/x", 'A "lab"', "Words.", "_static/labs/x.png", "alignbook", "https://example.org/book/")
    head = BeautifulSoup(said, "html.parser")
    told = {tag["property"]: tag["content"] for tag in head.select("meta[property]")}
    assert told["og:image"] == "https://example.org/book/_static/labs/x.png"
    assert told["og:url"] == urljoin("https://example.org/book/", "labs/x.html")
    assert told["og:title"] == 'A "lab"'


def settings_in(link):
    """The lab and the settings that a link names, by the rules of the front end."""
    name, _, query = urlsplit(link["href"]).fragment.partition("?")
    return name.removeprefix("lab-"), dict(parse_qsl(query))


def test_every_link_to_a_lab_s_setting_is_in_its_record(built_book):
    links = soup(built_book, "book/symptoms").select('a[href*="#lab-"]')
    links = [link for link in links if "?" in link["href"]]
    assert len(links) >= 5
    for link in links:
        name, wish = settings_in(link)
        axes = [one for one in declared(built_book, name)["parameters"] if one["grid"]]
        assert wish.keys() <= {one["name"] for one in axes}
        start = {one["name"]: one["start"] for one in axes}
        given = start | {name: float(text) if is_number(text) else text for name, text in wish.items()}
        places = [one["grid"].index(given[one["name"]]) for one in axes]
        assert places in recorded(built_book, name)["settings"], link


def is_number(text):
    return re.fullmatch(r"-?[\d.]+", text) is not None


def test_a_link_to_a_lab_that_is_not_there_or_not_recorded_is_refused():
    assert lab_pages.link("a lab <teach_it_no>") == ("a lab", "labs/teach_it_no.html")
    _, address = lab_pages.link("a lab <when_no_reward_fits?closing=0.9&ring=0.9>")
    assert address == "labs/when_no_reward_fits.html#lab-when_no_reward_fits?closing=0.9&ring=0.9"
    for wrong in ("<teach_it_no?steps=15>", "<teach_it_no?step=14>", "<teach_it_no?beta=0.5>"):
        with pytest.raises(ValueError, match="the record of teach_it_no holds no such setting"):
            lab_pages.link(f"a lab {wrong}")
    with pytest.raises(ModuleNotFoundError):
        lab_pages.link("a lab <no_such_lab>")
    with pytest.raises(ValueError, match="it must read"):
        lab_pages.link("teach_it_no")


def test_every_symptom_has_a_theorem_and_a_remedy(built_book):
    symptoms = [head.parent for head in soup(built_book, "book/symptoms").select("h2") if head.get_text()[0] == "…"]
    assert len(symptoms) == 11
    for symptom in symptoms:
        assert symptom.select('a[href*="#lab-"]'), symptom.h2
        assert symptom.select('a[href*="#thm-"], a[href*="#prop-"], a[href*="#cor-"]'), symptom.h2
        bold = [one.get_text() for one in symptom.select("strong")]
        assert {"You see", "Why.", "Do."} <= set(bold), symptom.h2


def test_the_symptoms_text_reads_the_numbers_that_its_cells_print(built_book):
    page = soup(built_book, "book/symptoms")
    printed = " ".join(one.get_text() for one in page.select(".cell_output"))
    for number in ("3.85", "0.414", "0.366", "2.01", "-2.88", "402"):
        assert number in printed
    text = page.get_text()
    assert text.count("3.85") > 1
    assert text.count("0.414") > 1
