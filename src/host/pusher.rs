//! Who is at the door, by the word of the host that let them in.

use std::ffi::OsString;

use crate::judge::facts::Pusher;
use crate::people::{People, Person, PersonName};

/// How the name of a pusher begins whom a certificate should name and does not; why follows.
pub const CERTIFICATE: &str = "push certificate: ";

/// By which variable of its environment a hook knows the pusher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PusherSource {
    /// `GL_USER` → `logins`.
    Gitolite,
    /// `GL_ID`, `user-<n>` → `accounts.gitlab`.
    Gitlab,
    /// `GITEA_PUSHER_ID` → `accounts.forgejo`, unless `GITEA_DEPLOY_KEY_ID` is set.
    Forgejo,
    /// `REMOTE_USER` → `logins`.
    Http,
    /// The key that signed the push → whose it is ([`super::certificate`]).
    PushCert,
    /// A variable of the admin's choice → a person or a login.
    Env(String),
}

/// Returns the pusher that the host's environment names.
///
/// `env` looks one variable up. Whoever is not exactly one person of `people` is
/// [`Pusher::Unknown`]: an unset variable, bytes that are not UTF-8, a deploy key, a login of two
/// people. What names them comes along for the refusal; never taken as a person.
pub fn pusher(
    source: &PusherSource,
    env: &dyn Fn(&str) -> Option<OsString>,
    people: &People,
) -> Pusher {
    let Some(text) = named(source, env) else {
        return Pusher::Unknown(String::new());
    };
    let found = match source {
        PusherSource::Gitolite | PusherSource::Http => by_login(people, &text),
        PusherSource::Gitlab => by_account(people, "gitlab", text.strip_prefix("user-")),
        // A certificate is read, not named.
        PusherSource::PushCert => None,
        PusherSource::Forgejo if deploy_key(env) => None,
        PusherSource::Forgejo => by_account(people, "forgejo", Some(&text)),
        PusherSource::Env(_) => by_name_or_login(people, &text),
    };
    match found {
        Some(person) => Pusher::Person(person.name.clone()),
        None => Pusher::Unknown(text),
    }
}

impl PusherSource {
    /// Returns the variable that names the pusher.
    pub fn variable(&self) -> &str {
        match self {
            Self::Gitolite => "GL_USER",
            Self::Gitlab => "GL_ID",
            Self::Forgejo => "GITEA_PUSHER_ID",
            Self::Http => "REMOTE_USER",
            Self::PushCert => "GIT_PUSH_CERT",
            Self::Env(name) => name,
        }
    }

    /// Returns the value as the file spells it.
    pub fn spelled(&self) -> String {
        match self {
            Self::Gitolite => "\"gitolite\"".to_owned(),
            Self::Gitlab => "\"gitlab\"".to_owned(),
            Self::Forgejo => "\"forgejo\"".to_owned(),
            Self::Http => "\"http\"".to_owned(),
            Self::PushCert => "\"push-cert\"".to_owned(),
            Self::Env(name) => format!("{{ env = \"{name}\" }}"),
        }
    }

    /// Reads the word in `server.toml`.
    pub fn preset(text: &str) -> Result<Self, String> {
        match text {
            "gitolite" => Ok(Self::Gitolite),
            "gitlab" => Ok(Self::Gitlab),
            "forgejo" => Ok(Self::Forgejo),
            "http" => Ok(Self::Http),
            "push-cert" => Ok(Self::PushCert),
            other => Err(format!(
                "no pusher preset `{other}`; there are `gitolite`, `gitlab`, `forgejo`, `http`, \
                 `push-cert` and `{{ env = \"NAME\" }}`"
            )),
        }
    }

    /// Refuses variables that an ssh client can set under the usual `AcceptEnv`, or that ssh or
    /// git set from what the client sends.
    pub(super) fn variable_of_choice(name: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
        let grammar = name.bytes().next().is_some_and(plain)
            && name
                .bytes()
                .all(|byte| plain(byte) || byte.is_ascii_digit());
        if !grammar {
            return Err(format!(
                "`{name}` is no variable name of `A-Z`, `0-9` and `_`"
            ));
        }
        let theirs = ["GIT_", "LC_", "SSH_"]
            .iter()
            .any(|start| name.starts_with(start))
            || ["LANG", "LANGUAGE", "TERM", "COLORTERM"].contains(&name);
        if theirs {
            return Err(format!(
                "`{name}` can be set by the pusher; choose another name"
            ));
        }
        Ok(Self::Env(name.to_owned()))
    }
}

/// Returns the text of the variable, where there is one; lossy only for what will be refused.
fn named(source: &PusherSource, env: &dyn Fn(&str) -> Option<OsString>) -> Option<String> {
    let value = env(source.variable())?;
    match value.into_string() {
        Ok(text) if text.is_empty() => None,
        Ok(text) => Some(text),
        Err(_) => None,
    }
}

/// Forgejo and Gitea name the key's owner even where a repository's deploy key was used.
fn deploy_key(env: &dyn Fn(&str) -> Option<OsString>) -> bool {
    env("GITEA_DEPLOY_KEY_ID").is_some_and(|id| !id.is_empty() && id != "0")
}

fn by_login<'p>(people: &'p People, login: &str) -> Option<&'p Person> {
    only(people, |person| person.logins.contains(login))
}

fn by_account<'p>(people: &'p People, forge: &str, id: Option<&str>) -> Option<&'p Person> {
    let id = account_id(id?)?;
    only(people, |person| person.accounts.get(forge) == Some(&id))
}

fn by_name_or_login<'p>(people: &'p People, text: &str) -> Option<&'p Person> {
    let name = PersonName::new(text);
    only(people, |person| {
        name.as_ref() == Some(&person.name) || person.logins.contains(text)
    })
}

/// Reads plain decimal digits; no sign, no space, no leading zero, so that one id has one spelling.
fn account_id(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

/// Returns the one person of whom `is` holds; nobody where there are two.
fn only(people: &People, is: impl Fn(&Person) -> bool) -> Option<&Person> {
    let mut found = people.persons.values().filter(|person| is(person));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::people::PersonKind;

    fn person(name: &str, logins: &[&str], accounts: &[(&str, u64)]) -> Person {
        Person {
            name: PersonName::new(name).unwrap(),
            kind: PersonKind::Human,
            emails: BTreeSet::new(),
            accounts: accounts
                .iter()
                .map(|(forge, id)| ((*forge).to_owned(), *id))
                .collect(),
            logins: logins.iter().map(|login| (*login).to_owned()).collect(),
            keys: Vec::new(),
        }
    }

    fn people() -> People {
        let all = [
            person("alice", &["al"], &[("gitlab", 42), ("forgejo", 7)]),
            person("bob", &["both", "alice"], &[("gitlab", 9), ("forgejo", 9)]),
            person("carol", &["both", "carol"], &[("forgejo", 42)]),
            person("dave", &["Al"], &[("gitlab", 50), ("github", 77)]),
        ];
        let persons = all.map(|person| (person.name.clone(), person));
        People {
            persons: persons.into(),
            ..People::default()
        }
    }

    fn ask(source: &PusherSource, vars: &[(&str, &[u8])]) -> Pusher {
        let env = |name: &str| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from_vec(value.to_vec()))
        };
        pusher(source, &env, &people())
    }

    fn is(name: &str) -> Pusher {
        Pusher::Person(PersonName::new(name).unwrap())
    }

    fn unknown(text: &str) -> Pusher {
        Pusher::Unknown(text.to_owned())
    }

    /// Each preset reads its own variable and its own column of people.toml, exactly.
    #[test]
    fn presets() {
        let env = PusherSource::Env("COUNTERSIGN_PUSHER".into());
        let me = "COUNTERSIGN_PUSHER";
        type Row<'a> = (&'a PusherSource, &'a [(&'a str, &'a [u8])], Pusher);
        let rows: &[Row<'_>] = &[
            (&PusherSource::Gitolite, &[("GL_USER", b"al")], is("alice")),
            (&PusherSource::Gitolite, &[("GL_USER", b"Al")], is("dave")),
            (
                &PusherSource::Gitolite,
                &[("GL_USER", b"carol")],
                is("carol"),
            ),
            (
                &PusherSource::Gitolite,
                &[("GL_USER", b"dave")],
                unknown("dave"),
            ),
            (
                &PusherSource::Gitolite,
                &[("GL_USER", b"both")],
                unknown("both"),
            ),
            (&PusherSource::Gitolite, &[("GL_USER", b"")], unknown("")),
            (
                &PusherSource::Gitolite,
                &[("GL_USER", b"al ")],
                unknown("al "),
            ),
            (
                &PusherSource::Gitolite,
                &[("GL_USER", b"al\xff")],
                unknown(""),
            ),
            (&PusherSource::Gitolite, &[(me, b"alice")], unknown("")),
            (&PusherSource::Http, &[("REMOTE_USER", b"al")], is("alice")),
            (&PusherSource::Gitlab, &[("GL_ID", b"user-42")], is("alice")),
            (
                &PusherSource::Gitlab,
                &[("GL_ID", b"key-42")],
                unknown("key-42"),
            ),
            (&PusherSource::Gitlab, &[("GL_ID", b"42")], unknown("42")),
            (
                &PusherSource::Gitlab,
                &[("GL_ID", b"user-042")],
                unknown("user-042"),
            ),
            (
                &PusherSource::Gitlab,
                &[("GL_ID", b"user-+42")],
                unknown("user-+42"),
            ),
            (
                &PusherSource::Gitlab,
                &[("GL_ID", b"user-")],
                unknown("user-"),
            ),
            (
                &PusherSource::Gitlab,
                &[("GL_ID", b"user-77")],
                unknown("user-77"),
            ),
            (
                &PusherSource::Forgejo,
                &[("GITEA_PUSHER_ID", b"7")],
                is("alice"),
            ),
            (
                &PusherSource::Forgejo,
                &[("GITEA_PUSHER_ID", b"50")],
                unknown("50"),
            ),
            (
                &PusherSource::PushCert,
                &[
                    ("GIT_PUSH_CERT", b"alice"),
                    ("GIT_PUSH_CERT_SIGNER", b"alice"),
                ],
                unknown("alice"),
            ),
            (&env, &[(me, b"al")], is("alice")),
            (&env, &[(me, b"dave")], is("dave")),
            (&env, &[(me, b"both")], unknown("both")),
            (&env, &[(me, b"al\n")], unknown("al\n")),
            (&env, &[], unknown("")),
        ];
        for (source, vars, want) in rows {
            assert_eq!(&ask(source, vars), want, "{source:?} {vars:?}");
        }
    }

    /// One person's login that is another person's name is nobody.
    #[test]
    fn name_and_login_of_two_people() {
        let env = PusherSource::Env("WHO".into());
        assert_eq!(ask(&env, &[("WHO", b"alice")]), unknown("alice"));
        assert_eq!(
            ask(&PusherSource::Gitolite, &[("GL_USER", b"alice")]),
            is("bob")
        );
    }

    /// A deploy key pushes in nobody's name, whoever made it.
    #[test]
    fn deploy_keys() {
        let with = |id: &[u8]| {
            let vars = [
                ("GITEA_PUSHER_ID", b"7".as_slice()),
                ("GITEA_DEPLOY_KEY_ID", id),
            ];
            ask(&PusherSource::Forgejo, &vars)
        };
        assert_eq!(with(b"3"), unknown("7"));
        assert_eq!(with(b"\xff"), unknown("7"));
        assert_eq!(with(b"0"), is("alice"));
        assert_eq!(with(b""), is("alice"));
    }
}
