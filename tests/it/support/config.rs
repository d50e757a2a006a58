//! Texts of `policy.toml` and `people.toml`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::keys;

/// The repository's name in every policy here.
pub(crate) const REPOSITORY: &str = "git.example.com/payments";

/// The rule of the plain policy.
pub(crate) const PLAIN_RULE: &str =
    "[[rule]]\nname = \"two people see every change\"\nrequire = [\"1 of @maintainers\"]\n";

/// Returns a policy that protects main, release branches and version tags, with these rules.
pub(crate) fn policy(rules: &str) -> String {
    policy_text("approvals_expire = \"30d\"\n", "", rules)
}

/// Returns a policy with lines of one's own at its head and in the `[[ref]]` of the branches.
pub(crate) fn policy_text(head: &str, branches: &str, rules: &str) -> String {
    format!(
        "version = 1\nrepository = \"{REPOSITORY}\"\n{head}\n\
         [[ref]]\nmatch = [\"refs/heads/main\", \"refs/heads/release/**\"]\n{branches}\n\
         [[ref]]\nmatch = [\"refs/tags/v*\"]\ncreate_once = true\n\n{rules}"
    )
}

/// Returns one `[[rule]]`.
pub(crate) fn rule(name: &str, lines: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\n{lines}\n")
}

/// A people file in the making: alice, bob, carol, dana and a bot, two teams.
#[derive(Clone)]
pub(crate) struct People {
    /// Person → what stands in the key's table after the key, and lines of their own.
    persons: BTreeMap<String, (String, String)>,
    teams: String,
}

impl People {
    /// Everybody but mallory.
    pub(crate) fn new() -> Self {
        let mut persons = BTreeMap::new();
        for person in keys::EVERYBODY.iter().filter(|name| **name != "mallory") {
            let kind = if *person == "release-bot" {
                "kind = \"bot\"\n"
            } else {
                ""
            };
            persons.insert((*person).to_owned(), (String::new(), kind.to_owned()));
        }
        Self {
            persons,
            teams: "maintainers = [\"alice\", \"bob\", \"carol\"]\nsecurity = [\"dana\"]\n"
                .to_owned(),
        }
    }

    /// Adds a person who has a key of that name.
    pub(crate) fn with(mut self, person: &str) -> Self {
        self.persons
            .insert(person.to_owned(), (String::new(), String::new()));
        self
    }

    /// Writes `terms` (`until = …`) into the table of the person's key.
    pub(crate) fn key_terms(mut self, person: &str, terms: &str) -> Self {
        self.persons.get_mut(person).unwrap().0 = format!(", {terms}");
        self
    }

    /// Writes more lines into a person's table.
    pub(crate) fn lines(mut self, person: &str, lines: &str) -> Self {
        self.persons.get_mut(person).unwrap().1 += lines;
        self
    }

    /// Replaces the lines of `[teams]`.
    pub(crate) fn teams(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.teams);
        self
    }

    /// Returns the file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (person, (terms, lines)) in &self.persons {
            let key = keys::public(person);
            writeln!(
                text,
                "[people.{person}]\n{lines}emails = [\"{person}@example.com\"]\nlogins = [\"{person}\"]\n\
                 keys = [{{ ssh = \"{key}\"{terms} }}]\n"
            )
            .unwrap();
        }
        write!(text, "[teams]\n{}", self.teams).unwrap();
        text
    }
}
