//! The first commit of policy and people, for a repository that has none.

use jiff::Timestamp;

use crate::gather::rulebook::FOLDER;
use crate::git::{GitError, Repo};
use crate::people::{PersonKind, PersonName};
use crate::wire::name::RefName;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

/// Somebody of the first `people.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founder {
    /// The name.
    pub name: PersonName,
    /// What they are.
    pub kind: PersonKind,
    /// Their e-mails, as in their commits.
    pub emails: Vec<String>,
    /// Their ssh public keys, one line each.
    pub keys: Vec<String>,
    /// What a comment says of them: plain text, one line.
    pub note: Option<String>,
}

/// What the first commit says.
#[derive(Clone, Debug)]
pub struct Founding {
    /// At least one.
    pub founders: Vec<Founder>,
    /// `repository` of the policy.
    pub repository: String,
    /// Author and committer: name and e-mail.
    pub author: (String, String),
}

/// The first rule: a second maintainer approves.
pub const FIRST_RULE: &str = "[[rule]]\nname    = \"two people see every change\"\n\
                              require = [\"1 of @maintainers\"]\n";

/// Returns a `people.toml` with one team, `maintainers`.
pub fn people<'a>(
    founders: &[Founder],
    maintainers: impl Iterator<Item = &'a PersonName>,
) -> String {
    let tables: String = founders.iter().map(Founder::table).collect();
    let names = list(maintainers.map(PersonName::as_str));
    format!("{tables}[teams]\nmaintainers = [{names}]\n")
}

/// Returns the head of a `policy.toml`, and the protection of these branches.
pub fn protection(repository: &str, branches: &[String]) -> String {
    format!(
        "version          = 1\nrepository       = {}\napprovals_expire = \"30d\"\n\n\
         [[ref]]\nmatch = [{}]\n\n",
        quoted(repository),
        list(branches.iter().map(String::as_str)),
    )
}

impl Founder {
    /// Returns the table.
    fn table(&self) -> String {
        let note = self.note.iter().map(|note| format!("# {note}\n"));
        let note: String = note.collect();
        let kind = match self.kind {
            PersonKind::Human => "",
            PersonKind::Bot => "kind   = \"bot\"\n",
            PersonKind::Forge => "kind   = \"forge\"\n",
        };
        let keys = self.keys.iter();
        let keys: Vec<_> = keys
            .map(|key| format!("{{ ssh = {} }}", quoted(key.trim())))
            .collect();
        let keys = match keys.len() {
            0 | 1 => keys.concat(),
            _ => format!("\n  {},\n", keys.join(",\n  ")),
        };
        let emails = list(self.emails.iter().map(String::as_str));
        let login = quoted(self.name.as_str());
        format!(
            "{note}[people.{}]\n{kind}emails = [{emails}]\nlogins = [{login}]\nkeys   = [{keys}]\n\n",
            self.name,
        )
    }
}

impl Founding {
    /// Returns `people.toml`.
    pub fn people(&self) -> String {
        let names = self.founders.iter().map(|founder| &founder.name);
        people(&self.founders, names)
    }

    /// Returns `policy.toml`: one rule.
    pub fn policy(&self, policy_ref: &RefName) -> String {
        protection(&self.repository, &[policy_ref.to_string()]) + FIRST_RULE
    }

    /// Writes the commit on top of `parent` and returns its id; no ref moves.
    pub fn commit(
        &self,
        repo: &Repo,
        policy_ref: &RefName,
        parent: Option<&Oid>,
        now: Timestamp,
    ) -> Result<Oid, GitError> {
        let blob = |text: String| repo.write(ObjectKind::Blob, text.as_bytes());
        let folder = tree(vec![
            (
                FileMode::File,
                b"people.toml".to_vec(),
                blob(self.people())?,
            ),
            (
                FileMode::File,
                b"policy.toml".to_vec(),
                blob(self.policy(policy_ref))?,
            ),
        ]);
        let folder = repo.write(ObjectKind::Tree, &folder)?;
        let mut entries = vec![(FileMode::Tree, FOLDER.as_bytes().to_vec(), folder)];
        if let Some(parent) = parent {
            let root = repo.commit(parent)?.tree;
            for entry in repo.tree(&root)?.iter() {
                entries.push((entry.mode, entry.name.to_vec(), entry.oid));
            }
        }
        let root = repo.write(ObjectKind::Tree, &tree(entries))?;
        let (name, email) = &self.author;
        let who = format!(
            "{} <{}> {} +0000",
            plain(name),
            plain(email),
            now.as_second()
        );
        let parent = parent
            .map(|oid| format!("parent {oid}\n"))
            .unwrap_or_default();
        let text = format!(
            "tree {root}\n{parent}author {who}\ncommitter {who}\n\n\
             Say who may vouch, and for what\n"
        );
        repo.write(ObjectKind::Commit, text.as_bytes())
    }
}

/// Writes a tree's bytes in git's order: a folder sorts as if its name ended in a slash.
pub(crate) fn tree(mut entries: Vec<(FileMode, Vec<u8>, Oid)>) -> Vec<u8> {
    entries.sort_by_cached_key(|(mode, name, _)| match mode {
        FileMode::Tree => [name.as_slice(), b"/"].concat(),
        FileMode::File | FileMode::Executable | FileMode::Symlink | FileMode::Submodule => {
            name.clone()
        }
    });
    let mut bytes = Vec::new();
    for (mode, name, oid) in entries {
        bytes.extend_from_slice(mode.octal().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&name);
        bytes.push(0);
        bytes.extend_from_slice(oid.as_bytes());
    }
    bytes
}

/// Returns a TOML string on one line: what could end it or steer a terminal is escaped.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            ' '..='~' => out.push(letter),
            _ if letter.is_alphanumeric() => out.push(letter),
            _ => out.push_str(&format!("\\U{:08X}", u32::from(letter))),
        }
    }
    out.push('"');
    out
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.map(quoted).collect::<Vec<_>>().join(", ")
}

/// Leaves out what would end a name or an address in a commit header.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever stands in a string, TOML reads the same again, and its text is one plain line.
    #[test]
    fn quotes() {
        for text in [
            "plain@example.com",
            "a\"b\\c'd",
            "'''\"\"\"",
            "x\"]\n[people.mallory]\nkeys = [",
            "\u{1b}[2J\u{9b}\r\u{7f}\0",
            "\u{202e}\u{200b}\u{2028}\u{e0041}",
            "Zo\u{eb} \u{96ea}",
            "# no comment",
        ] {
            let line = quoted(text);
            let steers = |c: char| c.is_control() || ('\u{200b}'..='\u{202e}').contains(&c);
            assert!(!line.contains(steers), "{line}");
            let table: toml::Table = format!("a = {line}").parse().unwrap();
            assert_eq!(table.get("a").unwrap().as_str(), Some(text));
        }
    }
}
