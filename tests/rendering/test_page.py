import re
from html.parser import HTMLParser

import pytest

from nodestack.catalog import load
from nodestack.rendering.page import Logged, page
from tests.rendering.plans import plan, rank

VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Collects what a page is made of, and fails where elements are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html() -> str:
    start = load().measurements[0]
    return page(plan(), [Logged(start=start, estimated=plan(), given=plan())])


def test_the_page_loads_nothing(html: str) -> None:
    assert "<script" not in html
    assert "@import" not in html
    references = {value for _, name, value in Reader(html).attributes if name in {"src", "href", "xlink:href"}}
    assert references
    assert all(reference.startswith("#") for reference in references)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


def test_every_element_is_closed_and_every_name_is_there_once(html: str) -> None:
    reader = Reader(html)
    assert reader.open == []
    names = [value for _, name, value in reader.attributes if name == "id"]
    assert len(names) == len(set(names))


def test_every_plot_says_in_words_what_it_shows(html: str) -> None:
    reader = Reader(html)
    alts = [value for _, name, value in reader.attributes if name == "aria-label"]
    assert sum((tag, name, value) == ("div", "role", "img") for tag, name, value in reader.attributes) == 3
    assert "KV cache 26.73 GiB" in alts[0]
    assert "12.50x at 262,144 tokens" in alts[1]
    assert "428 M output tokens" in alts[2]


def test_every_colour_of_a_plot_is_the_pages_own_in_light_and_in_dark(html: str) -> None:
    style, _, body = html.partition("</style>")
    light, _, dark = style.partition("prefers-color-scheme: dark")
    used = set(re.findall(r"var\(--([\w-]+)\)", html))
    for theme in (light, dark.partition("\n* {")[0]):
        assert used <= set(re.findall(r"--([\w-]+):", theme))
    assert not re.findall(r"(?:fill|stroke): #\w+", body)


def test_what_is_logged_stands_beside_naive_estimate_and_plan(html: str) -> None:
    text = Reader(html).text
    assert "naive estimate 24.21 GiB 3,381,658 12.90x +3.24 %" in text
    assert "logged 26.73 GiB 3,275,586 12.50x" in text
    assert "Source: log of one user's start, published, 2026-11-01." in text


def test_every_section_of_a_plan_is_on_the_page(html: str) -> None:
    text = Reader(html).text
    for told in (
        "It fits",
        "the first start takes 52 minutes",
        "max_num_seqs 36 the cache holds 36.5 sequences",
        "enable-auto-tool-choice true",
        "--max-model-len 65536",
        "volume, and parked $56.16 a month",
        "break-even, output alone 426 M output tokens",
        "OpenMDW License Agreement 1.1",
    ):
        assert told in text, told


def test_a_misfit_without_a_cache_is_a_page_too_and_texts_are_escaped() -> None:
    made = page(plan(fits=False, refusals=("needs <b>more</b>",), memory_per_rank=rank(-22.5), kv=None, naive=None), [])
    assert "needs &lt;b&gt;more&lt;/b&gt;" in made
    assert "It does not fit" in Reader(made).text
    assert "lacking 22.50 GiB" in made


def test_a_node_that_computes_on_a_cpu_has_no_bar_of_memory() -> None:
    assert "Memory of the tightest GPU" not in page(plan(memory_per_rank=None, kv=None, naive=None), [])
