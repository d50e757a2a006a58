//! The people, as other programs want to be told of them.

use jiff::Timestamp;

use super::import::{later, window};
use super::ssh::SshKey;
use super::{KeyMaterial, People, PersonKind, Term};
use crate::wire::allowed_signers::{KeyText, MAX_PATTERNS, Patterns, SignerLine};

/// What a list has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// An e-mail or principal that OpenSSH would read as a pattern, or not at all.
    Name(String),
    /// A key that no moment believes.
    Never(String),
    /// An OpenPGP key.
    OpenPgp(String),
    /// That a security key must have known its user.
    VerifyRequired(String),
    /// Which certificates of a CA are revoked.
    Revocations(String),
}

/// Returns the lines that make OpenSSH, and so `git log --show-signature`, know the same people.
///
/// Principals are e-mails, or the person's name where there is none that can be written; of a CA
/// those that are mapped to somebody. A key counts for git's namespace alone, and as long as here;
/// `revoked` ends it like `until`, since a list has nothing else for it.
pub fn allowed_signers(people: &People) -> (Vec<SignerLine>, Vec<LeftOut>) {
    let (mut lines, mut left_out) = (Vec::new(), Vec::new());
    for person in people.persons.values() {
        let emails = person.emails.iter().map(String::as_str);
        let mut names = plain(emails, &mut left_out);
        if names.is_empty() {
            names.push(person.name.as_str());
        }
        names.truncate(MAX_PATTERNS);
        for key in &person.keys {
            let KeyMaterial::Ssh(ssh) = &key.material else {
                left_out.push(LeftOut::OpenPgp(key.fingerprint.clone()));
                continue;
            };
            if key.verify_required {
                left_out.push(LeftOut::VerifyRequired(key.fingerprint.clone()));
            }
            match signer(&names, ssh, &key.term, person.name.as_str()) {
                Some(line) => lines.push(line),
                None => left_out.push(LeftOut::Never(key.fingerprint.clone())),
            }
        }
    }
    for authority in &people.authorities {
        let fingerprint = || authority.fingerprint.clone();
        if !authority.revocations.is_empty() {
            left_out.push(LeftOut::Revocations(fingerprint()));
        }
        let principals = authority.principals.keys().map(String::as_str);
        for names in plain(principals, &mut left_out).chunks(MAX_PATTERNS) {
            match signer(names, &authority.key, &authority.term, "") {
                Some(line) => lines.push(SignerLine {
                    cert_authority: true,
                    ..line
                }),
                None => left_out.push(LeftOut::Never(fingerprint())),
            }
        }
    }
    (lines, left_out)
}

/// Returns the names that mean themselves in a list, and puts down the others.
fn plain<'n>(names: impl Iterator<Item = &'n str>, left_out: &mut Vec<LeftOut>) -> Vec<&'n str> {
    let (plain, odd): (Vec<_>, Vec<_>) = names.partition(|name| is_plain(name));
    left_out.extend(odd.into_iter().map(|name| LeftOut::Name(name.to_owned())));
    plain
}

/// Returns the line of a key; none where it counts at no time.
fn signer(names: &[&str], key: &SshKey, term: &Term, comment: &str) -> Option<SignerLine> {
    let (from, until) = window(term);
    // The list names the last second, and the first moment of 1970 is no time to it.
    let last = until.map(|until| later(until, -1));
    let began = from.filter(|from| from.as_second() > 0);
    let soon = began.unwrap_or(Timestamp::UNIX_EPOCH);
    if last.is_some_and(|last| last <= soon) {
        return None;
    }
    Some(SignerLine {
        line: 0,
        principals: Patterns::parse(&names.join(","))?,
        cert_authority: false,
        namespaces: Patterns::parse("git"),
        valid_after: began,
        valid_before: last,
        key: KeyText {
            kind: key.kind().to_owned(),
            blob: key.blob().to_vec(),
            comment: comment.to_owned(),
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
/// person's, by the forced command that sets `variable`. Certified keys are not among them.
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
            let text = KeyText {
                kind: ssh.kind().to_owned(),
                blob: ssh.blob().to_vec(),
                comment: name.to_string(),
            };
            let verify = match key.verify_required {
                true => "verify-required,",
                false => "",
            };
            lines.push(format!(
                "restrict,{verify}command=\"{variable}={name} exec git-shell -c \
                 \\\"$SSH_ORIGINAL_COMMAND\\\"\" {text}"
            ));
        }
    }
    lines
}
