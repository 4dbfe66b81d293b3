"""The page in a real browser: all of it drawn, nothing asked for, nothing complained of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from raybead.report.template import asset

CHARTED = """() => [...document.querySelectorAll("figure")].filter((figure) =>
  document.getElementById(`numbers-${figure.dataset.numbers ?? figure.id}`)).length"""
DRAWN = """() => [...document.querySelectorAll("figure .chart")].map((chart) =>
  [chart.closest("figure").id,
   chart.querySelectorAll(".panels svg path, .panels svg circle, .panels svg rect").length])"""
SCROLLED = """async () => {
  const shown = [...document.querySelectorAll("figure")].filter((figure) => figure.clientWidth);
  for (const figure of shown) {
    figure.scrollIntoView();
    for (let n = 0; !figure.dataset.width && n < 500; n++) {
      await new Promise((done) => setTimeout(done, 10));
    }
  }
}"""


@contextmanager
def shown(browser: Any, drawn: Any, **options: Any) -> Iterator[Any]:
    """The page in a window of its own; what it complains of, or asks for, fails the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
    page, wrong = context.new_page(), []
    page.on("console", lambda said: wrong.append(f"console: {said.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    address = (drawn.folder / "report.html").as_uri()
    page.on("request", lambda asked: wrong.append(asked.url) if asked.url != address
            and not asked.url.startswith("data:") else None)  # fmt: skip
    page.goto(address)
    yield page
    context.close()
    assert wrong == []


def test_every_figure_is_drawn_as_it_comes_into_view(browser, drawn):
    with shown(browser, drawn) as page:
        charted = page.evaluate(CHARTED)
        assert len(page.evaluate(DRAWN)) < charted  # not all at once
        page.locator(".choice span", has_text="all").click()
        page.evaluate(SCROLLED)
        chosen = dict(page.evaluate(DRAWN))
        assert len(chosen) == charted == page.locator("figure").count() > 20
        assert min(chosen.values()) >= 3
        assert page.locator("figure img:visible").count() == 0
        alts = page.eval_on_selector_all(".panels svg", "all => all.map((one) => one.ariaLabel)")
        assert all(len(alt) > 40 for alt in alts)


@pytest.mark.parametrize(
    ("domain", "labelled"),
    [
        ([0.9, 60], [1, 2, 5, 10, 20, 50]),
        ([0.3, 4], [0.5, 1, 2]),
        ([1, 1e4], [1, 10, 100, 1000, 10000]),
    ],
)
def test_short_logarithmic_axes_have_labels_between_the_powers_of_ten(browser, domain, labelled):
    code = re.search(r"^function logTicks.*?^}$", asset("charts.js"), re.DOTALL | re.MULTILINE)
    assert code is not None
    context = browser.new_context()
    page = context.new_page()
    for script in (asset("d3.min.js"), code[0]):
        page.add_script_tag(content=str(script))
    assert page.evaluate("(domain) => logTicks(domain, 5)", domain) == pytest.approx(labelled)
    context.close()


def test_bounds_point_down(browser):
    """A mark of bounds is a triangle, and others are circles."""
    context = browser.new_context()
    page = context.new_page()
    for name in ("d3.min.js", "plot.min.js", "marks.js"):
        page.add_script_tag(content=str(asset(name)))
    shape = """(bound) => {
      const look = {x: {scale: "linear"}, y: {scale: "linear"}, xDomain: [0, 2], yDomain: [0, 2]};
      const mark = {kind: "points", name: "a", color: "#111111", bound, columns: {x: [1], y: [1]}};
      const dots = Plot.plot({marks: drawn(mark, look).filter(Boolean)})
        .querySelector("[aria-label=dot]").firstElementChild;
      return [dots.tagName, dots.getAttribute("transform") ?? ""];
    }"""
    assert page.evaluate(shape, False)[0] == "circle"
    tag, turned = page.evaluate(shape, True)
    assert tag == "path"
    assert "rotate(180)" in turned
    context.close()


def test_values_are_told_under_the_pointer_and_by_keys(browser, drawn):
    with shown(browser, drawn) as page:
        figure = page.locator("#main-figure")
        svg = figure.locator(".panels svg").first
        box = svg.bounding_box()
        page.mouse.move(box["x"] + 0.62 * box["width"], box["y"] + 0.5 * box["height"])
        tip = svg.locator('[aria-label="tip"]')
        tip.locator("text").wait_for()
        told = tip.text_content()
        assert "m_jj [GeV]" in told
        assert "Outliers" in told
        assert "Background prediction" in told
        svg.focus()
        page.keyboard.press("ArrowRight")
        first = figure.locator(".said").inner_text()
        page.keyboard.press("ArrowRight")
        second = figure.locator(".said").inner_text()
        assert first.startswith("m_jj [GeV]: 2659 to 2775")
        assert second.startswith("m_jj [GeV]: 2775 to 2895")
        page.keyboard.press("Escape")
        assert tip.locator("text").count() == 0


def test_one_cut_is_shown_and_another_can_be_chosen(browser, drawn):
    with shown(browser, drawn) as page:
        assert page.locator("#scan-0\\.9").is_visible()
        assert not page.locator("#scan-0\\.95").is_visible()
        page.get_by_role("radio", name="90 % quantile").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("#scan-0\\.95").is_visible()
        assert not page.locator("#scan-0\\.9").is_visible()
        page.locator("#scan-0\\.95").scroll_into_view_if_needed()
        page.locator("#scan-0\\.95 .chart").wait_for()
        assert page.locator("#cuts-table ~ .wide tr").count() == 3  # tables stay whole


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_follow_the_theme(browser, drawn, scheme):
    with shown(browser, drawn, color_scheme=scheme) as page:
        colors = page.evaluate("""() => {
          const of = (one, what) => getComputedStyle(document.querySelector(one))[what];
          return [of("body", "backgroundColor"), of("#main-figure .panels svg", "color"),
            of("#main-figure .panels circle", "fill")];
        }""")
        paper, ink, points = (sum(map(int, re.findall(r"\d+", one)[:3])) for one in colors)
        assert (paper > 600) == (scheme == "light")
        assert abs(paper - ink) > 450
        assert abs(paper - points) > 450


def test_a_phone_shows_it_without_scrolling_aside(browser, drawn):
    with shown(browser, drawn, viewport={"width": 390, "height": 844}) as page:
        page.evaluate(SCROLLED)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        widths = page.eval_on_selector_all(
            ".panels svg", "all => all.filter((s) => s.clientWidth).map((s) => s.clientWidth)"
        )
        assert len(widths) > 15
        assert 280 < min(widths) <= max(widths) <= 390


def test_print_has_all_of_it(browser, drawn):
    with shown(browser, drawn) as page:
        charted = page.evaluate(CHARTED)
        page.emulate_media(media="print")
        pdf = page.pdf(format="A4")
        assert pdf.startswith(b"%PDF")
        assert len(page.evaluate(DRAWN)) == charted  # before the first was scrolled to
        assert page.locator("#scan-0\\.95").is_visible()  # all cuts, whatever is chosen
        assert not page.locator(".choice").is_visible()


def test_without_scripts_every_figure_is_an_image(browser, drawn):
    with shown(browser, drawn, java_script_enabled=False) as page:
        images = page.locator("figure img")
        assert images.count() == page.locator("figure").count()
        assert all(images.nth(i).is_visible() for i in range(images.count()))
        assert not page.locator(".choice").is_visible()
        assert page.locator("#scan-0\\.95").is_visible()


def test_a_chart_that_cant_be_drawn_stays_an_image(browser, drawn, tmp_path):
    broken = drawn.page.replace('"kind": "spans"', '"kind": "spirals"')
    (tmp_path / "report.html").write_text(broken)
    page = browser.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    page.locator("#scan-0\\.9").scroll_into_view_if_needed()
    page.wait_for_function('document.getElementById("scan-0.9").dataset.width === "image"')
    assert page.locator("#scan-0\\.9 img").is_visible()
    page.locator("#toys-0\\.9 .chart").wait_for()
    page.close()
