//! Ways in which unreviewed code has got in, each by its name in the catalogue of attacks.
//!
//! The change is approved wherever that is possible, so that only the attack itself is left to be
//! refused; git's own object checks are switched off, so that only ours are left to refuse it.

mod content;
mod history;
mod host;
mod limits;
mod objects;
mod paths;
mod refs;
mod signatures;

use crate::support::{Checkout, MAIN, Outcome, Server, two_people};

/// A server that leaves every check of objects to us.
fn without_fsck() -> (Server, Checkout, Checkout) {
    let (server, alice, bob) = two_people();
    server.git(&["config", "receive.fsckObjects", "false"]);
    server.git(&["config", "transfer.fsckObjects", "false"]);
    (server, alice, bob)
}

/// Lands `head` with all the approval it can get and sees it refused for one of `codes`.
#[track_caller]
fn approved_and_refused(
    server: &Server,
    alice: &Checkout,
    bob: &Checkout,
    head: &str,
    codes: &[&str],
) -> Outcome {
    let before = server.main();
    // Either may be refused already, which is as good.
    alice
        .push(&[&format!("{head}:refs/heads/topic-{}", &head[..12])])
        .either();
    let (from, refs) = (
        alice.dir().to_str().unwrap(),
        "+refs/attack/*:refs/attack/*",
    );
    alice
        .try_git(&["update-ref", &format!("refs/attack/{head}"), head])
        .either();
    bob.try_git(&["fetch", "-q", from, refs]).either();
    if bob.try_git(&["cat-file", "-e", head]).ok() {
        bob.approve(head).either();
    }
    // Forced: what the client would not send cannot be refused here.
    let outcome = alice.push(&[&format!("+{head}:{MAIN}")]);
    let outcome = if codes.is_empty() {
        outcome.refused(&[])
    } else {
        outcome.refused_with_any(codes)
    };
    assert_eq!(server.main(), before);
    outcome
}
