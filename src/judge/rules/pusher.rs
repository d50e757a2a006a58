//! Whoever writes what Countersign guards must be known.

use crate::judge::facts::{Pusher, Scope};
use crate::judge::verdict::{Code, Finding, Severity};

/// Refuses a pusher whom `people.toml` does not know, except on free refs.
pub(crate) fn finding(pusher: &Pusher, scope: &Scope) -> Option<Finding> {
    let Pusher::Unknown(name) = pusher else {
        return None;
    };
    (*scope != Scope::Free).then(|| Finding {
        about: vec![name.clone()],
        ..super::bare(Code::UnknownPusher, Severity::Refuse)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::sample::{Push, protection};
    use crate::judge::verdict::Decision;

    /// A stranger writes free refs alone; where there is no push there is no pusher to know.
    #[test]
    fn strangers_write_free_refs_alone() {
        let stranger = || Pusher::Unknown("mallory".to_owned());
        for (pusher, scope, decision) in [
            (stranger(), Scope::Protected(protection()), Decision::Refuse),
            (stranger(), Scope::Review, Decision::Refuse),
            (stranger(), Scope::Proposal, Decision::Refuse),
            (stranger(), Scope::Free, Decision::Accept),
            (
                Pusher::Nobody,
                Scope::Protected(protection()),
                Decision::Accept,
            ),
        ] {
            let mut push = Push::new("").approved(&["bob"]).scoped(scope);
            push.pusher = pusher;
            assert_eq!(push.decision(), decision, "{:?}", push.update.scope);
        }
    }

    /// The name that the host gave is told, nobody else's.
    #[test]
    fn names_the_stranger() {
        let mut push = Push::new("").approved(&["bob"]);
        push.pusher = Pusher::Unknown("mallory".to_owned());
        assert_eq!(push.found(Code::UnknownPusher)[0].about, ["mallory"]);
    }
}
