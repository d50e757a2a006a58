//! The ref gate: `reference-transaction` decides about ref writes that are no push.
//!
//! 1. what really moves: each line of git's is held against the ref as it is;
//! 2. what an intent of this very git process covers goes on, once, and what nothing guards;
//! 3. what is open is settled; a protected ref that is set back to its recorded tip goes on;
//! 4. the rest is judged as a push would be, and recorded as one.
//!
//! What git 2.39 and 2.47 send in `prepared`, the only state in which an exit code counts (`0` is
//! zeros, P what the ref is; the files backend; seen with a hook that wrote everything down):
//!
//! ```text
//! update-ref R N, branch -f     0 N R              and the same for HEAD where it points to R
//! update-ref R N P, fetch, push P N R              "
//! update-ref -d R [P], packed   0 0 R              then, both under packed-refs.lock,
//!                               0 0 R, or P 0 R    "
//! update-ref -d R [P], loose    0 0 R, or P 0 R    once, under packed-refs.lock
//! pack-refs, gc                 0 P R …            under packed-refs.lock, without R.lock
//!                               P 0 R              for each, under R.lock, without packed-refs.lock
//! update-ref --stdin, verify    P 0 R              under R.lock, without packed-refs.lock
//! symbolic-ref R T              0 ref:T R          2.39: the hook is not run
//! branch -m S R, -M S R         S is deleted, then an old R; of the new R nothing is said
//! branch -C S R                 nothing, whatever R was
//! ```
//!
//! So a deletion is one that holds packed-refs.lock: git takes it for every deletion, to be sure that
//! the ref does not come back from there, and for nothing else that sends zeros. A name outside
//! `refs/` is of one working tree, and holds nothing that is protected.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::admit::{self, Asked, RefState, settle};
use crate::gather::{Proposed, Rulebook, scope};
use crate::git::{RefValue, Repo, directory_at};
use crate::host::clock;
use crate::host::hooks::{Hook, Hooks};
use crate::host::previous::run_previous;
use crate::record::Process;
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::refname;
use crate::wire::transaction::{RefTarget, RefWrite, TransactionError, writes};

use super::push::{Door, answer};
use super::{Answer, Call, GateError, MOST_INPUT, Site, git_dir, guarded};

/// The most refs that one transaction may really move.
const MOVES: usize = 1_000_000;
/// How long another process may hold a lock before it is taken for our git's own.
const OTHERS: Duration = Duration::from_millis(500);
/// How often a lock is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// Returns whether this state of a transaction is anybody's business: ours in `prepared`, in the others,
/// known or not, that of a hook which stood there before.
pub fn is_asked(
    dir: &Path,
    env: &dyn Fn(&str) -> Option<OsString>,
    args: &[OsString],
) -> Result<bool, GateError> {
    if is_prepared(args) {
        return Ok(true);
    }
    let hooks = Hooks::of(&directory_at(&git_dir(dir, env))?);
    Ok(!hooks.previous(Hook::ReferenceTransaction)?.is_empty())
}

fn is_prepared(args: &[OsString]) -> bool {
    args.first().is_some_and(|state| state == "prepared")
}

/// Decides a transaction.
///
/// `Err` means that the question could not even be asked; like everything but [`Answer::Accepted`] it
/// must end in a non-zero exit.
pub fn reference_transaction(call: &mut Call<'_>) -> Result<Answer, GateError> {
    let started = Instant::now();
    let git_dir = git_dir(&call.dir, call.env);
    let common = directory_at(&git_dir)?;
    let hooks = Hooks::of(&common).previous(Hook::ReferenceTransaction)?;
    run_previous(&hooks, &call.args, &call.input)?;
    if !is_prepared(&call.args) {
        return Ok(Answer::Accepted);
    }
    if call.input.len() as u64 >= MOST_INPUT {
        let limit = MOST_INPUT;
        return Err(GateError::Input { limit });
    }
    if guarded::are_free(&common, &call.input) {
        return Ok(Answer::Accepted);
    }
    let repo = Repo::open(&git_dir, None)?;
    let moves = match Disk::of(&repo).moves(&call.input) {
        Ok(moves) => moves,
        Err(error) => {
            drop(writeln!(
                call.words,
                "countersign: refused: {error} [undecidable]"
            ));
            return Ok(Answer::Refused);
        }
    };
    // Packing, a reset to where it is, HEAD alone: no question, so no record that must answer it.
    if moves.is_empty() {
        return Ok(Answer::Accepted);
    }
    if moves.len() > MOVES {
        let (what, limit) = ("refs in one transaction", MOVES as u64);
        return Err(crate::git::GitError::Budget { what, limit }.into());
    }
    let gate = Gate {
        site: &Site::of(repo)?,
        env: call.env,
        started,
    };
    let (answer, words) = gate.decide(moves)?;
    drop(call.words.write_all(words.as_bytes()));
    Ok(answer)
}

/// A ref that really moves.
#[derive(Clone, Debug)]
struct Move {
    name: RefName,
    /// What it is; where that cannot be read, why.
    from: Result<RefState, String>,
    /// What it is to be.
    to: RefState,
    /// Whether git was told that it is what it is.
    told: bool,
}

impl Move {
    fn deletes(&self) -> bool {
        self.to == RefState::Absent
    }
}

/// Refs and their locks as they are.
struct Disk<'a> {
    repo: &'a Repo,
    /// `packed-refs.lock`.
    packed: PathBuf,
}

impl<'a> Disk<'a> {
    fn of(repo: &'a Repo) -> Self {
        // git puts the lock beside the file that a link leads to.
        let packed = repo.git_dir().join("packed-refs");
        let packed = packed.canonicalize().unwrap_or(packed);
        Self {
            repo,
            packed: with_lock(packed),
        }
    }

    /// Lists what moves below `refs/`.
    fn moves(&self, input: &[u8]) -> Result<Vec<Move>, TransactionError> {
        let mut moves = Vec::new();
        for write in writes(input, self.repo.format()) {
            let write = write?;
            if write.name.as_bstr().starts_with(b"refs/") && moves.len() <= MOVES {
                moves.extend(self.movement(write));
            }
        }
        Ok(moves)
    }

    /// Returns what a line moves, if anything.
    fn movement(&self, write: RefWrite) -> Option<Move> {
        let from = match refname::is_valid(write.name.as_bstr()) {
            true => self.repo.reference(&write.name).map(RefState::from),
            false => Ok(RefState::Absent),
        };
        let to = match write.new {
            RefTarget::Symbolic(target) => RefState::Symbolic(target),
            RefTarget::Oid(oid) if oid.is_zero() => RefState::Absent,
            RefTarget::Oid(oid) => RefState::At(oid),
        };
        let movement = Move {
            told: matches!((&write.old, &from), (RefTarget::Oid(old), Ok(RefState::At(now))) if old == now),
            name: write.name,
            from: from.map_err(|error| error.to_string()),
            to,
        };
        (movement.from.as_ref() != Ok(&movement.to) && !self.is_upkeep(&movement))
            .then_some(movement)
    }

    /// Returns whether a ref stays what it is although its line says otherwise, by the locks that are
    /// held: its packed copy goes out of date, its loose one is no longer needed, or it is only verified.
    fn is_upkeep(&self, movement: &Move) -> bool {
        let packed_locked = self.packed.exists();
        match (&movement.from, &movement.to) {
            (Ok(RefState::At(_)), RefState::Absent) => movement.told && !packed_locked,
            (Ok(RefState::At(_)), RefState::At(_)) => {
                !movement.told && packed_locked && !self.lock_of(&movement.name).exists()
            }
            _ => false,
        }
    }

    /// Takes out what turns out to be upkeep once a lock is gone that was another process's: it makes
    /// upkeep look like a movement. Our own git keeps its locks while it waits for us.
    fn sort_out(&self, moves: &mut Vec<Move>) {
        let may_be = |one: &Move| match one.to {
            RefState::Absent => one.told,
            RefState::At(_) => !one.told && self.packed.exists(),
            RefState::Symbolic(_) => false,
        };
        let until = Instant::now() + OTHERS;
        while moves.iter().any(may_be) && Instant::now() < until {
            std::thread::sleep(LOOK);
            moves.retain(|one| !self.is_upkeep(one));
        }
    }

    fn lock_of(&self, name: &RefName) -> PathBuf {
        let name = std::ffi::OsStr::from_bytes(name.as_bstr());
        with_lock(self.repo.git_dir().join(name))
    }
}

fn with_lock(path: PathBuf) -> PathBuf {
    let mut path = path.into_os_string();
    path.push(".lock");
    PathBuf::from(path)
}

/// One transaction at the door.
struct Gate<'a> {
    site: &'a Site,
    env: &'a dyn Fn(&str) -> Option<OsString>,
    started: Instant,
}

impl Gate<'_> {
    fn decide(&self, mut moves: Vec<Move>) -> Result<(Answer, String), GateError> {
        let Site {
            repo,
            record,
            server,
            ..
        } = self.site;
        let (process, is_push) = Process::git()?;
        // What a push landed needs no rules: they were asked when its intent was written.
        let spent = self.spend(&mut moves, process);
        if moves.is_empty() {
            return Ok((Answer::Accepted, String::new()));
        }
        let view = record.view()?;
        let rules =
            admit::rules(repo, &view, &server.policy_ref).map_err(admit::AdmitError::from)?;
        if let Ok(rules) = &rules {
            guarded::keep(self.site, &view, rules);
            moves.retain(|one| !self.is_free(rules, one, is_push));
        }
        // What goes into the record. Without a policy nobody can tell: everything is judged, and so
        // refused.
        let recorded = moves.iter().any(|one| match &rules {
            Ok(rules) => {
                self.is_protected(rules, &one.name) || refname::review_ref(&one.name).is_some()
            }
            Err(_) => true,
        });
        if recorded {
            // An intent that cannot be read is of no concern to what nobody guards.
            spent?;
            Disk::of(repo).sort_out(&mut moves);
            self.set_back(&mut moves)?;
        }
        if moves.is_empty() {
            return Ok((Answer::Accepted, String::new()));
        }
        let updates = || moves.iter().map(|one| self.proposed(&rules, one)).collect();
        let door = Door {
            site: self.site,
            env: self.env,
            gate: "ref",
            updates: &updates,
            arriving: &[],
            certificate: None,
            process: || Process::git().map(|(process, _)| process),
            started: self.started,
        };
        let (admission, words) = match &rules {
            Ok(rules) if !recorded => {
                let decide = |asked: Asked<'_>| admit::admit_by(asked, rules);
                let admission = door.judge_by(view, clock(), decide)?;
                match admission.verdict.admits() {
                    true => (admission, String::new()),
                    false => door.refused(admission)?,
                }
            }
            _ => door.decide()?,
        };
        Ok((answer(&admission.verdict), words))
    }

    fn is_protected(&self, rules: &Rulebook, name: &RefName) -> bool {
        let policy_ref = &self.site.server.policy_ref;
        rules.policy.protection(name, policy_ref).is_some()
    }

    /// Returns whether a move needs no question: nobody guards what it takes away, or `pre-receive`
    /// has seen its name.
    fn is_free(&self, rules: &Rulebook, movement: &Move, is_push: bool) -> bool {
        let name = &movement.name;
        if self.is_protected(rules, name) {
            // What has no tip of its own cannot stay, and takes none with it.
            return movement.deletes() && matches!(movement.from, Ok(RefState::Symbolic(_)));
        }
        let carries = refname::review_ref(name).is_some() || refname::proposal_ref(name).is_some();
        match scope::own_folder(&refname::plain(name)) {
            // The record has the reviews; `git replace -d` shows what there really is.
            Some(folder) => match movement.deletes() {
                true => carries || folder == "refs/replace",
                false => carries && is_push,
            },
            None => movement.deletes() || is_push,
        }
    }

    /// Takes out what an open intent of this process covers and is still to be done; nothing where that
    /// cannot be told of all.
    ///
    /// A deletion of a packed ref is asked about twice.
    fn spend(&self, moves: &mut Vec<Move>, process: Process) -> Result<(), GateError> {
        let Site { record, server, .. } = self.site;
        let mut intents = record.open_intents()?;
        intents.retain(|intent| intent.process == process);
        let mut left = Vec::new();
        for one in moves.iter() {
            let mut passes = false;
            for intent in &intents {
                let covers = intent.landed.iter().find(|landed| {
                    landed.name == one.name
                        && one.from == Ok(RefState::from(landed.old))
                        && one.to == RefState::from(landed.new)
                });
                let Some(landed) = covers else {
                    continue;
                };
                let most = if one.deletes() { 2 } else { 1 };
                // What entered the log meanwhile may have changed the answer.
                passes = !settle::overtaken(record, &server.policy_ref, intent, landed)?
                    && record.spend(intent, &one.name, most)?;
                if passes {
                    break;
                }
            }
            if !passes {
                left.push(one.clone());
            }
        }
        *moves = left;
        Ok(())
    }

    /// Takes out what only brings a ref to where the record has it: the way out of `unknown-tip`.
    ///
    /// What landed unrecorded is recorded first, so that nothing is set back behind it.
    fn set_back(&self, moves: &mut Vec<Move>) -> Result<(), GateError> {
        if moves.is_empty() {
            return Ok(());
        }
        let record = &self.site.record;
        let lock = record.lock()?;
        let now = super::push::now(&record.view()?)?;
        super::push::settle(self.site, &lock, now)?;
        let view = record.view()?;
        let mut left = Vec::new();
        for one in moves.drain(..) {
            let recorded = view.tip(&one.name)?.and_then(|tip| tip.oid);
            // The record has no tips of Countersign's own refs: all of them would seem to be gone.
            let own = scope::own_folder(&refname::plain(&one.name)).is_some();
            if own || RefState::from(recorded) != one.to {
                left.push(one);
                continue;
            }
            let from = match &one.from {
                Ok(RefState::At(oid)) => oid.to_string(),
                Ok(RefState::Symbolic(to)) => format!("ref:{to}"),
                Ok(RefState::Absent) => String::new(),
                Err(error) => error.clone(),
            };
            // The trail is for people: the ref is what it should be either way.
            drop(record.audit(&serde_json::json!({
                "at": now.to_string(),
                "event": "set back",
                "gate": "ref",
                "ref": one.name.to_string(),
                "from": from,
                "to": recorded.map(|oid| oid.to_string()),
            })));
        }
        *moves = left;
        Ok(())
    }

    /// Turns a move into a question.
    ///
    /// What becomes symbolic has no new object: a protected ref is then asked about as the alias that it
    /// would be, any other by its name alone.
    fn proposed(
        &self,
        rules: &Result<Rulebook, crate::gather::RulebookError>,
        movement: &Move,
    ) -> Result<Proposed, GateError> {
        let unreadable = |detail: &String| crate::git::GitError::Ref {
            name: movement.name.clone(),
            detail: detail.clone(),
        };
        let is_protected = match rules {
            Ok(rules) => self.is_protected(rules, &movement.name),
            Err(_) => true,
        };
        let zero = Oid::zero(self.site.repo.format());
        let (new, alias) = match &movement.to {
            RefState::Absent => (None, None),
            RefState::At(oid) => (Some(*oid), None),
            RefState::Symbolic(to) => (Some(zero), Some(RefValue::Symbolic(to.clone()))),
        };
        let current = match (is_protected, &movement.from) {
            (false, _) => None,
            (true, Err(detail)) => return Err(unreadable(detail).into()),
            (true, Ok(state)) => alias.or(match state {
                RefState::Absent => None,
                RefState::At(oid) => Some(RefValue::Oid(*oid)),
                RefState::Symbolic(to) => Some(RefValue::Symbolic(to.clone())),
            }),
        };
        Ok(Proposed {
            name: movement.name.clone(),
            old: match &movement.from {
                Ok(RefState::At(oid)) => Some(*oid),
                _ => None,
            },
            new,
            current: Some(current),
        })
    }
}
