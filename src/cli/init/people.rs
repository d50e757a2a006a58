//! From addresses in commits to people.
//!
//! One human must be one person, else they approve their own changes. So whatever may be one human is
//! taken for one: addresses beside the same name, and addresses that the same key signs for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::history::{History, is_forge};
use crate::host::founding::{self, Founder};
use crate::people::import::named;
use crate::people::{PersonKind, PersonName};
use crate::report::plain::{counted, plain};
use crate::wire::allowed_signers::KeyText;

/// Who made no commit for that many seconds before the newest one is left out.
const YEAR: u64 = 366 * 86_400;
/// The most people that are proposed, those with most commits first.
const MOST: usize = 200;
/// The most people who are named in what is left out.
const NAMED: usize = 20;
/// The most keys of one person, those with most signatures first.
const KEYS: usize = 10;
/// Names that many share.
const ANYBODY: &[&str] = &[
    "",
    "root",
    "admin",
    "administrator",
    "unknown",
    "user",
    "ubuntu",
    "none",
];
/// First parts of addresses that name nobody.
const MAILBOXES: &[&str] = &[
    "admin", "contact", "dev", "git", "github", "hello", "info", "mail", "me", "root", "ubuntu",
    "user",
];

/// Who is proposed, and what was guessed.
#[derive(Debug, Default)]
pub(super) struct Proposal {
    /// In order of commits.
    pub(super) people: Vec<Candidate>,
    /// What was guessed, one line each.
    pub(super) guesses: Vec<String>,
    /// What was left out, one line each.
    pub(super) left_out: Vec<String>,
}

/// Somebody.
#[derive(Debug)]
pub(super) struct Candidate {
    /// As people.toml names them.
    pub(super) name: PersonName,
    /// Human or bot.
    pub(super) kind: PersonKind,
    /// In the commits, the most used first.
    pub(super) emails: Vec<String>,
    /// ssh keys that verified, with the number of commits.
    pub(super) keys: Vec<(KeyText, usize)>,
    /// What OpenPGP signatures name.
    pub(super) openpgp: BTreeSet<String>,
    /// Whether they may approve.
    pub(super) maintainer: bool,
    /// For a comment.
    note: String,
}

/// Addresses that are taken for one human.
#[derive(Debug, Default)]
struct Group {
    /// Address and commits.
    emails: Vec<(String, usize)>,
    names: BTreeMap<String, usize>,
    commits: usize,
    committed: usize,
    newest: u64,
    /// ssh keys, with the number of commits.
    keys: Vec<(KeyText, usize)>,
    openpgp: BTreeSet<String>,
}

impl Proposal {
    /// Makes people of what the commits say.
    pub(super) fn of(history: &History) -> Self {
        let mut proposal = Self::default();
        let mut groups = groups(history, &mut proposal.left_out);
        groups.sort_by(|a, b| (b.commits, &a.emails).cmp(&(a.commits, &b.emails)));
        let active = |group: &Group| group.newest.saturating_add(YEAR) >= history.newest;
        let gone: Vec<_> = groups.extract_if(.., |group| !active(group)).collect();
        let why = "no commit in the newest year of the history";
        let named = gone.iter().take(NAMED);
        proposal
            .left_out
            .extend(named.map(|group| format!("{}: {why}", group.told())));
        if gone.len() > NAMED {
            let more = gone.len().saturating_sub(NAMED);
            proposal.left_out.push(format!("{more} people more: {why}"));
        }
        if groups.len() > MOST {
            let more = groups.len().saturating_sub(MOST);
            let why = format!("{more} people with fewer commits than the {MOST} first");
            proposal.left_out.push(why);
            groups.truncate(MOST);
        }
        let commits_here = |group: &Group| group.kind() == PersonKind::Human && group.committed > 0;
        // Where one person commits for all, whose patches these are says nothing.
        let told_apart = groups.iter().filter(|group| commits_here(group)).count() > 1;
        let mut taken = BTreeSet::new();
        for group in &groups {
            let maintainer =
                group.kind() == PersonKind::Human && (commits_here(group) || !told_apart);
            proposal.take(group, maintainer, &mut taken);
        }
        proposal
    }

    fn take(&mut self, group: &Group, maintainer: bool, taken: &mut BTreeSet<PersonName>) {
        let Some((name, twin)) = group.name(taken) else {
            let why = "too many share the name";
            self.left_out.push(format!("{}: {why}", group.told()));
            return;
        };
        taken.insert(name.clone());
        let kind = group.kind();
        let mut say = |guess: String| self.guesses.push(guess);
        say(format!("{name} is {}", group.told()));
        if kind == PersonKind::Bot {
            say(format!(
                "{name} is a bot: it fills a place only where a rule names it"
            ));
        } else if !maintainer {
            say(format!(
                "{name} may approve nothing: others commit what they write"
            ));
        }
        if let Some(twin) = twin {
            say(format!(
                "{name} is somebody else than {twin}; if not, put all their addresses and keys under \
                 one name, or they approve their own changes"
            ));
        }
        self.people.push(Candidate {
            name,
            kind,
            emails: group
                .emails
                .iter()
                .map(|(email, _)| email.clone())
                .collect(),
            keys: group.keys.clone(),
            openpgp: group.openpgp.clone(),
            maintainer,
            note: group.note(),
        });
    }

    /// Returns whoever may approve.
    pub(super) fn maintainers(&self) -> impl Iterator<Item = &Candidate> {
        self.people.iter().filter(|person| person.maintainer)
    }

    /// Returns who is called so, or has that address.
    pub(super) fn called(&self, text: &str) -> Option<&PersonName> {
        let email = text.to_ascii_lowercase();
        let is_it =
            |person: &&Candidate| person.name.as_str() == text || person.emails.contains(&email);
        self.people.iter().find(is_it).map(|person| &person.name)
    }

    /// Says what of the history is not in the people.
    pub(super) fn tell_of(&mut self, history: &History) {
        let mut left_out = |count: usize, what: &str| {
            if count > 0 {
                self.left_out
                    .push(format!("{}: {what}", counted(count, "commit")));
            }
        };
        left_out(history.malformed, "not what git writes");
        left_out(
            history.nameless,
            "no usable address in the author or committer line",
        );
        left_out(
            history.unusable,
            "a signature that is bad, or of a kind that is not verified",
        );
        let certified = "signed with a certified key: [[ca]] of people.toml would say whose";
        left_out(history.certified, certified);
        let cut = if history.cut { ", the newest" } else { "" };
        let count = counted(history.commits, "commit");
        self.guesses
            .insert(0, format!("who works here, from {count}{cut}"));
    }

    /// Returns `people.toml`.
    pub(super) fn text(&self) -> String {
        let founders = self.people.iter().map(|person| Founder {
            name: person.name.clone(),
            kind: person.kind,
            emails: person.emails.clone(),
            // They are imported, as those from elsewhere are.
            keys: Vec::new(),
            note: Some(person.note.clone()),
        });
        let founders: Vec<_> = founders.collect();
        let maintainers = self.maintainers().map(|person| &person.name);
        format!("{HEAD}{}", founding::people(&founders, maintainers))
    }
}

/// The first lines of the file.
const HEAD: &str = "\
# Who may vouch, and with which keys. Proposed by `countersign init`: read every line, and ask
# each person whether the key is theirs. One human is one person here, with all their addresses.
# Whoever has no key can approve nothing yet: `countersign people import` adds one.

";

impl Group {
    fn kind(&self) -> PersonKind {
        let mut texts = self
            .emails
            .iter()
            .map(|(email, _)| email)
            .chain(self.names.keys());
        match texts.any(|text| text.contains("[bot]")) {
            true => PersonKind::Bot,
            false => PersonKind::Human,
        }
    }

    fn add(&mut self, email: &str, history: &History) {
        let Some(address) = history.addresses.get(email) else {
            return;
        };
        self.emails.push((email.to_owned(), address.commits));
        for (name, count) in &address.names {
            let sum = self.names.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.commits = self.commits.saturating_add(address.commits);
        self.committed = self.committed.saturating_add(address.committed);
        self.newest = self.newest.max(address.newest);
        self.openpgp.extend(address.openpgp.iter().cloned());
    }

    /// Takes the keys that signed for its addresses, the most used first.
    fn sign(&mut self, history: &History) {
        for key in history.keys.values() {
            let counts = self
                .emails
                .iter()
                .filter_map(|(email, _)| key.signed.get(email));
            let commits: usize = counts.sum();
            if commits > 0 {
                self.keys.push((key.text.clone(), commits));
            }
        }
        self.keys
            .sort_by_key(|(_, commits)| std::cmp::Reverse(*commits));
        self.keys.truncate(KEYS);
    }

    /// The name that stands beside most of their commits.
    fn shown(&self) -> &str {
        let names = self.names.iter().filter(|(name, _)| !name.is_empty());
        let most = names.max_by_key(|(_, count)| **count);
        most.map_or("", |(name, _)| name)
    }

    fn told(&self) -> String {
        let emails = self.emails.iter().map(|(email, _)| format!("<{email}>"));
        let emails: Vec<_> = emails.collect();
        let names = self.names.keys().filter(|name| !name.is_empty());
        let names: Vec<_> = names.take(3).map(String::as_str).collect();
        let name = names.join(" / ");
        let space = if name.is_empty() { "" } else { " " };
        format!("{name}{space}{}, {}", emails.join(" "), self.count())
    }

    fn count(&self) -> String {
        let date = i64::try_from(self.newest).unwrap_or_default();
        let date = Timestamp::from_second(date).unwrap_or_default();
        let date = date.strftime("%Y-%m-%d");
        format!("{}, the newest of {date}", counted(self.commits, "commit"))
    }

    fn note(&self) -> String {
        let name = self.shown();
        let colon = if name.is_empty() { "" } else { ": " };
        remark(&format!("{name}{colon}{}", self.count()))
    }

    /// Makes a name that nobody has, and returns who has the better one.
    fn name(&self, taken: &BTreeSet<PersonName>) -> Option<(PersonName, Option<PersonName>)> {
        let local = self.emails.first().map_or("", |(email, _)| email.as_str());
        let local = local.split('@').next().unwrap_or_default();
        // `583231+octocat@users.noreply.github.com`
        let local = local.rsplit('+').next().unwrap_or_default();
        let local = local.trim_end_matches("[bot]");
        let sources = match MAILBOXES.contains(&local) {
            true => [self.shown(), local],
            false => [local, self.shown()],
        };
        let best = sources.into_iter().chain(["person"]).find_map(named)?;
        if !taken.contains(&best) {
            return Some((best, None));
        }
        let stem: String = best.as_str().chars().take(33).collect();
        let mut others =
            (2..=MOST).filter_map(|number| PersonName::new(&format!("{stem}-{number}")));
        let name = others.find(|name| !taken.contains(name))?;
        Some((name, Some(best)))
    }
}

/// Puts addresses together that may be one human's; a forge's own are left out.
fn groups(history: &History, left_out: &mut Vec<String>) -> Vec<Group> {
    let mut links: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (email, address) in &history.addresses {
        if is_forge(email) {
            let count = counted(address.commits, "commit");
            left_out.push(format!(
                "<{email}>, {count}: an address of a forge or a program"
            ));
            continue;
        }
        let names = address.names.keys().map(|name| name.to_lowercase());
        for name in names.filter(|name| !ANYBODY.contains(&name.as_str())) {
            links.entry(format!("name {name}")).or_default().push(email);
        }
    }
    for (fingerprint, key) in &history.keys {
        let emails = key.signed.keys().filter(|email| !is_forge(email));
        let emails = emails.map(String::as_str).collect();
        links.insert(format!("key {fingerprint}"), emails);
    }
    let mut of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (link, emails) in &links {
        for email in emails {
            of.entry(email).or_default().push(link);
        }
    }
    let mut groups = Vec::new();
    let mut seen = BTreeSet::new();
    let all = history.addresses.keys().map(String::as_str);
    for start in all.filter(|email| !is_forge(email)) {
        let mut group = Group::default();
        let mut open = Vec::from_iter(seen.insert(start).then_some(start));
        while let Some(email) = open.pop() {
            group.add(email, history);
            for link in of.remove(email).unwrap_or_default() {
                let others = links.get(link).into_iter().flatten();
                open.extend(others.filter(|other| seen.insert(**other)));
            }
        }
        if !group.emails.is_empty() {
            group.emails.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
            group.sign(history);
            groups.push(group);
        }
    }
    groups
}

/// Returns what may stand in a comment of both files: it ends no line, and opens no string that would
/// go on over lines, which neither file may have.
pub(super) fn remark(text: &str) -> String {
    let mut before = ' ';
    let mut once = |c: &char| {
        let repeated = matches!(c, '"' | '\'') && *c == before;
        before = *c;
        !repeated
    };
    plain(text).chars().filter(|c| once(c)).collect()
}
