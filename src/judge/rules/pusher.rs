//! Whoever writes what Countersign guards must be known.

use crate::judge::facts::{Pusher, Scope};
use crate::judge::verdict::{Code, Finding, Severity};

/// Refuses a pusher whom `people.toml` does not know, except on free refs.
pub(crate) fn finding(pusher: &Pusher, scope: &Scope) -> Option<Finding> {
    let Pusher::Unknown(name) = pusher else {
        return None;
    };
    (*scope != Scope::Free).then(|| Finding {
        about: vec![name.clone()],
        ..super::bare(Code::UnknownPusher, Severity::Refuse)
    })
}
