//! Who must approve, in words.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::gather::Rulebook;
use crate::gather::scope::own_folder;
use crate::judge::explain::{PathAsks, PlaceAsks, RuleAsks};
use crate::people::PersonName;
use crate::policy::{BaseWanted, Class, EvidenceWanted, Mode, Protection};
use crate::wire::name::{RefName, RepoPath};
use crate::wire::refname;

use super::plain::{plain, wrap};
use super::policy::{held_to, joined};

/// What is explained.
pub struct About<'a> {
    /// The ref.
    pub target: &'a RefName,
    /// Policy and people.
    pub rules: &'a Rulebook,
    /// Whether the policy stands on it.
    pub is_policy_ref: bool,
    /// Whether it is there.
    pub exists: bool,
    /// Whether policy and refs are as a clone has fetched them.
    pub fetched: bool,
    /// Those paths that it does not have.
    pub absent: &'a BTreeSet<RepoPath>,
    /// What it could be taken for, so that no push may make it.
    pub stands_for: Option<RefName>,
    /// How the ref is protected, and in which mode; none where nothing protects it.
    pub protection: Option<&'a Protection>,
    /// Each path with what it asks for; nothing where nothing protects the ref.
    pub paths: &'a [PathAsks],
}

/// Returns a paragraph a path.
pub fn text(about: &About<'_>) -> String {
    let mut text = Text::default();
    match about.protection {
        Some(protection) => protected(&mut text, about, protection),
        None => text.say(&free(about), "  "),
    }
    text.0
}

/// Lines that fit.
#[derive(Default)]
struct Text(String);

impl Text {
    fn say(&mut self, text: &str, indent: &str) {
        for line in wrap(&plain(text), indent) {
            self.0.push_str(&line);
            self.0.push('\n');
        }
    }
}

fn free(about: &About<'_>) -> String {
    let (target, repository) = (about.target, &about.rules.policy.repository);
    match (own(about), &about.stands_for) {
        (Some(own), _) => format!(
            "{target}: no change lands there; {own} takes what Countersign lets in, and nothing else"
        ),
        (None, Some(real)) => {
            format!("{target}: no push may make it, for it could be taken for {real}")
        }
        (None, None) => {
            format!("no approval is asked: the policy of {repository} does not protect {target}")
        }
    }
}

fn own(about: &About<'_>) -> Option<&'static str> {
    own_folder(&refname::plain(about.target))
}

fn protected(text: &mut Text, about: &About<'_>, protection: &Protection) {
    let policy = &about.rules.policy;
    text.say(&format!("{} of {}", about.target, policy.repository), "  ");
    let commit = about.rules.id.commit.short();
    let fetched = if about.fetched { " as fetched" } else { "" };
    let held = held_to(protection);
    text.say(
        &format!("held to: {held}; policy of {commit}{fetched}"),
        "  ",
    );
    let naming = policy
        .rules
        .iter()
        .filter(|rule| rule.names_ref(about.target));
    let naming: Vec<&str> = naming.map(|rule| rule.name.as_str()).collect();
    if is_tag(about) {
        text.say(
            "a tag is made at a commit on record: only rules that name it ask",
            "  ",
        );
    } else if !about.exists {
        let asks = match naming.is_empty() {
            true => "nobody".to_owned(),
            false => format!("by {} alone", naming.join(", ")),
        };
        let made = format!("not there yet: making it at a commit on record asks {asks};");
        text.say(&format!("{made} a change there asks:"), "  ");
    }
    for asks in about.paths {
        of_path(text, about, protection, asks);
    }
    if about.paths.iter().any(|asks| !asks.rules.is_empty()) {
        let who = match is_tag(about) {
            true => "Whoever makes the tag does not count.",
            false => "Nobody counts who wrote, signed or pushed a commit of the change.",
        };
        let all = match about.paths.len() {
            0 | 1 => "",
            _ => "A change of all these paths must satisfy every rule. ",
        };
        let serves = "One approval serves every rule that names its person.";
        text.say("", "");
        text.say(&format!("{all}{who} {serves}"), "");
    }
}

fn is_tag(about: &About<'_>) -> bool {
    about.target.as_bstr().starts_with(b"refs/tags/")
}

fn of_path(text: &mut Text, about: &About<'_>, protection: &Protection, asks: &PathAsks) {
    let enforced = protection.mode == Mode::DryRun && mode(about, asks) == Some(Mode::Enforce);
    let enforced = if enforced { ", enforced" } else { "" };
    let new = match about.absent.contains(&asks.path) {
        true => ", not there yet",
        false => "",
    };
    let classes = joined(&asks.classes, ", ");
    text.say("", "");
    text.say(&format!("{} ({classes}{new}){enforced}", asks.path), "  ");
    if asks.rules.is_empty() {
        text.say("  no approval is asked", "    ");
    }
    for rule in &asks.rules {
        text.say(&format!("  {}", heading(rule)), "    ");
        for place in &rule.places {
            text.say(&format!("    {}", of_place(place)), "      ");
        }
        if !rule.satisfiable {
            text.say("    too few: nobody can satisfy it now", "      ");
        }
    }
}

/// Returns the mode that a change of the path is judged in.
fn mode(about: &About<'_>, asks: &PathAsks) -> Option<Mode> {
    let always = about.is_policy_ref && asks.classes.contains(&Class::Policy);
    about.protection.map(|protection| match always {
        true => Mode::Enforce,
        false => protection.mode,
    })
}

/// Returns the same for a program.
pub fn json(about: &About<'_>) -> Value {
    let id = &about.rules.id;
    json!({
        "schema": "countersign.explain/v1",
        "ref": about.target,
        "repository": about.rules.policy.repository,
        "policy": {"commit": id.commit, "digest": id.digest},
        "protected": about.protection.is_some(),
        "exists": about.exists,
        "writable": about.protection.is_some() || (own(about).is_none() && about.stands_for.is_none()),
        "stands_for": about.protection.is_none().then_some(&about.stands_for),
        "paths": about.paths.iter().map(|asks| path(about, asks)).collect::<Vec<_>>(),
    })
}

fn path(about: &About<'_>, asks: &PathAsks) -> Value {
    let rules = asks.rules.iter().map(|asks| {
        let places = asks.places.iter().map(|asks| {
            json!({
                "place": asks.place.to_string(),
                "people": asks.able,
                "without_key": asks.without_key,
            })
        });
        json!({
            "rule": asks.rule.name,
            "at": asks.rule.at(),
            "require": places.collect::<Vec<_>>(),
            "satisfiable": asks.satisfiable,
            "evidence": match asks.rule.evidence {
                EvidenceWanted::Signed => "signed",
                EvidenceWanted::Forge => "forge",
            },
            "base": match asks.rule.base {
                BaseWanted::Replay => "replay",
                BaseWanted::Exact => "exact",
            },
        })
    });
    json!({
        "path": asks.path,
        "classes": asks.classes,
        "exists": about.exists.then(|| !about.absent.contains(&asks.path)),
        "mode": mode(about, asks),
        "rules": rules.collect::<Vec<_>>(),
    })
}

fn heading(asks: &RuleAsks) -> String {
    let rule = &asks.rule;
    let mut text = format!("{} [{}]", rule.name, rule.at());
    if rule.evidence == EvidenceWanted::Forge {
        text.push_str(", the forge's word too");
    }
    if rule.base == BaseWanted::Exact {
        text.push_str(", of the very base it lands on");
    }
    text
}

fn of_place(asks: &PlaceAsks) -> String {
    let or_nobody = |names: &[PersonName]| match names.is_empty() {
        true => "nobody".to_owned(),
        false => joined(names, ", "),
    };
    let mut text = format!("{}: {}", asks.place, or_nobody(&asks.able));
    if !asks.without_key.is_empty() {
        let names = joined(&asks.without_key, ", ");
        text.push_str(&format!("; without a valid key: {names}"));
    }
    text
}
