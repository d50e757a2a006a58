//! What `reviews` says of every state a review can be in.

use jiff::Timestamp;

use super::*;
use crate::admit::rehearse::{Alone, Spent, Successor};
use crate::admit::residual::Why;
use crate::judge::sample::{N, oid};
use crate::people::PersonName;
use crate::record::entry::Review;
use crate::wire::review::ReviewMessage;

fn signed(person: &str, verb: ReviewVerb, state: ReviewState) -> Signed {
    let at: Timestamp = "2026-11-26T00:40:28.123456789Z".parse().unwrap();
    let target = RefName::from("refs/heads/main");
    Signed {
        index: 3,
        review: Review {
            at,
            name: RefName::from("refs/countersign/reviews/x/y"),
            pusher: None,
            tag: oid(9),
            raw: String::new(),
            person: PersonName::new(person).unwrap(),
            key: "SHA256:key".to_owned(),
            target: target.clone(),
            head: oid(N),
            tip: oid(1),
        },
        message: ReviewMessage {
            verb,
            target,
            repository: "git.example.com/payments".to_owned(),
            base: None,
            tree: None,
            keeps: Vec::new(),
            replaces: Vec::new(),
            overrides: Vec::new(),
            text: String::new(),
        },
        state,
        successor: None,
        ends: Some("2026-12-26T00:40:28Z".parse().unwrap()),
        spent: None,
        alone: None,
    }
}

fn shown(signed: &[Signed], how: Rehearsal) -> String {
    let about = About {
        target: &RefName::from("refs/heads/main"),
        head: &oid(N),
        signed,
        rehearsed: &Rehearsed {
            how,
            admission: None,
        },
        dated: true,
    };
    let text = text(&about, &Context::default());
    for line in text.lines() {
        assert!(width(line) <= 80, "{line}");
        assert_eq!(plain(line), line);
    }
    let value = value(&about, &Context::default());
    assert_eq!(value["reviews"].as_array().unwrap().len(), signed.len());
    text
}

/// Whatever ended a review is said, with what took its place and where it landed.
#[test]
fn ended_reviews() {
    use ReviewState::{Expired, KeyRevoked, Live, Replaced, Spent as Used, Unknown, Withdrawn};
    let approve = |state| signed("bob", ReviewVerb::Approve, state);
    let later = |verb, head| {
        Some(Successor {
            head: oid(head),
            verb,
            tag: oid(8),
        })
    };
    let rows = [
        approve(Expired),
        Signed {
            successor: later(ReviewVerb::Approve, 6),
            ..approve(Replaced)
        },
        Signed {
            successor: later(ReviewVerb::Reject, N),
            ..approve(Replaced)
        },
        Signed {
            successor: later(ReviewVerb::Withdraw, N),
            ..approve(Withdrawn)
        },
        Signed {
            spent: Some(Spent {
                index: 12,
                commit: Some(oid(6)),
                weighed: Some((Coverage::Replay, true)),
            }),
            ..approve(Used)
        },
        approve(KeyRevoked),
        approve(Unknown),
        signed("carol", ReviewVerb::Withdraw, Live),
    ];
    insta::assert_snapshot!(shown(&rows, Rehearsal::Landed), @"
    0000000000000000000000020000000000000002 for refs/heads/main
      person  says      received           state      covers        counts
      bob     approve   2026-11-26 00:40Z  expired    -             no
        older than the policy lets approvals be: it ran out at 2026-12-26
        00:40Z
      bob     approve   2026-11-26 00:40Z  replaced   -             no
        their later approval of 0000000000000000000000060000000000000006
        took its place, tag 0000000000000000000000080000000000000008
      bob     approve   2026-11-26 00:40Z  replaced   -             no
        their later rejection of this commit took its place, tag
        0000000000000000000000080000000000000008
      bob     approve   2026-11-26 00:40Z  withdrawn  -             no
        they withdrew it, tag 0000000000000000000000080000000000000008
      bob     approve   2026-11-26 00:40Z  spent      replay        no
        what it vouches for landed already, with 000000000000 (log entry
        12), and there it counted
      bob     approve   2026-11-26 00:40Z  revoked    -             no
        its key is revoked: SHA256:key
      bob     approve   2026-11-26 00:40Z  unknown    -             no
        people.toml has this person or key no more: SHA256:key
      carol   withdraw  2026-11-26 00:40Z  live       -             -
      it has landed already
    ");
}

/// Where nothing can be judged, each approval still says what it covers; names and paths that
/// are too long are cut, and names said whole.
#[test]
fn nothing_to_judge() {
    let long = "a-person-with-a-name-of-39-letters-12345";
    let long = &long[..39];
    let alone = |coverage, why| {
        Some(Alone {
            coverage,
            paths: vec![RepoPath::new(vec![b'p'; 300])],
            why,
        })
    };
    let approve = || signed("bob", ReviewVerb::Approve, ReviewState::Live);
    let conflict = [
        Signed {
            alone: alone(Coverage::Residual, None),
            ..approve()
        },
        signed(long, ReviewVerb::Reject, ReviewState::Live),
    ];
    let path = RepoPath::from("src/a\u{1b}[2J");
    insta::assert_snapshot!(shown(&conflict, Rehearsal::Conflict(vec![path])), @r"
    0000000000000000000000020000000000000002 for refs/heads/main
      person            says      received           state      covers        counts
      bob               approve   2026-11-26 00:40Z  live       residual      no
        landing it now conflicts, as said below
      a-person-with...  reject    2026-11-26 00:40Z  live       -             -
        signed by a-person-with-a-name-of-39-letters-1234
        it blocks the commit if a rule asks them, until their next review of
        it
      landing it now conflicts at src/a%1B[2J; have a commit reviewed that
      is built on the tip
      once it is merged, as MERGE, what that adds to what was reviewed:
      countersign diff 0000000000000000000000020000000000000002 MERGE \
        --onto refs/heads/main
    ");
    let why = Why::SeveralBases(vec![oid(5), oid(6)]);
    let untold = [Signed {
        alone: alone(Coverage::Unverifiable, Some(why)),
        ..approve()
    }];
    insta::assert_snapshot!(shown(&untold, Rehearsal::Unverifiable), @"
    0000000000000000000000020000000000000002 for refs/heads/main
      person  says      received           state      covers        counts
      bob     approve   2026-11-26 00:40Z  live       unverifiable  no
        what it covers cannot be told: it could be landed from several
        bases: 000000000000, 000000000000
      what landing it gives cannot be told; approve a commit that is built
      on the tip
    ");
    insta::assert_snapshot!(shown(&[], Rehearsal::Landed), @"
    0000000000000000000000020000000000000002 for refs/heads/main
      nobody has signed anything about it
      it has landed already
    ");
}
