//! What is fuzzed: one function each, which breaks if what is promised of it does not hold.
//!
//! Each takes any bytes and returns whether they were accepted. Shared, by path, with `fuzz/`.

mod attestations;
mod config;
mod lists;
mod objects;
mod record;
mod signatures;
mod text;
mod witnesses;

pub(crate) use attestations::{envelope, statement};
pub(crate) use config::{pattern, people, place, policy};
pub(crate) use lists::{allowed_signers, keyring, owners, sshd};
pub(crate) use objects::{commit, hook_lines, ident, push_cert, ref_writes, tag, tree};
pub(crate) use record::{entry, intent, log_proof, note};
pub(crate) use signatures::{
    armor, openpgp_key, openpgp_signature, ssh_agent, ssh_certificate, ssh_key, sshsig, verify,
};
pub(crate) use text::{display, fold, hidden, merge_lines, ref_name, review};
pub(crate) use witnesses::{add_checkpoint, log_policy, witness_answer};

use countersign::wire::oid::ObjectFormat;

/// Takes any bytes; panics if a promise is broken.
pub(crate) type Target = fn(&[u8]) -> bool;

/// Everything, by name.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("add_checkpoint", add_checkpoint),
    ("allowed_signers", allowed_signers),
    ("armor", armor),
    ("commit", commit),
    ("display", display),
    ("entry", entry),
    ("envelope", envelope),
    ("fold", fold),
    ("hidden", hidden),
    ("hook_lines", hook_lines),
    ("ident", ident),
    ("intent", intent),
    ("keyring", keyring),
    ("log_policy", log_policy),
    ("log_proof", log_proof),
    ("merge_lines", merge_lines),
    ("note", note),
    ("openpgp_key", openpgp_key),
    ("openpgp_signature", openpgp_signature),
    ("owners", owners),
    ("pattern", pattern),
    ("people", people),
    ("place", place),
    ("policy", policy),
    ("push_cert", push_cert),
    ("ref_name", ref_name),
    ("ref_writes", ref_writes),
    ("review", review),
    ("ssh_agent", ssh_agent),
    ("ssh_certificate", ssh_certificate),
    ("ssh_key", ssh_key),
    ("sshd", sshd),
    ("sshsig", sshsig),
    ("statement", statement),
    ("tag", tag),
    ("tree", tree),
    ("verify", verify),
    ("witness_answer", witness_answer),
];

/// Those that refuse nothing.
pub(crate) const TOTAL: &[&str] = &["display", "fold"];

const FORMATS: [ObjectFormat; 2] = [ObjectFormat::Sha1, ObjectFormat::Sha256];
