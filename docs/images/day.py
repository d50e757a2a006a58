#!/usr/bin/env python3
"""Draws day.svg beside it, from day.csv beside it: what `cargo bench --bench day` measured."""

import csv
from pathlib import Path

from landings import COLOURS

HERE = Path(__file__).resolve().parent

WIDTH, LEFT, RIGHT, TOP, HEIGHT, GAP = 760, 64, 640, 44, 130, 56

# Panels: title, then the columns it shows, each with its colour and name.
PANELS = [
    ("milliseconds on the clock, median of a hundred pushes", [
        ("landing_ms", "new", "landing"), ("topic_ms", "good", "topic"),
        ("review_ms", "muted", "review"), ("refused_ms", "bad", "refused"),
    ]),
    ("milliseconds of CPU a push, git at both ends included", [("cpu_ms", "new", "all pushes")]),
    ("MiB of memory, the largest hook of a hundred pushes", [("hook_mib", "bad", "peak")]),
    ("MiB on disk", [("log_mib", "good", "log"), ("index_mib", "new", "index"), ("received_mib", "muted", "received")]),
]

STYLE = """
text { font: 13px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: var(--ink); }
.axis { font-size: 12px; fill: var(--muted); }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.paper { fill: var(--paper); stroke: var(--frame); }
.grid { stroke: var(--track); }
path { fill: none; stroke-width: 2; }
""".strip()


def nice(most):
    """The smallest of 1, 2, 5, 10, 20, 50, … that is not below `most`."""
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if step * factor >= most:
                return step * factor
        step *= 10


def panel(rows, number, title, lines):
    top = TOP + number * (HEIGHT + GAP)
    last = float(rows[-1]["commits"])
    values = {name: [float(row[name]) for row in rows] for name, _, _ in lines}
    most = nice(max(value for column in values.values() for value in column if value == value))
    out = [f'<text x="{LEFT}" y="{top - 12}">{title}</text>']
    for part in range(3):
        y = top + HEIGHT - part * HEIGHT / 2
        out.append(f'<path class="grid" d="M{LEFT} {y:g} H{RIGHT}"/>')
        out.append(f'<text class="axis end" x="{LEFT - 8}" y="{y + 4:g}">{most * part / 2:g}</text>')
    ends = []
    for name, colour, label in lines:
        points = [
            (LEFT + (RIGHT - LEFT) * float(row["commits"]) / last, top + HEIGHT * (1 - value / most))
            for row, value in zip(rows, values[name])
            if value == value
        ]
        path = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        out.append(f'<path d="M{path}" style="stroke: var(--{colour})"/>')
        ends.append([points[-1][1], colour, label])
    # Names stand at the lines' ends, one below the other.
    ends.sort()
    for above, below in zip(ends, ends[1:]):
        below[0] = max(below[0], above[0] + 15)
    for y, colour, label in ends:
        out.append(f'<text x="{RIGHT + 10}" y="{y + 4:.1f}" style="fill: var(--{colour})">{label}</text>')
    return out


def main():
    with open(HERE / "day.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    height = TOP + len(PANELS) * (HEIGHT + GAP) - 10
    roots = "".join(f"--{name}: {light}; " for name, (light, _) in COLOURS.items())
    darks = "".join(f"--{name}: {dark}; " for name, (_, dark) in COLOURS.items())
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        "<title>A day at one repository</title>",
        "<desc>Latency, processor time, memory and disk over a day of pushes.</desc>",
        f"<style>\nsvg {{ {roots}}}\n@media (prefers-color-scheme: dark) {{ svg {{ {darks}}} }}\n{STYLE}\n</style>",
        f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>',
    ]
    for number, (title, lines) in enumerate(PANELS):
        out += panel(rows, number, title, lines)
    last = rows[-1]
    out.append(
        f'<text class="axis middle" x="{(LEFT + RIGHT) / 2}" y="{height - 16}">'
        f'{int(last["commits"]):,} commits in {int(last["pushes"]):,} pushes, from left to right</text>'
    )
    (HERE / "day.svg").write_text("\n".join([*out, "</svg>", ""]))


if __name__ == "__main__":
    main()
