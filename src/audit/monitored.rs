//! What a clone was given, against what a monitor read in the log: the server may show pushers and
//! reviewers another branch than it records, but not to somebody who looks at both.

use std::collections::BTreeMap;

use crate::git::{GitError, RefValue, Repo};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

/// Returns the refs of the log whose last fetched tip is none that was recorded lately.
///
/// `recorded` are the tips of each ref. A clone that was not fetched for a while has an older one of
/// them, which is nothing.
pub fn unrecorded(
    repo: &Repo,
    remote: &str,
    recorded: &BTreeMap<RefName, Vec<Option<Oid>>>,
) -> Result<BTreeMap<RefName, Oid>, GitError> {
    let mut found = BTreeMap::new();
    for (name, tips) in recorded {
        let Some(local) = fetched(remote, name) else {
            continue;
        };
        if let Some(RefValue::Oid(oid)) = repo.reference(&local)?
            && !tips.contains(&Some(oid))
        {
            found.insert(name.clone(), oid);
        }
    }
    Ok(found)
}

/// Returns where a clone keeps what it fetched of a ref.
fn fetched(remote: &str, name: &RefName) -> Option<RefName> {
    let bytes: &[u8] = name.as_bstr();
    if bytes.starts_with(b"refs/tags/") {
        return Some(name.clone());
    }
    let branch = bytes.strip_prefix(b"refs/heads/")?;
    let tracked = [b"refs/remotes/", remote.as_bytes(), b"/", branch].concat();
    Some(RefName::new(tracked))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Branches are tracked per remote, tags are shared, and nothing else is fetched by itself.
    #[test]
    fn places() {
        for (name, local) in [
            ("refs/heads/release/1", Some("refs/remotes/up/release/1")),
            ("refs/tags/v1", Some("refs/tags/v1")),
            ("refs/notes/x", None),
        ] {
            let found = fetched("up", &RefName::from(name));
            assert_eq!(found, local.map(RefName::from));
        }
    }
}
