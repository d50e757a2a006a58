//! What a certificate says of its keys, and what that means at an instant. No cryptography: every
//! statement here was verified when the certificate was read.

use pgp::packet::{RevocationCode, Signature};

/// What a statement is about; the newest of each group counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// The primary key itself.
    Direct,
    /// The primary key together with the user id of that index.
    User(usize),
    /// A subkey.
    Binding,
}

/// One verified self-signature.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) group: Group,
    /// Seconds since 1970.
    pub(super) created: u32,
    /// Seconds after the key's creation.
    pub(super) key_expires_after: Option<u32>,
    /// Seconds after the statement's creation.
    pub(super) expires_after: Option<u32>,
    /// Whether the key is for signing documents, where it says so.
    pub(super) signs: Option<bool>,
    /// Whether its hash is strong and all that is critical in it was understood.
    pub(super) usable: bool,
    /// Whether it takes its group back.
    pub(super) withdraws: bool,
}

/// A key and all that was said of it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    created: u32,
    statements: Vec<Statement>,
    /// Since when; none is for ever.
    revoked: Vec<Option<u32>>,
}

/// Whether a key may sign documents; ordered by what weighs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It may.
    Live,
    /// Nothing says that it may.
    NotForSigning,
    /// Not yet, or no longer.
    Expired,
    /// Taken back.
    Revoked,
}

impl Standing {
    /// Returns the worse of the two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

impl Part {
    pub(super) fn new(created: u32) -> Self {
        Self {
            created,
            statements: Vec::new(),
            revoked: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, statement: Statement) {
        self.statements.push(statement);
    }

    /// Takes a verified revocation. Weak hashes count too: they only take away.
    pub(super) fn revoke(&mut self, signature: &Signature) {
        let soft = matches!(
            signature.revocation_reason_code(),
            Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired)
        );
        let since = signature.created().map(|created| created.as_secs());
        self.revoked.push(since.filter(|_| soft));
    }

    pub(super) fn has_strong_statement(&self) -> bool {
        self.statements
            .iter()
            .any(|statement| statement.usable && !statement.withdraws)
    }

    /// Returns whether the key may sign at `at`.
    pub(super) fn standing(&self, at: i64) -> Standing {
        let life = self.life(at);
        let in_force = self.in_force(at);
        // All that speak of flags must agree, and one must speak.
        let mut flags = in_force.iter().filter_map(|statement| statement.signs);
        match (flags.next(), flags.all(|signs| signs)) {
            (Some(true), true) => life,
            _ => life.and(Standing::NotForSigning),
        }
    }

    /// Returns whether the key stands at `at`, whatever it is for.
    pub(super) fn life(&self, at: i64) -> Standing {
        let gone = |since: &Option<u32>| since.is_none_or(|since| i64::from(since) <= at);
        if self.revoked.iter().any(gone) {
            return Standing::Revoked;
        }
        let in_force = self.in_force(at);
        let lives = |statement: &&Statement| statement.usable && !self.is_over(statement, at);
        if i64::from(self.created) > at || in_force.is_empty() || !in_force.iter().all(lives) {
            return Standing::Expired;
        }
        Standing::Live
    }

    fn is_over(&self, statement: &Statement, at: i64) -> bool {
        statement
            .key_expires_after
            .is_some_and(|after| i64::from(self.created).saturating_add(i64::from(after)) <= at)
    }

    /// Returns the statements that count at `at`: the newest on the key itself, the newest of all
    /// user ids, the newest binding.
    fn in_force(&self, at: i64) -> Vec<&Statement> {
        let mut newest: Vec<&Statement> = Vec::new();
        for statement in &self.statements {
            if i64::from(statement.created) > at {
                continue;
            }
            let rival = newest
                .iter_mut()
                .find(|other| other.group == statement.group);
            match rival {
                Some(other) if weight(statement) > weight(other) => *other = statement,
                Some(_) => {}
                None => newest.push(statement),
            }
        }
        newest.retain(|statement| !statement.withdraws && !has_ended(statement, at));
        let users = newest
            .iter()
            .filter(|statement| matches!(statement.group, Group::User(_)));
        let user = users.copied().max_by_key(|statement| weight(statement));
        newest.retain(|statement| !matches!(statement.group, Group::User(_)));
        newest.extend(user);
        newest
    }
}

fn has_ended(statement: &Statement, at: i64) -> bool {
    statement
        .expires_after
        .is_some_and(|after| i64::from(statement.created).saturating_add(i64::from(after)) <= at)
}

/// Newer first; of the same second what takes more away.
fn weight(statement: &Statement) -> (u32, bool, bool, u32) {
    let lifetime = statement.key_expires_after.unwrap_or(u32::MAX);
    (
        statement.created,
        statement.withdraws,
        !statement.usable,
        u32::MAX.saturating_sub(lifetime),
    )
}
