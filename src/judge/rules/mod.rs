//! What is found, one concern a file; [`judge`](super::judge) puts it together.

pub(crate) mod approvals;
pub(crate) mod landing;
pub(crate) mod missing;
pub(crate) mod notices;
pub(crate) mod pusher;
pub(crate) mod rejects;
pub(crate) mod shape;
pub(crate) mod unproven;

use super::verdict::{Code, Finding, Severity};

/// Returns a finding with nothing to it but its code and weight.
pub(super) fn bare(code: Code, severity: Severity) -> Finding {
    Finding {
        code,
        severity,
        rule: None,
        at: None,
        paths: Vec::new(),
        want: None,
        got: Vec::new(),
        about: Vec::new(),
    }
}
