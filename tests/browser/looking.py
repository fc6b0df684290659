"""What a designer and an assistive technology would find: contrast, names, axe's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

__all__ = ["axe_violations", "contrast", "nameless"]

# The contrast of each text against what is really behind it, as WCAG 2 computes it.
_CONTRAST = """(areas, within) => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    const read = colour => {
        pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
    };
    const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
    const behind = node => {
        const layers = [];
        for (let at = node; at; at = at.parentElement) layers.push(read(getComputedStyle(at).backgroundColor));
        return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
    };
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const poor = [], seen = [];
    for (const node of areas.flatMap(area => [...area.querySelectorAll(within)])) {
        const texts = [...node.childNodes].filter(n => n.nodeType === 3 && n.textContent.trim());
        if (!(texts.length || node.matches('input, textarea, select'))) continue;
        if (!node.checkVisibility() || node.closest('.rr-hidden')) continue;
        const back = behind(node), front = over(read(getComputedStyle(node).color), back);
        const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        seen.push(ratio);
        if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${node.outerHTML.slice(0, 120)}`);
    }
    return { poor, count: seen.length, least: Math.min(...seen) };
}"""

_NAMELESS = """areas => areas.flatMap(area => [...area.querySelectorAll(
    'button, input, select, textarea, summary, [role=tab], [role=slider], progress')])
    .filter(node => node.checkVisibility())
    .filter(node => !(node.getAttribute('aria-label') || node.getAttribute('aria-labelledby') || node.textContent.trim()
        || [...(node.labels || [])].some(label => label.textContent.trim())))
    .map(node => node.outerHTML.slice(0, 160))"""


def contrast(areas: Locator, within: str = ".rr-element *") -> dict[str, Any]:
    """Return {"poor": texts below 4.5:1, "count": texts looked at, "least": the lowest ratio}."""
    found: dict[str, Any] = areas.evaluate_all(_CONTRAST, within)
    return found


def nameless(areas: Locator) -> list[str]:
    """Return the visible controls that have no accessible name."""
    found: list[str] = areas.evaluate_all(_NAMELESS)
    return found


def axe_violations(page: Page, context: str = ".rr-panel") -> list[tuple[str, str]]:
    """Return what axe-core finds: rule and the node's HTML."""
    from axe_playwright_python.sync_playwright import Axe

    ran = Axe().run(page, context=context)
    assert len(ran.response["passes"]) > 5, "axe looked at something"
    return [(found["id"], found["nodes"][0]["html"]) for found in ran.response["violations"]]
