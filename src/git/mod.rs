//! Git, read strictly: the only module that names `gix`.
//!
//! Everything is read from object ids and raw bytes: no replace refs, grafts, shallow file,
//! commit-graph, mailmap, attributes, drivers, textconv, rename detection and no configuration but
//! the repository's format ([`open`]). What is read is hashed again and compared with the id it was
//! asked by ([`read`]). Nothing is ever written into a quarantine.

#[cfg(test)]
mod against_git;
mod cache;
pub mod changes;
mod diff;
#[cfg(test)]
mod fixture;
pub mod lines;
pub mod merge;
mod notes;
pub mod open;
mod paint;
pub mod patch;
pub mod read;
pub mod refs;
#[cfg(test)]
mod vectors;
pub mod walk;

pub use changes::{Change, TreeFault, changes, check_trees, mark_known};
pub use merge::{Merged, merge_trees};
pub use open::{Quarantine, Repo, directory_at, is_git_dir};
pub use refs::RefValue;
pub use walk::{first_parents, is_ancestor, merge_bases, new_commits};

use crate::wire::name::RefName;
use crate::wire::object::{ObjectFault, ObjectKind};
use crate::wire::oid::Oid;

/// Largest commit that is read, in bytes.
pub const COMMIT_LIMIT: u64 = 1 << 20;
/// Largest tag object that is read, in bytes.
pub const TAG_LIMIT: u64 = 64 << 10;
/// Largest tree that is read, in bytes.
pub const TREE_LIMIT: u64 = 16 << 20;
/// Largest blob that takes part in a merge, in bytes.
pub const BLOB_LIMIT: u64 = 32 << 20;
/// Deepest directory a path may have.
pub const DEPTH_LIMIT: usize = 128;
/// Longest path, in bytes.
pub const PATH_LIMIT: usize = 4096;

/// Why git could not be read; each of them means that nothing may be accepted.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// No such object, here or in any alternate.
    #[error("object {0} is missing")]
    Missing(Oid),
    /// An object of another kind than its place asks for.
    #[error("object {oid} is a {found:?}, not a {expected:?}")]
    WrongKind {
        /// The object.
        oid: Oid,
        /// What it should be.
        expected: ObjectKind,
        /// What it is.
        found: ObjectKind,
    },
    /// An object larger than what may be read of its kind.
    #[error("object {oid} has {size} bytes, more than {limit}")]
    TooLarge {
        /// The object.
        oid: Oid,
        /// Its size.
        size: u64,
        /// The largest size allowed.
        limit: u64,
    },
    /// An object that the strict parser refuses.
    #[error("object {oid} is malformed: {detail}")]
    Malformed {
        /// The object.
        oid: Oid,
        /// Which family of findings it belongs to.
        fault: ObjectFault,
        /// The entry of a tree that is at fault.
        name: Option<bstr::BString>,
        /// What the parser says.
        detail: String,
    },
    /// An object whose bytes do not give its id, or that cannot be decoded.
    #[error("object {oid} is corrupt: {detail}")]
    Corrupt {
        /// The object.
        oid: Oid,
        /// What does not fit.
        detail: String,
    },
    /// More work than allowed.
    #[error("more than {limit} {what}")]
    Budget {
        /// What there are too many of.
        what: &'static str,
        /// How many would have been allowed.
        limit: u64,
    },
    /// A repository of a kind that is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// A ref that cannot be read, or that is not what was expected when written.
    #[error("ref {name}: {detail}")]
    Ref {
        /// The ref.
        name: RefName,
        /// What is wrong.
        detail: String,
    },
    /// The object or ref store failed.
    #[error("{0}")]
    Store(String),
}
