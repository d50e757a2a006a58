#!/usr/bin/env python3
"""Verifies attestations with in-toto's own packages: verify_attestation.py <expectations> <file>…

<expectations> is JSON: keys (PEM files), threshold, commit, resource, ref, verifier, levels. The
envelope is securesystemslib's to verify, statement and predicate are in-toto's to parse. What is held
against a VSA are the rules of slsa-verifier and of SLSA's "verifying source". Says `ok` of a file where
a source review and a VSA both hold, else why not, and exits with 1 if it does so of any.
"""
import base64
import hashlib
import json
import re
import sys

from google.protobuf import json_format
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import resource_descriptor_pb2, statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import SSlibKey

IN_TOTO = "application/vnd.in-toto+json"
REVIEW = "https://countersign.dev/source-review/v0.1"
VSA = "https://slsa.dev/verification_summary/v1"
LEVEL = re.compile(r"SLSA_([A-Z]+)_LEVEL_([0-9]+)")


class Bad(Exception):
    """What does not hold, and why."""


def hold(what, why):
    if not what:
        raise Bad(why)


def key_of(path):
    """A key as securesystemslib makes it of a PEM file, with the id that it would give it."""
    with open(path, encoding="ascii") as file:
        lines = file.read().splitlines()
    raw = base64.b64decode("".join(lines[1:-1]), validate=True)
    known = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw[-32:].hex()}}
    keyid = hashlib.sha256(encode_canonical(known).encode()).hexdigest()
    return SSlibKey.from_dict(keyid, dict(known))


def once(pairs):
    members = dict(pairs)
    hold(len(members) == len(pairs), "a member stands twice")
    return members


def statement_of(line, wanted):
    """The statement of an envelope that is signed by the keys, as in-toto reads it."""
    envelope = Envelope.from_dict(json.loads(line, object_pairs_hook=once))
    hold(envelope.payload_type == IN_TOTO, "another payload type")
    envelope.verify([key_of(path) for path in wanted["keys"]], wanted["threshold"])
    json.loads(envelope.payload, object_pairs_hook=once)
    parsed = json_format.Parse(envelope.payload, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    return parsed


def descriptor(value):
    """A resource descriptor that in-toto takes for one."""
    parsed = json_format.ParseDict(value, resource_descriptor_pb2.ResourceDescriptor())
    ResourceDescriptor.copy_from_pb(parsed).validate()
    return parsed


def subject_of(statement, wanted):
    found = [it for it in statement.subject if it.digest.get("gitCommit") == wanted["commit"]]
    hold(len(found) == 1, "another commit")
    refs = json_format.MessageToDict(found[0].annotations).get("sourceRefs", [])
    hold(wanted["ref"] in refs, f"on {refs}, not on {wanted['ref']}")


def at_least(level, wanted):
    """slsa-verifier: a level of the same track that is as high; anything else must be equal."""
    have, want = LEVEL.fullmatch(level), LEVEL.fullmatch(wanted)
    if not have or not want:
        return level == wanted
    return have[1] == want[1] and int(have[2]) >= int(want[2])


def vsa(statement, wanted, review):
    predicate = json_format.MessageToDict(statement.predicate)
    # in-toto's message has one level where SLSA has a list of them.
    levels = predicate.pop("verifiedLevels")
    hold(isinstance(levels, list) and levels, "no levels")
    # And it is of SLSA 1.0: what came later is ignored, as the specification demands.
    summary = vsa_pb2.VerificationSummary()
    json_format.ParseDict(predicate, summary, ignore_unknown_fields=True)
    hold(summary.verifier.id == wanted["verifier"], f"verified by {summary.verifier.id}")
    hold(summary.resource_uri == wanted["resource"], f"of {summary.resource_uri}")
    hold(summary.verification_result == "PASSED", summary.verification_result)
    tracks = [match[1] for match in map(LEVEL.fullmatch, levels) if match]
    hold(len(tracks) == len(set(tracks)), "more than one level of a track")
    for level in levels:
        mine = level.startswith("ORG_SOURCE_") or level == "SLSA_SOURCE_TWO_PARTY_REVIEWED"
        hold(mine or LEVEL.fullmatch(level), f"{level} is no known level")
    for level in wanted["levels"]:
        hold(any(at_least(have, level) for have in levels), f"{levels} does not give {level}")
    hold(summary.policy.uri and summary.policy.digest["sha256"], "no policy")
    hold(summary.slsa_version == "1.2", f"SLSA {summary.slsa_version}")
    digests = [it.digest["sha256"] for it in summary.input_attestations]
    hold(hashlib.sha256(review).hexdigest() in digests, "does not rest on the review beside it")


def source_review(statement, wanted):
    predicate = json_format.MessageToDict(statement.predicate)
    hold(predicate["target"]["uri"] == wanted["resource"], "another repository")
    hold(predicate["target"]["name"] == wanted["ref"], "another ref")
    hold(predicate["reviewCoverage"]["result"] in ("identity", "replay"), "not covered")
    hold(predicate["approvals"], "nobody approved it")
    transform = predicate["mergeTransform"]
    descriptor(predicate["target"])
    descriptor(predicate["admission"]["policy"])
    for it in [*transform["reviewedHeads"], *transform["parents"], transform["expectedTree"]]:
        descriptor(it)
    for approval in predicate["approvals"]:
        for member in ("approver", "overCommit", "overTree", "evidence"):
            descriptor(approval[member])


def verify(path, wanted):
    with open(path, "rb") as file:
        lines = [line for line in file.read().split(b"\n") if line.strip()]
    kinds, review = set(), b""
    for line in lines:
        statement = statement_of(line, wanted)
        subject_of(statement, wanted)
        kinds.add(statement.predicate_type)
        if statement.predicate_type == REVIEW:
            source_review(statement, wanted)
            review = line
        elif statement.predicate_type == VSA:
            vsa(statement, wanted, review)
    hold({REVIEW, VSA} <= kinds, f"only {sorted(kinds)}")


def main(expectations, *paths):
    wanted, bad = json.loads(expectations), 0
    for path in paths:
        try:
            verify(path, wanted)
            print("ok")
        except Exception as error:  # whatever it is: it does not hold
            print(f"{type(error).__name__}: {error}".splitlines()[0])
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
