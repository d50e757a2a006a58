//! Small pushes that stand for an endless amount of work.

use std::time::{Duration, Instant};

use super::approved_and_refused;
use crate::support::objects::{blob, commit_with_entries, tree};
use crate::support::two_people;

/// DOS-02: ten levels of ten times the same tree are ten thousand million paths in twenty objects.
#[test]
fn dos_02_tree_bomb() {
    let (server, alice, bob) = two_people();
    let mut below = ("100644", blob(&alice, "boom\n"));
    for _ in 0..10 {
        let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| (below.0, name.as_bytes(), below.1.as_str()))
            .collect();
        below = ("40000", tree(&alice, &entries));
    }
    let head = commit_with_entries(&alice, &[("40000", b"bomb", &below.1)]);
    let start = Instant::now();
    approved_and_refused(&server, &alice, &bob, &head, &["over-budget"]);
    assert!(start.elapsed() < Duration::from_secs(60));
}
