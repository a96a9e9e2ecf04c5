"""Scenarios 19, 20, 22, 24 and 25: layout, keyboard, security, colours, counts."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from web.browser.application import Workbench
from web.browser.clips import red_box
from web.browser.test_tracking import mark_both

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[3] / "frontend/node_modules/axe-core/axe.min.js"

OVERLAPS = """
(() => {
  const parts = ['.bar', '.tools', '.workbench > main', 'aside', '.time'];
  const boxes = parts.map((name) => document.querySelector(name).getBoundingClientRect());
  const found = [];
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 1) found.push([parts[i], parts[i + 1 + j]]);
  }));
  boxes.forEach((box, i) => {
    if (box.right > innerWidth + 1 || box.bottom > innerHeight + 1) found.push(parts[i]);
  });
  for (const button of document.querySelectorAll('.bar button, .tools button, .transport button')) {
    const box = button.getBoundingClientRect();
    if (box.width > 0 && (box.right > innerWidth + 1 || box.width < 23.5 || box.height < 23.5))
      found.push(button.title || button.textContent);
  }
  const line = [...document.querySelector('.tool-line').children].map((each) => [
    each.textContent, each.getBoundingClientRect()]).filter(([, box]) => box.width > 0);
  line.slice(1).forEach(([text, box], i) => {
    const before = line[i][1];
    if (box.left < before.right - 1 && box.top < before.bottom - 1) found.push(text);
  });
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth || root.scrollHeight > innerHeight) found.push('scroll bars');
  return found;
})()
"""


@pytest.mark.parametrize(
    "name, look",
    [
        ("1280x720-dark", {"color_scheme": "dark"}),
        ("1024x600-light", {"viewport": {"width": 1024, "height": 600}, "color_scheme": "light"}),
        (
            "zoom-200-dark",
            {
                "viewport": {"width": 640, "height": 360},
                "device_scale_factor": 2,
                "color_scheme": "dark",
            },
        ),
    ],
)
def test_nothing_overlaps(shared_server, visit, name, look):
    tab = visit(shared_server, **look).open("clip.mp4", f"runs/{name}")
    mark_both(tab)
    tab.press("i")
    tab.repainted()
    numbers = tab.page.locator(".numbers span")
    tab.until(lambda: numbers.all_inner_texts() == ["1", "2"])
    tab.shot(f"19-{name}")
    assert tab.value(OVERLAPS) == []
    for tool in ("Brush", "Box"):
        tab.tool(tool)
        assert tab.value(OVERLAPS) == [], tool
    stage = tab.page.locator(".stage").bounding_box()
    if name == "1280x720-dark":
        assert (stage["width"], stage["height"]) == (948, 541)
    tab.press("?")
    tab.page.get_by_role("dialog").wait_for()
    tab.shot(f"19-help-{name}")


def violations(tab: Workbench) -> list[str]:
    tab.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = tab.page.evaluate("axe.run().then((result) => result.violations)")
    return [f"{v['id']}: {[n['html'] for n in v['nodes']][:3]}" for v in found]


@pytest.mark.skipif(not AXE.is_file(), reason="run npm ci in frontend/ for axe-core")
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_no_rule_of_accessibility_is_broken(shared_server, visit, scheme):
    tab = visit(shared_server, color_scheme=scheme).open("clip.mp4", f"runs/axe-{scheme}")
    mark_both(tab)
    assert violations(tab) == []
    tab.press("Control+e")
    tab.page.get_by_role("dialog").wait_for()
    assert violations(tab) == []
    tab.page.get_by_role("dialog").get_by_role("button", name="Close").click()
    tab.page.evaluate("maskcast.session.close()")
    tab.page.get_by_role("heading", name="Recent").wait_for()
    assert violations(tab) == []


def test_marking_and_tracking_by_keyboard_alone(bench):
    page = bench.page
    bench.press("r")
    for label, value in (("x", "30"), ("y", "30"), ("width", "40"), ("height", "40")):
        page.get_by_label(label, exact=True).focus()
        page.keyboard.press("Control+a")
        page.keyboard.type(value)
    page.keyboard.press("Enter")
    bench.wait("maskcast.session.project.value.prompts[0]?.includes(1)")
    bench.settled()
    page.evaluate("document.activeElement.blur()")
    bench.press("a", "p")
    add = page.get_by_role("button", name="Add point")
    for moves in ([], ["Shift+ArrowRight"] * 3, ["Shift+ArrowDown"] * 3):
        add.focus()
        page.keyboard.press("Enter")
        page.evaluate("document.activeElement.blur()")
        for move in moves:
            page.keyboard.press(move)
    bench.press("Enter")
    bench.wait("maskcast.session.project.value.prompts[0]?.length === 2")
    bench.settled()
    assert 300 < np.count_nonzero(bench.shown() == 2) < 600
    bench.press("ArrowRight", "Shift+ArrowRight", "Control+ArrowLeft")
    bench.wait("maskcast.look.frame.value === 0")
    bench.press("Enter")
    assert bench.job_ended()["state"] == "done"


def test_focus_goes_through_the_page_in_order_and_is_visible(bench):
    seen = []
    for _ in range(12):
        bench.page.keyboard.press("Tab")
        seen.append(
            bench.page.evaluate(
                "[document.activeElement.getAttribute('aria-label')"
                " ?? document.activeElement.textContent.trim(),"
                " getComputedStyle(document.activeElement).outlineStyle !== 'none']"
            )
        )
    assert all(name and outlined for name, outlined in seen), seen
    names = [name for name, _ in seen]
    assert names.index("How far to track") < names.index("Export…") < names.index("Move")


def test_keys_do_nothing_in_text_fields_and_can_be_switched_off(bench):
    field = bench.page.get_by_label("Brush size in pixels")
    field.focus()
    bench.press("v")
    assert bench.value("maskcast.look.tool.value") == "brush"
    bench.page.evaluate("document.activeElement.blur()")
    bench.press("?")
    bench.page.get_by_label("Single-key shortcuts").uncheck()
    bench.press("Escape", "v")
    assert bench.value("maskcast.look.tool.value") == "brush"
    bench.page.evaluate("maskcast.look.keysOn.value = true")
    bench.press("v")
    assert bench.value("maskcast.look.tool.value") == "move"


def test_what_is_being_typed_stays_when_there_is_news(bench):
    bench.square(red_box(0))
    news = "maskcast.session.project.value = { ...maskcast.session.project.value }"
    field = bench.page.get_by_label("Frame number")
    field.fill("10")
    bench.page.evaluate(news)
    bench.repainted()
    field.press("Enter")
    bench.wait("maskcast.look.frame.value === 10")
    field.fill("999")
    field.press("Enter")
    bench.wait("maskcast.look.frame.value === 39")
    assert field.input_value() == "39"
    bench.tool("Brush")
    brush = bench.page.get_by_label("Brush size in pixels")
    brush.fill("77")
    bench.page.evaluate(news)
    bench.repainted()
    brush.press("Enter")
    bench.wait("maskcast.look.brush.value === 77")
    brush.fill("9999")
    brush.press("Enter")
    bench.wait("maskcast.look.brush.value === 400")
    assert brush.input_value() == "400"
    bench.page.evaluate("document.activeElement.blur()")
    bench.more(1, "Rename")
    name = bench.page.get_by_label("Name of object 1")
    name.fill("runner")
    bench.page.evaluate(news)
    bench.repainted()
    name.press("Enter")
    bench.wait("maskcast.session.project.value.objects[0].name === 'runner'")


def test_no_request_leaves_the_host_and_the_policy_holds(bench, shared_server):
    mark_both(bench)
    bench.track("next 25 frames")
    foreign = [u for u in bench.requests if not u.startswith((shared_server.origin, "blob:"))]
    assert foreign == []
    assert not any("token" in url for url in bench.requests)
    assert [t for t in bench.troubles if "Content Security Policy" in t] == []


def test_a_foreign_page_can_neither_read_nor_post(browser, shared_server):
    context = browser.new_context()
    page = context.new_page()
    page.route("http://other.example/**", lambda route: route.fulfill(body="<p>hello</p>"))
    page.goto("http://other.example/")
    origin = shared_server.origin
    read = f"fetch('{origin}/api/hello').then((r) => 'read ' + r.status, () => 'blocked')"
    assert page.evaluate(read) == "blocked"
    post = f"fetch('{origin}/api/undo', {{method: 'POST', mode: 'no-cors', body: '{{}}'}})"
    page.evaluate(post + ".catch(() => 0)")
    assert (
        page.evaluate(f"fetch('{origin}/app.js').then(() => 'read', () => 'blocked')") == "blocked"
    )
    context.close()


def picture(bench: Workbench) -> np.ndarray:
    shot = bench.page.locator(".stage").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(float)


def test_colours_are_the_palette_under_the_tint(bench):
    x, y = 200, 60  # the dark scene
    bench.page.mouse.move(2, 2)
    bench.repainted()
    before = picture(bench)
    bench.square((180, 40, 220, 80))
    bench.page.mouse.move(2, 2)
    bench.repainted()
    left, top = bench.at(x + 10, y + 10)
    box = bench.page.locator(".stage").bounding_box()
    column, row = int(left - box["x"]), int(top - box["y"])
    for tint in (0.45, 0.7, 0.0, 0.25):
        shown = picture(bench)[row, column]
        expected = (1 - tint) * before[row, column] + tint * np.array([0x56, 0xB4, 0xE9])
        assert np.abs(shown - expected).max() < 6, tint
        bench.press("t")
        bench.repainted()


@pytest.mark.parametrize("scale", [0.1, 8.0])
def test_contours_are_visible_at_any_zoom(bench, scale):
    bench.square(red_box(0))
    bench.page.evaluate(f"maskcast.look.view.value = {{scale: {scale}, left: 100, top: 60}}")
    bench.page.mouse.move(2, 2)
    bench.repainted()
    bench.shot(f"24-zoom-{scale}")
    bench.page.evaluate("document.querySelector('.numbers').remove()")
    shown = picture(bench)
    blue = np.abs(shown - np.array([0x56, 0xB4, 0xE9])).max(axis=2) < 3
    columns = np.flatnonzero(blue.any(axis=0))
    side = 40 * scale
    assert abs((columns[-1] - columns[0] + 1) - min(side, 948)) <= 2
    row = blue[round(60 + 50 * scale)] if scale > 1 else None
    if row is not None:
        first = columns[0]
        assert row[first : first + 2].all()
        assert not row[first + 2]


def test_a_stroke_is_one_request_and_no_full_repaint(bench):
    bench.stroke((20, 20), (30, 20))
    bench.settled()
    counts = dict(bench.value("maskcast.stage.value.counts"))
    sent = bench.value("maskcast.session.api.sent")
    mouse = bench.page.mouse
    mouse.move(*bench.at(50, 50))
    mouse.down()
    for i in range(60):
        mouse.move(*bench.at(50 + 2 * i, 50 + (i % 7)))
    now = bench.value("maskcast.stage.value.counts")
    assert now["full"] == counts["full"]
    assert counts["partial"] < now["partial"] <= counts["partial"] + 61
    assert bench.value("maskcast.session.api.sent") == sent
    mouse.up()
    bench.settled()
    after = bench.value("maskcast.session.api.sent")
    assert after["PUT prompts"] == sent["PUT prompts"] + 1
    assert {k: v for k, v in after.items() if k != "PUT prompts"} == {
        k: v for k, v in sent.items() if k != "PUT prompts"
    }
    assert bench.value("maskcast.stage.value.counts.full") == counts["full"]


def test_scrubbing_asks_for_each_picture_once(bench):
    bench.wait("maskcast.session.api.sent['POST look'] > 0")
    before = bench.value("maskcast.session.api.sent['POST look']")
    scrub = "for (let frame = 3; frame < 40; frame += 3) maskcast.session.goTo(frame)"
    bench.page.evaluate(scrub)
    bench.settled()
    bench.wait(f"maskcast.session.api.sent['POST look'] > {before}")
    pictures = [url for url in bench.requests if "/api/frames/" in url]
    aborted = len(pictures) - len(set(pictures))
    assert aborted <= 30
    assert bench.value("maskcast.session.api.sent['POST look']") <= before + 2
