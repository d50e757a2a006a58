//! What the doctor looks at, and what it says of it.

use std::path::PathBuf;

use super::Tried;
use crate::audit::{Code, Family, Finding};
use crate::host::PusherSource;
use crate::host::login::Accepted;
use crate::policy::roster::Remark;
use crate::wire::name::RefName;

/// What one check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// An unreviewed push to a copy.
    Push,
    /// The same commit, written there by `git update-ref`.
    RefWrite,
    /// Whether refusals hold.
    DryRun,
    /// The hooks on disk.
    Hooks,
    /// The binary that they run.
    Binary,
    /// git's version.
    Git,
    /// git's configuration.
    Config,
    /// `server.toml`.
    Settings,
    /// Who may write.
    Owner,
    /// Files that change what git sees.
    Files,
    /// What a client may set over ssh.
    Environment,
    /// What keys are held to.
    Login,
    /// The log and its index.
    Record,
    /// The log's key.
    Key,
    /// The clock.
    Clock,
    /// Room on disk.
    Disk,
    /// Refs and landings against the record.
    Refs,
    /// Keys under counted approvals.
    Approvals,
    /// People and their keys.
    People,
    /// Rules and who can satisfy them.
    Rules,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is open.
    Fine,
    /// It could not be told.
    Unknown,
    /// Something is open.
    Open,
}

/// One thing that is open, or that could not be told.
#[derive(Clone, Debug)]
pub enum Open {
    /// Found by the audit.
    Found(Box<Finding>),
    /// Not looked at, with the reason.
    Unread(String),
    /// The unreviewed commit is on the ref of the copy.
    Landed,
    /// It is not, but Countersign did not say why.
    Otherwise(String),
    /// The whole host is in dry run.
    HostDryRun,
    /// These refs are, by the policy.
    RefsDryRun(Vec<RefName>),
    /// A git that does not run the ref hook.
    OldGit(String),
    /// The hooks run another binary than this one; what it calls itself.
    OtherBinary(PathBuf, String),
    /// Run as another account than the owner's, whose configuration was not read.
    OtherAccount(String),
    /// A line of sshd's settings.
    Accepted(Accepted),
    /// The account and its shell, which runs no forced command.
    Shell(String, PathBuf),
    /// A key without a forced command.
    Unforced(PathBuf, usize),
    /// A key of nobody whom the policy in force knows by it.
    Stranger(PathBuf, usize),
    /// A file of keys that others may write, and why.
    Exposed(PathBuf, String),
    /// Something about people or rules.
    Remark(Remark),
    /// Nobody can be named as the pusher.
    Nobody(PusherSource),
}

/// One line of the answer.
#[derive(Clone, Debug)]
pub struct Check {
    /// What it is about.
    pub topic: Topic,
    /// What is open or unknown; nothing where all is well.
    pub open: Vec<Open>,
    /// Of the two attempts, what came of them.
    pub tried: Option<Tried>,
}

impl Topic {
    /// All of them, in the order of the answer.
    pub const ALL: [Self; 20] = [
        Self::Push,
        Self::RefWrite,
        Self::DryRun,
        Self::Hooks,
        Self::Binary,
        Self::Git,
        Self::Config,
        Self::Settings,
        Self::Owner,
        Self::Files,
        Self::Environment,
        Self::Login,
        Self::Record,
        Self::Key,
        Self::Clock,
        Self::Disk,
        Self::Refs,
        Self::Approvals,
        Self::People,
        Self::Rules,
    ];

    /// Returns its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::RefWrite => "ref-write",
            Self::DryRun => "dry-run",
            Self::Hooks => "hooks",
            Self::Binary => "binary",
            Self::Git => "git",
            Self::Config => "config",
            Self::Settings => "settings",
            Self::Owner => "owner",
            Self::Files => "files",
            Self::Environment => "environment",
            Self::Login => "login",
            Self::Record => "record",
            Self::Key => "key",
            Self::Clock => "clock",
            Self::Disk => "disk",
            Self::Refs => "refs",
            Self::Approvals => "approvals",
            Self::People => "people",
            Self::Rules => "rules",
        }
    }

    pub(super) const fn of(code: Code) -> Self {
        match code {
            Code::HookMissing
            | Code::HookChanged
            | Code::HookNotExecutable
            | Code::OtherHook
            | Code::ProcReceive => Self::Hooks,
            Code::BinaryUnusable => Self::Binary,
            Code::HooksPath | Code::HookConfig | Code::ConfigChanged => Self::Config,
            Code::SettingsUnusable | Code::SettingsChanged | Code::EnrolmentUnrecorded => {
                Self::Settings
            }
            Code::WritableByOthers | Code::WrongOwner | Code::SharedRepository => Self::Owner,
            Code::Alternates | Code::Grafts | Code::Shallow | Code::Attributes => Self::Files,
            Code::RecordMissing | Code::RecordDamaged | Code::IndexBeyond | Code::OpenIntent => {
                Self::Record
            }
            Code::RecordKey => Self::Key,
            Code::ClockBehind => Self::Clock,
            Code::DiskSpace => Self::Disk,
            Code::PolicyUnusable
            | Code::UnknownTip
            | Code::MissingRef
            | Code::SymrefAlias
            | Code::ReplaceRef
            | Code::ShadowingRef
            | Code::ForbiddenRef
            | Code::UnrecordedStep
            | Code::MissingObject
            | Code::UnkeptObject => Self::Refs,
            Code::RevokedApproval | Code::UnlistedApproval => Self::Approvals,
        }
    }

    /// Returns what is left open where a family of the audit's checks was not looked at.
    pub(super) const fn of_family(family: Family) -> &'static [Self] {
        match family {
            Family::Record => &[Self::Record, Self::Key, Self::Clock, Self::Disk],
            Family::Refs | Family::Landings => &[Self::Refs],
            Family::Host => &[Self::Hooks, Self::Owner, Self::Files],
            Family::Config => &[Self::Config, Self::Settings],
            Family::Keys => &[Self::Approvals],
        }
    }
}

impl Open {
    /// Returns whether it is open, or only not known to be shut.
    pub fn state(&self) -> State {
        match self {
            Self::Unread(_) | Self::Otherwise(_) | Self::OtherAccount(_) => State::Unknown,
            Self::Found(_)
            | Self::Landed
            | Self::HostDryRun
            | Self::RefsDryRun(_)
            | Self::OldGit(_)
            | Self::OtherBinary(..)
            | Self::Accepted(_)
            | Self::Shell(..)
            | Self::Unforced(..)
            | Self::Stranger(..)
            | Self::Exposed(..)
            | Self::Remark(_)
            | Self::Nobody(_) => State::Open,
        }
    }
}

impl Check {
    /// Returns how it ended.
    pub fn state(&self) -> State {
        let states = self.open.iter().map(Open::state);
        states.max().unwrap_or(State::Fine)
    }
}

/// Returns the worst of all checks.
pub fn worst(checks: &[Check]) -> State {
    let states = checks.iter().map(Check::state);
    states.max().unwrap_or(State::Unknown)
}
