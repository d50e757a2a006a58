//! The ways a change lands, made with plain git, and what the record must say of them after.

use super::checkout::{Checkout, review_message};
use super::server::Server;
use super::{MAIN, Outcome};

/// Approves a head for a ref, with more header lines.
#[must_use]
pub(crate) fn approve_for(
    reviewer: &Checkout,
    target: &str,
    head: &str,
    lines: &[&str],
) -> Outcome {
    let tag = reviewer.tag_review(head, &review_message("approve", target, lines));
    let leaf = format!("{}-{}", reviewer.person, &tag[..8]);
    reviewer.push_review(&tag, head, &leaf)
}

/// Merges a head into what is checked out, without a fast-forward.
#[track_caller]
pub(crate) fn merge(at: &Checkout, head: &str) -> String {
    at.git(&["merge", "-q", "--no-ff", "-m", "merge", head]);
    at.head()
}

/// Puts what a head brings on what is checked out, as one commit.
#[track_caller]
pub(crate) fn squash(at: &Checkout, head: &str) -> String {
    at.git(&["merge", "-q", "--squash", head]);
    at.git(&["commit", "-q", "-m", "squashed"]);
    at.head()
}

/// Puts copies of a head's last `count` commits on what is checked out.
#[track_caller]
pub(crate) fn pick(at: &Checkout, head: &str, count: usize) -> String {
    let range = format!("{head}~{count}..{head}");
    at.git(&["cherry-pick", &range]);
    at.head()
}

/// Pushes a commit to main and sees it recorded as reviewed, and decided again to the same.
#[track_caller]
pub(crate) fn lands(server: &Server, at: &Checkout, commit: &str) {
    lands_on(server, at, commit, MAIN);
}

/// The same for any branch.
#[track_caller]
pub(crate) fn lands_on(server: &Server, at: &Checkout, commit: &str, target: &str) {
    at.push(&[&format!("{commit}:{target}")]).accepted();
    assert_eq!(server.tip(target).as_deref(), Some(commit));
    server
        .cli(&["verify", "commit", commit, "--onto", target])
        .exits(0);
    server.cli(&["verify", "history"]).exits(0);
}

/// Pushes a commit to main and sees it refused for what no review covers, naming `about`: a path, or
/// a commit, which people are told by a short id.
#[track_caller]
pub(crate) fn uncovered(server: &Server, at: &Checkout, commit: &str, about: &str) {
    let before = server.main();
    let is_id = about.len() >= 40 && about.bytes().all(|byte| byte.is_ascii_hexdigit());
    let about = if is_id { &about[..12] } else { about };
    at.land(commit)
        .refused(&["missing-approvals", "unreviewed-residual"])
        .says(about);
    assert_eq!(server.main(), before);
}
