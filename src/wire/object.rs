//! What objects have in common.

/// What was signed, and the unfolded armoured signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The bytes under the signature.
    pub payload: Vec<u8>,
    /// The armour as it stands in the object, without folding.
    pub armor: Vec<u8>,
}
