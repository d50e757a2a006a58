#!/usr/bin/env python3
"""Draws landings/*.svg beside it, for docs/landings.md; with --check only says whether it would.

A picture is a few commits, each on a lane and in a column. Time goes to the right.
"""

import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent / "landings"

WIDTH, LEFT, RIGHT, COLUMN = 760, 136, 700, 150
HEADER, LANE, FOOT, R = 96, 72, 48, 17

# For what: the colour on light paper, and on dark.
COLOURS = {
    "paper": ("#ffffff", "#161b22"),
    "frame": ("#d0d7de", "#30363d"),
    "ink": ("#1f2328", "#e6edf3"),
    "muted": ("#59636e", "#9198a1"),
    "line": ("#9aa4ae", "#6e7681"),
    "track": ("#f0f3f6", "#1f252d"),
    "node": ("#f6f8fa", "#262c36"),
    "new": ("#0969da", "#4493f8"),
    "new-fill": ("#ddf4ff", "#12274a"),
    "good": ("#1a7f37", "#3fb950"),
    "good-fill": ("#dafbe1", "#122d1c"),
    "bad": ("#cf222e", "#f85149"),
    "bad-fill": ("#ffebe9", "#3a1719"),
    "on": ("#ffffff", "#0d1117"),
}

STYLE = """
text { font: 600 14px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: var(--ink); }
.lane { font-weight: 400; font-size: 13px; fill: var(--muted); }
.note, .code { font: 400 12px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; fill: var(--muted); }
.note.bad { fill: var(--bad); }
.label { text-anchor: middle; }
.pill { font-size: 13px; fill: var(--on); }
.word { font-size: 13px; }
.paper { fill: var(--paper); stroke: var(--frame); }
.track { stroke: var(--track); stroke-width: 30; stroke-linecap: round; }
.edge { fill: none; stroke: var(--line); stroke-width: 2.5; }
.edge.new { stroke: var(--new); }
.node { fill: var(--node); stroke: var(--line); stroke-width: 2.5; }
.node.head { fill: var(--good-fill); stroke: var(--good); }
.node.new { fill: var(--new-fill); stroke: var(--new); }
.node.bad { fill: var(--bad-fill); stroke: var(--bad); stroke-dasharray: 4 3; }
.halo { fill: none; stroke: var(--new); stroke-width: 2.5; }
.lands { fill: none; stroke-width: 2.5; stroke-dasharray: 1 6; stroke-linecap: round; }
.tick { fill: none; stroke-width: 2.2; stroke-linecap: round; stroke-linejoin: round; stroke: var(--on); }
.good { stroke: var(--good); } .bad { stroke: var(--bad); }
.fill-good { fill: var(--good); } .fill-bad { fill: var(--bad); } .fill-muted { fill: var(--muted); }
.gap { stroke: var(--paper); stroke-width: 2; }
text.bad { stroke: none; }
""".strip()


@dataclass
class Commit:
    """A commit; `kind` is any of: old, plain, head (approved), ended (approval), new, bad."""

    label: str
    lane: int
    column: float
    parents: str = ""
    kind: str = "plain"
    note: str = ""


@dataclass
class Picture:
    name: str
    says: str
    covered: bool
    word: str
    commits: list
    lanes: tuple = ("main", "topic")
    lands: list = field(default_factory=list)
    code: str = ""


def c(*arguments):
    return Commit(*arguments)


MERGED = [
    c("P", 0, 0, "", "old"),
    c("a", 1, 1, "P"),
    c("H", 1, 2, "a", "head"),
    c("N", 0, 3, "P H", "new"),
]

PICTURES = [
    Picture("fast-forward", "Main moves to the approved head itself.", True, "identity", [
        c("P", 0, 0, "", "old"), c("a", 0, 1, "P"), c("H=N", 0, 2, "a", "head new"),
    ], ("main",)),
    Picture("merge", "A merge commit joins main and the approved head.", True, "identity", MERGED),
    Picture("squash", "One commit on main has what landing the approved head gives.", True, "identity", [
        c("P", 0, 0, "", "old"), c("a", 1, 1, "P"), c("H", 1, 2, "a", "head"), c("N", 0, 3, "P", "new"),
    ], lands=["H N"]),
    Picture("rebase", "The commits of the topic are made again on a main that has moved.", True, "replay", [
        c("B", 0, 0, "", "old"), c("P", 0, 1, "B", "old"), c("a", 1, 1, "B"), c("H", 1, 2, "a", "head"),
        c("a'", 0, 2, "P", "new"), c("N", 0, 3, "a'", "new"),
    ], lands=["H N"]),
    Picture("cherry-pick", "The approved commit is made again on a main that has moved.", True, "replay", [
        c("B", 0, 0, "", "old"), c("P", 0, 2, "B", "old"), c("H", 1, 1, "B", "head"), c("N", 0, 3, "P", "new"),
    ], lands=["H N"]),
    Picture("stack", "Two heads, one built on the other, land one after the other.", True, "identity, then replay", [
        c("P", 0, 0, "", "old"), c("H₁", 1, 1, "P", "head"), c("H₂", 2, 2, "H₁", "head"),
        c("M", 0, 2, "P H₁", "new"), c("N", 0, 3, "M H₂", "new"),
    ], ("main", "topic 1", "topic 2")),
    Picture("queue", "Two heads that know nothing of each other land in one push.", True, "identity, then replay", [
        c("P", 0, 0, "", "old"), c("H₁", 1, 1, "P", "head"), c("H₂", 2, 1.6, "P", "head"),
        c("M", 0, 2, "P H₁", "new"), c("N", 0, 3, "M H₂", "new"),
    ], ("main", "topic 1", "topic 2")),
    Picture("revert", "What undoes a landed change is a change like any other.", True, "identity", [
        c("L", 0, 0, "", "old", "+ a.txt"), c("P", 0, 1, "L", "old"), c("H", 1, 2, "P", "head", "− a.txt"),
        c("N", 0, 3, "P H", "new"),
    ]),
    Picture("conflict-resolution", "The approval that counts is of the commit that resolves the conflict.", True, "identity", [
        c("B", 0, 0, "", "old"), c("P", 0, 1.5, "B", "old", "a.txt: 1"), c("a", 1, 1, "B", "plain", "a.txt: 2"),
        c("H", 1, 2.5, "a P", "head", "a.txt: 1, 2"), c("N", 0, 3.5, "P H", "new"),
    ]),
    Picture("update-merge", "Main was merged into the topic before the review.", True, "identity", [
        c("B", 0, 0, "", "old"), c("P", 0, 1, "B", "old"), c("a", 1, 1, "B"), c("u", 1, 2, "a P"),
        c("H", 1, 3, "u", "head"), c("N", 0, 4, "P H", "new"),
    ]),
    Picture("octopus", "A merge of several topics that was itself approved.", True, "identity", [
        c("P", 0, 0, "", "old"), c("a", 1, 1, "P"), c("b", 2, 1.6, "P"), c("H=N", 0, 3, "P a b", "head new"),
    ], ("main", "topic 1", "topic 2")),
    Picture("octopus-of-heads", "Two approved heads in one commit: neither landing gives its tree.", False, "residual", [
        c("P", 0, 0, "", "old"), c("H₁", 1, 1, "P", "head", "+ a.txt"), c("H₂", 2, 1.6, "P", "head", "+ b.txt"),
        c("N", 0, 3, "P H₁ H₂", "new bad", "+ a.txt + b.txt"),
    ], ("main", "topic 1", "topic 2"), code="unreviewed-residual"),
    Picture("evil-merge", "The merge commit itself adds what nobody saw.", False, "residual", [
        c("P", 0, 0, "", "old"), c("a", 1, 1, "P"), c("H", 1, 2, "a", "head", "+ a.txt"),
        c("N", 0, 3, "P H", "new bad", "+ a.txt + x.txt"),
    ], code="unreviewed-residual"),
    Picture("dropped-half", "Half of what was approved is left out.", False, "residual", [
        c("P", 0, 0, "", "old"), c("a", 1, 1, "P", "plain", "+ check"), c("H", 1, 2, "a", "head", "+ check + use"),
        c("N", 0, 3, "P", "new bad", "+ use"),
    ], lands=["H N x"], code="unreviewed-residual"),
    Picture("mix-of-two-versions", "Each file was approved, but never the two together.", False, "residual", [
        c("P", 0, 0, "", "old"), c("H₁", 1, 1, "P", "head", "a: 1, b: 1"), c("H₂", 2, 1.6, "P", "head", "a: 2, b: 2"),
        c("N", 0, 3, "P", "new bad", "a: 1, b: 2"),
    ], ("main", "version 1", "version 2"), lands=["H₁ N x", "H₂ N x"], code="unreviewed-residual"),
    Picture("extra-parent", "No file differs, but the merge brings commits nobody saw.", False, "residual", [
        c("P", 0, 0, "", "old"), c("H", 1, 1, "P", "head"), c("X", 2, 1.6, "P", "bad", "never approved"),
        c("N", 0, 3, "P H X", "new bad"),
    ], ("main", "topic", "elsewhere"), code="unreviewed-residual"),
    Picture("several-bases", "Main and topic took in each other: no one commit is the base.", False, "unverifiable", [
        c("B", 0, 0, "", "old"), c("a", 0, 1, "B", "old"), c("t", 1, 1, "B"), c("P", 0, 2, "a t", "old"),
        c("H", 1, 2, "t a", "head"), c("N", 0, 3, "P H", "new bad"),
    ], code="unverifiable"),
    Picture("repeated-landing", "The approval was used up when its head landed.", False, "replay, but spent", [
        c("B", 0, 0, "", "old"), c("H", 1, 1, "B", "ended", "+ a.txt"), c("L", 0, 1.6, "B", "old", "H, squashed"),
        c("P", 0, 2.6, "L", "old", "− a.txt"), c("N", 0, 3.6, "P", "new bad", "+ a.txt"),
    ], lands=["H N x"], code="spent-approval"),
    Picture("abandoned-version", "A later approval took the place of the one that would fit.", False, "identity, but replaced", [
        c("P", 0, 0, "", "old"), c("H₁", 1, 1, "P", "ended"), c("H₂", 2, 2, "H₁", "head", "mends H₁"),
        c("N", 0, 3, "P H₁", "new bad"),
    ], ("main", "version 1", "version 2"), code="stale-approval"),
]


def draw(picture):
    column = min(COLUMN, (RIGHT - 24 - LEFT) / max(commit.column for commit in picture.commits))
    place = {}
    for commit in picture.commits:
        place[commit.label] = (LEFT + round(commit.column * column), HEADER + commit.lane * LANE, commit)
    height = HEADER + (len(picture.lanes) - 1) * LANE + FOOT
    verdict = "covered" if picture.covered else "not covered"
    described = f"{picture.says} {verdict.capitalize()}: {picture.word}."
    out = start(height, picture.name.replace("-", " "), described)
    for lane, name in enumerate(picture.lanes):
        y = HEADER + lane * LANE
        out.append(f'<line class="track" x1="{LEFT - 6}" y1="{y}" x2="{RIGHT + 6}" y2="{y}"/>')
        out.append(f'<text class="lane" x="24" y="{y + 5}">{escape(name)}</text>')
    out += header(picture, verdict)
    for x, y, commit in place.values():
        for number, parent in enumerate(commit.parents.split()):
            out.append(edge(place[parent], (x, y, commit), number))
    for number, arc in enumerate(picture.lands):
        out += lands(*(place[label] for label in arc.split()[:2]), arc.endswith("x"), number, len(picture.lands))
    for x, y, commit in place.values():
        out += node(x, y, commit)
    return finish(out)


def start(height, title, described):
    roots = "".join(f"--{name}: {light}; " for name, (light, _) in COLOURS.items())
    darks = "".join(f"--{name}: {dark}; " for name, (_, dark) in COLOURS.items())
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(described)}</desc>",
        f"<style>\nsvg {{ {roots}}}\n@media (prefers-color-scheme: dark) {{ svg {{ {darks}}} }}\n{STYLE}\n</style>",
        f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>',
    ]


def finish(out):
    return "\n".join([*out, "</svg>", ""])


def header(picture, verdict):
    colour = "good" if picture.covered else "bad"
    width = 74 if picture.covered else 98
    out = [
        f'<rect class="fill-{colour}" x="20" y="18" width="{width}" height="24" rx="12"/>',
        f'<text class="pill label" x="{20 + width / 2:g}" y="34.5">{verdict}</text>',
        f'<text class="word" x="{30 + width}" y="34.5">{escape(picture.word)}</text>',
    ]
    if picture.code:
        out.append(f'<text class="code" x="{WIDTH - 24}" y="34.5" text-anchor="end">[{picture.code}]</text>')
    return out


def edge(parent, child, number):
    (px, py, _), (cx, cy, commit) = parent, child
    new = " new" if "new" in commit.kind.split() and (number == 0 or py != cy) else ""
    if py == cy:
        return f'<path class="edge{new}" d="M{px:g} {py} H{cx:g}"/>'
    if number == 1 and cx - px <= COLUMN + 10 and not new:
        middle = (px + cx) / 2
        return f'<path class="edge" d="M{px:g} {py} C{middle:g} {py} {middle:g} {cy} {cx:g} {cy}"/>'
    # Leaves the lane above for the one below right away, and comes back as late as it can.
    down = cy > py
    middle = px + min(64, (cx - px) * 0.7) if down else cx - min(64, (cx - px) * 0.7)
    if down:
        curve = f"M{px:g} {py} C{(px + middle) / 2:g} {py} {px + 10:g} {cy} {middle:g} {cy} H{cx:g}"
    else:
        curve = f"M{px:g} {py} H{middle:g} C{cx - 10:g} {py} {(cx + middle) / 2:g} {cy} {cx:g} {cy}"
    return f'<path class="edge{new}" d="{curve}"/>'


def lands(head, landed, broken, number, arcs):
    (hx, hy, _), (nx, ny, _) = head, landed
    colour = "bad" if broken else "good"
    end = nx + (10 * (2 * number - arcs + 1) if arcs > 1 else 0)
    x0, tip = hx + R + 8, ny + R + 9
    turn = 26
    path = f"M{x0:g} {hy} H{end - turn:g} Q{end:g} {hy} {end:g} {hy - turn} V{tip + 8:g}"
    out = [
        f'<path class="lands {colour}" d="{path}"/>',
        f'<path class="fill-{colour}" d="M{end:g} {tip - 5:g} l-5.5 11 h11 z"/>',
    ]
    if broken:
        x = (x0 + end - turn) / 2
        out.append(f'<circle class="fill-bad gap" cx="{x:g}" cy="{hy}" r="9"/>')
        out.append(f'<path class="tick" d="M{x - 3.2:g} {hy - 3.2} l6.4 6.4 m0 -6.4 l-6.4 6.4"/>')
    return out


def node(x, y, commit):
    kinds = commit.kind.split()
    shape = next((kind for kind in ("bad", "head", "new") if kind in kinds), "plain")
    wide = 14 if len(commit.label) > 2 else 0
    box = f'x="{x - R - wide:g}" y="{y - R}" width="{2 * (R + wide)}" height="{2 * R}" rx="{R}"'
    out = [f'<rect class="node {shape}" {box}/>']
    if shape == "head" and "new" in kinds:
        out.append(f'<rect class="halo" x="{x - R - wide - 5:g}" y="{y - R - 5}" width="{2 * (R + wide + 5)}" height="{2 * (R + 5)}" rx="{R + 5}"/>')
    label = escape(commit.label)
    out.append(f'<text class="label" x="{x:g}" y="{y + 5}">{label}</text>')
    badges = {"head": "good", "ended": "muted", "bad": "bad"}
    for kind, colour in badges.items():
        if kind in kinds:
            out += badge(x + wide + 14, y - 14, kind, colour)
    if commit.note:
        at = y - 28 if commit.lane == 0 else y + 34
        bad = " bad" if "bad" in kinds else ""
        out.append(f'<text class="note label{bad}" x="{x:g}" y="{at}">{escape(commit.note)}</text>')
    return out


def badge(x, y, kind, colour):
    marks = {
        "head": f"M{x - 3.6:g} {y + 0.2:g} l2.6 2.8 l4.6 -5.6",
        "ended": f"M{x - 3.4:g} {y} h6.8",
        "bad": f"M{x:g} {y - 4} v4.6 m0 3.2 v0.1",
    }
    return [
        f'<circle class="fill-{colour} gap" cx="{x:g}" cy="{y}" r="8.5"/>',
        f'<path class="tick" d="{marks[kind]}"/>',
    ]


def legend():
    shown = [
        (c("P", 0, 0, "", "old"), "what main has on record; its tip is P"),
        (c("a", 0, 0), "a commit of the change"),
        (c("H", 0, 0, "", "head"), "an approved head"),
        (c("H", 0, 0, "", "ended"), "its approval has ended"),
        (c("N", 0, 0, "", "new"), "what is pushed"),
        (c("N", 0, 0, "", "new bad"), "what nobody has approved like this"),
    ]
    height = 196
    out = start(height, "legend", "What the signs in the pictures mean.")
    for number, (commit, words) in enumerate(shown):
        x, y = (44, 408)[number % 2], 40 + number // 2 * 46
        out += node(x, y, commit)
        out.append(f'<text class="lane" x="{x + 36}" y="{y + 5}">{words}</text>')
    for x, colour, words in ((24, "good", "is the landing of that head"), (388, "bad", "is not its landing, or its approval has ended")):
        y = 170
        out.append(f'<path class="lands {colour}" d="M{x} {y} H{x + 34}"/>')
        out.append(f'<path class="fill-{colour}" d="M{x + 46} {y} l-11 -5.5 v11 z"/>')
        out.append(f'<text class="lane" x="{x + 56}" y="{y + 5}">{words}</text>')
    return finish(out)


def main():
    drawn = {f"{picture.name}.svg": draw(picture) for picture in PICTURES}
    drawn["legend.svg"] = legend()
    if sys.argv[1:] == ["--check"]:
        there = {path.name: path.read_text(encoding="utf-8") for path in HERE.iterdir()}
        apart = sorted(name for name in drawn.keys() | there.keys() if drawn.get(name) != there.get(name))
        if apart:
            sys.exit(f"not what landings.py draws: {', '.join(apart)}")
        return
    HERE.mkdir(exist_ok=True)
    for name, text in drawn.items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
