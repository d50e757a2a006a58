//! `policy.toml` → [`Policy`].
//!
//! Nothing in the file is ignored: what this version does not know, or cannot do yet, is refused
//! where it stands, and so is a rule that the people there are could never satisfy.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::people::document::{Field, Source, Table, Text};
use crate::people::error::{ConfigError, did_you_mean, quote};
use crate::people::{People, Person, PersonKind, PersonName};
use crate::wire::name::RefName;

use super::classes::Classes;
use super::places::{self, MAX_PLACES, MAX_WANTED};
use super::witnesses::witnesses;
use super::{
    BaseWanted, Class, EvidenceWanted, HiddenContent, Mode, Pattern, Place, Policy, Protection,
    RefRule, Rule, Who,
};

/// The file, from the root of the repository.
pub const FILE: &str = ".countersign/policy.toml";
/// The most rules.
pub const MAX_RULES: usize = 1000;
/// The most `[[ref]]` tables.
pub const MAX_REFS: usize = 1000;
/// The most patterns in the whole file.
pub const MAX_PATTERNS: usize = 10_000;
/// The longest name of the repository or of a rule.
const MAX_NAME: usize = 255;
/// The longest duration, ten years.
const MAX_SECONDS: i64 = 10 * 366 * 86_400;

impl Policy {
    /// Parses `policy.toml` and checks it against the people.
    pub fn parse(text: &[u8], people: &People) -> Result<Self, ConfigError> {
        let source = Source::new(FILE, text)?;
        let parsed = source.parse()?;
        let root = Table::root(source, &parsed);
        if root.get("version").is_none() {
            return Err(source.invalid(0..0, "`version` is missing here: begin with `version = 1`"));
        }
        let version = root.need("version")?;
        if version.integer()? != 1 {
            return Err(version.invalid("this version of countersign reads `version = 1` alone"));
        }
        let known = [
            "version",
            "repository",
            "approvals_expire",
            "ref",
            "rule",
            "classes",
            "hidden_content",
            "witnesses",
        ];
        root.only(&known, &["breakglass", "closure"])?;
        let mut reader = Reader {
            source,
            people,
            patterns: 0,
        };
        Ok(Self {
            repository: repository(&root.need("repository")?)?,
            approvals_expire: root
                .get("approvals_expire")
                .map(|field| duration(&field))
                .transpose()?,
            refs: reader.refs(root.get("ref"))?,
            rules: reader.rules(root.get("rule"))?,
            classes: Classes::new(reader.classes(root.get("classes"))?),
            hidden_content: reader.hidden_content(root.get("hidden_content"))?,
            witnesses: root
                .get("witnesses")
                .map(|field| witnesses(&field))
                .transpose()?,
        })
    }
}

/// Reads the name of the repository, one word of every review's first line.
fn repository(field: &Field<'_>) -> Result<String, ConfigError> {
    let text = field.text()?.text;
    let odd = |c: char| c.is_control() || c.is_whitespace();
    if text.is_empty() || text.len() > MAX_NAME || text.contains(odd) {
        let message = format!(
            "`repository` is one word of at most {MAX_NAME} bytes, as in \"git.example.com/payments\""
        );
        return Err(field.invalid(message));
    }
    Ok(text.to_owned())
}

fn duration(field: &Field<'_>) -> Result<SignedDuration, ConfigError> {
    let is = "a duration is a number and one of s, m, h, d, w, at most ten years, as in \"30d\"";
    let other = |error: ConfigError| field.invalid(format!("{}: {is}", error.message));
    let text = field.text().map_err(other)?.text;
    let found = || field.invalid(format!("{is}; found {}", quote(text)));
    duration_of(text).ok_or_else(found)
}

/// Reads `30d`, `72h`: a number from 1 and a unit.
pub fn duration_of(text: &str) -> Option<SignedDuration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let digits = text.get(..text.len().saturating_sub(1))?;
    if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<i64>().ok()?.checked_mul(unit)?;
    (1..=MAX_SECONDS)
        .contains(&seconds)
        .then(|| SignedDuration::from_secs(seconds))
}

struct Reader<'s> {
    source: Source<'s>,
    people: &'s People,
    /// How many were read.
    patterns: usize,
}

impl Reader<'_> {
    fn refs(&mut self, field: Option<Field<'_>>) -> Result<Vec<RefRule>, ConfigError> {
        let tables = items(field, MAX_REFS)?;
        tables.iter().map(|field| self.ref_rule(field)).collect()
    }

    fn ref_rule(&mut self, field: &Field<'_>) -> Result<RefRule, ConfigError> {
        let table = field.table()?;
        let known = [
            "match",
            "mode",
            "signed_commits",
            "every_commit",
            "rewind",
            "delete",
            "create_once",
            "trusts",
        ];
        table.only(&known, &[])?;
        let matches = self.ref_patterns(&table.need("match")?)?;
        let flag = |name| {
            table
                .get(name)
                .map_or(Ok(false), |field: Field<'_>| field.bool())
        };
        let allow = |name| {
            table.get(name).map_or(Ok(false), |field: Field<'_>| {
                field.choice(&[("refuse", false), ("allow", true)])
            })
        };
        let modes = [("enforce", Mode::Enforce), ("dry-run", Mode::DryRun)];
        let mode = table.get("mode");
        Ok(RefRule {
            matches,
            protection: Protection {
                mode: mode.map_or(Ok(Mode::Enforce), |field| field.choice(&modes))?,
                signed_commits: flag("signed_commits")?,
                every_commit: flag("every_commit")?,
                allow_rewind: allow("rewind")?,
                allow_delete: allow("delete")?,
                create_once: flag("create_once")?,
                trusts: self.trusts(table.get("trusts"))?,
            },
            line: self.source.line(table.span.start),
        })
    }

    fn trusts(&self, field: Option<Field<'_>>) -> Result<Vec<RefName>, ConfigError> {
        let mut trusts = Vec::new();
        for text in field.map_or(Ok(Vec::new()), |field| field.texts())? {
            let full = text
                .text
                .strip_prefix("refs/")
                .is_some_and(|rest| !rest.is_empty());
            let odd = |c: char| c.is_control() || c.is_whitespace() || "*?[\\".contains(c);
            if !full || text.text.contains(odd) {
                let message = format!(
                    "`trusts` holds full ref names, as in \"refs/heads/main\", found {}",
                    quote(text.text)
                );
                return Err(self.source.invalid(text.span, message));
            }
            trusts.push(RefName::from(text.text));
        }
        Ok(trusts)
    }

    fn rules(&mut self, field: Option<Field<'_>>) -> Result<Vec<Rule>, ConfigError> {
        let mut names = BTreeSet::new();
        let mut rules = Vec::new();
        for field in items(field, MAX_RULES)? {
            rules.push(self.rule(&field, &mut names)?);
        }
        Ok(rules)
    }

    fn rule(
        &mut self,
        field: &Field<'_>,
        names: &mut BTreeSet<String>,
    ) -> Result<Rule, ConfigError> {
        let table = field.table()?;
        let known = [
            "name", "require", "paths", "class", "refs", "evidence", "base",
        ];
        table.only(&known, &["owners", "closure"])?;
        let name = self.rule_name(&table.need("name")?, names)?;
        let paths = table.get("paths").map(|field| self.patterns(&field));
        let refs = table.get("refs").map(|field| self.ref_patterns(&field));
        let evidence = [
            ("signed", EvidenceWanted::Signed),
            ("forge", EvidenceWanted::Forge),
        ];
        let base = [("replay", BaseWanted::Replay), ("exact", BaseWanted::Exact)];
        Ok(Rule {
            name,
            paths: paths.transpose()?.unwrap_or_default(),
            classes: rule_classes(table.get("class"))?,
            refs: refs.transpose()?.unwrap_or_default(),
            require: self.require(&table.need("require")?)?,
            evidence: table
                .get("evidence")
                .map_or(Ok(EvidenceWanted::Signed), |field| field.choice(&evidence))?,
            base: table
                .get("base")
                .map_or(Ok(BaseWanted::Replay), |field| field.choice(&base))?,
            line: self.source.line(table.span.start),
        })
    }

    fn rule_name(
        &self,
        field: &Field<'_>,
        names: &mut BTreeSet<String>,
    ) -> Result<String, ConfigError> {
        let text = field.text()?.text;
        if text.trim() != text || text.is_empty() || text.len() > MAX_NAME {
            let message = format!(
                "a rule's name has at most {MAX_NAME} bytes and no space around it, found {}",
                quote(text)
            );
            return Err(field.invalid(message));
        }
        if text.contains(char::is_control) {
            return Err(field.invalid("a control character in a rule's name"));
        }
        if text.eq_ignore_ascii_case(Rule::DEFAULT) {
            return Err(field.invalid("`default` is the built-in rule's name"));
        }
        match names.insert(text.to_owned()) {
            true => Ok(text.to_owned()),
            false => Err(field.invalid(format!("a second rule named {}", quote(text)))),
        }
    }

    fn require(&self, field: &Field<'_>) -> Result<Vec<Place>, ConfigError> {
        let items = field.items()?;
        if items.is_empty() {
            return Err(field.invalid("`require` is an empty list"));
        }
        if items.len() > MAX_PLACES {
            return Err(field.invalid(format!("more than {MAX_PLACES} places in one rule")));
        }
        let mut require = Vec::new();
        for item in items {
            require.push(self.place(&item.text()?)?);
        }
        let wanted = require
            .iter()
            .map(|place: &Place| place.count)
            .sum::<usize>();
        if wanted > MAX_WANTED {
            let message = format!("{wanted} people in one rule, at most {MAX_WANTED} are allowed");
            return Err(field.invalid(message));
        }
        // Each place alone can be filled; together they may want one person twice.
        if !places::satisfiable(&require, self.people, &|_| true) {
            let message =
                "these places together want more people than there are; one person fills one place";
            return Err(self.source.unsatisfiable(field.span(), message));
        }
        Ok(require)
    }

    fn place(&self, text: &Text<'_>) -> Result<Place, ConfigError> {
        let span = text.span.clone();
        let place = match Place::parse(text.text) {
            Ok(place) => place,
            Err(fault @ places::PlaceError::Zero) => {
                return Err(self.source.unsatisfiable(span, fault.to_string()));
            }
            Err(fault) => return Err(self.source.invalid(span, fault.to_string())),
        };
        for who in &place.who {
            self.known(who)
                .map_err(|message| self.source.invalid(span.clone(), message))?;
        }
        if !places::satisfiable(std::slice::from_ref(&place), self.people, &|_| true) {
            let everyone: BTreeSet<_> = place
                .who
                .iter()
                .flat_map(|who| who.everyone(self.people))
                .map(|person| &person.name)
                .collect();
            let message = format!("`{place}`, but there are only {}", everyone.len());
            return Err(self.source.unsatisfiable(span, message));
        }
        Ok(place)
    }

    /// Says what is wrong with one alternative of a place.
    fn known(&self, who: &Who) -> Result<(), String> {
        match who {
            Who::Any => Ok(()),
            Who::Team(team) => match self.people.team(team) {
                Some(_) => Ok(()),
                None => {
                    let teams = self.people.teams.keys().map(String::as_str);
                    Err(format!(
                        "unknown team `@{team}`{}",
                        did_you_mean(team, teams)
                    ))
                }
            },
            Who::Person(name) => {
                match self.people.person(name).map(|person: &Person| person.kind) {
                    Some(PersonKind::Human | PersonKind::Bot) => Ok(()),
                    Some(PersonKind::Forge) => {
                        Err(format!("{name} is a forge, which fills no place"))
                    }
                    None if self.people.team(name.as_str()).is_some() => {
                        Err(format!("unknown person `{name}`; the team is `@{name}`"))
                    }
                    None => {
                        let names = self.people.persons.keys().map(PersonName::as_str);
                        let meant = did_you_mean(name.as_str(), names);
                        Err(format!("unknown person `{name}`{meant}"))
                    }
                }
            }
        }
    }

    fn classes(
        &mut self,
        field: Option<Field<'_>>,
    ) -> Result<BTreeMap<Class, Vec<Pattern>>, ConfigError> {
        let mut classes = BTreeMap::new();
        let entries = field.map(|field| field.table()).transpose()?;
        for (key, field) in entries.iter().flat_map(Table::entries) {
            let class = class(key.text)
                .ok_or_else(|| self.source.invalid(key.span, unknown_class(key.text)))?;
            classes.insert(class, self.patterns(&field)?);
        }
        Ok(classes)
    }

    fn hidden_content(&mut self, field: Option<Field<'_>>) -> Result<HiddenContent, ConfigError> {
        let mut wanted = HiddenContent::default();
        let Some(field) = field else {
            return Ok(wanted);
        };
        let table = field.table()?;
        table.only(&["refuse", "allow"], &[])?;
        if let Some(field) = table.get("refuse") {
            wanted.refuse = classes_in(&field, field.texts()?)?;
        }
        if let Some(field) = table.get("allow") {
            wanted.allow = self.patterns(&field)?;
        }
        Ok(wanted)
    }

    fn ref_patterns(&mut self, field: &Field<'_>) -> Result<Vec<Pattern>, ConfigError> {
        for text in field.texts()? {
            if !text.text.starts_with("refs/") {
                let message = format!(
                    "a ref pattern begins with `refs/`, as in \"refs/heads/main\", found {}",
                    quote(text.text)
                );
                return Err(self.source.invalid(text.span, message));
            }
        }
        self.patterns(field)
    }

    fn patterns(&mut self, field: &Field<'_>) -> Result<Vec<Pattern>, ConfigError> {
        let mut patterns = Vec::new();
        for text in field.some_texts()? {
            self.patterns = self.patterns.saturating_add(1);
            if self.patterns > MAX_PATTERNS {
                let message = format!("more than {MAX_PATTERNS} patterns");
                return Err(self.source.invalid(text.span, message));
            }
            let pattern = Pattern::parse(text.text)
                .map_err(|fault| self.source.invalid(text.span, fault.to_string()))?;
            patterns.push(pattern);
        }
        Ok(patterns)
    }
}

/// Returns the tables of `[[…]]`, none if it is not there.
fn items(field: Option<Field<'_>>, limit: usize) -> Result<Vec<Field<'_>>, ConfigError> {
    let Some(field) = field else {
        return Ok(Vec::new());
    };
    let items = field.items()?;
    match items.get(limit) {
        Some(one_too_many) => Err(one_too_many.invalid(format!("more than {limit} of these"))),
        None => Ok(items),
    }
}

fn rule_classes(field: Option<Field<'_>>) -> Result<Vec<Class>, ConfigError> {
    match field {
        Some(field) => classes_in(&field, field.some_texts()?),
        None => Ok(Vec::new()),
    }
}

fn classes_in(field: &Field<'_>, texts: Vec<Text<'_>>) -> Result<Vec<Class>, ConfigError> {
    let named = texts.iter().zip(field.items()?);
    named
        .map(|(text, item)| class(text.text).ok_or_else(|| item.invalid(unknown_class(text.text))))
        .collect()
}

fn class(text: &str) -> Option<Class> {
    match text {
        "code" => Some(Class::Code),
        "config" => Some(Class::Config),
        "pipeline" => Some(Class::Pipeline),
        "policy" => Some(Class::Policy),
        _ => None,
    }
}

fn unknown_class(text: &str) -> String {
    format!(
        "unknown class {}; there are code, config, pipeline, policy",
        quote(text)
    )
}

#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod tests;
