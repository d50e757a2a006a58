//! Policies that were written beforehand: `templates/policy/`.

use clap::ValueEnum;
use toml_edit::{DocumentMut, Item, Value};

use super::policy::Site;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Starter {
    /// Two people who review each other
    TwoPeople,
    /// Two approvals, signed commits, every commit by itself
    Strict,
    /// A few maintainers, changes from anybody
    OutsideContributors,
    /// Say what would be refused, and let it pass
    DryRunFirst,
}

impl Starter {
    /// Returns it with this repository's name and branch in it.
    pub(super) fn fitted(self, site: &Site) -> Result<String, toml_edit::TomlError> {
        let text = match self {
            Self::TwoPeople => include_str!("../../../templates/policy/two-people/policy.toml"),
            Self::Strict => include_str!("../../../templates/policy/strict/policy.toml"),
            Self::OutsideContributors => {
                include_str!("../../../templates/policy/outside-contributors/policy.toml")
            }
            Self::DryRunFirst => {
                include_str!("../../../templates/policy/dry-run-first/policy.toml")
            }
        };
        let mut document: DocumentMut = text.parse()?;
        if let Some(name) = document.get_mut("repository").and_then(Item::as_value_mut) {
            replace(name, &site.repository);
        }
        let refs = document
            .get_mut("ref")
            .and_then(Item::as_array_of_tables_mut);
        let tables = refs.into_iter().flat_map(|refs| refs.iter_mut());
        for table in tables {
            let patterns = table.get_mut("match").and_then(Item::as_array_mut);
            for pattern in patterns
                .into_iter()
                .flat_map(|patterns| patterns.iter_mut())
            {
                if pattern.as_str() == Some("refs/heads/main") {
                    replace(pattern, &site.branch.to_string());
                }
            }
        }
        Ok(document.to_string())
    }
}

/// Replaces a string and keeps what stands around it.
fn replace(value: &mut Value, text: &str) {
    let decor = value.decor().clone();
    *value = Value::from(text);
    *value.decor_mut() = decor;
}
