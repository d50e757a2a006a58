//! The record: which commit was reviewed by whom, signed and append-only.

pub mod entry;
