//! The people, as other programs want to be told of them.

use jiff::Timestamp;

use super::import::{later, window};
use super::{KeyMaterial, People, Person, PersonKey, PersonKind};
use crate::wire::allowed_signers::{KeyText, MAX_PATTERNS, Patterns, SignerLine};

/// What a list has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// An e-mail that OpenSSH would read as a pattern, or not at all.
    Email(String),
    /// A key that no moment believes.
    Never(String),
    /// An OpenPGP key.
    OpenPgp(String),
}

/// Returns the lines that make OpenSSH, and so `git log --show-signature`, know the same people.
///
/// Principals are e-mails, or the person's name where there is none that can be written. A key
/// counts for git's namespace alone, and as long as here; `revoked` ends it like `until`, since a
/// list has nothing else for it.
pub fn allowed_signers(people: &People) -> (Vec<SignerLine>, Vec<LeftOut>) {
    let (mut lines, mut left_out) = (Vec::new(), Vec::new());
    for person in people.persons.values() {
        let (plain, odd): (Vec<_>, Vec<_>) =
            person.emails.iter().partition(|email| is_plain(email));
        left_out.extend(odd.into_iter().cloned().map(LeftOut::Email));
        let names = match plain.is_empty() {
            true => person.name.to_string(),
            false => {
                let plain = plain.into_iter().take(MAX_PATTERNS).cloned();
                plain.collect::<Vec<_>>().join(",")
            }
        };
        for key in &person.keys {
            match signer(person, key, &names) {
                Ok(line) => lines.push(line),
                Err(why) => left_out.push(why),
            }
        }
    }
    (lines, left_out)
}

fn signer(person: &Person, key: &PersonKey, names: &str) -> Result<SignerLine, LeftOut> {
    let KeyMaterial::Ssh(ssh) = &key.material else {
        return Err(LeftOut::OpenPgp(key.fingerprint.clone()));
    };
    let never = || LeftOut::Never(key.fingerprint.clone());
    let (from, until) = window(key);
    // The list names the last second, and the first moment of 1970 is no time to it.
    let last = until.map(|until| later(until, -1));
    let began = from.filter(|from| from.as_second() > 0);
    let soon = began.unwrap_or(Timestamp::UNIX_EPOCH);
    if last.is_some_and(|last| last <= soon) {
        return Err(never());
    }
    Ok(SignerLine {
        line: 0,
        principals: Patterns::parse(names).ok_or_else(never)?,
        cert_authority: false,
        namespaces: Patterns::parse("git"),
        valid_after: began,
        valid_before: last,
        key: KeyText {
            kind: ssh.kind().to_owned(),
            blob: ssh.blob().to_vec(),
            comment: person.name.to_string(),
        },
    })
}

/// Succeeds for what means itself in a list of patterns.
fn is_plain(email: &str) -> bool {
    let special = |byte: u8| b"*?!,\"\\#".contains(&byte);
    email
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !special(byte))
}

/// Returns a line for sshd for each ssh key that counts at `now`: pushes through it are that
/// person's, by the forced command that sets `variable`.
pub fn authorized_keys(people: &People, variable: &str, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for person in people.persons.values() {
        if person.kind == PersonKind::Forge {
            continue;
        }
        for key in person.keys.iter().filter(|key| key.counts_at(now)) {
            let KeyMaterial::Ssh(ssh) = &key.material else {
                continue;
            };
            // Nothing here was chosen freely: a name and a variable have their grammars, and the
            // comment of the key stays behind.
            let name = &person.name;
            let key = KeyText {
                kind: ssh.kind().to_owned(),
                blob: ssh.blob().to_vec(),
                comment: name.to_string(),
            };
            lines.push(format!(
                "restrict,command=\"{variable}={name} exec git-shell -c \
                 \\\"$SSH_ORIGINAL_COMMAND\\\"\" {key}"
            ));
        }
    }
    lines
}
