#!/usr/bin/env python3
"""Writes vectors.json beside it, the same every time; with --check only says whether it would.

Hand-picked merges, one rule of docs/spec/merge-v1.md each, with the result somebody thought of, and
generated ones. What is expected of the latter is what tests/merge_v1.py says.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
sys.dont_write_bytecode = True
import merge_v1  # noqa: E402

X, L, S, F = "100755", "120000", "160000", "100644"


def executable(text):
    return {"mode": X, "text": text}


def link(text):
    return {"mode": L, "text": text}


def module(byte):
    return {"mode": S, "id": byte}


def repeat(*parts):
    return {"mode": F, "repeat": [list(part) for part in parts]}


def lines(text):
    """`abc` is three lines; a `$` at the end takes the last line feed away."""
    whole = "".join(letter + "\n" for letter in text.removesuffix("$"))
    return whole[:-1] if text.endswith("$") else whole


# Each is (name, base, ours, theirs, what comes of it): a tree, a list of paths, or "unverifiable".
A, ABOVE, BELOW, BOTH = lines("12345"), lines("012345"), lines("123456"), lines("0123456")
LONG = "d" * 200
DEEP = "/".join("d" * 128)

TREES = [
    ("nothing at all", {}, {}, {}, {}),
    ("rule 1: only theirs changed", {"a": A}, {"a": A}, {"a": ABOVE}, {"a": ABOVE}),
    ("rule 1: only ours changed", {"a": A}, {"a": ABOVE}, {"a": A}, {"a": ABOVE}),
    ("rule 1: both changed alike", {"a": A}, {"a": ABOVE}, {"a": ABOVE}, {"a": ABOVE}),
    ("rule 1: both added alike", {}, {"a": A, "b": A}, {"a": A, "c": A}, {"a": A, "b": A, "c": A}),
    ("rule 1: both removed", {"a": A, "b": A}, {"b": ABOVE}, {"b": BELOW}, {"b": BOTH}),
    ("rule 1: one removed, the other changed nothing", {"a": A, "b": A}, {"b": A}, {"a": A, "b": BELOW}, {"b": BELOW}),
    ("rule 1: a symlink retargeted", {"l": link("x"), "z": A}, {"l": link("y"), "z": A}, {"l": link("x"), "z": ABOVE}, {"l": link("y"), "z": ABOVE}),
    ("rule 1: a submodule moved", {"s": module("11")}, {"s": module("22")}, {"s": module("11"), "z": A}, {"s": module("22"), "z": A}),
    ("rule 1: a file becomes a symlink", {"a": A}, {"a": link("x")}, {"a": A, "b": A}, {"a": link("x"), "b": A}),
    ("rule 1: a directory that is not there is not read", {"d": {"mode": "40000", "id": "11"}}, {"d": {"mode": "40000", "id": "11"}, "a": A}, {"d": {"mode": "40000", "id": "11"}, "b": A}, {"d": {"mode": "40000", "id": "11"}, "a": A, "b": A}),
    ("rule 1: a file that is not there is not read", {"f": {"mode": F, "id": "11"}}, {"f": {"mode": X, "id": "11"}, "a": A}, {"f": {"mode": F, "id": "22"}}, {"f": {"mode": X, "id": "22"}, "a": A}),
    ("rule 2: both added to a directory", {"d/a": A}, {"d/a": A, "d/b": A}, {"d/a": A, "d/c": A}, {"d/a": A, "d/b": A, "d/c": A}),
    ("rule 2: both added the directory", {}, {"d/a": A}, {"d/b": A}, {"d/a": A, "d/b": A}),
    ("rule 2: one removed a directory to which the other added", {"d/a": A}, {}, {"d/a": A, "d/b": A}, {"d/b": A}),
    ("rule 2: one removed a directory in which the other changed", {"d/a": A, "d/b": A}, {}, {"d/a": A, "d/b": ABOVE}, ["d/b"]),
    ("rule 2: three levels", {"x/y/z/a": A}, {"x/y/z/a": ABOVE}, {"x/y/z/a": BELOW}, {"x/y/z/a": BOTH}),
    ("rule 2: sides that come to the same tree", {"d/a": A}, {"d/a": A, "d/b": A, "e": A}, {"d/b": A, "d/a": A, "f": A}, {"d/a": A, "d/b": A, "e": A, "f": A}),
    ("rule 2: the same three directories at two places", {"d/a": A, "e/a": A}, {"d/a": ABOVE, "e/a": ABOVE}, {"d/a": BELOW, "e/a": BELOW}, {"d/a": BOTH, "e/a": BOTH}),
    ("rule 2: the same conflict at two places", {"d/a": A, "e/a": A}, {"d/a": "x\n", "e/a": "x\n"}, {"d/a": "y\n", "e/a": "y\n"}, ["d/a", "e/a"]),
    ("rule 3: by lines", {"a": A}, {"a": ABOVE}, {"a": BELOW}, {"a": BOTH}),
    ("rule 3: made executable here, changed there", {"a": A}, {"a": executable(A)}, {"a": ABOVE}, {"a": executable(ABOVE)}),
    ("rule 3: made executable and changed here, changed there", {"a": A}, {"a": executable(ABOVE)}, {"a": BELOW}, {"a": executable(BOTH)}),
    ("rule 3: no longer executable here, changed there", {"a": executable(A)}, {"a": ABOVE}, {"a": executable(BELOW)}, {"a": BOTH}),
    ("rule 3: both made executable, one changed", {"a": A}, {"a": executable(A)}, {"a": executable(ABOVE)}, {"a": executable(ABOVE)}),
    ("rule 3: the same content, modes apart", {"a": A}, {"a": executable(ABOVE)}, {"a": ABOVE}, {"a": executable(ABOVE)}),
    ("rule 4: both added, apart", {}, {"a": A}, {"a": ABOVE}, ["a"]),
    ("rule 4: both added, apart in mode", {}, {"a": A}, {"a": executable(A)}, ["a"]),
    ("rule 4: changed here, removed there", {"a": A}, {"a": ABOVE}, {}, ["a"]),
    ("rule 4: made executable here, removed there", {"a": A}, {"a": executable(A)}, {}, ["a"]),
    ("rule 4: symlinks apart", {"l": link("x")}, {"l": link("y")}, {"l": link("z")}, ["l"]),
    ("rule 4: symlinks are not merged by lines", {"l": link(A)}, {"l": link(ABOVE)}, {"l": link(BELOW)}, ["l"]),
    ("rule 4: submodules apart", {"s": module("11")}, {"s": module("22")}, {"s": module("33")}, ["s"]),
    ("rule 4: a submodule moved here, removed there", {"s": module("11")}, {"s": module("22")}, {}, ["s"]),
    ("rule 4: a file becomes a symlink here, changed there", {"a": A}, {"a": link("x")}, {"a": ABOVE}, ["a"]),
    ("rule 4: a file becomes a symlink here, executable there", {"a": A}, {"a": link("x")}, {"a": executable(A)}, ["a"]),
    ("rule 4: a file becomes a submodule here, a symlink there", {"a": A}, {"a": module("11")}, {"a": link("x")}, ["a"]),
    ("rule 4: conflicts at several places, sorted by bytes", {"b": A, "d/e/a": A, "d-e": A}, {"b": "x\n", "d/e/a": "x\n", "d-e": "x\n"}, {"b": "y\n", "d/e/a": "y\n", "d-e": "y\n"}, ["b", "d-e", "d/e/a"]),
    ("rule 5: nothing is left of a directory", {"d/a": A, "d/b": A, "e": A}, {"d/a": A, "e": A}, {"d/b": A, "e": A}, {"e": A}),
    ("rule 5: nothing is left at all", {"d/a": A, "d/b": A}, {"d/a": A}, {"d/b": A}, {}),
    ("rule 5: a directory without entries, everywhere", {"d": {"tree": {}}, "a": A}, {"d": {"tree": {}}, "a": ABOVE}, {"d": {"tree": {}}, "a": BELOW}, {"a": BOTH}),
    ("rule 5: a directory without entries, added", {"a": A}, {"d": {"tree": {}}, "a": ABOVE}, {"a": BELOW}, {"a": BOTH}),
    ("rule 5: a directory without entries, removed here, filled there", {"d": {"tree": {}}}, {}, {"d/a": A}, {"d/a": A}),
    ("rule 5: what is taken is not looked into", {"a": A}, {"d": {"tree": {"e": {"tree": {}}}}, "a": ABOVE}, {"a": BELOW}, {"d": {"tree": {"e": {"tree": {}}}}, "a": BOTH}),
    ("rule 5: the whole of one side is empty", {"a": A}, {}, {"a": A}, {}),
    ("rule 6: a directory becomes a file", {"d/a": A}, {"d": A}, {"d/a": A, "e": A}, {"d": A, "e": A}),
    ("rule 6: a directory becomes a file here, and is removed there", {"d/a": A}, {"d": A}, {}, {"d": A}),
    ("rule 6: a file becomes a directory", {"d": A}, {"d/a": A}, {"d": A, "e": A}, {"d/a": A, "e": A}),
    ("rule 6: a file here, a directory there", {}, {"d": A}, {"d/a": A}, ["d"]),
    ("rule 6: a directory becomes a file here, and more there", {"d/a": A}, {"d": A}, {"d/a": A, "d/b": A}, ["d"]),
    ("rule 6: a directory becomes a file here, and is changed there", {"d/a": A}, {"d": A}, {"d/a": ABOVE}, ["d/a"]),
    ("rule 6: a symlink here, a directory there", {"e": A}, {"d": link("e"), "e": A}, {"d/a": A, "e": A}, ["d"]),
    ("rule 6: names between a file and a directory of one name", {}, {"d": A, "d-": A, "d.a": A}, {"d/a": A}, ["d"]),
    ("rule 6: names that are one without case", {}, {"Makefile": A}, {"makefile": A}, ["makefile"]),
    ("rule 6: directories that are one without case", {}, {"Src/a": A}, {"src/b": A}, ["src"]),
    ("rule 6: names that are one in normal form", {}, {"d/caf\u00e9": A}, {"d/cafe\u0301": A}, ["d/caf\u00e9"]),
    ("rule 6: names that are one but for what is invisible", {}, {"\u200cabc": A}, {"abc": A}, ["\u200cabc"]),
    ("rule 6: the Kelvin sign", {}, {"K": A}, {"\u212a": A}, ["\u212a"]),
    ("rule 6: sharp s", {}, {"STRASSE": A}, {"stra\u00dfe": A}, ["stra\u00dfe"]),
    ("rule 6: dotless i", {}, {"\u0131": A}, {"i": A}, ["\u0131"]),
    ("rule 6: iota subscript folds more than once", {}, {"\u1f4a": A}, {"\u1f42": A}, ["\u1f4a"]),
    ("rule 6: renamed to another case on one side", {"README": A, "z": A}, {"readme": A, "z": A}, {"README": A, "z": ABOVE}, {"readme": A, "z": ABOVE}),
    ("rule 6: one name twice comes before names that fold alike", {}, {"A": A, "d": A}, {"a": A, "d/x": A}, ["d"]),
    ("rule 6: order of a name, its directory and what sorts between", {"a": A}, {"a": A, "a-b": A, "b/c": A}, {"a": A, "a.b": A, "a0": A, "b.c": A}, {"a": A, "a-b": A, "a.b": A, "a0": A, "b/c": A, "b.c": A}),
    ("limits: 128 levels", {DEEP + "/f": A}, {DEEP + "/f": ABOVE}, {DEEP + "/f": BELOW}, {DEEP + "/f": BOTH}),
    ("limits: 129 levels", {DEEP + "/d/f": A}, {DEEP + "/d/f": ABOVE}, {DEEP + "/d/f": BELOW}, "unverifiable"),
    ("limits: 129 levels that nobody looks at", {DEEP + "/d/f": A}, {DEEP + "/d/f": A}, {DEEP + "/d/f": BELOW}, {DEEP + "/d/f": BELOW}),
    ("limits: a path of 4,096 bytes", {"/".join([LONG] * 20) + "/" + "f" * 76: A}, {"/".join([LONG] * 20) + "/" + "f" * 76: ABOVE}, {"/".join([LONG] * 20) + "/" + "f" * 76: BELOW}, {"/".join([LONG] * 20) + "/" + "f" * 76: BOTH}),
    ("limits: a path of 4,097 bytes", {"/".join([LONG] * 20) + "/" + "f" * 77: A}, {"/".join([LONG] * 20) + "/" + "f" * 77: ABOVE}, {"/".join([LONG] * 20) + "/" + "f" * 77: BELOW}, "unverifiable"),
    ("limits: a million lines and one", {"f": A}, {"f": ABOVE}, {"f": repeat(("\n", 1_000_001))}, "unverifiable"),
    ("limits: a million lines and one, binary", {"f": A}, {"f": "\0"}, {"f": repeat(("\n", 1_000_001))}, ["f"]),
    ("limits: a thousand conflicts, and no more", {}, {f"f{n:04}": "x\n" for n in range(1001)}, {f"f{n:04}": "y\n" for n in range(1001)}, [f"f{n:04}" for n in range(1000)]),
]

# Nothing of these is a result or a conflict.
NOT_STRICT = [
    ("out of order", [["b", A], ["a", A]]),
    ("a directory before a name that sorts before it", [["a", {"tree": {"x": A}}], ["a.b", A]]),
    ("a name twice", [["a", A], ["a", A]]),
    ("a file and a directory of one name", [["a", A], ["a", {"tree": {"x": A}}]]),
    ("names that fold alike", [["A", A], ["a", A]]),
    ("another mode", [["a", {"mode": "100664", "text": A}]]),
    ("a mode with a zero in front", [["a", {"mode": "040000", "id": "11"}]]),
    ("an id of zeros", [["a", {"mode": S, "id": "00"}]]),
    ("no name", [["", A]]),
    ("a dot", [[".", A]]),
    ("two dots", [["..", A]]),
    ("a slash", [["a/b", A]]),
    ("a backslash", [["a\\b", A]]),
    ("an escape", [["a\u001bb", A]]),
    ("a C1 control character", [["a\u009bb", A]]),
    (".git", [[".git", A]]),
    (".GIT", [[".GIT", A]]),
    (".git with what is invisible", [[".g\u200cit", A]]),
    (".git with a dotless i", [[".g\u0131t", A]]),
    (".git as a stream", [[".git . :x", A]]),
    ("git~1", [["git~1", A]]),
    ("another short name", [["GITLAB~2.YML", A]]),
    ("a stream", [["ci.yml::$DATA", A]]),
    ("nothing before the colon", [[":x", A]]),
    ("invisible altogether", [["\u200c", A]]),
    ("a dot at the end", [["a.", A]]),
    ("a space at the end", [["a ", A]]),
    (".gitmodules as a symlink", [[".GitModules", link("x")]]),
    ("a name of 4,097 bytes", [["n" * 4097, A]]),
]
ODD_BUT_STRICT = [".gitignore", "git", ".git2", "a:b", "Foo::Bar.3pm", "file.~1~", "a~b", "~1", "longername~1", "git~x", "con", " a", "...a", "\"", "\u00e9", "\U0001f469\u200d\U0001f4bb.md", "n" * 255]

# Each is (name, base, ours, theirs, result); texts by `lines`, None for a conflict.
LINES = [
    ("one side changes a line", "123", "123", "1x3", "1x3"),
    ("both change it alike", "123", "1x3", "1x3", "1x3"),
    ("above and below", "123", "0123", "1234", "01234"),
    ("first and last", "123", "x23", "12y", "x2y"),
    ("touching below", "123", "x23", "1y3", None),
    ("touching above", "123", "23", "1x23", None),
    ("one changes more", "123", "xy3", "x23", None),
    ("two hunks of one side in one of the other", "12345", "1x3y5", "1zzz5", None),
    ("the same two hunks and one more", "1234567", "x23456y", "x2345z7", None),
    ("a chain of touching hunks", "123456", "1xx456", "12yy56", None),
    ("both empty the file", "123", "", "", ""),
    ("one empties it, the other changes it", "123", "", "12x", None),
    ("both fill an empty one alike", "", "x", "x", "x"),
    ("both fill an empty one, apart", "", "x", "y", None),
    ("both add at the end, apart", "1", "12", "13", None),
    ("both add at the top, apart", "1", "21", "31", None),
    ("both add the same in one place, one more elsewhere", "1234", "1x234", "1x234y", "1x234y"),
    ("no line feed at the end, everywhere", "123$", "0123$", "123$", "0123$"),
    ("a line feed added at the end", "123$", "0123$", "123", "0123"),
    ("a line feed removed at the end", "123", "123$", "x23", "x23$"),
    ("a line feed removed, and a line added", "123", "123$", "1234", None),
    ("a block that repeats, removed", "abcabcabc", "abcabc", "abcabcabcx", None),
    ("a block that repeats, added, and a change at the top", "abcabc", "abcabcabc", "xbcabc", "xbcabcabc"),
    ("an addition that slides down", "1aa2", "1aaa2", "x1aa2", "x1aaa2"),
    ("an addition that slides to where the other changed", "1aa2", "1aaa2", "1aax", None),
    ("a removal that slides down to the other's change", "1aa2", "1a2", "1aax", None),
    ("a removal that slides away from the other's change", "1aa2", "1a2", "xaa2", "xa2"),
    ("braces: a block added below one like it", "f{x}g{y}", "f{x}h{z}g{y}", "F{x}g{y}", "F{x}h{z}g{y}"),
    ("braces: a block removed, and its neighbour changed", "f{x}h{z}g{y}", "f{x}g{y}", "f{x}h{z}g{Y}", "f{x}g{Y}"),
    ("blocks swapped, and a change between", "abcxdef", "defxabc", "abcydef", None),
    ("criss-cross: a moved up, b moved down", "1a2b3", "1b2a3", "1a2b3x", "1b2a3x"),
    ("criss-cross: both move apart", "abcdef", "badcfe", "abdcfe", None),
    ("rarest line holds: one u among many a", "aauaa", "aaaauaa", "aauaax", "aaaauaax"),
    ("rarest line holds: change above, addition below", "aauaa", "baauaa", "aauaaaac", "baauaaaac"),
    ("longest run of equally rare lines", "abcxyab", "abcxyzab", "qabcxyab", "qabcxyzab"),
    ("the first of equally good runs", "ab12ab", "ab", "ab12abx", None),
    ("removed and added lines meet", "1aab2", "1ab2", "1aab2z", "1ab2z"),
    ("what slides meets a change of its own side", "aab", "abcb", "aabx", "abcbx"),
    ("nothing in common", "123", "abc", "123x", None),
    ("nothing in common, one side alone", "123", "abc", "123", "abc"),
    ("carriage returns are bytes", "1\r2", "1\r2", "12", "12"),
]


def repeats():
    """Lines that stand often: what 64 in a stretch do, 65 do not."""
    for times in (64, 65):
        few = times == 64
        base = repeat(("x\n", times))
        above, below = repeat(("a\n", 1), ("x\n", times)), repeat(("x\n", times), ("b\n", 1))
        both = repeat(("a\n", 1), ("x\n", times), ("b\n", 1))
        yield (f"{times} alike and nothing else", base, above, below, both if few else None)
        base = repeat(("x\n", times), ("u\n", 1), ("x\n", times))
        above = repeat(("x\n", 5), ("a\n", 1), ("x\n", times - 5), ("u\n", 1), ("x\n", times))
        below = repeat(("x\n", times), ("u\n", 1), ("x\n", times - 5), ("b\n", 1), ("x\n", 5))
        both = repeat(("x\n", 5), ("a\n", 1), ("x\n", times - 5), ("u\n", 1), ("x\n", times - 5), ("b\n", 1), ("x\n", 5))
        yield (f"{times} alike on either side of one that is not", base, above, below, both)
        # Below the one that is not, something in common stands too often; far above, theirs changed.
        base = repeat(("1\n2\nu\n", 1), ("p\nx\n", times), ("q\n", 1))
        ours = repeat(("1\n2\nu\n", 1), ("r\nx\n", times), ("s\n", 1))
        theirs = repeat(("1\ny\nu\n", 1), ("p\nx\n", times), ("q\n", 1))
        both = repeat(("1\ny\nu\n", 1), ("r\nx\n", times), ("s\n", 1))
        yield (f"{times} alike in one stretch, a change elsewhere", base, ours, theirs, both if few else None)


class Random:
    """Numbers that look random, the same everywhere and for ever (SplitMix64)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        bits = self.state
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & mask
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & mask
        return (bits ^ (bits >> 31)) % limit

    def one_of(self, choices):
        return choices[self.below(len(choices))]

    def text(self, letters, most):
        return [self.one_of(letters) for _ in range(self.below(most + 1))]

    def edited(self, text, letters):
        """Replaces, removes, adds, repeats, moves or swaps some lines."""
        text = list(text)
        start = self.below(len(text) + 1)
        end = min(start + self.below(4), len(text))
        kind = self.below(6)
        if kind == 0:
            text[start:end] = self.text(letters, 3)
        elif kind == 1:
            del text[start:end]
        elif kind == 2:
            text[start:start] = self.text(letters, 3)
        else:
            part = text[start:end]
            if kind > 3:
                del text[start:end]
            if kind == 5:
                part.reverse()
            at = self.below(len(text) + 1)
            text[at:at] = part
        return text


def random_texts(random):
    letters = "abcdefgh{}"[: 1 + random.below(10)]
    base = random.text(letters, random.one_of([4, 10, 24]))
    sides = []
    for _ in range(2):
        side = base
        for _ in range(1 + random.below(4)):
            side = random.edited(side, letters)
        sides.append(side)
    ends = ["$" if random.below(5) == 0 else "" for _ in range(3)]
    return [lines("".join(text) + end) for text, end in zip([base, *sides], ends)]


NAMES = ["a", "A", "a-", "a/x", "a/y", "d/e/f", "d/e/g", "d/E/f", "d", "l", "s", "caf\u00e9", "cafe\u0301"]


def random_tree(random):
    """Base and two sides; each name is left, changed, removed, or becomes something else."""
    base, sides = {}, [{}, {}]
    files = [A, ABOVE, BELOW, "x\n", executable(A), executable(ABOVE), link("x"), link("y"), module("11"), module("22")]
    for name in NAMES:
        there = random.one_of(files) if random.below(2) else None
        texts = random_texts(random) if isinstance(there, str) else None
        if texts:
            there = texts[0]
        if there:
            base[name] = there
        for at, side in enumerate(sides):
            kind = random.below(10)
            mine = there
            if kind == 0:
                mine = random.one_of(files)
            elif kind == 1:
                mine = None
            elif kind < 5 and texts:
                mine = texts[1 + at]
            elif kind == 5 and texts:
                mine = executable(there)
            if mine:
                side[name] = mine
    return [strict(tree) for tree in (base, *sides)]


def strict(tree):
    """Leaves out names that stand in the way of others."""
    kept, seen = {}, {}
    for name, file in tree.items():
        places = [name[:at] for at in range(len(name)) if name[at] == "/"] + [name]
        folded = ["/".join(map(merge_v1.fold, place.split("/"))) for place in places]
        kinds = [(place, place != name) for place in places]
        if all(seen.get(fold, kind) == kind for fold, kind in zip(folded, kinds)):
            seen.update(zip(folded, kinds))
            kept[name] = file
    return kept


def cases():
    for name, base, ours, theirs, result in TREES:
        yield case(name, base, ours, theirs, result)
    for name, tree in NOT_STRICT:
        yield case(f"not strict: {name}", {"x": A}, tree, {"y": A}, "unverifiable")
        yield case(f"not strict but not read: {name}", {"d": {"tree": {}}}, {"d": {"tree": tree}}, {"d": {"tree": {}}}, {"d": {"tree": tree}})
    for name in ODD_BUT_STRICT:
        yield case(f"odd but strict: {name[:20]}", {}, {name: A}, {"z": A}, {name: A, "z": A})
    for name in ("no tree", "no file", "a file that is a tree", "a tree that is a file"):
        yield case(f"not there: {name}", *missing(name), "unverifiable")
    for name, *texts, result in LINES:
        base, ours, theirs = ({"f": lines(text)} for text in texts)
        yield case(f"lines: {name}", base, ours, theirs, ["f"] if result is None else {"f": lines(result)})
    for name, base, ours, theirs, result in repeats():
        yield case(f"lines: {name}", {"f": base}, {"f": ours}, {"f": theirs}, {"f": result} if result else ["f"])
    for at in (7999, 8000):
        def text(first, last):
            return {"mode": F, "repeat": [[first, 1], ["0123456789abcd\n", 533], ["-" * (at - 7996), 1], ["\0\n", 1], [last, 1]]}
        result = ["f"] if at == 7999 else None
        yield case(f"lines: NUL as byte {at + 1}", {"f": text("a", "z\n")}, {"f": text("b", "z\n")}, {"f": text("a", "y\n")}, result)
    yield case("lines: not UTF-8", *({"f": {"mode": F, "base64": text}} for text in ("/woxCjIK", "/woxCjIKMwo=", "MAr/CjEKMgo=")), {"f": {"mode": F, "base64": "MAr/CjEKMgozCg=="}})
    random = Random(1)
    for number in range(400):
        base, ours, theirs = ({"f": text} for text in random_texts(random))
        yield case(f"random lines {number}", base, ours, theirs, None)
    for number in range(200):
        yield case(f"random trees {number}", *random_tree(random), None)


def missing(name):
    nothing = {"mode": F, "id": "11"}
    if name == "no file":
        return {"f": nothing}, {"f": A}, {"f": ABOVE}
    nothing = {"mode": "40000", "id": "11"}
    if name == "no tree":
        return {"d": nothing}, {"d/a": A}, {"d/b": A}
    return {"d/x": A}, {"d/x": ABOVE}, {"d/x": {"mode": F, "id": "22"}}


def case(name, base, ours, theirs, result):
    made = {"name": name, "base": base, "ours": ours, "theirs": theirs}
    outcomes = [merge_v1.outcome(made, object_format) for object_format in merge_v1.ID_BYTES]
    if "tree" in outcomes[0]:
        made["expect"] = {"tree": outcomes[0]["tree"] | outcomes[1]["tree"]}
    else:
        assert outcomes[0] == outcomes[1], name
        made["expect"] = outcomes[0]
    if isinstance(result, dict):
        made["gives"] = result
        for object_format in merge_v1.ID_BYTES:
            wanted = merge_v1.build(merge_v1.Store(object_format), result)
            assert made["expect"] == "unverifiable" or made["expect"].get("tree", {}).get(object_format) == wanted, made
    elif isinstance(result, list):
        assert made["expect"] == {"conflicts": result}, made
    elif result:
        assert made["expect"] == result, made
    return made


def main():
    parts = [json.dumps(made, ensure_ascii=False, separators=(",", ":")) for made in cases()]
    text = '{"spec":"merge/v1","cases":[\n' + ",\n".join(parts) + "\n]}\n"
    path = HERE / "vectors.json"
    if sys.argv[1:] == ["--check"]:
        if path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path} is not what make.py writes: run it")
    else:
        path.write_text(text, encoding="utf-8")
        print(f"{len(parts)} cases, {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
