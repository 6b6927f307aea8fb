"""What of a chart's words is cut by its edges, or lies on other words."""

from __future__ import annotations

CUT = """chart => {
    const paper = chart.querySelector(".main-svg").getBoundingClientRect();
    const words = [...chart.querySelectorAll("text")].map(text => {
        const { left, right, top, bottom } = text.getBoundingClientRect();
        return { text: text.textContent, left, right, top, bottom };
    }).filter(({ left, right }) => left < right);
    const isCut = ({ left, right, top, bottom }) => left < paper.left - 1
        || right > paper.right + 1 || top < paper.top - 1 || bottom > paper.bottom + 1;
    const isOn = (a, b) => a !== b && a.left < b.right - 2 && b.left < a.right - 2
        && a.top < b.bottom - 6 && b.top < a.bottom - 6;
    return words.filter(a => isCut(a) || words.some(b => isOn(a, b))).map(a => a.text);
}"""
