"""Bar charts as SVG, without a library: the files stay small."""

from collections.abc import Sequence
from html import escape

WIDTH, BAR, GAP, LEFT, RIGHT, TOP = 760, 18, 6, 230, 110, 40
COLOURS = {"ours": "#2f6f9f", "ceiling": "#9a9a9a", "rival": "#c9762f"}


def bars(title: str, unit: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """A chart of horizontal bars.

    Args:
        rows: label, figure, and which of COLOURS; an empty label makes a gap.
    """
    most = max(value for _, value, _ in rows) or 1
    height = TOP + len(rows) * (BAR + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        f' font-family="sans-serif" font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold">{escape(title)}, {escape(unit)}</text>',
    ]
    for position, (label, value, kind) in enumerate(rows):
        if not label:
            continue
        y = TOP + position * (BAR + GAP)
        length = max(1, round(value / most * (WIDTH - LEFT - RIGHT)))
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{length}" height="{BAR}" fill="{COLOURS[kind]}"/>',
            f'<text x="{LEFT + length + 6}" y="{y + 14}">{escape(figure(value))}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def figure(value: float) -> str:
    """Three significant digits, with thousands separated."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
