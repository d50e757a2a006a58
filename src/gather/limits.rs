//! How much one judgement may cost.

use std::collections::BTreeMap;

/// Bounds of one judgement; each is checked before the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ref updates in one push.
    pub refs: u64,
    /// Commits and trees visited.
    pub objects: u64,
    /// Changed paths.
    pub paths: u64,
    /// Bytes of a hook's input, and of any single object that is read.
    pub bytes: u64,
    /// Wall-clock time.
    pub seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            refs: 1_000,
            objects: 2_000_000,
            paths: 200_000,
            bytes: 8 * 1024 * 1024,
            seconds: 60,
        }
    }
}

impl Limits {
    /// Returns how many commits a walk may read.
    pub(crate) fn objects(&self) -> usize {
        usize::try_from(self.objects).unwrap_or(usize::MAX)
    }

    /// Returns how many changed paths a comparison may find.
    pub(crate) fn paths(&self) -> usize {
        usize::try_from(self.paths).unwrap_or(usize::MAX)
    }

    /// Returns each limit by its name, as a `landed` entry carries them.
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        [
            ("refs", self.refs),
            ("objects", self.objects),
            ("paths", self.paths),
            ("bytes", self.bytes),
            ("seconds", self.seconds),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Returns the limits an entry carries; nothing unless exactly the known names are there.
    pub fn from_names(names: &BTreeMap<String, u64>) -> Option<Self> {
        let limits = Self {
            refs: *names.get("refs")?,
            objects: *names.get("objects")?,
            paths: *names.get("paths")?,
            bytes: *names.get("bytes")?,
            seconds: *names.get("seconds")?,
        };
        (limits.by_name() == *names).then_some(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry's limits come back only if they are exactly the known ones.
    #[test]
    fn limits_by_name() {
        let limits = Limits {
            refs: 3,
            ..Limits::default()
        };
        let mut names = limits.by_name();
        assert_eq!(Limits::from_names(&names), Some(limits));
        names.insert("more".into(), 1);
        assert_eq!(Limits::from_names(&names), None);
    }
}
