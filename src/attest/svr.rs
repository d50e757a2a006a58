//! in-toto's simple verification result (SVR): the same properties, for those who read that.
//!
//! Source: in-toto attestation framework, predicate `svr` v0.2.

use serde_json::json;

use super::continuity::{Held, levels};
use super::{Asked, Reviewed, Spoken, statement, subject};
use crate::wire::statement::Statement;

/// Its type.
pub const PREDICATE: &str = "https://in-toto.io/attestation/svr/v0.2";

/// Returns the result for a reviewed commit.
pub(super) fn result(
    asked: &Asked<'_>,
    names: &Spoken,
    reviewed: &Reviewed,
    held: &[Held],
) -> Statement {
    let landed = &reviewed.landed;
    let about = subject(names, asked.commit, &reviewed.tree, Some(&landed.name));
    let levels = levels(held);
    let properties: Vec<&str> = levels.iter().map(|(level, _)| level.as_str()).collect();
    let predicate = json!({
        "verifier": {"id": names.verifier, "policies": [names.policy(&landed.policy)]},
        "timeCreated": asked.now,
        "properties": properties,
    });
    statement(about, PREDICATE, predicate)
}
