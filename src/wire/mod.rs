//! Untrusted bytes, parsed strictly.
//!
//! Every parser here takes a byte slice, allocates no more than a small multiple of it, rejects
//! what it does not know and whatever trails, and does no I/O.

pub mod allowed_signers;
pub mod armor;
pub mod commit;
pub mod cosignature;
pub mod dsse;
pub mod entry_name;
pub mod fold;
pub mod hidden;
pub mod ident;
pub mod json;
pub mod keybox;
pub mod log_policy;
pub mod log_proof;
mod look_alike;
pub mod name;
pub mod note;
pub mod object;
pub mod oid;
pub mod openpgp;
pub mod owners;
pub mod pem;
pub mod push;
pub mod push_cert;
pub mod refname;
pub mod review;
pub mod ssh_agent;
pub mod ssh_certificate;
pub mod sshd;
pub mod sshsig;
pub mod statement;
pub mod tag;
mod trailer;
pub mod transaction;
pub mod tree;
pub mod witness;

#[cfg(test)]
mod against_git2;
