//! What every text keeps, whatever was found: lines, columns, and nothing a terminal obeys.

use super::plain::{COLUMNS, plain, width};
use super::terminal::{LINES, ReviewAct, ReviewOutcome, review_reply};
use super::{Context, terminal};
use crate::admit::rehearse::Rehearsal;
use crate::judge::sample::{N, oid};
use crate::judge::verdict::{ApprovalVerdict, Coverage, Evidence, SCHEMA};
use crate::judge::verdict::{Code, Decision, Finding, Severity, UpdateVerdict, Verdict};
use crate::people::PersonName;
use crate::policy::Mode;
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::{ObjectFormat, Oid};
use proptest::prelude::*;

fn an_oid() -> impl Strategy<Value = Oid> {
    let raw = (any::<bool>(), any::<[u8; 32]>());
    raw.prop_map(|(wide, raw)| Oid::from_bytes(&raw[..if wide { 32 } else { 20 }]).unwrap())
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,90}",
        "[a-z]{1,12}",
        any::<String>(),
        an_oid().prop_map(|oid| oid.to_string()),
        "[ -~]{0,40}\n[ -~]{0,90}\n",
    ]
}

fn a_finding() -> impl Strategy<Value = Finding> {
    use Severity::{Note, Refuse, Undecided, Warn};
    let common = prop_oneof![
        Just(Code::MissingApprovals),
        prop::sample::select(Code::ALL)
    ];
    let severity = prop::sample::select(vec![Note, Warn, Undecided, Refuse]);
    let lists = (
        prop::collection::vec(words(), 0..4),
        prop::collection::vec(words(), 0..4),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..99), 0..3),
    );
    let some = (
        prop::option::of(words()),
        prop::option::of(words()),
        prop::option::of(words()),
    );
    (common, severity, lists, some).prop_map(
        |(code, severity, (got, about, paths), (rule, at, want))| Finding {
            code,
            severity,
            rule,
            at,
            paths: paths.into_iter().map(RepoPath::new).collect(),
            want,
            got,
            about,
        },
    )
}

fn an_update() -> impl Strategy<Value = UpdateVerdict> {
    use Decision::{Accept, Refuse, Undecided};
    let name = prop_oneof![
        Just(b"refs/heads/main".to_vec()),
        "refs/heads/[a-z/]{1,90}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..120),
    ];
    let decided = (
        prop::sample::select(vec![Accept, Undecided, Refuse]),
        prop::sample::select(vec![Mode::Enforce, Mode::DryRun]),
    );
    let findings = prop::collection::vec(a_finding(), 0..14);
    let approvals = prop::collection::vec("[a-z0-9]{1,39}", 0..5);
    (name, an_oid(), decided, any::<usize>(), findings, approvals).prop_map(
        |(name, new, (decision, mode), commits, findings, approvals)| UpdateVerdict {
            name: RefName::new(name),
            old: Oid::zero(ObjectFormat::Sha1),
            new,
            decision,
            mode,
            commits,
            classes: Vec::new(),
            contributors: Vec::new(),
            approvals: approvals
                .iter()
                .map(|person| ApprovalVerdict {
                    person: PersonName::new(person).unwrap(),
                    commit: new,
                    evidence: Evidence::Signed,
                    coverage: Coverage::Identity,
                    counted: true,
                })
                .collect(),
            findings,
        },
    )
}

fn a_verdict() -> impl Strategy<Value = Verdict> {
    let updates = prop::collection::vec(an_update(), 0..4);
    (updates, words()).prop_map(|(updates, repository)| Verdict {
        schema: SCHEMA.to_owned(),
        decision: updates
            .iter()
            .map(|update| update.decision)
            .max()
            .unwrap_or(Decision::Undecided),
        mode: Mode::Enforce,
        repository,
        updates,
    })
}

fn a_context() -> impl Strategy<Value = Context> {
    let pusher = prop::option::of("[a-z0-9]{1,39}");
    let url = prop::option::of(words());
    (url, pusher, "[a-z]{1,20}").prop_map(|(help_url, pusher, remote)| Context {
        help_url,
        pusher,
        remote,
        ..Context::default()
    })
}

/// Checks the promises every text keeps: lines, columns, nothing a terminal obeys.
fn fits(text: &str) {
    assert!(text.lines().count() <= LINES, "{text}");
    for line in text.lines() {
        assert!(width(line) <= COLUMNS, "{line:?} in {text}");
        assert_eq!(plain(line), line);
    }
}

proptest! {
    /// Whatever was found, the text fits, is harmless, and leaves no code of it unsaid.
    #[test]
    fn fits_and_says_every_code(verdict in a_verdict(), context in a_context()) {
        let text = terminal::verdict(&verdict, &context);
        fits(&text);
        if verdict.decision != Decision::Accept {
            for finding in verdict.updates.iter().flat_map(|update| &update.findings) {
                prop_assert!(text.contains(&format!("[{}]", finding.code.as_str())), "{text}");
            }
        }
    }

    /// So does the reply to any number of reviews.
    #[test]
    fn replies_fit(
        updates in prop::collection::vec(prop::option::of(an_update()), 0..6),
        person in "[a-z0-9]{1,39}",
        context in a_context(),
    ) {
        let outcomes: Vec<_> = updates
            .into_iter()
            .map(|now| ReviewOutcome {
                person: person.clone(),
                act: ReviewAct::Approves,
                head: oid(N),
                target: now.as_ref().map_or_else(
                    || RefName::from("refs/heads/main"),
                    |now| now.name.clone(),
                ),
                how: Some(Rehearsal::Itself),
                now,
            })
            .collect();
        fits(&review_reply(&outcomes, &context));
    }
}
