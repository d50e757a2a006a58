//! What a finding is: its stable name, what it is about, what is there and what should be.

use std::path::Path;

use jiff::Timestamp;

use crate::admit::history::Drift;
use crate::admit::unknown::UnknownStep;
use crate::people::PersonName;
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

use super::host;

macro_rules! codes {
    ($($name:ident = $text:literal, $family:ident, $weight:ident;)+) => {
        /// The stable names of findings, each explained in `docs/audit.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is its own text, explained in docs/audit.md")]
        pub enum Code {
            $($name,)+
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns the stable name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// Returns the family of checks it comes from.
            pub const fn family(self) -> Family {
                match self {
                    $(Self::$name => Family::$family,)+
                }
            }

            /// Returns how much it weighs.
            pub const fn weight(self) -> Weight {
                match self {
                    $(Self::$name => Weight::$weight,)+
                }
            }
        }
    };
}

codes! {
    RecordMissing = "record-missing", Record, Incident;
    RecordDamaged = "record-damaged", Record, Incident;
    RecordKey = "record-key", Record, Incident;
    IndexBeyond = "index-beyond", Record, Incident;
    OpenIntent = "open-intent", Record, Warning;
    ClockBehind = "clock-behind", Record, Incident;
    DiskSpace = "disk-space", Record, Warning;
    PolicyUnusable = "policy-unusable", Refs, Incident;
    UnknownTip = "unknown-tip", Refs, Incident;
    MissingRef = "missing-ref", Refs, Incident;
    SymrefAlias = "symref-alias", Refs, Incident;
    ReplaceRef = "replace-ref", Refs, Incident;
    ShadowingRef = "shadowing-ref", Refs, Incident;
    ForbiddenRef = "forbidden-ref", Refs, Warning;
    UnrecordedStep = "unrecorded-step", Landings, Incident;
    MissingObject = "missing-object", Landings, Incident;
    UnkeptObject = "unkept-object", Landings, Warning;
    HookMissing = "hook-missing", Host, Incident;
    HookChanged = "hook-changed", Host, Incident;
    HookNotExecutable = "hook-not-executable", Host, Incident;
    OtherHook = "other-hook", Host, Incident;
    ProcReceive = "proc-receive", Host, Incident;
    BinaryUnusable = "binary-unusable", Host, Incident;
    WritableByOthers = "writable-by-others", Host, Incident;
    WrongOwner = "wrong-owner", Host, Incident;
    Alternates = "alternates", Host, Incident;
    Grafts = "grafts", Host, Incident;
    Shallow = "shallow", Host, Incident;
    Attributes = "attributes", Host, Incident;
    HooksPath = "hooks-path", Config, Incident;
    HookConfig = "hook-config", Config, Incident;
    SharedRepository = "shared-repository", Config, Incident;
    ConfigChanged = "config-changed", Config, Incident;
    SettingsUnusable = "settings-unusable", Config, Incident;
    SettingsChanged = "settings-changed", Config, Incident;
    EnrolmentUnrecorded = "enrolment-unrecorded", Config, Warning;
    RevokedApproval = "revoked-approval", Keys, Incident;
    UnlistedApproval = "unlisted-approval", Keys, Note;
}

/// The families of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Key, log, index, intents, room, clock.
    Record,
    /// Refs as they are.
    Refs,
    /// What landed, against history.
    Landings,
    /// Hooks, binary, files, owners.
    Host,
    /// git's configuration and the host's settings.
    Config,
    /// Keys under counted approvals.
    Keys,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// For information: not recorded, and no reason to exit 1.
    Note,
    /// To be put right; nothing went past the gate by it.
    Warning,
    /// Something went past the gate, or could.
    Incident,
}

impl Family {
    /// Returns its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Refs => "refs",
            Self::Landings => "landings",
            Self::Host => "host",
            Self::Config => "config",
            Self::Keys => "keys",
        }
    }
}

impl Weight {
    /// Returns its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Incident => "incident",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub code: Code,
    /// The ref, file, key or object it is about; a file of the repository from there on.
    pub about: String,
    /// What is there.
    pub found: String,
    /// What should be, where that is known.
    pub expected: Option<String>,
    /// The last entry about it, with its time.
    pub recorded: Option<(u64, Timestamp)>,
    /// When the file behind it last changed, and whose it is.
    pub changed: Option<Changed>,
    /// What more there is to it.
    pub detail: Detail,
}

/// A file's own word on when and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which file.
    pub path: String,
    /// Its time of modification; who can write it can set it.
    pub at: Timestamp,
    /// Its owner.
    pub owner: String,
}

/// What belongs to some findings alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more.
    None,
    /// A ref that is not where the record has it, and what that brings.
    Tip(Drift, Option<Box<UnknownStep>>),
    /// Landings that rest on a key.
    Rests(Vec<Rests>),
    /// Commands that mend it, found where it was found.
    Hints(Vec<String>),
    /// Where a value of the configuration stands: scope and origin.
    Setting(String, String),
}

/// A landing for which an approval under the key in question counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rests {
    /// The landing's entry.
    pub index: u64,
    /// Its ref.
    pub name: RefName,
    /// What landed.
    pub commit: Option<Oid>,
    /// The review's entry.
    pub review: u64,
    /// When the review was received.
    pub received: Timestamp,
    /// Whose it is.
    pub person: PersonName,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What was to be checked.
    pub family: Family,
    /// Why it was not.
    pub why: String,
}

impl Finding {
    pub(super) fn new(code: Code, about: String, found: String) -> Self {
        Self {
            code,
            about,
            found,
            expected: None,
            recorded: None,
            changed: None,
            detail: Detail::None,
        }
    }

    pub(super) fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(super) fn since(mut self, recorded: Option<(u64, Timestamp)>) -> Self {
        self.recorded = recorded;
        self
    }

    pub(super) fn of_file(mut self, path: &Path) -> Self {
        self.changed = host::changed(path);
        self
    }

    pub(super) fn with(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }
}
