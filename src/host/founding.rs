//! The first commit of policy and people, for a repository that has none.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::gather::rulebook::FOLDER;
use crate::git::{GitError, Repo};
use crate::people::PersonName;
use crate::wire::name::RefName;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::tree::FileMode;

/// Somebody of the first `people.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founder {
    /// The name.
    pub name: PersonName,
    /// Their e-mail, as in their commits.
    pub email: Option<String>,
    /// Their ssh public key, one line.
    pub key: String,
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

impl Founding {
    /// Returns `people.toml`.
    pub fn people(&self) -> String {
        let mut text = String::new();
        for founder in &self.founders {
            let emails = founder.email.iter().map(|email| quoted(email));
            let emails: Vec<_> = emails.collect();
            // Writing to a string cannot fail.
            let _infallible = write!(
                text,
                "[people.{name}]\nemails = [{emails}]\nlogins = [{login}]\n\
                 keys   = [{{ ssh = {key} }}]\n\n",
                name = founder.name,
                emails = emails.join(", "),
                login = quoted(founder.name.as_str()),
                key = quoted(founder.key.trim()),
            );
        }
        let names = self
            .founders
            .iter()
            .map(|founder| quoted(founder.name.as_str()));
        let names: Vec<_> = names.collect();
        text + &format!("[teams]\nmaintainers = [{}]\n", names.join(", "))
    }

    /// Returns `policy.toml`: one rule, one approval by a second maintainer.
    pub fn policy(&self, policy_ref: &RefName) -> String {
        format!(
            "version          = 1\nrepository       = {}\napprovals_expire = \"30d\"\n\n\
             [[ref]]\nmatch = [{}]\n\n\
             [[rule]]\nname    = \"two people see every change\"\n\
             require = [\"1 of @maintainers\"]\n",
            quoted(&self.repository),
            quoted(&policy_ref.to_string()),
        )
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

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Leaves out what would end a name or an address in a commit header.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .collect::<String>()
        .trim()
        .to_owned()
}
