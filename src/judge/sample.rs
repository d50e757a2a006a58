//! Facts for tests: one push of one commit by alice, changed piece by piece.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::people::{People, PersonKind, PersonName};
use crate::policy::{Mode, Policy, Protection};
use crate::wire::name::{RefName, RepoPath};
use crate::wire::oid::Oid;

use super::facts::*;
use super::verdict::{ApprovalVerdict, Code, Coverage, Decision, Evidence, Finding, Role};
use super::verdict::{Severity, UpdateVerdict};
use super::{Judgement, judge};

/// alice, bob, carol maintain; dana and erin are security; frank is in no team.
const PEOPLE: &str = r#"
[people.alice]
[people.bob]
[people.carol]
[people.dana]
[people.erin]
[people.frank]
[people.robot]
kind = "bot"
[people.github]
kind = "forge"
[teams]
maintainers = ["alice", "bob", "carol"]
security = ["dana", "erin"]
"#;

pub(crate) const P: u64 = 1;
pub(crate) const N: u64 = 2;

pub(crate) fn oid(n: u64) -> Oid {
    let hex = format!("{:040x}", u128::from(n) << 64 | u128::from(n));
    Oid::from_hex(hex.as_bytes()).unwrap()
}

pub(crate) fn name(text: &str) -> PersonName {
    PersonName::new(text).unwrap()
}

/// Everybody, each with a key of their own.
pub(crate) fn people() -> People {
    let lines = PEOPLE.lines().map(|line| {
        let person = line
            .strip_prefix("[people.")
            .map(|rest| rest.trim_end_matches(']'));
        let key = person.map(|name| format!("keys = [{{ ssh = \"{}\" }}]", public_key(name)));
        format!("{line}\n{}\n", key.unwrap_or_default())
    });
    People::parse(lines.collect::<String>().as_bytes(), &|_| None).unwrap()
}

fn public_key(name: &str) -> String {
    let key = SigningKey::from_bytes(&Sha256::digest(name).into());
    let mut blob = Vec::new();
    for field in [&b"ssh-ed25519"[..], key.verifying_key().as_bytes()] {
        blob.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        blob.extend_from_slice(field);
    }
    format!("ssh-ed25519 {}", STANDARD.encode(blob))
}

/// A policy of these `[[rule]]` tables.
pub(crate) fn policy(rules: &str) -> Policy {
    let text = format!("version = 1\nrepository = \"git.example.com/payments\"\n{rules}");
    Policy::parse(text.as_bytes(), &people()).unwrap_or_else(|error| panic!("{}", error.message))
}

/// A rule of one line of `require` and whatever else is given.
pub(crate) fn rule(name: &str, require: &str, more: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\nrequire = {require}\n{more}\n")
}

pub(crate) fn protection() -> Protection {
    Protection {
        mode: Mode::Enforce,
        signed_commits: false,
        every_commit: false,
        allow_rewind: false,
        allow_delete: false,
        create_once: false,
        trusts: Vec::new(),
    }
}

/// A push of one update, by alice.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) policy: Policy,
    pub(crate) people: People,
    pub(crate) pusher: Pusher,
    pub(crate) update: UpdateFacts,
}

impl Push {
    /// `main` moves from P to N, alice wrote N, it changes `src/lib.rs`, N may be covered by
    /// approvals of N itself.
    pub(crate) fn new(rules: &str) -> Self {
        let mut push = Self {
            policy: policy(rules),
            people: people(),
            pusher: Pusher::Person(name("alice")),
            update: UpdateFacts {
                name: RefName::from("refs/heads/main"),
                from: Some(oid(P)),
                to: Some(oid(N)),
                scope: Scope::Protected(protection()),
                commits: 1,
                changes_policy: false,
                steps: Vec::new(),
                reviews: Vec::new(),
                notices: Vec::new(),
            },
        };
        let head = push.head(N, &["src/lib.rs"], "alice");
        push.update.steps = vec![StepFacts {
            from: Some(oid(P)),
            to: oid(N),
            whole: head.clone(),
            sequences: vec![vec![head]],
        }];
        push
    }

    /// A head that changes these paths, written by one person.
    pub(crate) fn head(&self, head: u64, paths: &[&str], author: &str) -> HeadFacts {
        let paths = paths.iter().map(|path| {
            let path = RepoPath::from(*path);
            let classes = self.policy.classes(&path);
            PathFacts { path, classes }
        });
        HeadFacts {
            only_naming: false,
            head: oid(head),
            paths: paths.collect(),
            contributors: vec![hand(author, &[Role::Author])],
            unproven: Vec::new(),
            approvals: Vec::new(),
        }
    }

    /// Changes every head of every step, and the wholes.
    pub(crate) fn each_head(mut self, change: impl Fn(&mut HeadFacts)) -> Self {
        for step in &mut self.update.steps {
            change(&mut step.whole);
            step.sequences.iter_mut().flatten().for_each(&change);
        }
        self
    }

    /// Makes the push change these paths.
    pub(crate) fn changing(self, paths: &[&str]) -> Self {
        let facts = self.head(N, paths, "alice").paths;
        self.each_head(|head| head.paths.clone_from(&facts))
    }

    /// Adds somebody with a hand in it.
    pub(crate) fn with(self, person: &str, roles: &[Role]) -> Self {
        self.each_head(|head| head.contributors.push(hand(person, roles)))
    }

    /// Adds live signed approvals of N.
    pub(crate) fn approved(self, persons: &[&str]) -> Self {
        let add = |push: Self, person: &&str| push.reviewed(person, N, |_| ());
        persons.iter().fold(self, add)
    }

    /// Adds an approval of a head, changed as given; it stands wherever that head does, if it
    /// covers.
    pub(crate) fn reviewed(
        mut self,
        person: &str,
        head: u64,
        change: impl Fn(&mut ReviewFacts),
    ) -> Self {
        let position = self.update.reviews.len();
        let mut review = ReviewFacts {
            index: 10 + position as u64,
            tag: oid(100 + position as u64),
            person: name(person),
            kind: self.people.persons[&name(person)].kind,
            verb: Verb::Approve,
            head: oid(head),
            names_base: false,
            evidence: Evidence::Signed,
            received: Timestamp::UNIX_EPOCH,
            state: ReviewState::Live,
            coverage: Coverage::Identity,
            residual: Vec::new(),
            overrides: Vec::new(),
            blocks: false,
        };
        change(&mut review);
        let covers = matches!(review.coverage, Coverage::Identity | Coverage::Replay);
        if covers && review.verb == Verb::Approve {
            let steps = self.update.steps.iter_mut();
            for facts in steps.flat_map(|step| step.sequences.iter_mut().flatten()) {
                if facts.head == review.head {
                    facts.approvals.push((position, review.coverage));
                }
            }
        }
        self.update.reviews.push(review);
        self
    }

    /// Adds a reject of N in force.
    pub(crate) fn rejected(self, person: &str, tag: u64) -> Self {
        self.reviewed(person, N, |review| {
            review.verb = Verb::Reject;
            review.blocks = true;
            review.tag = oid(tag);
        })
    }

    /// Adds a notice.
    pub(crate) fn noticed(mut self, code: Code, paths: &[&str]) -> Self {
        self.update.notices.push(Notice {
            code,
            about: vec!["seen".to_owned()],
            paths: paths.iter().map(|path| RepoPath::from(*path)).collect(),
            at: None,
        });
        self
    }

    pub(crate) fn scoped(mut self, scope: Scope) -> Self {
        self.update.scope = scope;
        self
    }

    pub(crate) fn facts(&self) -> Facts {
        Facts {
            now: Timestamp::UNIX_EPOCH,
            repository: self.policy.repository.clone(),
            pusher: self.pusher.clone(),
            updates: vec![self.update.clone()],
        }
    }

    pub(crate) fn judge(&self) -> Judgement {
        judge(&self.policy, &self.people, &self.facts())
    }

    pub(crate) fn verdict(&self) -> UpdateVerdict {
        self.judge().verdict.updates.remove(0)
    }

    pub(crate) fn decision(&self) -> Decision {
        self.verdict().decision
    }

    /// The findings of one code.
    pub(crate) fn found(&self, code: Code) -> Vec<Finding> {
        let findings = self.verdict().findings.into_iter();
        findings.filter(|finding| finding.code == code).collect()
    }

    /// Codes and weights of all findings.
    pub(crate) fn codes(&self) -> Vec<(Code, Severity)> {
        let findings = self.verdict().findings.into_iter();
        findings
            .map(|finding| (finding.code, finding.severity))
            .collect()
    }

    /// Whose approvals counted.
    pub(crate) fn counted(&self) -> Vec<String> {
        let approvals = self.verdict().approvals.into_iter();
        let counted = approvals.filter(|approval| approval.counted);
        counted
            .map(|approval: ApprovalVerdict| approval.person.to_string())
            .collect()
    }
}

pub(crate) fn hand(person: &str, roles: &[Role]) -> Contributor {
    Contributor {
        person: Some(name(person)),
        email: None,
        roles: roles.to_vec(),
    }
}

/// Everyone who could fill a place somewhere, and those who could not.
pub(crate) const EVERYBODY: [&str; 8] = [
    "alice", "bob", "carol", "dana", "erin", "frank", "robot", "github",
];

/// Checks that the people above are what the tests take them for.
#[test]
fn people_are_as_described() {
    let people = people();
    let kinds = EVERYBODY.map(|person| people.persons[&name(person)].kind);
    assert_eq!(kinds[5], PersonKind::Human);
    assert_eq!(kinds[6..], [PersonKind::Bot, PersonKind::Forge]);
}
