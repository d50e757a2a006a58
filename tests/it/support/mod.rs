//! Servers, people and their checkouts, driven with git alone.

pub(crate) mod authority;
pub(crate) mod checkout;
pub(crate) mod config;
pub(crate) mod keys;
pub(crate) mod landing;
pub(crate) mod objects;
pub(crate) mod outcome;
pub(crate) mod python;
pub(crate) mod server;
pub(crate) mod ssh;
pub(crate) mod witness;

pub(crate) use authority::Authority;
pub(crate) use checkout::{Checkout, NewCommit};
pub(crate) use config::{People, REPOSITORY, policy, rule};
pub(crate) use outcome::Outcome;
pub(crate) use server::{Format, Server};

/// The main branch, protected in every policy here.
pub(crate) const MAIN: &str = "refs/heads/main";

/// A server with the plain policy, and alice's and bob's checkouts of it.
pub(crate) fn two_people() -> (Server, Checkout, Checkout) {
    let server = Server::new();
    let alice = server.checkout("alice");
    let bob = server.checkout("bob");
    (server, alice, bob)
}

/// A server with one `[[rule]]` list of one's own, and alice's and bob's checkouts of it.
pub(crate) fn two_people_under(rules: &str) -> (Server, Checkout, Checkout) {
    let server = Server::with(&policy(rules), &People::new());
    let alice = server.checkout("alice");
    let bob = server.checkout("bob");
    (server, alice, bob)
}

/// Alice's commit of one file, shared on a free topic branch and approved by bob.
pub(crate) fn approved_topic(alice: &Checkout, bob: &Checkout, file: &str) -> String {
    let head = alice.change(file, "new\n");
    alice.share(&head);
    bob.approve(&head).accepted();
    head
}
