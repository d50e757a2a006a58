//! What views answer, the same from disk, from memory and from any mixture.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::*;
use crate::record::{Checkpoint, Logged, RecordError, Tip, TipKind, View};
use crate::wire::review::ReviewVerb;

fn main() -> RefName {
    RefName::from(MAIN)
}

fn indices<T>(found: Vec<(u64, T)>) -> Vec<u64> {
    found.into_iter().map(|(index, _)| index).collect()
}

/// Asserts everything the sample says.
fn assert_sample(view: &View) {
    assert_eq!(view.size(), 10);
    assert_tips(view);
    assert_reviews(view);
    assert_landings(view);
    let Entry::Genesis(genesis) = &sample()[0] else {
        panic!("not a baseline")
    };
    assert_eq!(view.genesis().unwrap().as_ref(), Some(genesis));
    assert_eq!(view.last_time().unwrap(), Some(time(17)));
    assert_eq!(view.time_at(0).unwrap(), None);
    assert_eq!(view.time_at(2).unwrap(), Some(time(11)));
}

fn assert_tips(view: &View) {
    let release = RefName::from("refs/heads/release/1");
    let tip = |oid: Option<Oid>, index, how, accepted, mode| Tip {
        oid,
        index,
        how,
        accepted,
        mode,
    };
    let enforce = Mode::Enforce;
    let gone = tip(None, 9, TipKind::Adopted, false, enforce);
    let base = tip(Some(oid(11)), 0, TipKind::Genesis, true, enforce);
    assert_eq!(view.tip(&main()).unwrap(), Some(gone.clone()));
    assert_eq!(
        view.tips().unwrap(),
        BTreeMap::from([(main(), gone), (release.clone(), base.clone())])
    );
    assert_eq!(view.tip(&RefName::from("refs/heads/x")).unwrap(), None);
    for number in [10, 20, 30, 40] {
        assert!(view.was_tip(&main(), &oid(number)).unwrap());
        assert!(!view.was_tip(&release, &oid(number)).unwrap());
    }
    assert!(!view.was_tip(&main(), &oid(11)).unwrap());
    assert_eq!(view.tips_at(&oid(11)).unwrap(), [(release, base)]);
    let dry = tip(Some(oid(30)), 6, TipKind::Landed, false, Mode::DryRun);
    assert_eq!(view.tips_at(&oid(30)).unwrap(), [(main(), dry)]);
    let tens: Vec<_> = view.tips_at(&oid(10)).unwrap();
    let tens: Vec<_> = tens.iter().map(|(_, tip)| (tip.index, tip.how)).collect();
    assert_eq!(tens, [(0, TipKind::Genesis), (7, TipKind::Adopted)]);
}

fn assert_reviews(view: &View) {
    let by = |name, limit| indices(view.reviews_by(&main(), &person(name), limit).unwrap());
    assert_eq!(by("bob", 64), [5, 1]);
    assert_eq!(by("bob", 1), [5]);
    assert_eq!(by("bob", 0), [0; 0]);
    assert_eq!(by("carol", 64), [3, 2]);
    assert_eq!(by("dave", 64), [0; 0]);
    let other = RefName::from("refs/heads/release/1");
    assert!(
        view.reviews_by(&other, &person("bob"), 9)
            .unwrap()
            .is_empty()
    );
    let of = |number| indices(view.reviews_of_head(&main(), &oid(number)).unwrap());
    assert_eq!(of(20), [1, 2, 3]);
    assert_eq!(of(30), [5]);
    assert_eq!(of(10), [0; 0]);
    let rejected = view.rejected_heads(&main()).unwrap();
    assert_eq!(rejected, [oid(20)].into());
    assert!(view.rejected_heads(&other).unwrap().is_empty());
    let Entry::Review(reject) = &sample()[2] else {
        panic!("not a review")
    };
    assert_eq!(view.has_tag(&reject.tag).unwrap(), Some(2));
    let (index, found) = view.review_tag(&reject.tag).unwrap().unwrap();
    assert_eq!((index, &**found), (2, reject));
    assert_eq!(view.has_tag(&oid(99)).unwrap(), None);
    assert_eq!(view.review_tag(&oid(99)).unwrap(), None);
}

fn assert_landings(view: &View) {
    assert_eq!(indices(view.landed_at(&oid(20)).unwrap()), [4]);
    assert_eq!(indices(view.landed_at(&oid(10)).unwrap()), [0; 0]);
    let counted = |index| view.counted_since(&main(), index).unwrap();
    assert_eq!(counted(0), [(4, oid(20)), (6, oid(30)), (8, oid(40))]);
    assert_eq!(counted(4), [(6, oid(30)), (8, oid(40))]);
    assert_eq!(counted(8), []);
    let spent = |number| view.spent(&main(), &oid(number)).unwrap();
    assert_eq!(spent(20), Some(4));
    assert_eq!(spent(500_020), Some(4));
    assert_eq!(spent(40), Some(8));
    assert_eq!(spent(30), None, "a dry run spends nothing");
    assert_eq!(spent(10), None);
    let other = RefName::from("refs/heads/release/1");
    assert_eq!(view.spent(&other, &oid(20)).unwrap(), None);
    let id = format!("{:032x}", 20);
    assert!(view.intent_spent(&id, &main()).unwrap());
    assert!(!view.intent_spent(&id, &other).unwrap());
    assert!(!view.intent_spent(&"0".repeat(32), &main()).unwrap());
}

/// From disk, from memory, and with any number of entries pending, answers are the same.
#[test]
fn answers_the_same_everywhere() {
    let (_dir, record) = new_record();
    append(&record, &sample());
    assert_sample(&record.view().unwrap());
    assert_sample(&View::in_memory(sample()).unwrap());
    for size in 0..=10 {
        let pending = sample().split_off(size as usize);
        let view = record.view_at(size).unwrap();
        assert_sample(&view.with_pending(pending.clone()).unwrap());
        let start = sample()[..size as usize].to_vec();
        let view = View::in_memory(start).unwrap();
        assert_sample(&view.with_pending(pending).unwrap());
    }
}

/// A review that a push brings of a head that landed earlier is as spent before it is logged as after:
/// what is left of its person's reviews is the same.
#[test]
fn spent_in_another_layer() {
    let (_dir, record) = new_record();
    let again = Entry::Review(review(18, "approve", "bob", 20));
    append(&record, &[sample(), vec![again]].concat());
    let all = record.view().unwrap();
    let left = |view: &View, ended| {
        let nothing = BTreeSet::new();
        let left = view.reviews_open(&main(), &person("bob"), (9, ended), &nothing);
        said(&left.unwrap())
    };
    for size in 0..11 {
        let later: Vec<Entry> = (size..11).map(|at| record.entry(at).unwrap()).collect();
        let view = record.view_at(size).unwrap().with_pending(later).unwrap();
        for ended in [0, 1, 2, 9] {
            assert_eq!(left(&view, ended), left(&all, ended), "{size} {ended}");
        }
    }
}

/// A view of an earlier size answers as the log of that size did, whatever was asked before.
#[test]
fn shows_nothing_later() {
    let (_dir, record) = new_record();
    append(&record, &sample());
    for size in (0..=10).chain((0..=10).rev()) {
        let view = record.view_at(size).unwrap();
        let then = View::in_memory(sample()[..size as usize].to_vec()).unwrap();
        assert_eq!(view.size(), size);
        assert_eq!(view.tips().unwrap(), then.tips().unwrap());
        assert_eq!(view.last_time().unwrap(), then.last_time().unwrap());
        assert_eq!(
            view.counted_since(&main(), 0).unwrap(),
            then.counted_since(&main(), 0).unwrap()
        );
        assert_eq!(
            view.rejected_heads(&main()).unwrap(),
            then.rejected_heads(&main()).unwrap()
        );
        assert_eq!(
            view.reviews_by(&main(), &person("bob"), 9).unwrap(),
            then.reviews_by(&main(), &person("bob"), 9).unwrap()
        );
        for number in [10, 20, 30, 40, 500_020] {
            assert_eq!(
                view.spent(&main(), &oid(number)).unwrap(),
                then.spent(&main(), &oid(number)).unwrap()
            );
            assert_eq!(
                view.tips_at(&oid(number)).unwrap(),
                then.tips_at(&oid(number)).unwrap()
            );
        }
        assert!(view.entry(size).is_err());
    }
    assert!(matches!(
        record.view_at(11),
        Err(RecordError::Beyond { .. })
    ));
}

/// A view that was taken stays as it was while the log grows.
#[test]
fn stays_as_it_was() {
    let (_dir, record) = new_record();
    append(&record, &sample()[..4]);
    let view = record.view().unwrap();
    append(&record, &sample()[4..]);
    assert_eq!(view.size(), 4);
    assert_eq!(view.tip(&main()).unwrap().unwrap().index, 0);
    assert_eq!(view.spent(&main(), &oid(20)).unwrap(), None);
}

/// In memory a decision that stands beside the log cannot be had, and is not left out silently.
#[test]
fn misses_what_stands_beside() {
    let mut entry = landed(1, 0, 1, 2);
    entry.decision = DecisionId::Beside {
        sha256: "0".repeat(64),
        decision: Decision::Accept,
    };
    assert!(View::in_memory(vec![Entry::Landed(entry)]).is_err());
}

/// A landing counts as recorded only if it was accepted and enforced.
#[test]
fn accepts_only_enforced_acceptance() {
    for (decision, mode, accepted) in [
        (Decision::Accept, Mode::Enforce, true),
        (Decision::Accept, Mode::DryRun, false),
        (Decision::Refuse, Mode::Enforce, false),
        (Decision::Refuse, Mode::DryRun, false),
        (Decision::Undecided, Mode::Enforce, false),
    ] {
        let mut entry = landed(1, 0, 1, 2);
        entry.mode = mode;
        if let DecisionId::Inline(decided) = &mut entry.decision {
            decided.verdict.decision = decision;
        }
        let view = View::in_memory(vec![Entry::Landed(entry)]).unwrap();
        let tip = view.tip(&main()).unwrap().unwrap();
        assert_eq!((tip.accepted, tip.mode), (accepted, mode));
        assert_eq!(view.spent(&main(), &oid(2)).unwrap().is_some(), accepted);
    }
}

/// What is left of a person's reviews where of those that landed so many are wanted: none is left out
/// from between, nor one that has not landed, nor more than must be.
fn open(
    view: &View,
    name: &RefName,
    who: &str,
    (limit, ended): (usize, usize),
    all: &[(u64, Rc<Logged>)],
) -> String {
    let left = view.reviews_open(name, &person(who), (limit, ended), &BTreeSet::new());
    let left = left.unwrap();
    let (kept, out) = all.split_at(left.len());
    assert_eq!(left, kept);
    let spent = |(_, review): &&(u64, Rc<Logged>)| view.is_spent(review).unwrap();
    let approves = |(_, review): &&(u64, Rc<Logged>)| {
        let message = review.message(review.head.format());
        message.unwrap().verb == ReviewVerb::Approve
    };
    assert!(out.iter().all(|one| spent(&one)));
    let ends = |all: &[(u64, Rc<Logged>)]| all.iter().filter(spent).filter(approves).count();
    assert!(ends(kept) >= ended.min(ends(all)));
    if let Some(last) = kept.last() {
        assert!(!spent(&last) || ends(kept) == ended.min(ends(all)));
    }
    said(&left)
}

/// Reviews without what was found out of them on the way.
fn said<'a>(reviews: impl IntoIterator<Item = &'a (u64, Rc<Logged>)>) -> String {
    let all = reviews
        .into_iter()
        .map(|(index, review)| (index, &***review));
    format!("{:?}", all.collect::<Vec<_>>())
}

/// Everything that can be asked about what the sample names.
fn answers(view: &View) -> Vec<String> {
    let mut all = vec![
        format!("{:?}", view.tips().unwrap()),
        format!("{:?}", view.names(1).unwrap()),
        format!("{:?}", view.genesis().unwrap()),
        format!("{:?}", view.incidents().unwrap()),
        format!("{:?}", view.host().unwrap()),
    ];
    for start in 0..=view.size() {
        all.push(format!("{:?}", view.time_at(start).unwrap()));
        all.push(format!("{:?}", view.indices(start..99).unwrap()));
        all.push(format!("{:?}", view.indices(0..start).unwrap()));
        let entry = view.entry(start).map_err(|error| error.to_string());
        all.push(format!("{entry:?}"));
    }
    for name in [MAIN, "refs/heads/release/1", "refs/heads/x"].map(RefName::from) {
        all.push(format!("{:?}", view.tip(&name).unwrap()));
        all.push(format!("{:?}", view.rejected_heads(&name).unwrap()));
        for index in 0..view.size() {
            all.push(format!("{:?}", view.counted_since(&name, index).unwrap()));
        }
        for (who, limit) in [("bob", 9), ("bob", 1), ("carol", 9), ("dave", 9)] {
            let reviews = view.reviews_by(&name, &person(who), limit).unwrap();
            for ended in [0, 1, 9] {
                all.push(open(view, &name, who, (limit, ended), &reviews));
            }
            let every = reviews.iter().map(|(_, review)| review.head).collect();
            let new = view.reviews_open(&name, &person(who), (limit, 0), &every);
            assert_eq!(new.unwrap().len(), reviews.len());
            let heads = view.reviewed_heads(&name, &person(who), limit).unwrap();
            let expected: Vec<Oid> = reviews.iter().map(|(_, review)| review.head).collect();
            assert_eq!(heads, expected);
            all.push(said(&reviews));
        }
        for number in [1, 2, 7, 8, 10, 11, 20, 30, 40, 99, 500_020] {
            let of_head = view.reviews_of_head(&name, &oid(number)).unwrap();
            all.push(said(&of_head));
            all.push(format!("{:?}", view.spent(&name, &oid(number)).unwrap()));
            all.push(format!("{:?}", view.was_tip(&name, &oid(number)).unwrap()));
            all.push(format!("{:?}", view.tips_at(&oid(number)).unwrap()));
            all.push(format!("{:?}", view.landed_at(&oid(number)).unwrap()));
            let id = format!("{number:032x}");
            all.push(format!("{:?}", view.intent_spent(&id, &name).unwrap()));
        }
    }
    let tags = sample().into_iter().filter_map(|entry| match entry {
        Entry::Review(review) => Some(review.tag),
        _ => None,
    });
    all.extend(tags.map(|tag| said(&view.review_tag(&tag).unwrap())));
    all
}

/// Asserts that a verifier answers as `index.db` does at every size, with room for its tables and
/// without.
pub(super) fn assert_verified_alike(record: &Record) {
    let nothing = Checkpoint::empty(ORIGIN);
    for most in [usize::MAX, 0] {
        let verifier = Record::open_as(record.dir(), record.of.as_ref()).unwrap();
        assert!(verifier.verify_within(&nothing, most).unwrap().ok());
        let beside = verifier.door().open().unwrap();
        assert_eq!(verifier.recent.borrow().own.is_some(), most > 0);
        assert_eq!(beside.recent.borrow().own.is_some(), most > 0);
        for size in 0..=record.size() {
            let expected = answers(&record.view_at(size).unwrap());
            assert_eq!(answers(&verifier.view_at(size).unwrap()), expected);
            assert_eq!(answers(&beside.view_at(size).unwrap()), expected);
        }
    }
}

/// What a verifier keeps in memory says what `index.db` does.
#[test]
fn verifiers_answer_the_same() {
    let (_dir, record) = new_record();
    append(&record, &sample());
    assert_verified_alike(&record);
}
