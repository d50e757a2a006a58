//! Ways in which unreviewed code has got in, each by its name in the catalogue of attacks.
//!
//! The change is approved wherever that is possible, so that only the attack itself is left to be
//! refused; git's own object checks are switched off, so that only ours are left to refuse it.

mod approvals;
mod catalogue;
mod content;
mod history;
mod hooks;
mod host;
mod limits;
mod objects;
mod paths;
mod policies;
mod record;
mod refs;
mod signatures;

use crate::support::{Checkout, MAIN, Outcome, People, Server, policy, rule, two_people};

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

/// A server that wants a maintainer for everything, and dana as well for what `lines` name; with
/// alice's and bob's checkouts.
fn guarded(lines: &str) -> (Server, Checkout, Checkout) {
    let rules = format!(
        "{}{}",
        rule("all", "require = [\"1 of @maintainers\"]"),
        rule("guarded", &format!("{lines}\nrequire = [\"1 of dana\"]"))
    );
    let server = Server::with(&policy(&rules), &People::new());
    let (alice, bob) = (server.checkout("alice"), server.checkout("bob"));
    (server, alice, bob)
}

/// Sees alice's `head` refused with bob's approval alone, for want of dana's.
#[track_caller]
fn wants_dana(server: &Server, alice: &Checkout, bob: &Checkout, head: &str) {
    let before = server.main();
    alice.share(head);
    bob.approve(head).accepted();
    alice
        .land(head)
        .refused(&["missing-approvals"])
        .says("guarded");
    assert_eq!(server.main(), before);
    not_reviewed(server, head);
}

/// The same, and that dana's approval is all that was missing.
#[track_caller]
fn lands_with_dana(server: &Server, alice: &Checkout, bob: &Checkout, head: &str) {
    wants_dana(server, alice, bob, head);
    server.checkout("dana").approve(head).accepted();
    alice.land(head).accepted();
}

/// Sees that the record calls a commit anything but reviewed, and that the record is whole.
#[track_caller]
fn not_reviewed(server: &Server, commit: &str) {
    server.cli(&["verify", "commit", commit]).exits(1);
    server.log_is_good();
}
