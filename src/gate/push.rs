//! The push gate: `pre-receive` decides, `post-receive` records what took effect.
//!
//! What a crash after each step of `pre-receive` leaves (`docs/crashes.md` has the whole push):
//!
//! 1. settle what earlier pushes left open — an entry, or an intent that the next run finds;
//! 2. judge, without the lock — nothing;
//! 3. take the lock; if the repository's record moved meanwhile, judge again — nothing;
//! 4. note who brought which commits — a note about objects that are not there: harmless;
//! 5. append the reviews of the push — reviews on record whose refs never came to be: they were
//!    signed, and count;
//! 6. keep the push certificate as evidence — a file that no entry names;
//! 7. write the intent, durably — an intent whose process is gone: it lapses;
//! 8. exit 0 — git asks the ref gate, where the intent answers, and moves the refs; if `post-receive`
//!    never runs, the next hook closes the intent.
//!
//! `post-receive` appends the landing (from here on the intent is spent), writes keep refs, and removes
//! the intent; whatever of it a crash leaves undone, the next run does.

use std::time::Instant;

use jiff::Timestamp;

use crate::admit::settle::{Outcome, Settling};
use crate::admit::{Admission, AdmitError, Asked, Landing, admit, rehearse};
use crate::gather::Proposed;
use crate::git::RefValue;
use crate::host::PusherSource;
use crate::host::certificate::{self, Certificate, CertificateFault};
use crate::host::clock;
use crate::host::hooks::{Hook, Hooks};
use crate::host::previous::run_previous;
use crate::host::pusher;
use crate::judge::facts::Pusher;
use crate::judge::verdict::{Code, Decision, Verdict};
use crate::people::People;
use crate::record::entry::{DecisionId, Entry, Landed, PolicyId, PusherId, Received};
use crate::record::{Intent, Lock, Process, RecordError, View};
use crate::report::{self, Context};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::push::{Push, PushError, RefUpdate};

use super::received::{Noted, arriving};
use super::{Answer, Call, GateError, Site, guarded, reply};

/// Decides a push.
///
/// `Err` means that the question could not even be asked; like everything but
/// [`Answer::Accepted`] it must end in a non-zero exit.
pub fn pre_receive(call: &mut Call<'_>) -> Result<Answer, GateError> {
    let started = Instant::now();
    let site = Site::of_hook(&call.dir, call.env)?;
    let limit = site.server.limits.bytes;
    if call.input.len() as u64 > limit {
        return Err(GateError::Input { limit });
    }
    let hooks = Hooks::of(site.repo.git_dir());
    if hooks.hands_over() {
        return Err(GateError::ProcReceive);
    }
    run_previous(&hooks.previous(Hook::PreReceive)?, &call.args, &call.input)?;
    let refs = usize::try_from(site.server.limits.refs).unwrap_or(usize::MAX);
    let push = match Push::parse(&call.input, site.repo.format(), refs) {
        Ok(push) => push,
        Err(error) => return Ok(garbled(call, &error)),
    };
    let updates = || {
        let updates = push.updates.iter();
        updates
            .map(|update| Ok(proposed(update, site.current(&update.name)?)))
            .collect()
    };
    let certified = site.server.pusher == PusherSource::PushCert;
    let door = Door {
        site: &site,
        env: call.env,
        gate: "push",
        updates: &updates,
        arriving: &push.updates,
        certificate: certified
            .then(|| Certificate::of_push(&site.repo, call.env, &push, refs, limit)),
        process: Process::receive_pack,
        started,
    };
    let (admission, words) = door.decide()?;
    drop(call.words.write_all(words.as_bytes()));
    Ok(answer(&admission.verdict))
}

/// Returns what git is told.
pub(super) fn answer(verdict: &Verdict) -> Answer {
    match (verdict.admits(), verdict.decision) {
        (true, _) => Answer::Accepted,
        (false, Decision::Refuse) => Answer::Refused,
        (false, _) => Answer::Undecided,
    }
}

/// Says what is wrong with lines that git itself would never write, or too many of them.
fn garbled(call: &mut Call<'_>, error: &PushError) -> Answer {
    let code = match error {
        PushError::TooMany { .. } => "over-budget",
        _ => "undecidable",
    };
    drop(writeln!(
        call.words,
        "countersign: refused: {error} [{code}]"
    ));
    Answer::Refused
}

/// One push, or one other write of refs, at the door.
pub(super) struct Door<'a> {
    pub(super) site: &'a Site,
    pub(super) env: &'a dyn Fn(&str) -> Option<std::ffi::OsString>,
    /// The gate's name, for the audit trail.
    pub(super) gate: &'static str,
    /// What is asked, by the refs as they are now.
    pub(super) updates: &'a dyn Fn() -> Result<Vec<Proposed>, GateError>,
    /// The updates that may bring objects from quarantine.
    pub(super) arriving: &'a [RefUpdate],
    /// Where a certificate tells who pushes.
    pub(super) certificate: Option<Result<Certificate, CertificateFault>>,
    /// Finds the process that is to move the refs.
    pub(super) process: fn() -> Result<Process, RecordError>,
    pub(super) started: Instant,
}

impl Door<'_> {
    /// Judges, records what an accept needs, and finds the words.
    pub(super) fn decide(&self) -> Result<(Admission, String), GateError> {
        let Site { repo, record, .. } = self.site;
        let now = {
            let lock = record.lock()?;
            let now = self::now(&record.view()?)?;
            settle(self.site, &lock, now)?;
            now
        };
        let view = record.view()?;
        let judged_at = view.size();
        let mut admission = self.judge(view, now)?;
        if !admission.verdict.admits() {
            return self.refused(admission);
        }
        let commits = arriving(repo, self.arriving, self.site.server.limits.objects)?;
        let lock = record.lock()?;
        let mut now = now;
        if record.size() != judged_at {
            let view = record.view()?;
            let later = self::now(&view)?;
            // What other repositories append to the same log decides nothing here.
            if later != now || !view.indices(judged_at..view.size())?.is_empty() {
                now = later;
                admission = self.judge(view, now)?;
                if !admission.verdict.admits() {
                    return self.refused(admission);
                }
            }
        }
        self.record(&lock, &admission, commits, now)?;
        drop(lock);
        let words = self.accepted(&admission, now)?;
        Ok((admission, words))
    }

    fn judge(&self, view: View, now: Timestamp) -> Result<Admission, GateError> {
        self.judge_by(view, now, admit)
    }

    /// Judges, and records nothing.
    pub(super) fn judge_by(
        &self,
        view: View,
        now: Timestamp,
        decide: impl FnOnce(Asked<'_>) -> Result<Admission, AdmitError>,
    ) -> Result<Admission, GateError> {
        let updates = (self.updates)()?;
        let known = |people: &People| match &self.certificate {
            Some(certificate) => certificate::pusher(certificate, people, now),
            None => pusher(&self.site.server.pusher, self.env, people),
        };
        self.ask(view, now, &updates, &known, decide)
    }

    fn ask<T>(
        &self,
        view: View,
        now: Timestamp,
        updates: &[Proposed],
        pusher: &dyn Fn(&People) -> Pusher,
        decide: impl FnOnce(Asked<'_>) -> Result<T, AdmitError>,
    ) -> Result<T, GateError> {
        let Site {
            repo,
            record,
            server,
            ..
        } = self.site;
        let seconds = server.limits.seconds;
        Ok(decide(Asked {
            repo,
            view,
            policy_ref: &server.policy_ref,
            limits: &server.limits,
            mode: server.mode,
            now,
            pusher,
            bringers: &Noted { repo, record },
            expired: &|| self.started.elapsed().as_secs() >= seconds,
            updates,
        })?)
    }

    /// Writes down everything an accept rests on, durably, before it exists.
    fn record(
        &self,
        lock: &Lock,
        admission: &Admission,
        commits: Vec<Oid>,
        now: Timestamp,
    ) -> Result<(), GateError> {
        let record = &self.site.record;
        record.check_key()?;
        let first = record.unnoted(commits)?;
        if !first.is_empty() {
            record.note_received(
                lock,
                &Received {
                    at: now,
                    pusher: match &admission.pusher {
                        Pusher::Person(person) => Some(person.clone()),
                        Pusher::Unknown(_) | Pusher::Nobody => None,
                    },
                    commits: first,
                },
            )?;
        }
        let reviews: Vec<Entry> = admission
            .reviews
            .iter()
            .cloned()
            .map(Entry::Review)
            .collect();
        if !reviews.is_empty() {
            record.append(lock, &reviews)?;
        }
        let Some(policy) = &admission.policy else {
            return Ok(());
        };
        if admission.landings.is_empty() {
            return Ok(());
        }
        let certificate = match (&self.certificate, &admission.pusher) {
            (Some(Ok(certificate)), Pusher::Person(_)) => {
                Some(record.put_evidence(certificate.bytes())?)
            }
            _ => None,
        };
        let id = Intent::new_id()?;
        let size = record.size();
        let landed = admission
            .landings
            .iter()
            .map(|landing| Landed {
                certificate: certificate.clone(),
                ..self.landed(&id, size, policy, &admission.pusher, landing, now)
            })
            .collect();
        record.write_intent(&Intent {
            id: id.clone(),
            at: now,
            size,
            process: (self.process)()?,
            landed,
        })?;
        Ok(())
    }

    fn landed(
        &self,
        intent: &str,
        size: u64,
        policy: &PolicyId,
        pusher: &Pusher,
        landing: &Landing,
        now: Timestamp,
    ) -> Landed {
        Landed {
            at: now,
            judged: now,
            size,
            judge: env!("CARGO_PKG_VERSION").to_owned(),
            limits: self.site.server.limits.by_name(),
            repository: landing.repository.clone(),
            name: landing.name.clone(),
            old: landing.old,
            new: landing.new,
            pusher: match pusher {
                Pusher::Person(person) => PusherId::Person(person.clone()),
                Pusher::Unknown(name) => PusherId::Unknown(name.clone()),
                Pusher::Nobody => PusherId::Unknown(String::new()),
            },
            mode: landing.mode,
            policy: policy.clone(),
            intent: intent.to_owned(),
            sha256: landing.sha256.clone(),
            rejudged: false,
            certificate: None,
            decision: DecisionId::Inline(Box::new(landing.decided.clone())),
        }
    }

    pub(super) fn refused(&self, admission: Admission) -> Result<(Admission, String), GateError> {
        // Asked for where a refusal says how to share; if they cannot be listed, sharing again does no harm.
        let mut findings = admission.verdict.updates.iter().flat_map(|it| &it.findings);
        let refs = match findings.any(|finding| finding.code == Code::MissingApprovals) {
            true => self.site.repo.references().unwrap_or_default(),
            false => Vec::new(),
        };
        let context = self.context(&admission).among(&admission.verdict, &refs);
        let event = serde_json::json!({
            "at": clock().to_string(),
            "event": "refused",
            "gate": self.gate,
            "pusher": context.pusher,
            "verdict": report::json::verdict(&admission.verdict),
        });
        // The trail is for people; a refusal stands whether or not it could be written there.
        drop(self.site.record.audit(&event));
        let words = report::terminal::verdict(&admission.verdict, &context);
        Ok((admission, words))
    }

    fn accepted(&self, admission: &Admission, now: Timestamp) -> Result<String, GateError> {
        let context = self.context(admission);
        let mut words = String::new();
        if !admission.landings.is_empty() {
            words.push_str(&report::terminal::verdict(&admission.verdict, &context));
        }
        let ask = |name: &RefName, head: &Oid| {
            let view = self.site.record.view()?;
            let landing = |asked: Asked<'_>| rehearse::landing(asked, name, head);
            self.ask(view, now, &[], &|_| Pusher::Nobody, landing)
        };
        let outcomes = reply::outcomes(&self.site.repo, admission, &ask);
        words.push_str(&report::terminal::review_reply(&outcomes, &context));
        Ok(words)
    }

    fn context(&self, admission: &Admission) -> Context {
        let help_url = self.site.server.help.clone();
        let context = Context {
            help_url,
            ..Context::default()
        };
        context.about(admission)
    }
}

/// Reads the clock, and refuses to go back behind the record.
pub(super) fn now(view: &View) -> Result<Timestamp, GateError> {
    let now = clock();
    match view.last_time()? {
        Some(last) if now < last => Err(GateError::Clock { last, now }),
        _ => Ok(now),
    }
}

/// Closes what earlier pushes left open.
pub(super) fn settle(site: &Site, lock: &Lock, now: Timestamp) -> Result<(), GateError> {
    let Site {
        repo,
        record,
        server,
        ..
    } = site;
    Settling {
        repo,
        record,
        lock,
        policy_ref: &server.policy_ref,
        mode: server.mode,
        now,
        mine: None,
    }
    .settle()?;
    Ok(())
}

/// Turns a line of the hook's input into a question.
fn proposed(update: &RefUpdate, current: Option<RefValue>) -> Proposed {
    let some = |oid: Oid| (!oid.is_zero()).then_some(oid);
    Proposed {
        name: update.name.clone(),
        old: some(update.old),
        new: some(update.new),
        current: Some(current),
    }
}

/// Records what a push did to protected refs.
///
/// git ignores how this ends; whatever is left open is closed by the next hook.
pub fn post_receive(call: &mut Call<'_>) -> Result<Answer, GateError> {
    let site = Site::of_hook(&call.dir, call.env)?;
    if site.record.has_intents()? {
        record_landings(&site, call)?;
        guarded::renew(&site);
    }
    let hooks = Hooks::of(site.repo.git_dir()).previous(Hook::PostReceive)?;
    run_previous(&hooks, &call.args, &call.input)?;
    Ok(Answer::Accepted)
}

/// Closes what can be closed, and says which refs are on record now.
fn record_landings(site: &Site, call: &mut Call<'_>) -> Result<(), GateError> {
    let lock = site.record.lock()?;
    let settled = Settling {
        repo: &site.repo,
        record: &site.record,
        lock: &lock,
        policy_ref: &site.server.policy_ref,
        mode: site.server.mode,
        now: clock(),
        mine: Some(&Process::receive_pack()?),
    }
    .settle()?;
    drop(lock);
    for (name, outcome) in &settled.closed {
        if let Outcome::Landed(index) = outcome {
            let text = format!("countersign: recorded {name} as entry {index}");
            drop(writeln!(call.words, "{text}"));
        }
    }
    Ok(())
}
