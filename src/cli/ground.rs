//! What `check` and `reviews` judge by: a server's record, or what a clone has fetched.

use clap::Args;
use jiff::Timestamp;

use super::fetched::{Bringing, Fetched, Nobody};
use super::{CliError, Kind, Session, git, repository};
use crate::admit::residual::Past;
use crate::admit::{AdmitError, Asked};
use crate::gate::received::Noted;
use crate::gate::{GateError, Site};
use crate::gather::{Limits, Proposed, Rulebook};
use crate::git::Repo;
use crate::host::clock;
use crate::judge::facts::Pusher;
use crate::people::People;
use crate::policy::Mode;
use crate::record::View;
use crate::report::Context;
use crate::report::plain::{plain, wrap};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;

/// Why reviews that were not taken in are listed no further.
const REFUSED: usize = 3;

/// Which ref is meant, and whose.
#[derive(Debug, Args)]
pub(super) struct Where {
    /// The ref it is to land on; a short name is a branch
    #[arg(long, value_name = "ref")]
    pub(super) onto: String,
    /// In a clone: whose branches and reviews to go by
    #[arg(long, value_name = "remote", default_value = "origin")]
    pub(super) remote: String,
    /// In a clone: the branch that policy and people stand on
    #[arg(long, value_name = "ref", default_value = "main")]
    pub(super) policy_ref: String,
}

impl Where {
    /// Returns the full name of the ref to land on.
    pub(super) fn target(&self) -> Result<RefName, CliError> {
        let name = repository::full_name(&self.onto);
        match crate::wire::refname::check(&name) {
            Ok(()) => Ok(name),
            Err(error) => Err(CliError::words(Kind::Usage, format!("{name}: {error}"))),
        }
    }
}

/// What is judged by.
pub(super) struct Ground {
    place: Place,
    policy_ref: RefName,
    limits: Limits,
    mode: Mode,
    /// The time it is judged at.
    pub(super) now: Timestamp,
    /// The record, real or put together.
    pub(super) view: View,
    remote: String,
}

enum Place {
    Server(Box<Site>),
    Clone {
        repo: Box<Repo>,
        fetched: Fetched,
        /// The tip of the target.
        landed: Option<Oid>,
    },
}

impl Ground {
    /// Finds what to judge by; in a clone, says so.
    ///
    /// `from` is where the change shall start, if not at the ref's tip.
    pub(super) fn open(
        session: &mut Session<'_>,
        options: &Where,
        from: Option<&str>,
    ) -> Result<Self, CliError> {
        let repo = repository::discover(session)?;
        let from = from.map(|text| git::revision(session, &repo, text));
        let from = from.transpose()?;
        match repository::server(&repo)? {
            Some(_) => Self::server(&repo, options, from),
            None => Self::clone(session, repo, options, from),
        }
    }

    fn server(repo: &Repo, options: &Where, from: Option<Oid>) -> Result<Self, CliError> {
        let site = Site::open(repo.git_dir(), None).map_err(no_site)?;
        let view = site.record.view().map_err(undecided)?;
        let now = clock();
        let last = view.last_time().map_err(undecided)?;
        if let Some(last) = last.filter(|last| now < *last) {
            return Err(no_site(GateError::Clock { last, now }));
        }
        let target = options.target()?;
        let tip = view.tip(&target).map_err(undecided)?;
        let tip = tip.and_then(|tip| tip.oid);
        if from.is_some() && from != tip {
            let tip = tip.map_or_else(|| "absent".to_owned(), |oid| oid.to_string());
            let message = format!("a server judges from the recorded tip of {target}: {tip}");
            return Err(CliError::words(Kind::Usage, message));
        }
        Ok(Self {
            policy_ref: site.server.policy_ref.clone(),
            limits: site.server.limits,
            mode: site.server.mode,
            now,
            view,
            remote: options.remote.clone(),
            place: Place::Server(Box::new(site)),
        })
    }

    fn clone(
        session: &mut Session<'_>,
        repo: Repo,
        options: &Where,
        from: Option<Oid>,
    ) -> Result<Self, CliError> {
        let (target, remote) = (options.target()?, options.remote.as_str());
        let mut fetched = Fetched::read(&repo, remote)?;
        fetched.tips.extend(from.map(|oid| (target.clone(), oid)));
        let policy_ref = repository::full_name(&options.policy_ref);
        let (limits, now) = (Limits::default(), clock());
        let made = fetched.synthesize(&repo, &policy_ref, &limits, now)?;
        let note = format!(
            "note: judged by {} and {} fetched reviews, as of now; the server decides by its record",
            match (from, fetched.tips.get(&target)) {
                (Some(from), _) => format!("{} in place of {target}", from.short()),
                (None, Some(tip)) => format!("{target} of {remote} as fetched ({})", tip.short()),
                (None, None) => format!("{target}, which {remote} does not have,"),
            },
            made.taken,
        );
        for line in wrap(&plain(&note), "  ") {
            session.say(&line);
        }
        for line in made.refused.iter().take(REFUSED) {
            session.say(&format!("note: a fetched review does not count: {line}"));
        }
        let more = made.refused.len().saturating_sub(REFUSED);
        if more > 0 {
            session.say(&format!("note: and {more} more do not"));
        }
        let reviews = "refs/countersign/reviews/*:refs/countersign/reviews/*";
        session.say(&format!("hint: git fetch {remote} '{reviews}'"));
        let landed = fetched.tips.get(&target).copied();
        Ok(Self {
            place: Place::Clone {
                repo: Box::new(repo),
                fetched,
                landed,
            },
            policy_ref,
            limits,
            mode: Mode::Enforce,
            now,
            view: made.view,
            remote: options.remote.clone(),
        })
    }

    /// Returns the objects.
    pub(super) fn repo(&self) -> &Repo {
        match &self.place {
            Place::Server(site) => &site.repo,
            Place::Clone { repo, .. } => repo,
        }
    }

    /// Returns whether this is the server: only there it is known when a review was received.
    pub(super) fn is_server(&self) -> bool {
        matches!(self.place, Place::Server(_))
    }

    /// Returns the name of the log; a clone has none, nor the log's indices.
    pub(super) fn origin(&self) -> Option<String> {
        match &self.place {
            Place::Server(site) => Some(site.record.checkpoint().origin),
            Place::Clone { .. } => None,
        }
    }

    /// Returns the policy in force.
    pub(super) fn rules(&self) -> Result<Rulebook, CliError> {
        let tip = self.view.tip(&self.policy_ref).map_err(undecided)?;
        match tip.and_then(|tip| tip.oid) {
            Some(tip) => Rulebook::at(self.repo(), &tip).map_err(repository::unusable),
            None => {
                let message = format!("{} has no recorded tip", self.policy_ref);
                Err(CliError::words(Kind::Usage, message))
            }
        }
    }

    /// Returns whether anything is asked of who pushes to a ref.
    pub(super) fn protects(&self, rules: &Rulebook, target: &RefName) -> bool {
        rules.policy.protection(target, &self.policy_ref).is_some()
    }

    /// Returns the error of asking about reviews for a ref that wants none.
    pub(super) fn unprotected(&self, target: &RefName) -> CliError {
        repository::unprotected(&self.policy_ref, target)
    }

    /// Returns the question that pushing `new` to `name` would be.
    pub(super) fn proposed(&self, name: &RefName, new: &Oid) -> Result<Proposed, CliError> {
        let current = match &self.place {
            Place::Server(site) => Some(site.current(name).map_err(undecided)?),
            Place::Clone { .. } => None,
        };
        let old = match &current {
            Some(Some(crate::git::RefValue::Oid(oid))) => Some(*oid),
            _ => None,
        };
        Ok(Proposed {
            name: name.clone(),
            old,
            new: Some(*new),
            current,
        })
    }

    /// Asks with everything that a decision rests on; `new` is what a push would bring.
    pub(super) fn ask<T>(
        &self,
        updates: &[Proposed],
        new: &Oid,
        pusher: &dyn Fn(&People) -> Pusher,
        decide: impl FnOnce(Asked<'_>) -> Result<T, AdmitError>,
    ) -> Result<T, CliError> {
        let asked = Asked {
            repo: self.repo(),
            view: self.view.clone(),
            policy_ref: &self.policy_ref,
            limits: &self.limits,
            mode: self.mode,
            now: self.now,
            pusher,
            bringers: &Nobody,
            expired: &|| false,
            updates,
        };
        match &self.place {
            Place::Server(site) => {
                let (repo, record) = (&site.repo, &site.record);
                let bringers = &Noted { repo, record };
                decide(Asked { bringers, ..asked })
            }
            Place::Clone {
                repo,
                fetched,
                landed,
            } => {
                let bringers = &Bringing::of(repo, fetched, new, *landed, &self.limits)?;
                decide(Asked { bringers, ..asked })
            }
        }
        .map_err(undecided)
    }

    /// Returns how a commit last landed on a ref, and the record as it was before; nothing where no
    /// entry says so, as in a clone.
    pub(super) fn landing(
        &self,
        name: &RefName,
        commit: &Oid,
    ) -> Result<Option<(Past, View)>, CliError> {
        let Place::Server(site) = &self.place else {
            return Ok(None);
        };
        let all = self.view.landed_at(commit).map_err(undecided)?;
        let mine = all.into_iter().rev().find(|(_, it)| it.name == *name);
        let Some((index, landed)) = mine else {
            return Ok(None);
        };
        let counted = site.record.decided(&landed).map_err(undecided)?.counted;
        let past = Past {
            index,
            old: landed.old,
            counted: counted.into_iter().map(|head| head.head).collect(),
        };
        let before = site.record.view_at(index).map_err(undecided)?;
        Ok(Some((past, before)))
    }

    /// Returns what the words need.
    pub(super) fn context(&self) -> Context {
        Context {
            help_url: match &self.place {
                Place::Server(site) => site.server.help.clone(),
                Place::Clone { .. } => None,
            },
            remote: self.remote.clone(),
            ..Context::default()
        }
    }
}

pub(super) fn no_site(error: GateError) -> CliError {
    let kind = match error {
        GateError::Server(_) | GateError::NoRecord(_) => Kind::Usage,
        _ => Kind::Undecided,
    };
    CliError::new(kind, error)
}

pub(super) fn undecided(error: impl Into<anyhow::Error>) -> CliError {
    CliError::new(Kind::Undecided, error)
}
