//! Path and ref patterns.

/// A pattern of the policy's dialect.
#[derive(Clone, Debug)]
pub struct Pattern {}
