//! What is open, for a person: a line for each check, with the commands that mend it; and as JSON.

use std::path::Path;

use serde_json::{Value, json};

use crate::audit::doctor::{Check, OLDEST_GIT, Open, State, Topic, Tried, worst};
use crate::host::PusherSource;
use crate::host::login::Accepted;
use crate::policy::roster::Remark;

use super::audit_words::{Remedy, means, remedy, word};
use super::people;
use super::plain::{clip, plain, wrap};

/// Where the words of a line begin.
const INDENT: usize = 27;
/// The columns of a line.
const COLUMNS: usize = 80;
/// How many refs or patterns are named.
const NAMED: usize = 8;

/// Returns the answer for a terminal of 80 columns.
pub fn text(checks: &[Check], git_dir: &Path) -> String {
    let mut text = format!("{}\n\n", clip(&plain(&summary(checks, git_dir)), COLUMNS));
    for check in checks {
        if check.open.is_empty() {
            text += &line(State::Fine, check.topic, fine(check));
        }
        for open in &check.open {
            text += &line(open.state(), check.topic, &plain(&says(check.topic, open)));
            let remedy = mends(open, git_dir);
            for words in &remedy.words {
                text += &line_of(&format!("{}{}", " ".repeat(INDENT), plain(words)));
            }
            // In one piece, to be copied.
            for command in &remedy.commands {
                text += &format!("    {}\n", plain(command));
            }
        }
    }
    text
}

fn summary(checks: &[Check], git_dir: &Path) -> String {
    let name = git_dir.file_name().unwrap_or(git_dir.as_os_str());
    let count = |state: State| {
        let all = checks.iter().flat_map(|check| &check.open);
        all.filter(|open| open.state() == state).count()
    };
    let found = match (count(State::Open), count(State::Unknown)) {
        (0, 0) => "nothing is open".to_owned(),
        (open, 0) => format!("{open} open"),
        (0, unknown) => format!("{unknown} could not be told"),
        (open, unknown) => format!("{open} open, {unknown} could not be told"),
    };
    format!("{}: {found}", name.to_string_lossy())
}

fn line(state: State, topic: Topic, words: &str) -> String {
    line_of(&format!(
        "{:<15}{:<12}{words}",
        spelled(state),
        topic.as_str()
    ))
}

fn line_of(text: &str) -> String {
    let lines = wrap(text, &" ".repeat(INDENT));
    lines.into_iter().map(|line| line + "\n").collect()
}

const fn spelled(state: State) -> &'static str {
    match state {
        State::Fine => "ok",
        State::Unknown => "could not tell",
        State::Open => "open",
    }
}

/// Says what holds where nothing is open.
fn fine(check: &Check) -> &'static str {
    match (check.topic, &check.tried) {
        (Topic::Push, Some(Tried::WouldRefuse)) => {
            "an unreviewed push to a copy would have been refused, but for dry run"
        }
        (Topic::Push, _) => "an unreviewed push to a copy was refused",
        (Topic::RefWrite, Some(Tried::WouldRefuse)) => {
            "git update-ref there would have been refused, but for dry run"
        }
        (Topic::RefWrite, _) => "git update-ref there was refused",
        (Topic::DryRun, _) => "refusals hold",
        (Topic::Hooks, _) => "as they were enrolled, and executable",
        (Topic::Binary, _) => "the hooks run this binary, and nobody else can write it",
        (Topic::Git, _) => "runs the ref hook",
        (Topic::Config, _) => "nothing keeps the hooks from running",
        (Topic::Settings, _) => "as they are on record",
        (Topic::Owner, _) => "one account can write, and it is this one",
        (Topic::Files, _) => "nothing changes what git sees",
        (Topic::Environment, _) => "sshd lets clients set nothing that matters",
        (Topic::Login, _) => "no key gets past its forced command",
        (Topic::Record, _) => "whole, and nothing in it left open",
        (Topic::Key, _) => "there, and its owner's alone",
        (Topic::Clock, _) => "not before the latest entry",
        (Topic::Disk, _) => "has room for the record",
        (Topic::Refs, _) => "as the record has them",
        (Topic::Approvals, _) => "counted under keys that are believed",
        (Topic::People, _) => "every human has a key that counts",
        (Topic::Rules, _) => "none hangs on one person",
    }
}

fn says(topic: Topic, open: &Open) -> String {
    match open {
        Open::Found(finding) => {
            let (about, found) = (&finding.about, &finding.found);
            format!(
                "{about}: {found}; {} [{}]",
                means(finding.code),
                finding.code.as_str()
            )
        }
        Open::Unread(why) => why.clone(),
        Open::Landed if topic == Topic::Push => {
            "AN UNREVIEWED PUSH LANDED in a copy: what is open below may say why".to_owned()
        }
        Open::Landed => {
            "git update-ref moved the protected ref of a copy: the ref hook did not hold it"
                .to_owned()
        }
        Open::Otherwise(why) => {
            format!("it did not land, but approvals were not asked for either: {why}")
        }
        Open::HostDryRun => "the whole host: what is refused is said, and lands".to_owned(),
        Open::RefsDryRun(names) => {
            let named: Vec<_> = names.iter().take(NAMED).map(ToString::to_string).collect();
            let more = names.len().saturating_sub(NAMED);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("by the policy: {}{more}", named.join(", "))
        }
        Open::OldGit(version) => {
            let (major, minor) = OLDEST_GIT;
            format!("git {version} does not run the ref hook, {major}.{minor} does")
        }
        Open::OtherBinary(path, version) => format!(
            "the hooks run {} ({version}), which is not this one (countersign {})",
            path.display(),
            env!("CARGO_PKG_VERSION")
        ),
        Open::OtherAccount(owner) => {
            format!("it belongs to {owner}, whose git configuration was not read")
        }
        Open::Accepted(Accepted {
            file, line, bad, ..
        }) => {
            let bad = bad.iter().take(NAMED);
            let bad = bad.map(|(pattern, name)| match pattern == name {
                true => name.clone(),
                false => format!("{name} ({pattern})"),
            });
            let bad: Vec<_> = bad.collect();
            format!(
                "{}:{line}: a client may set {}",
                file.display(),
                bad.join(", ")
            )
        }
        Open::Shell(account, shell) => format!(
            "the shell of {account} is {}, which runs no forced command: nobody can push",
            shell.display()
        ),
        Open::Unforced(file, line) => format!(
            "{}:{line}: a key without a forced command says itself who it is",
            file.display()
        ),
        Open::Stranger(file, line) => format!(
            "{}:{line}: by people.toml this key is not, or no more, that person's",
            file.display()
        ),
        Open::Exposed(file, why) => format!("{} {why}", file.display()),
        Open::Remark(remark) => people::words(remark),
        Open::Nobody(source) => format!(
            "nobody is known by {}: every push to a protected ref is refused",
            source.variable()
        ),
    }
}

/// Says what to do.
fn mends(open: &Open, git_dir: &Path) -> Remedy {
    let repo = word(&git_dir.display().to_string());
    let path = |path: &Path| word(&path.display().to_string());
    let enrol = format!("countersign enroll {repo}");
    let one = |command: String| Remedy {
        words: Vec::new(),
        commands: vec![command],
    };
    let advice = |words: &str| Remedy {
        words: vec![words.to_owned()],
        commands: Vec::new(),
    };
    match open {
        Open::Found(finding) => remedy(finding, git_dir),
        Open::Unread(_) | Open::Otherwise(_) => Remedy::default(),
        Open::Landed => one(enrol),
        Open::HostDryRun => one(format!("{enrol} --mode enforce")),
        Open::RefsDryRun(_) => Remedy {
            words: vec!["in a clone, and land it:".to_owned()],
            commands: vec![
                "sed -i '/^ *mode *= *\"dry-run\"/d' .countersign/policy.toml".to_owned(),
            ],
        },
        Open::OldGit(_) => one("apt-get install git".to_owned()),
        Open::OtherBinary(..) => one(enrol),
        Open::OtherAccount(owner) => one(format!(
            "sudo -u {} countersign -C {repo} doctor",
            word(owner)
        )),
        Open::Accepted(Accepted {
            file, line, good, ..
        }) => {
            let edit = match good.is_empty() {
                true => format!("{line}d"),
                false => format!("{line}c\\AcceptEnv {}", good.join(" ")),
            };
            Remedy {
                words: Vec::new(),
                commands: vec![
                    format!("sed -i {} {}", word(&edit), path(file)),
                    "systemctl reload ssh".to_owned(),
                ],
            }
        }
        Open::Shell(account, _) => one(format!("usermod --shell /bin/sh {}", word(account))),
        Open::Unforced(file, line) => one(format!("sed -i {line}d {}", path(file))),
        Open::Stranger(file, _) => one(format!(
            "countersign -C {repo} people export --authorized-keys > {}",
            path(file)
        )),
        Open::Exposed(file, _) => Remedy {
            words: Vec::new(),
            commands: vec![
                format!("chown --reference={repo} {}", path(file)),
                format!("chmod go-w {}", path(file)),
            ],
        },
        Open::Remark(Remark::NoValidKey(person) | Remark::Ends(person, ..)) => Remedy {
            words: vec!["in a clone, with their new key; then land it:".to_owned()],
            commands: vec![format!(
                "countersign people import --person {person} --keys KEY.pub --write"
            )],
        },
        Open::Remark(remark) if remark.is_of_rule() => Remedy {
            words: vec![
                match remark {
                    Remark::Unsatisfiable(..) => {
                        "in a clone, ask for fewer or give more people keys; then land it:"
                    }
                    Remark::BotsAlone(..) => "in a clone, ask for a human too; then land it:",
                    _ => "in a clone, name more people who may; then land it:",
                }
                .to_owned(),
            ],
            commands: vec!["${EDITOR:-vi} .countersign/policy.toml".to_owned()],
        },
        Open::Remark(_) => one("${EDITOR:-vi} .countersign/people.toml".to_owned()),
        Open::Nobody(source) => advice(match source {
            PusherSource::Gitlab => "give people `accounts = { gitlab = <id> }` in people.toml",
            PusherSource::Forgejo => "give people `accounts = { forgejo = <id> }` in people.toml",
            _ => "give people `logins = [\"<name>\"]` in people.toml",
        }),
    }
}

/// Returns the answer for a program: `countersign.doctor/v1`.
pub fn value(checks: &[Check], git_dir: &Path) -> Value {
    let checks_value: Vec<_> = checks
        .iter()
        .map(|check| {
            let open = check.open.iter().map(|open| {
                let code = match open {
                    Open::Found(finding) => Some(finding.code.as_str()),
                    _ => None,
                };
                let remedy = mends(open, git_dir);
                json!({
                    "state": state_value(open.state()),
                    "finding": code,
                    "says": says(check.topic, open),
                    "advice": remedy.words,
                    "commands": remedy.commands,
                })
            });
            json!({
                "check": check.topic.as_str(),
                "state": state_value(check.state()),
                "says": check.open.is_empty().then(|| fine(check)),
                "open": open.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "schema": "countersign.doctor/v1",
        "repository": git_dir.display().to_string(),
        "ok": worst(checks) == State::Fine,
        "checks": checks_value,
    })
}

const fn state_value(state: State) -> &'static str {
    match state {
        State::Fine => "ok",
        State::Unknown => "unknown",
        State::Open => "open",
    }
}
