"""Charts as SVG, drawn here: stacked columns, one for each day. Colours are classes of the style sheet.

A table goes beside: no number is in the drawing that is not in it, and screen readers are told what is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner_dashboard.fleet.history import Line

WIDTH: Final = 720
HEIGHT: Final = 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 8, 24
_STEPS: Final = (1, 2, 5)
_LINES: Final = 4
_GAP: Final = 0.15
_ROOMY: Final = 8


def columns(lines: Sequence[Line], classes: Sequence[str], labels: Sequence[str], about: str) -> Markup:
    """Return the drawing of *lines*, each with its class. *labels* name the columns, *about* is the whole."""
    count = len(labels)
    totals = [sum(line.values[at] for line in lines) for at in range(count)]
    top = ceiling(max(totals, default=0))
    inner, tall = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    wide = inner / max(count, 1)
    parts = [Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, about)]
    parts += [_grid(top * step / _LINES, _TOP + tall - tall * step / _LINES) for step in range(_LINES + 1)]
    for at in range(count):
        x, base = _LEFT + wide * at, float(_TOP + tall)
        for line, name in zip(lines, classes, strict=True):
            high = tall * line.values[at] / top
            base -= high
            if high:
                parts.append(
                    Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>').format(
                        name, x + wide * _GAP / 2, base, wide * (1 - _GAP), high
                    )
                )
    named = {0, count // 2, count - 1} if count > _ROOMY else set(range(count))
    parts += [_label(_LEFT + wide * (at + 0.5), labels[at]) for at in sorted(named)]
    return Markup("").join([*parts, Markup("</svg>")])


def _label(x: float, text: str) -> Markup:
    inside = min(max(x, _LEFT + 20), WIDTH - 24)
    return Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
        inside, HEIGHT - 6, text
    )


def _grid(value: float, y: float) -> Markup:
    line = Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, y, WIDTH - _RIGHT)
    word = Markup('<text class="axis" x="{}" y="{:.1f}" text-anchor="end">{}</text>')
    return line + word.format(_LEFT - 6, y + 4, short(value))


def ceiling(value: int) -> int:
    """Return the least of 4, 8, 20, 40, 80, 200 … that is not below *value*: its quarters are whole."""
    found = _LINES
    while True:
        for step in _STEPS:
            if value <= found * step:
                return found * step
        found *= 10


def short(value: float) -> str:
    """Return a number as it fits beside an axis: 950, 1.5k, 20M."""
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
