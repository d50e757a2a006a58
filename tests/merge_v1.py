#!/usr/bin/env python3
"""merge/v1, written from docs/spec/merge-v1.md alone.

    merge_v1.py <vectors.json>    checks every case of the vectors
    merge_v1.py -                 checks cases from standard input, a JSON object a line

Says how many cases it checked, and which come to something else than they expect (exit code 1).
"""

import base64
import hashlib
import json
import re
import sys
import unicodedata

TREE, FILE, EXECUTABLE, SYMLINK, SUBMODULE = "40000", "100644", "100755", "120000", "160000"
MIB = 1 << 20
ID_BYTES = {"sha1": 20, "sha256": 32}


class Unverifiable(Exception):
    """An object cannot be read, or a limit was passed."""


def within(number, limit, what):
    if number > limit:
        raise Unverifiable(f"more than {limit} {what}")


# Objects


class Store:
    """Objects by their hexadecimal ids."""

    def __init__(self, object_format):
        self.format = object_format
        self.objects = {}
        self.no_tree = self.add("tree", b"")

    def add(self, kind, content):
        raw = b"%s %d\0%s" % (kind.encode(), len(content), content)
        oid = hashlib.new(self.format, raw).hexdigest()
        self.objects[oid] = (kind, content)
        return oid

    def read(self, kind, oid, limit):
        found, content = self.objects.get(oid, ("nothing", b""))
        if found != kind:
            raise Unverifiable(f"{oid} is {found}, not {kind}")
        within(len(content), limit, f"bytes in a {kind}")
        return content

    def tree(self, oid):
        """Returns the entries of a strict tree: (name, mode, id)."""
        entries = parse(self.read("tree", oid, 16 * MIB), ID_BYTES[self.format])
        if entries is None or place_of_fault(entries) is not None:
            raise Unverifiable(f"tree {oid} is not strict")
        if any(git_order(a) >= git_order(b) for a, b in zip(entries, entries[1:])):
            raise Unverifiable(f"tree {oid} is out of order")
        return entries


def git_order(entry):
    name, mode, _ = entry
    return name + b"/" if mode == TREE else name


def parse(raw, id_bytes):
    entries = []
    while raw:
        entry = re.match(rb"([0-9]*) ([^\0]*)\0", raw)
        if not entry or len(raw) < entry.end() + id_bytes:
            return None
        mode, name = entry[1].decode(), entry[2]
        oid = raw[entry.end() : entry.end() + id_bytes].hex()
        raw = raw[entry.end() + id_bytes :]
        if mode not in (TREE, FILE, EXECUTABLE, SYMLINK, SUBMODULE) or not oid.strip("0"):
            return None
        if not is_strict(name) or (mode == SYMLINK and fold(name.decode()) == ".gitmodules"):
            return None
        entries.append((name, mode, oid))
    return entries


def place_of_fault(entries):
    """Returns the name of the entry that another one takes the place of."""
    for before, entry in zip(entries, entries[1:]):
        if before[0] == entry[0]:
            return entry[0]
    seen = set()
    for name, _, _ in entries:
        folded = fold(name.decode())
        if folded in seen:
            return name
        seen.add(folded)
    return None


def is_strict(raw):
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if not 1 <= len(raw) <= 4096 or name in (".", "..") or name.endswith((".", " ")):
        return False
    if any(c in "/\\" or c <= "\x1f" or "\x7f" <= c <= "\x9f" for c in name):
        return False
    folded = fold(name)
    file = folded.split(":")[0]
    if ":$" in folded or not file or fold(file) in (".git", "git~1"):
        return False
    part, dot, extension = file.rpartition(".")
    part, extension = (part, extension) if dot else (file, "")
    short = re.fullmatch(rb"[^.]+~[0-9]+", part.encode(), re.DOTALL)
    return not (short and len(part.encode()) <= 8 and len(extension.encode()) <= 3)


INVISIBLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


def fold(name):
    if name.isascii():
        return name.lower().rstrip(". ")
    name = INVISIBLE.sub("", name)
    for _ in range(4):
        folded = unicodedata.normalize("NFD", name)
        for case in (str.lower, str.upper, str.lower):
            folded = "".join(case(c) for c in folded)
        folded = unicodedata.normalize("NFC", folded)
        if folded == name:
            break
        name = folded
    return name.rstrip(". ")


# Trees


class Undecided:
    """What rule 1 says where it does not decide."""


def rule_1(base, ours, theirs):
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    return Undecided


class TooManyConflicts(Exception):
    """The thousandth conflict ends the merge."""


class Merge:
    def __init__(self, store):
        self.store = store
        self.conflicts = set()
        self.known = {}
        self.directories = self.files = self.bytes = 0
        self.searched = [0]

    def conflict(self, path):
        self.conflicts.add(path)
        if len(self.conflicts) >= 1000:
            raise TooManyConflicts

    def run(self, base, ours, theirs):
        """Returns the id of the tree, or the paths that conflict."""
        try:
            merged = self.directory((base, ours, theirs), b"", 0)
        except TooManyConflicts:
            merged = None
        if self.conflicts:
            return sorted(self.conflicts)
        return merged or self.store.no_tree

    def directory(self, sides, path, depth):
        """Merges what stands in the slot of a directory; None for nothing."""
        within(depth, 128, "directory levels")
        merged = rule_1(*sides)
        if merged is Undecided:
            if sides not in self.known:
                before = len(self.conflicts)
                merged = self.entries(sides, path, depth)
                if len(self.conflicts) > before:
                    return None
                self.known[sides] = merged
            merged = self.known[sides]
        return None if merged == self.store.no_tree else merged

    def entries(self, sides, path, depth):
        self.directories += 1
        within(self.directories, 100_000, "directories")
        before = len(self.conflicts)
        slots = {}
        for side, oid in enumerate(sides):
            for entry in self.store.tree(oid) if oid else []:
                name, mode, held = entry
                slot = slots.setdefault((git_order(entry), name, mode == TREE), [None] * 3)
                slot[side] = (mode, held)
        merged = []
        for (_, name, is_directory), slot in sorted(slots.items()):
            below = path + b"/" + name if path else name
            within(len(below), 4096, "bytes in a path")
            if is_directory:
                oids = tuple(held and held[1] for held in slot)
                oid = self.directory(oids, below, depth + 1)
                result = oid and (TREE, oid)
            else:
                result = rule_1(*slot)
                if result is Undecided:
                    result = self.file(slot, below)
            if result:
                merged.append((name, *result))
        if len(self.conflicts) > before:
            return None
        fault = place_of_fault(merged)
        if fault is not None:
            self.conflict(path + b"/" + fault if path else fault)
            return None
        return self.store.add("tree", tree_content(merged))

    def file(self, slot, path):
        if not all(held and held[0] in (FILE, EXECUTABLE) for held in slot):
            return self.conflict(path)
        mode = rule_1(*(mode for mode, _ in slot))
        oid = rule_1(*(oid for _, oid in slot))
        if oid is Undecided:
            self.files += 1
            within(self.files, 10_000, "files")
            texts = [self.store.read("blob", oid, 32 * MIB) for _, oid in slot]
            self.bytes += sum(map(len, texts))
            within(self.bytes, 128 * MIB, "bytes")
            merged = merge_lines(*texts, self.searched)
            if merged is None:
                return self.conflict(path)
            oid = self.store.add("blob", merged)
        return mode, oid


def tree_content(entries):
    parts = (b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid)) for name, mode, oid in entries)
    return b"".join(parts)


# Lines


def merge_lines(base, ours, theirs, searched):
    """Returns the merged bytes, or None for a conflict."""
    if any(b"\0" in text[:8000] for text in (base, ours, theirs)):
        return None
    base, ours, theirs = (re.findall(rb"[^\n]*\n|[^\n]+", text) for text in (base, ours, theirs))
    for text in (base, ours, theirs):
        within(len(text), 1_000_000, "lines")
    sides = (ours, theirs)
    found = [differences(base, text, searched) for text in sides]
    if None in found:
        return None
    hunks = [(start, end, side, a, b) for side in (0, 1) for start, end, a, b in found[side]]
    hunks.sort()
    merged, done = [], 0
    while hunks:
        # The region that begins with the first hunk left.
        start, end = hunks[0][:2]
        inside = []
        while hunks and hunks[0][0] <= end:
            inside.append(hunks.pop(0))
            end = max(end, inside[-1][1])
        results = []
        for side, text in enumerate(sides):
            own = [hunk for hunk in inside if hunk[2] == side]
            if own:
                # Above its first hunk and below its last, base and side are the same.
                first, last = own[0][3] - (own[0][0] - start), own[-1][4] + (end - own[-1][1])
                results.append(text[first:last])
        if len(results) == 2 and results[0] != results[1]:
            return None
        merged += base[done:start] + results[0]
        done = end
    return b"".join(merged + base[done:])


def differences(a, b, searched):
    """Returns the hunks: (from, to) in a, (from, to) in b. None if they cannot be told."""
    marks = mark(a, b, searched)
    if marks is None:
        return None
    removed, added = marks
    slide(a, removed, added)
    slide(b, added, removed)
    facing = zip(gaps(removed), gaps(added))
    return [one + other for one, other in facing if one[0] < one[1] or other[0] < other[1]]


def mark(a, b, searched):
    removed, added, certain = [False] * len(a), [False] * len(b), True
    stretches = [(0, len(a), 0, len(b))]
    while stretches:
        a0, a1, b0, b1 = stretches.pop()
        if a0 < a1 and b0 < b1:
            searched[0] += a1 - a0 + b1 - b0
            within(searched[0], 10_000_000, "lines searched")
            run, common = search(a, a0, a1, b, b0, b1)
            if run:
                a_run, b_run, size = run
                stretches.append((a0, a_run, b0, b_run))
                stretches.append((a_run + size, a1, b_run + size, b1))
                continue
            certain = certain and not common
        removed[a0:a1] = [True] * (a1 - a0)
        added[b0:b1] = [True] * (b1 - b0)
    return (removed, added) if certain else None


def search(a, a0, a1, b, b0, b1):
    """Returns the best run (where in a, where in b, how long), and whether any line is in both."""
    places = {}
    for place in range(a0, a1):
        places.setdefault(a[place], []).append(place)
    best, rarest = None, 64
    at = b0
    while at < b1:
        below = at + 1
        tried = places.get(b[at], [])
        if len(tried) > rarest:
            tried = []
        end = a0
        for place in tried:
            if place < end:
                continue
            up = 0
            while place - up > a0 and at - up > b0 and a[place - up - 1] == b[at - up - 1]:
                up += 1
            down = 1
            while place + down < a1 and at + down < b1 and a[place + down] == b[at + down]:
                down += 1
            run = (place - up, at - up, up + down)
            end = place + down
            below = max(below, at + down)
            count = min(len(places[line]) for line in a[place - up : end])
            if best is None or run[2] > best[2] or count < rarest:
                best, rarest = run, count
        at = below
    return best, any(line in places for line in b[b0:b1])


def gaps(marks):
    """Returns where each gap begins and ends."""
    found, start = [], 0
    for place, marked in enumerate(marks):
        if not marked:
            found.append((start, place))
            start = place + 1
    return found + [(start, len(marks))]


def slide(lines, marks, other):
    """Slides the marked lines, changing the marks; gaps are counted from the top."""
    filled = [end > start for start, end in gaps(other)]
    held = [list(range(start, end)) for start, end in gaps(marks)]
    at = 0
    while at < len(held):
        if held[at]:
            while True:
                size = len(held[at])
                while move_up(lines, held, at):
                    at -= 1
                met = filled[at]
                while move_down(lines, held, at):
                    at += 1
                    met = met or filled[at]
                if len(held[at]) == size:
                    break
            while met and not filled[at] and move_up(lines, held, at):
                at -= 1
        at += 1
    marks[:] = [False] * len(lines)
    for gap in held:
        for place in gap:
            marks[place] = True


def move_up(lines, held, at):
    gap = held[at]
    above = gap[0] - 1
    if above < 0 or lines[above] != lines[gap[-1]]:
        return False
    held[at - 1] = held[at - 1] + [above] + gap[:-1]
    held[at] = []
    return True


def move_down(lines, held, at):
    gap = held[at]
    below = gap[-1] + 1
    if below >= len(lines) or lines[below] != lines[gap[0]]:
        return False
    held[at + 1] = gap[1:] + [below] + held[at + 1]
    held[at] = []
    return True


# Vectors


def build(store, tree):
    """Stores a tree of the vectors; returns its id."""
    if isinstance(tree, list):
        return store.add("tree", tree_content([entry(store, name, file) for name, file in tree]))
    direct, folders = {}, {}
    for path, file in tree.items():
        name, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(name, {})[rest] = file
        else:
            direct[name] = file
    entries = [entry(store, name, file) for name, file in direct.items()]
    entries += [entry(store, name, {"tree": files}) for name, files in folders.items()]
    return store.add("tree", tree_content(sorted(entries, key=git_order)))


def entry(store, name, file):
    if isinstance(file, str):
        file = {"mode": FILE, "text": file}
    if "tree" in file:
        return name.encode(), TREE, build(store, file["tree"])
    if "id" in file:
        return name.encode(), file["mode"], file["id"] * ID_BYTES[store.format]
    if "base64" in file:
        content = base64.b64decode(file["base64"])
    elif "repeat" in file:
        content = "".join(text * times for text, times in file["repeat"]).encode()
    else:
        content = file["text"].encode()
    return name.encode(), file["mode"], store.add("blob", content)


def outcome(case, object_format):
    """Merges the trees of a case; returns what its `expect` should say, for one format."""
    store = Store(object_format)
    sides = [build(store, case[side]) for side in ("base", "ours", "theirs")]
    try:
        merged = Merge(store).run(*sides)
    except Unverifiable:
        return "unverifiable"
    if isinstance(merged, list):
        return {"conflicts": [path.decode() for path in merged]}
    if "gives" in case and build(store, case["gives"]) != merged:
        return {"not what it gives": merged}
    return {"tree": {object_format: merged}}


def check(case):
    """Returns what is wrong with a case, or None."""
    expect = case["expect"]
    formats = list(expect["tree"]) if "tree" in expect else list(ID_BYTES)
    for object_format in formats:
        wanted = {"tree": {object_format: expect["tree"][object_format]}} if "tree" in expect else expect
        found = outcome(case, object_format)
        if found != wanted:
            return f"{case['name']}: {found} instead of {wanted}"
    return None


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    if arguments == ["-"]:
        cases = [json.loads(line) for line in sys.stdin]
    else:
        with open(arguments[0], encoding="utf-8") as file:
            vectors = json.load(file)
        if vectors["spec"] != "merge/v1":
            sys.exit("these are no vectors of merge/v1")
        cases = vectors["cases"]
    faults = [fault for fault in map(check, cases) if fault]
    print(f"{len(cases)} cases, {len(faults)} come to something else")
    print("\n".join(faults[:20]), end="\n" if faults else "")
    sys.exit(1 if faults or not cases else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
