//! What each finding of an audit means, and what to do about it.

use std::path::Path;

use crate::audit::{Code, Detail, Finding};
use crate::host::{config, hooks};

use super::log::ways_out_commands;

/// What to do: words, then commands to copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remedy {
    pub(super) words: Vec<String>,
    pub(super) commands: Vec<String>,
}

/// Says in a sentence what a finding means.
pub(super) const fn means(code: Code) -> &'static str {
    match code {
        Code::RecordMissing => "there is no record: nothing can be landed, and nothing be proven",
        Code::RecordDamaged => "the log on disk is not what was written and signed",
        Code::RecordKey => "the key that signs the log cannot sign it, or is no secret",
        Code::IndexBeyond => "the index knows another log: the log was taken back or replaced",
        Code::OpenIntent => "a push was accepted, and how it ended is not recorded",
        Code::ClockBehind => "the clock was set back: every push is refused until it is right",
        Code::DiskSpace => "soon no push can be recorded, and so none be accepted",
        Code::PolicyUnusable => "there is no policy to judge by: every push is refused",
        Code::UnknownTip => "the ref was moved past the gate",
        Code::MissingRef => "the ref was removed past the gate",
        Code::SymrefAlias => "a protected ref can be moved under another name",
        Code::ReplaceRef => "git shows another object in the place of this one",
        Code::ShadowingRef => "its name can be taken for that of a protected ref",
        Code::ForbiddenRef => "only Countersign writes below refs/countersign/",
        Code::UnrecordedStep => "a landing on record does not follow from the one before it",
        Code::MissingObject => "an object that a recorded decision rests on is gone",
        Code::UnkeptObject => "the next git gc removes what a recorded decision rests on",
        Code::HookMissing => "pushes are not judged, or not recorded",
        Code::HookChanged => "git runs something else than was enrolled",
        Code::HookNotExecutable => "git passes a hook over that it cannot execute",
        Code::OtherHook => "what runs beside the hook is not what ran there at enrolment",
        Code::ProcReceive => "this hook may move other refs than those that are pushed",
        Code::BinaryUnusable => {
            "the hooks run a binary that does not run, or that others can replace"
        }
        Code::WritableByOthers => {
            "others than the service account can write refs, hooks or the record"
        }
        Code::WrongOwner => {
            "another account than the one that runs git owns part of the repository"
        }
        Code::Alternates => {
            "objects come from another store, whose owner can change or remove them"
        }
        Code::Grafts => "git shows other parents than commits have",
        Code::Shallow => "git takes history to end where it does not",
        Code::Attributes => "attributes beside the repository change what git shows",
        Code::HooksPath => "git does not run the repository's own hooks",
        Code::HookConfig => "configuration switches a hook off, or lets refs move beside it",
        Code::SharedRepository => "git makes what it writes writable for others",
        Code::ConfigChanged => "git is configured otherwise than when the host was enrolled",
        Code::SettingsUnusable => "the host's settings cannot be used: every push is refused",
        Code::SettingsChanged => "the host's settings are not those on record",
        Code::EnrolmentUnrecorded => "nothing can be said of what changed on the host",
        Code::RevokedApproval => "approvals counted that the policy in force does not believe",
        Code::UnlistedApproval => "approvals counted under a key that people.toml lists no more",
    }
}

/// Says what to do about it.
pub(super) fn remedy(finding: &Finding, git_dir: &Path) -> Remedy {
    let mut remedy = Remedy::default();
    let repo = word(&git_dir.display().to_string());
    let enrol = format!("countersign enroll {repo}");
    let here = |command: &str| format!("countersign -C {repo} {command}");
    let about = word(&finding.about);
    let file = word(&git_dir.join(&finding.about).display().to_string());
    // What Countersign alone writes, the ref gate lets nobody write.
    let past_the_gate = "git -c core.hooksPath=/dev/null";
    let mut say = |words: &str| remedy.words.push(words.to_owned());
    let commands: Vec<String> = match finding.code {
        Code::RecordMissing => {
            say("put it back from the newest backup; a new one (enroll) knows of no landing");
            Vec::new()
        }
        Code::RecordDamaged => {
            say("see what is damaged; put the log back from a backup, then close what is open:");
            vec![here("log verify"), here("log reconcile")]
        }
        Code::RecordKey if finding.found.starts_with("others") => {
            say("close it; whoever read it can sign another log:");
            vec![format!("chmod 0600 {file}")]
        }
        Code::RecordKey if finding.about == "record.key" => {
            say("bring back what keeps the key, or set record.key right; until then no push lands");
            Vec::new()
        }
        Code::RecordKey => {
            say("put the key back from a backup");
            Vec::new()
        }
        Code::IndexBeyond => {
            say(
                "find out who put an older log here, and put the newest back; only if that is \
                 this one:",
            );
            vec![format!("rm -f {repo}/countersign/index.db*")]
        }
        Code::OpenIntent => {
            say("close it:");
            vec![here("log reconcile")]
        }
        Code::ClockBehind => {
            say("set the clock right (timedatectl, chronyc tracking)");
            Vec::new()
        }
        Code::DiskSpace => {
            say("make room:");
            vec![format!("df -h {file}")]
        }
        Code::PolicyUnusable => match &finding.expected {
            Some(tip) => {
                say(
                    "fetch its recorded tip from a clone or a backup that has it, and set it to that:",
                );
                vec![
                    format!("{past_the_gate} -C {repo} fetch BACKUP {tip}"),
                    format!("git -C {repo} update-ref {about} {tip}"),
                ]
            }
            None => {
                say("set the ref to a commit with a good policy, then take that on record:");
                vec![here(&format!("log adopt {about} --policy"))]
            }
        },
        Code::UnknownTip | Code::MissingRef => {
            say("set it back, or take it as it is, never reviewed (in the repository):");
            drift_commands(finding)
        }
        Code::SymrefAlias => match &finding.detail {
            Detail::Tip(..) => {
                say("make it a ref of its own again (in the repository):");
                drift_commands(finding)
            }
            _ => {
                say("remove it:");
                vec![format!("git -C {repo} symbolic-ref --delete {about}")]
            }
        },
        Code::ReplaceRef | Code::ShadowingRef | Code::ForbiddenRef => {
            say("remove it:");
            let git = match finding.code {
                Code::ForbiddenRef => past_the_gate,
                _ => "git",
            };
            match finding.found.starts_with("symbolic") {
                true => vec![format!("{git} -C {repo} symbolic-ref --delete {about}")],
                false => vec![format!("{git} -C {repo} update-ref -d {about}")],
            }
        }
        Code::UnrecordedStep => {
            say("decide every entry again, and see which does not hold:");
            vec![here("verify history")]
        }
        Code::MissingObject => {
            say("fetch it from a clone or a backup that has it, and keep it:");
            vec![format!(
                "{past_the_gate} -C {repo} fetch BACKUP {about}:refs/countersign/keep/{about}"
            )]
        }
        Code::UnkeptObject => {
            say("keep it:");
            vec![format!(
                "{past_the_gate} -C {repo} update-ref refs/countersign/keep/{about} {about}"
            )]
        }
        Code::HookMissing | Code::HookChanged | Code::HookNotExecutable => {
            say("put it back:");
            hints(finding)
        }
        Code::OtherHook => {
            say("put it back as it was; or, if it is meant, put it on record:");
            let remove =
                (finding.expected.as_deref() == Some("absent")).then(|| format!("rm {file}"));
            remove.into_iter().chain([enrol]).collect()
        }
        Code::SharedRepository | Code::WritableByOthers | Code::WrongOwner => {
            remedy.words.extend(hints(finding));
            Vec::new()
        }
        Code::ProcReceive => {
            say("remove it:");
            vec![format!("rm {file}")]
        }
        Code::BinaryUnusable => {
            say("install it there again, for its owner alone to write, or enrol with another:");
            vec![format!("chmod 0755 {file}"), enrol]
        }
        Code::Alternates => {
            say("copy what is needed, then remove it; or, if it is meant, put it on record:");
            vec![
                format!("git -C {repo} repack -a -d"),
                format!("rm {file}"),
                enrol,
            ]
        }
        Code::Grafts | Code::Shallow | Code::Attributes => {
            say("remove it; or, if it is meant, put it on record:");
            vec![format!("rm {file}"), enrol]
        }
        Code::HooksPath | Code::HookConfig => {
            say("remove it where it stands:");
            unset(finding, git_dir)
        }
        Code::ConfigChanged => {
            say("set it back; or, if it is meant, put it on record:");
            let mut commands = match finding.expected.as_deref() {
                Some("not set") | None => unset(finding, git_dir),
                Some(value) => vec![format!("git -C {repo} config {about} {}", word(value))],
            };
            commands.push(enrol);
            commands
        }
        Code::SettingsUnusable => {
            say("mend the file; enroll writes one where there is none:");
            vec![enrol]
        }
        Code::SettingsChanged => {
            say(
                "set it back in countersign/server.toml, or in /etc/countersign/server.toml; or, if \
                 it is meant, put it on record:",
            );
            vec![enrol]
        }
        Code::EnrolmentUnrecorded => {
            say("put the host as it is on record, once you looked at it:");
            vec![enrol]
        }
        Code::RevokedApproval => {
            say("look at what landed, and land a revert or a change that others review:");
            let Detail::Rests(rests) = &finding.detail else {
                return remedy;
            };
            let commits = rests.iter().filter_map(|rest| rest.commit).take(8);
            commits
                .map(|commit| format!("git -C {repo} show {commit}"))
                .collect()
        }
        Code::UnlistedApproval => {
            say(
                "nothing, if the key was taken out in good order; better is to leave it in \
                 people.toml with `until`, or with `revoked` if it is not to be believed",
            );
            Vec::new()
        }
    };
    remedy.commands = commands;
    remedy
}

fn drift_commands(finding: &Finding) -> Vec<String> {
    let Detail::Tip(drift, _) = &finding.detail else {
        return Vec::new();
    };
    let commands = ways_out_commands(drift);
    commands
        .iter()
        .map(super::command::Command::one_line)
        .collect()
}

fn hints(finding: &Finding) -> Vec<String> {
    match &finding.detail {
        Detail::Hints(hints) => hints.clone(),
        _ => Vec::new(),
    }
}

/// Takes a key out of the file it stands in.
fn unset(finding: &Finding, git_dir: &Path) -> Vec<String> {
    match &finding.detail {
        Detail::Setting(_, origin) => vec![config::unset(git_dir, origin, &finding.about)],
        _ => Vec::new(),
    }
}

/// Returns a word of a shell command, quoted where it must be.
pub(super) fn word(text: &str) -> String {
    hooks::word(text.as_ref())
}
