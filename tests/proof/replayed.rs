//! A record replayed from disk: what is kept from one entry to the next does not outlive its truth.

use countersign::admit::history::history;
use countersign::judge::verdict::Decision;
use countersign::record::entry::Decided;
use countersign::record::{Checkpoint, Record};
use countersign::wire::oid::{ObjectFormat, Oid};

use crate::world::{Files, World};

const TWO: &str = "[[rule]]\nname = \"two\"\nrequire = [\"2 of @maintainers\"]";

/// A world in which bob approved three commits that landed, one after the other.
fn landed_thrice() -> (World, Files, Oid, Decided) {
    let (mut world, mut tip) = World::new(ObjectFormat::Sha1, "", "", &Files::new());
    let mut files = Files::new();
    let mut last = None;
    for number in 0..3 {
        let next = step(&mut world, &mut files, number, &tip);
        world.review("bob", &next, &[]).unwrap();
        let admission = world.judge(&next);
        world.land(&admission);
        last = admission.landings.into_iter().next();
        tip = next;
    }
    (world, files, tip, last.unwrap().decided)
}

fn step(world: &mut World, files: &mut Files, number: usize, parent: &Oid) -> Oid {
    files.insert(format!("f{number}"), ("100644", format!("{number}\n")));
    let tree = world.tree(files);
    world.commit(&tree, &[*parent])
}

/// Puts the record on disk, replays it, and returns what is said of the last entry.
fn replayed(world: &World) -> Option<String> {
    let dir = world.dir().join("countersign");
    let record = Record::create(&dir, "git.example.com/proof").unwrap();
    let lock = record.lock().unwrap();
    record.append(&lock, world.entries()).unwrap();
    drop(lock);
    let stored = said(world, &record);
    let verifier = Record::open(&dir).unwrap();
    let nothing = Checkpoint::empty("git.example.com/proof");
    assert!(verifier.verify_anew(&nothing).unwrap().ok());
    assert_eq!(said(world, &verifier), stored, "by tables in memory");
    stored
}

fn said(world: &World, record: &Record) -> Option<String> {
    let all = 0..record.size();
    let found = history(&world.repo, record, std::slice::from_ref(&all), &mut |_| ()).unwrap();
    let last = all.end - 1;
    let entries = found.problems.into_iter().filter(|(at, _)| at.is_some());
    let entries: Vec<_> = entries.collect();
    assert!(
        entries.iter().all(|(at, _)| *at == Some(last)),
        "{entries:?}"
    );
    entries.into_iter().next().map(|(_, why)| why)
}

/// Asserts that a landing recorded as accepted, by the operator's hand, is found to be none.
#[track_caller]
fn found_out(mut world: World, commit: &Oid, accepted: Decided) {
    let mut admission = world.judge(commit);
    assert_eq!(admission.verdict.decision, Decision::Refuse);
    admission.verdict.decision = Decision::Accept;
    let landing = admission.landings.first_mut().unwrap();
    landing.decided = accepted;
    world.land(&admission);
    let why = replayed(&world).unwrap();
    assert!(
        why.contains("Accept is recorded, Refuse comes out"),
        "{why}"
    );
}

/// Three honest landings hold.
#[test]
fn nothing_between() {
    let (world, ..) = landed_thrice();
    assert_eq!(replayed(&world), None);
}

/// A review that was read for earlier landings, and is withdrawn since.
#[test]
fn withdrawn_between() {
    let (mut world, mut files, tip, accepted) = landed_thrice();
    let early = step(&mut world, &mut files.clone(), 7, &tip);
    world.review("bob", &early, &[]).unwrap();
    let next = step(&mut world, &mut files, 8, &tip);
    world
        .review("bob", &next, &["Keeps: ".to_owned() + &early.to_string()])
        .unwrap();
    world.land(&world.judge(&next));
    world.review_as("withdraw", "bob", &early, &[]).unwrap();
    let joined = {
        files.insert("f7".to_owned(), ("100644", "7\n".to_owned()));
        let tree = world.tree(&files);
        world.commit(&tree, &[next, early])
    };
    found_out(world, &joined, accepted);
}

/// A key whose signatures were found good for earlier landings, and that is revoked since.
#[test]
fn revoked_between() {
    let (mut world, mut files, tip, accepted) = landed_thrice();
    let early = step(&mut world, &mut files.clone(), 7, &tip);
    world.review("bob", &early, &[]).unwrap();
    world.set_policy("", Some("bob"));
    let next = step(&mut world, &mut files, 8, &tip);
    world.review("carol", &next, &[]).unwrap();
    world.land(&world.judge(&next));
    let joined = {
        files.insert("f7".to_owned(), ("100644", "7\n".to_owned()));
        let tree = world.tree(&files);
        world.commit(&tree, &[next, early])
    };
    found_out(world, &joined, accepted);
}

/// A policy that decided earlier landings, and that asks for more since.
#[test]
fn stricter_between() {
    let (mut world, mut files, tip, accepted) = landed_thrice();
    world.set_policy(TWO, None);
    let next = step(&mut world, &mut files, 8, &tip);
    world.review("bob", &next, &[]).unwrap();
    world.land(&world.judge(&next));
    let last = step(&mut world, &mut files, 9, &next);
    world.review("bob", &last, &[]).unwrap();
    found_out(world, &last, accepted);
}

/// A head that landed before: what was not spent then is now.
#[test]
fn spent_between() {
    let (mut world, mut files, tip, accepted) = landed_thrice();
    let without = files.clone();
    let next = step(&mut world, &mut files, 8, &tip);
    world.review("bob", &next, &[]).unwrap();
    world.land(&world.judge(&next));
    let tree = world.tree(&without);
    let back = world.commit(&tree, &[next]);
    world.review("carol", &back, &[]).unwrap();
    world.land(&world.judge(&back));
    let tree = world.tree(&files);
    let again = world.commit(&tree, &[back]);
    found_out(world, &again, accepted);
}
