//! Approvals of what does not land say the same however much was judged before.

use std::collections::BTreeSet;

use countersign::wire::oid::ObjectFormat;

use super::world::{Files, World};

/// Lines of the one file, half a megabyte together.
const LINES: usize = 200;
/// What each line is made of.
const LINE: &str = "three thousand bytes, so that few lines are a large file";

/// The file, with these lines written anew.
fn written(lines: &BTreeSet<usize>) -> Files {
    let line = |n: usize| format!("{n} {} {}\n", LINE.repeat(50), lines.contains(&n));
    let text: String = (0..LINES).map(line).collect();
    [("large".to_owned(), ("100644", text))].into()
}

/// `verify history` asks about one landing after the other. What it was told of the open approvals of
/// one is not counted against the next.
#[test]
fn say_the_same_after_many_landings() {
    let (mut world, root) = World::new(ObjectFormat::Sha1, "", "", &written(&BTreeSet::new()));
    for line in 0..12 {
        let tree = world.tree(&written(&[line * 5].into()));
        let head = world.commit(&tree, &[root]);
        world.review("bob", &head, &[]).unwrap();
    }
    let (mut landed, mut tip) = (BTreeSet::new(), root);
    for line in 20..27 {
        landed.insert(line * 5);
        let tree = world.tree(&written(&landed));
        tip = world.commit(&tree, &[tip]);
        world.review("carol", &tip, &[]).unwrap();
        let admission = world.judge(&tip);
        world.land(&admission);
    }
    landed.insert(100 - 3);
    let tree = world.tree(&written(&landed));
    let next = world.commit(&tree, &[tip]);
    let used = world.judge(&next);
    world.reopen();
    let fresh = world.judge(&next);
    assert_eq!(used.verdict, fresh.verdict);
}
