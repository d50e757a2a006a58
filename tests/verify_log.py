#!/usr/bin/env python3
"""Verifies a Countersign record, or one proof, by `docs/spec/record.md` alone.

    verify_log.py <record>                         a record's folder, or a copy of `log/` and `evidence/`
        [--key <vkey>]                             the key that is known: that of `log/vkey`, or one from
                                                   which rotations lead there
        [--from <checkpoint>]                      what was trusted before: the log must continue it
        [--log-policy <file>]                      whose cosignatures make it final (c2sp.org/tlog-policy)
    verify_log.py --proof <file> --key <vkey>      one `.tlog-proof`
        [--entry <file>]                           the entry, where the proof does not carry it
        [--log-policy <file>]                      who must have cosigned its checkpoint
        [--rotation <file>]                        that the log went over to another key; each in order

A key is a verifier line or a file that holds one. Exit code 0: in order, 1: not, 2: usage. It shares
nothing with the Rust code and needs nothing but Python 3.9.
"""

import argparse
import base64
import binascii
import datetime
import hashlib
import json
import os
import re
import sys
from decimal import Decimal

WIDTH = 256
MAX_ENTRY = 65535
VERSION = 1
MAX_PROOF = 256 * 1024


class Bad(Exception):
    """Something is not as the specification has it."""


def need(holds, what):
    if not holds:
        raise Bad(what)


# --- Ed25519 (RFC 8032, section 5.1), verification only -----------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def point_add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_mul(s, p):
    q = (0, 1, 1, 0)
    while s > 0:
        if s & 1:
            q = point_add(q, p)
        p = point_add(p, p)
        s >>= 1
    return q


def point_equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def recover_x(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if x2 == 0:
        return None if sign else 0
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P != 0:
        x = x * ROOT % P
    if (x * x - x2) % P != 0:
        return None
    return P - x if x & 1 != sign else x


def decompress(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE = decompress(int.to_bytes(4 * pow(5, P - 2, P) % P, 32, "little"))


def is_weak(point):
    return point_equal(point_mul(8, point), (0, 1, 1, 0))


def ed25519_verify(key, message, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r = decompress(key), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or is_weak(a) or is_weak(r):
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return point_equal(point_mul(s, BASE), point_add(r, point_mul(h, a)))


# --- Notes and checkpoints ----------------------------------------------------------------------


def unbase64(text):
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Bad("not base64: %.80s" % text)
    need(base64.b64encode(raw).decode() == text, "not the one base64 of its bytes: %.80s" % text)
    return raw


def is_key_name(name):
    return bool(name) and not re.search(r"[\s+\x00-\x1f\x7f-\x9f]", name)


def parse_key(line, kind=1):
    """Returns name, id and key of a verifier line: of a log, or with 4 of a witness."""
    fields = line.split("+", 2)
    need(len(fields) == 3, "a verifier line is <name>+<id>+<base64>")
    name, raw = fields[0], unbase64(fields[2])
    need(is_key_name(name), "no name of a key: %r" % name)
    need(len(raw) == 33 and raw[0] == kind, "not an Ed25519 key of type %d" % kind)
    point = decompress(raw[1:])
    need(point is not None and not is_weak(point), "no good Ed25519 point")
    key_id = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    need(key_id.hex() == fields[1], "the key's id is not that of its name and key")
    return name, key_id, raw[1:]


def key_line(key):
    return "%s+%s+%s" % (key[0], key[1].hex(), base64.b64encode(b"\1" + key[2]).decode())


def parse_note(raw):
    """Returns the text of a note, and name, id and signature of each line under it."""
    need(len(raw) <= 64 * 1024, "a note of more than 64 KiB")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Bad("a note that is not UTF-8")
    need(not re.search(r"[\x00-\x09\x0b-\x1f]", text), "a note with control characters")
    body, blank, lines = text.rpartition("\n\n")
    need(blank and lines.endswith("\n"), "a note is a text, an empty line and signature lines")
    lines = lines[:-1].split("\n")
    need(len(lines) <= 100, "a note with more than 100 signatures")
    found = []
    for line in lines:
        match = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
        need(match and is_key_name(match.group(1)), "not a signature line: %r" % line)
        signature = unbase64(match.group(2))
        need(len(signature) > 4, "a signature line without a signature")
        found.append((match.group(1), signature[:4], signature[4:]))
    return body + "\n", found


def open_note(raw, key):
    """Returns the text of a note that the key signed."""
    body, lines = parse_note(raw)
    mine = [signature for name, key_id, signature in lines if (name, key_id) == key[:2]]
    need(mine, "not signed by %s" % key[0])
    for signature in mine:
        good = ed25519_verify(key[2], body.encode(), signature)
        need(good, "bad signature by %s" % key[0])
    return body


def cosigned(raw, key):
    """Returns whether a witness cosigned a note; a bad line of it fails the note."""
    body, lines = parse_note(raw)
    mine = [line for name, key_id, line in lines if (name, key_id) == key[:2]]
    for line in mine:
        time = int.from_bytes(line[:8], "big")
        message = "cosignature/v1\ntime %d\n%s" % (time, body)
        good = len(line) == 72 and time < 2**63 and ed25519_verify(key[2], message.encode(), line[8:])
        need(good, "bad cosignature by %s" % key[0])
    return bool(mine)


class Policy:
    """Who must have cosigned a checkpoint (C2SP tlog-policy). Names are bytes."""

    def __init__(self, raw):
        self.logs, self.witnesses, self.groups, self.quorum = [], {}, {}, None
        members = set()
        need(raw.endswith(b"\n"), "a policy's lines end with line feeds")
        need(not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", raw), "a policy with control characters")
        for number, line in enumerate(raw.split(b"\n"), 1):
            words = re.findall(rb"[^ \t]+", line)
            if not words or words[0].startswith(b"#"):
                continue
            try:
                self.line(words, members)
            except (Bad, ValueError) as error:
                raise Bad("the policy, line %d: %s" % (number, error))
        need(self.quorum, "the policy has no quorum")

    def line(self, words, members):
        known = self.witnesses.keys() | self.groups.keys()
        if words[0] == b"log" and len(words) in (2, 3):
            key = parse_key(words[1].decode())
            need(key[2] not in [one[2] for one in self.logs], "a key a second time")
            self.logs.append(key)
        elif words[0] == b"witness" and len(words) in (3, 4):
            key = parse_key(words[2].decode(), 4)
            need(key[2] not in [one[2] for one in self.witnesses.values()], "a key a second time")
            need(words[1] not in known | {b"none"}, "a name a second time")
            self.witnesses[words[1]] = key
        elif words[0] == b"group" and len(words) > 3:
            name, least, those = words[1], words[2], words[3:]
            need(name not in known | {b"none"}, "a name a second time")
            need(known.issuperset(those), "a name that is not defined before")
            need(len(set(those)) == len(those) and not members & set(those), "a member a second time")
            members.update(those)
            least = {b"all": len(those), b"any": 1}.get(least) or decimal(least.decode())
            need(1 <= least <= len(those), "not 1 to %d" % len(those))
            self.groups[name] = least, those
        elif words[0] == b"quorum" and len(words) == 2:
            need(self.quorum is None, "a second quorum")
            need(words[1] in known | {b"none"}, "a name that is not defined before")
            self.quorum = words[1]
        else:
            raise Bad("not a line of a policy")

    def is_final(self, raw):
        done = {name for name, key in self.witnesses.items() if cosigned(raw, key)}
        for name, (least, those) in self.groups.items():
            if len(done.intersection(those)) >= least:
                done.add(name)
        return self.quorum == b"none" or self.quorum in done


def decimal(text):
    need(re.fullmatch(r"0|[1-9][0-9]{0,19}", text), "not a decimal number: %r" % text)
    need(int(text) < 2**64, "more than 64 bits: %s" % text)
    return int(text)


def open_checkpoint(raw, key):
    """Returns size and root that the log's key signed."""
    lines = open_note(raw, key)[:-1].split("\n")
    need(len(lines) == 3, "a checkpoint is three lines: origin, size and root")
    need(lines[0] == key[0], "the checkpoint is of %s, expected %s" % (lines[0], key[0]))
    root = unbase64(lines[2])
    need(len(root) == 32, "a root has 32 bytes")
    return decimal(lines[1]), root


# --- The tree (RFC 6962, section 2.1) -----------------------------------------------------------


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(hashes):
    """The root over any number of hashes: an odd one at the end of a row moves up as it is."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    row = list(hashes)
    while len(row) > 1:
        above = [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
        row = above + row[len(above) * 2 :]
    return row[0]


def is_included(leaf, index, size, proof, root):
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


# --- Entries ------------------------------------------------------------------------------------


def no_twice(pairs):
    names = [name for name, _ in pairs]
    need(len(set(names)) == len(names), "a member that stands twice")
    return dict(pairs)


def no_number(text):
    raise Bad("a number that is not an integer: %s" % text)


def canonical(value):
    """RFC 8785; there are no numbers but integers."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(canonical(k) + ":" + canonical(v) for k, v in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool):
        return format(Decimal(repr(float(value))), "f").partition(".")[0]
    return json.dumps(value, ensure_ascii=False)


def read_json(raw):
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=no_twice,
            parse_float=no_number,
            parse_constant=no_number,
        )
        again = canonical(value).encode("utf-8")
    except (ValueError, RecursionError, OverflowError) as error:
        raise Bad("not JSON: %s" % error)
    need(again == raw, "not canonical JSON (RFC 8785)")
    return value


def text(value, at):
    need(isinstance(value, str), "%s is no text" % at)


def words(*known):
    def check(value, at):
        need(isinstance(value, str) and value in known, "%s: unknown word %r" % (at, value))

    return check


def shaped(pattern, what):
    def check(value, at):
        need(isinstance(value, str) and re.fullmatch(pattern, value), "%s is no %s" % (at, what))

    return check


def number(value, at):
    whole = isinstance(value, int) and not isinstance(value, bool)
    need(whole and 0 <= value < 2**64, "%s is no number" % at)


def truth(value, at):
    need(isinstance(value, bool), "%s is neither true nor false" % at)


def plain(value, at):
    need(isinstance(value, str), "%s is no text" % at)
    need(not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", value), "%s steers" % at)


def time(value, at):
    need(isinstance(value, str), "%s is no time" % at)
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{0,8}[1-9])?Z", value, re.ASCII)
    need(match, "%s is no time" % at)
    try:
        datetime.datetime.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        raise Bad("%s is no time" % at)


def option(check):
    return lambda value, at: None if value is None else check(value, at)


def many(check):
    def each(value, at):
        need(isinstance(value, list), "%s is no list" % at)
        for place, one in enumerate(value):
            check(one, "%s[%d]" % (at, place))

    return each


def table(key, check):
    def each(value, at):
        need(isinstance(value, dict), "%s is no object" % at)
        for name, one in value.items():
            key(name, at + "'s key")
            check(one, "%s.%s" % (at, name))

    return each


def fields(optional=(), **known):
    """An object with exactly these members, of which only the optional ones may be left out."""

    def check(value, at):
        need(isinstance(value, dict), "%s is no object" % at)
        for name in value.keys() - known.keys():
            raise Bad("%s has an unknown field %s" % (at, name))
        for name in known.keys() - value.keys() - set(optional):
            raise Bad("%s has no field %s" % (at, name))
        for name, inner in value.items():
            known[name](inner, "%s.%s" % (at, name))

    return check


def one_of(**known):
    def check(value, at):
        need(isinstance(value, dict) and len(value) == 1, "%s has not one member" % at)
        ((name, inner),) = value.items()
        need(name in known, "%s: unknown %s" % (at, name))
        known[name](inner, "%s.%s" % (at, name))

    return check


OID = shaped("[0-9a-f]{40}|[0-9a-f]{64}", "object id")
SHA256 = shaped("[0-9a-f]{64}", "SHA-256")
PERSON = shaped("[a-z0-9][a-z0-9-]{0,38}", "person")
MODE = words("enforce", "dry-run")
DECISION = words("accept", "undecided", "refuse")
POLICY = fields(commit=OID, digest=text)
CODES = """
    malformed-object unsafe-path path-collision unsafe-mode submodule-change hidden-content
    rewound-branch deleted-ref moved-tag unrecorded-target forbidden-ref shadowing-ref symref-alias
    unknown-tip unsigned-commit bad-signature unknown-signer expired-key revoked-key unproven-commit
    unknown-contributor unknown-pusher missing-approvals self-approval bot-approval stale-approval
    spent-approval wrong-target wrong-repository weak-evidence unreviewed-residual unverifiable
    rejected malformed-review replayed-review policy-missing policy-invalid unsatisfiable-rule
    policy-weakened shadowing-owners floating-reference dynamic-pipeline privilege-widened
    breakglass-used breakglass-invalid breakglass-overdue over-budget undecidable
""".split()

VERDICT = fields(
    ref=plain,
    old=OID,
    new=OID,
    decision=DECISION,
    mode=MODE,
    commits=number,
    classes=many(words("code", "config", "pipeline", "policy")),
    contributors=many(
        fields(
            person=option(PERSON),
            email=option(text),
            roles=many(words("author", "committer", "co-author", "signer", "pusher", "lander")),
        )
    ),
    approvals=many(
        fields(
            person=PERSON,
            commit=OID,
            evidence=words("signed", "forge"),
            coverage=words("identity", "replay", "residual", "unverifiable"),
            counted=truth,
        )
    ),
    findings=many(
        fields(
            code=words(*CODES),
            severity=words("note", "warn", "undecided", "refuse"),
            rule=option(text),
            at=option(text),
            paths=many(plain),
            want=option(text),
            got=many(text),
            about=many(text),
        )
    ),
)
DECIDED = fields(
    verdict=VERDICT,
    counted=many(fields(head=OID, base=OID, reviews=many(number), spent=many(OID))),
    received=many(fields(at=time, pusher=option(PERSON), commits=many(OID))),
    contents=table(OID, text),
)
HOST = fields(
    by=text,
    binary=text,
    hooks=table(text, text),
    settings=table(text, text),
    config=table(text, many(text)),
    files=table(text, text),
)
KIND = {
    "genesis": fields(
        optional=["host"],
        kind=text,
        at=time,
        repository=text,
        format=words("sha1", "sha256"),
        policy_ref=plain,
        tips=table(plain, OID),
        dry_run=many(plain),
        policy=POLICY,
        keys=table(PERSON, many(text)),
        host=HOST,
    ),
    "review": fields(
        kind=text,
        at=time,
        ref=plain,
        pusher=option(PERSON),
        tag=OID,
        raw=text,
        person=PERSON,
        key=text,
        target=plain,
        head=OID,
        tip=OID,
    ),
    "landed": fields(
        optional=["certificate"],
        kind=text,
        at=time,
        judged=time,
        size=number,
        judge=text,
        limits=table(text, number),
        repository=text,
        ref=plain,
        old=option(OID),
        new=option(OID),
        pusher=one_of(person=PERSON, unknown=text),
        mode=MODE,
        policy=POLICY,
        intent=text,
        sha256=table(OID, text),
        rejudged=truth,
        certificate=text,
        decision=one_of(inline=DECIDED, beside=fields(sha256=text, decision=DECISION)),
    ),
    "adopted": fields(
        kind=text,
        at=time,
        repository=text,
        ref=plain,
        old=option(OID),
        new=option(OID),
        by=text,
        reason=text,
        policy=truth,
    ),
    "incident": fields(
        kind=text,
        at=time,
        repository=text,
        state=words("found", "over"),
        finding=text,
        about=text,
        found=text,
        expected=option(text),
        by=text,
    ),
    "admin": fields(
        kind=text,
        at=time,
        repository=text,
        act=one_of(enrolled=HOST, rotated=fields(old=text, new=text, by=text, reason=text)),
    ),
}


def read_entry(raw):
    """Returns an entry whose form is as specified, and whose it is in a log of many repositories."""
    need(len(raw) <= MAX_ENTRY, "an entry of %d bytes" % len(raw))
    entry, of = read_json(raw), None
    if isinstance(entry, dict) and set(entry) == {"entry", "of"}:
        entry, of = entry["entry"], entry["of"]
        is_name = isinstance(of, str) and re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", of)
        need(is_name, "no name of a repository: %.80r" % (of,))
    version = entry.get("version") if isinstance(entry, dict) else None
    if isinstance(version, int) and not isinstance(version, bool) and VERSION < version < 2**64:
        raise Bad("of version %d, which is later than %d: use a newer verifier" % (version, VERSION))
    need(isinstance(entry, dict) and entry.get("kind") in KIND, "an entry of no known kind")
    KIND[entry["kind"]](entry, entry["kind"])
    if entry["kind"] == "review":
        review_agrees(entry)
    return entry, of


def review_agrees(entry):
    """The signed tag says the same as the entry around it; its signature is for who has people.toml."""
    try:
        tag = unbase64(entry["raw"]).decode("utf-8", "surrogateescape")
    except Bad:
        raise Bad("review: raw is not base64")
    head, blank, message = tag.partition("\n\n")
    lines = head.split("\n")
    need(blank and lines[0] == "object " + entry["head"], "review: the tag is of another object")
    need(lines[1:2] == ["type commit"], "review: not the tag of a commit")
    first = message.partition("\n")[0]
    match = re.fullmatch(r"countersign: (approve|reject|withdraw) (\S+) of (\S+)", first)
    need(match, "review: its first line is no review")
    need(match.group(2) == entry["target"], "review: the tag is for another ref")


def seconds(text):
    return text[:19]


# --- A whole record -----------------------------------------------------------------------------


class Log:
    def __init__(self, folder, key, trusted, policy):
        self.policy, self.final = policy, 0
        self.folder = folder
        self.log = os.path.join(folder, "log")
        if not os.path.isdir(self.log):
            self.log = folder
        self.key_line = key
        self.trusted = trusted
        self.problems = []

    def problem(self, at, error):
        self.problems.append("%s: %s" % (at, error))

    def read(self, *path):
        with open(os.path.join(*path), "rb") as file:
            return file.read()

    def verify(self):
        """In the order of the specification: key, checkpoint, entries, tiles, root, contents."""
        try:
            line = self.read(self.log, "vkey").decode("utf-8")
            need(line.endswith("\n"), "log/vkey is not one line")
            key = parse_key(line[:-1])
            checkpoint = self.read(self.log, "checkpoint")
            self.size, root = open_checkpoint(checkpoint, key)
            entries = self.entries()
        except (Bad, OSError, UnicodeDecodeError) as error:
            return self.problem("log", error)
        leaves = [leaf_hash(raw) for raw in entries]
        self.tiles(leaves)
        if root_of(leaves) != root:
            self.problem("log", "its entries do not give the checkpoint's root")
        try:
            self.rotations(key, checkpoint, entries, leaves)
            if self.key_line:
                known = [old for _, old, _ in self.chain] + [self.last]
                need(parse_key(self.key_line) in known, "it does not come from the key that is known")
            for raw in self.notes(key) if self.policy else []:
                size, root = self.open_trusted(raw)
                holds = size <= self.size and root_of(leaves[:size]) == root
                need(holds, "it does not continue its own checkpoint of size %d" % size)
                if self.policy.is_final(raw):
                    self.final = max(self.final, size)
            if self.trusted:
                size, root = self.open_trusted(self.read(self.trusted))
                holds = size <= self.size and root_of(leaves[:size]) == root
                need(holds, "it does not continue the trusted checkpoint of size %d" % size)
        except (Bad, OSError) as error:
            self.problem("log", error)
        self.contents(entries)

    def notes(self, key):
        """The newest checkpoint and the final one, if keys of the log signed them."""
        keys = [key] + [old for _, old, _ in self.chain]
        paths = [os.path.join(self.log, name) for name in ("checkpoint", "checkpoint.final")]
        notes = [self.read(path) for path in paths if os.path.exists(path)]
        return [raw for raw in notes if any(signed_by(raw, one) for one in keys)]

    def rotations(self, key, checkpoint, entries, leaves):
        """How the log came to its key, in order: size, old key, new key of each rotation."""
        self.chain, self.last = [], key
        folder = os.path.join(self.log, "rotations")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        sizes = sorted(int(name) for name in names if re.fullmatch(r"[1-9][0-9]{0,18}", name))
        for size in [size for size in sizes if size <= self.size]:
            raw = self.read(folder, str(size))
            old = self.chain[-1][2] if self.chain else named(raw)
            found, root, new = follow(raw, old)
            need(found == size, "rotations/%d is of size %d" % (size, found))
            need(root_of(leaves[:size]) == root, "rotations/%d is not of this log" % size)
            self.chain.append((size, old, new))
        # The last one may have been cut off: both signed the checkpoint, and the files are to come.
        end = rotated(read_entry(entries[-1])[0]) if entries else None
        cut_off = False
        if end and other_keys(checkpoint, key):
            old, new = parse_key(end["old"]), parse_key(end["new"])
            need(key in (old, new), "the log goes over from and to other keys than log/vkey")
            for one in (old, new):
                open_checkpoint(checkpoint, one)
            cut_off = True
            if not self.chain or self.chain[-1][0] != self.size:
                before = self.chain[-1][2] if self.chain else old
                need(old == before and new != old and new[0] == old[0], "no rotation from its key")
                self.chain.append((self.size, old, new))
        for at, (_, _, new) in enumerate(self.chain):
            spent = [old for _, old, _ in self.chain[: at + 1]]
            need(new not in spent, "a key that was the log's before")
        if self.chain:
            _, old, self.last = self.chain[-1]
            need(key == self.last or cut_off and key == old, "log/vkey is not the last key")

    def open_trusted(self, raw):
        """A checkpoint from before, by the key that the log had at that size."""
        start = 0
        for end, old, _ in self.chain:
            if signed_by(raw, old):
                size, root = open_checkpoint(raw, old)
                need(start <= size <= end, "a checkpoint by a key that was not the log's then")
                return size, root
            start = end
        size, root = open_checkpoint(raw, self.last)
        need(start <= size, "a checkpoint by a key that was not the log's then")
        return size, root

    def tile(self, row, number, width):
        """The bytes of a tile that has at least this width: its own, the full one, a wider one."""
        groups = ["%03d" % (number % 1000)]
        while number >= 1000:
            number //= 1000
            groups.insert(0, "x%03d" % (number % 1000))
        full = os.path.join(self.log, "tile", row, *groups)
        names = [full] if width == WIDTH else ["%s.p/%d" % (full, width), full]
        if width != WIDTH and os.path.isdir(full + ".p"):
            wider = [int(name) for name in os.listdir(full + ".p") if re.fullmatch(r"[1-9]\d*", name)]
            wider = sorted((w for w in wider if width < w < WIDTH), reverse=True)
            names += ["%s.p/%d" % (full, w) for w in wider]
        for name in names:
            if os.path.isfile(name):
                return self.read(name)
        raise Bad("missing: tile/%s/%s, width %d" % (row, "/".join(groups), width))

    def entries(self):
        found = []
        while len(found) < self.size:
            width = min(WIDTH, self.size - len(found))
            bundle, at = self.tile("entries", len(found) // WIDTH, width), 0
            for _ in range(width):
                need(at + 2 <= len(bundle), "a bundle that is cut off")
                end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
                need(end <= len(bundle), "a bundle that is cut off")
                found.append(bundle[at + 2 : end])
                at = end
        return found

    def tiles(self, row):
        level = 0
        while row:
            for start in range(0, len(row), WIDTH):
                expected = b"".join(row[start : start + WIDTH])
                try:
                    tile = self.tile(str(level), start // WIDTH, len(expected) // 32)
                    same = tile[: len(expected)] == expected
                    need(same, "tile %d of level %d has other hashes" % (start // WIDTH, level))
                except (Bad, OSError) as error:
                    self.problem("log", error)
            full = len(row) // WIDTH * WIDTH
            row = [root_of(row[at : at + WIDTH]) for at in range(0, full, WIDTH)]
            level += 1

    def contents(self, entries):
        latest, framed = [""], False
        for index, raw in enumerate(entries):
            at = latest[-1]
            try:
                entry, of = read_entry(raw)
                framed = of is not None if index == 0 else framed
                need((of is not None) == framed, "a log has framed entries or bare ones, never both")
                at = max(at, seconds(entry["at"]))
                self.entry(index, entry, latest)
            except (Bad, OSError) as error:
                self.problem("entry %d" % index, error)
            latest.append(at)

    def entry(self, index, entry, latest):
        known = latest[index]
        change = rotated(entry)
        if change:
            links = [(size, key_line(new)) for size, _, new in self.chain]
            need((index + 1, change["new"]) in links, "nothing shows that both keys signed that")
        if entry["kind"] == "landed":
            need(entry["size"] <= index, "judged by entries that came after it")
            known = latest[entry["size"]]
            if "certificate" in entry:
                self.evidence(entry["certificate"])
            beside = entry["decision"].get("beside")
            if beside:
                self.decided(beside)
        need(seconds(entry["at"]) >= known, "the clock went back")

    def evidence(self, sha256):
        SHA256(sha256, "sha256")
        raw = self.read(self.folder, "evidence", sha256)
        need(hashlib.sha256(raw).hexdigest() == sha256, "evidence is not of its name")
        return raw

    def decided(self, beside):
        decided = read_json(self.evidence(beside["sha256"]))
        DECIDED(decided, "evidence")
        same = decided["verdict"]["decision"] == beside["decision"]
        need(same, "evidence is not the decision its entry names")


# --- One proof ----------------------------------------------------------------------------------


def verify_proof(raw, key, entry=None, policy=None):
    """Returns index and entry that a `.tlog-proof` proves, its checkpoint, and whose the entry is."""
    need(len(raw) <= MAX_PROOF, "a proof of more than 256 KiB")
    head, blank, checkpoint = raw.partition(b"\n\n")
    need(blank, "no empty line before the checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Bad("a proof is ASCII before its checkpoint")
    need(lines.pop(0) == "c2sp.org/tlog-proof@v1", "not a tlog-proof@v1")
    extra = unbase64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
    need(lines and lines[0].startswith("index "), "no index")
    index = decimal(lines.pop(0)[6:])
    proof = [unbase64(line) for line in lines]
    need(len(proof) <= 63 and all(len(one) == 32 for one in proof), "a hash has 32 bytes")
    size, root = open_checkpoint(checkpoint, key)
    need(policy is None or policy.is_final(checkpoint), "cosigned by too few")
    need(entry is None or extra is None or entry == extra, "the proof carries another entry")
    entry = extra if entry is None else entry
    need(entry is not None, "the entry is neither in the proof nor given")
    good = is_included(leaf_hash(entry), index, size, proof, root)
    need(good, "the entry is not under the checkpoint at this index")
    entry, of = read_entry(entry)
    return index, entry, checkpoint, of


# --- Rotations ----------------------------------------------------------------------------------


def rotated(entry):
    return entry["act"].get("rotated") if entry["kind"] == "admin" else None


def signed_by(raw, key):
    try:
        open_note(raw, key)
    except Bad:
        return False
    return True


def other_keys(raw, key):
    """Whether there is a line by another key of the key's name."""
    lines = raw.decode("utf-8").rpartition("\n\n")[2].splitlines()
    fields = [line.split(" ") for line in lines]
    return any(name == key[0] and unbase64(sig)[:4] != key[1] for _, name, sig in fields)


def follow(raw, old):
    """Returns size and root that both keys signed when the log went over, and the new key."""
    index, entry, checkpoint, _ = verify_proof(raw, old)
    change = rotated(entry)
    need(change, "an entry that says nothing of another key")
    new = parse_key(change["new"])
    is_next = change["old"] == key_line(old) and new != old and new[0] == old[0]
    need(is_next, "a rotation from or to a key that has nothing to do with it")
    size, root = open_checkpoint(checkpoint, new)
    need(index + 1 == size, "a rotation that is not the last entry of its checkpoint")
    return size, root, new


def named(raw):
    """The old key that a rotation names, verified by nobody yet."""
    lines = raw.partition(b"\n\n")[0].split(b"\n")
    need(len(lines) > 1 and lines[1].startswith(b"extra "), "a rotation without its entry")
    change = rotated(read_entry(unbase64(lines[1][6:].decode("ascii", "replace")))[0])
    need(change, "an entry that says nothing of another key")
    return parse_key(change["old"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("record", nargs="?")
    parser.add_argument("--key")
    parser.add_argument("--from", dest="trusted")
    parser.add_argument("--proof")
    parser.add_argument("--entry")
    parser.add_argument("--log-policy", dest="policy")
    parser.add_argument("--rotation", action="append", default=[])
    asked = parser.parse_args()
    if (asked.record is None) == (asked.proof is None) or (asked.proof and not asked.key):
        parser.error("a record, or a proof with a key")

    def file(path):
        try:
            with open(path, "rb") as opened:
                return opened.read()
        except OSError as error:
            parser.error(error)

    key = asked.key
    if key and os.path.isfile(key):
        key = file(key).decode("utf-8").rstrip("\n")
    try:
        policy = Policy(file(asked.policy)) if asked.policy else None
    except Bad as error:
        parser.error(error)
    if asked.proof:
        try:
            entry = file(asked.entry) if asked.entry else None
            known = parse_key(key)
            for path in asked.rotation:
                known = follow(file(path), known)[2]
            index, entry, _, of = verify_proof(file(asked.proof), known, entry, policy)
        except Bad as error:
            print("proof: %s" % error)
            return 1
        print("entry %d%s: %s" % (index, of and " of " + of or "", canonical(entry)))
        return 0
    log = Log(asked.record, key, asked.trusted, policy)
    log.verify()
    for problem in log.problems:
        print(problem)
    if not log.problems:
        print("%d entries, all in order" % log.size)
        if policy:
            print("final: %d of %d entries" % (log.final, log.size))
    return 1 if log.problems else 0


if __name__ == "__main__":
    sys.exit(main())
