//! What a clone knows, put together as if it were a record.
//!
//! Remote-tracking refs stand for recorded tips, fetched review refs for logged reviews. Each review
//! is taken in by the same checks as on the server, as received now. What only the server knows is
//! missing: when reviews arrived, what landed by squash, who first brought which commits.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{CliError, Kind, repository};
use crate::admit::baseline::baseline_of;
use crate::admit::{AdmitError, Asked, admit};
use crate::gather::{Bringer, Bringers, Limits, Proposed, Rulebook};
use crate::git::{GitError, RefValue, Repo, walk};
use crate::judge::facts::Pusher;
use crate::judge::verdict::Verdict;
use crate::policy::Mode;
use crate::record::entry::{Entry, Genesis, Review};
use crate::record::{RecordError, View};
use crate::report::words;
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::review::ReviewMessage;

/// Where reviews are fetched to, by `refs/countersign/reviews/*:refs/countersign/reviews/*`.
const REVIEWS: &[u8] = b"refs/countersign/reviews/";
/// How far back a `Base` is looked for among a branch's former tips.
const FORMER: usize = 100_000;
/// Reviews that refer to each other are taken in one after the other, this many times at most.
const ROUNDS: usize = 16;

/// The refs of one remote, by the names they have there.
pub(super) struct Fetched {
    /// Branches and tags.
    pub(super) tips: BTreeMap<RefName, Oid>,
    /// Review refs, by their names there, with the tag object.
    reviews: BTreeMap<Oid, RefName>,
}

/// A record that is nowhere on disk.
pub(super) struct Synthesized {
    pub(super) view: View,
    /// How many reviews were taken in.
    pub(super) taken: usize,
    /// Why others were not, one line each.
    pub(super) refused: Vec<String>,
}

impl Fetched {
    /// Reads the refs of a clone.
    pub(super) fn read(repo: &Repo, remote: &str) -> Result<Self, CliError> {
        let refs = repo.references().map_err(undecided)?;
        let tracking = format!("refs/remotes/{remote}/");
        let (mut tips, mut reviews) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in refs {
            let RefValue::Oid(oid) = value else { continue };
            let bytes: &[u8] = name.as_bstr();
            let tracked = bytes.strip_prefix(tracking.as_bytes());
            if let Some(rest) = tracked.and_then(|rest| rest.strip_prefix(b"countersign/reviews/"))
            {
                reviews.insert(oid, RefName::new([REVIEWS, rest].concat()));
            } else if let Some(rest) = tracked {
                tips.insert(RefName::new([b"refs/heads/", rest].concat()), oid);
            } else if bytes.starts_with(REVIEWS) {
                reviews.insert(oid, name);
            } else if bytes.starts_with(b"refs/tags/")
                && !bytes.starts_with(b"refs/tags/countersign/")
            {
                tips.insert(name, oid);
            }
        }
        Ok(Self { tips, reviews })
    }

    /// Returns the tips of all branches.
    pub(super) fn branches(&self) -> Vec<Oid> {
        let branches = self.tips.iter();
        let branches = branches.filter(|(name, _)| name.as_bstr().starts_with(b"refs/heads/"));
        branches.map(|(_, oid)| *oid).collect()
    }

    /// Returns policy and people at the tip of the policy ref.
    pub(super) fn rules(&self, repo: &Repo, policy_ref: &RefName) -> Result<Rulebook, CliError> {
        let Some(tip) = self.tips.get(policy_ref) else {
            let message = format!("{policy_ref} of the remote is not here, so there is no policy");
            return Err(CliError::words(Kind::Usage, message)
                .hint(["fetch it, or name another --remote or --policy-ref".to_owned()]));
        };
        Rulebook::at(repo, tip).map_err(repository::unusable)
    }

    /// Puts a record together, as of now.
    pub(super) fn synthesize(
        &self,
        repo: &Repo,
        policy_ref: &RefName,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Synthesized, CliError> {
        let rules = self.rules(repo, policy_ref)?;
        let refs = self.tips.iter();
        let refs = refs.map(|(name, oid)| (name.clone(), RefValue::Oid(*oid)));
        let genesis = baseline_of(refs, repo.format(), &rules, policy_ref, Mode::Enforce, now);
        let mut reviews = self.readable(repo);
        reviews.sort_by_key(|review| (review.seconds, review.tag));
        let mut base = self.former_tips(repo, &genesis, &reviews)?;
        base.push(Entry::Genesis(genesis));
        let mut taking = Taking {
            repo,
            policy_ref,
            limits,
            now,
            base,
            taken: Vec::new(),
            refused: Vec::new(),
        };
        taking.take(reviews)?;
        Ok(Synthesized {
            taken: taking.taken.len(),
            view: taking.view()?,
            refused: taking.refused,
        })
    }

    /// Reads the review tags that are tags at all.
    fn readable(&self, repo: &Repo) -> Vec<Fetch> {
        let reviews = self.reviews.iter();
        let read = reviews.map(|(tag, name)| {
            let parsed = repo.tag(tag).ok();
            Fetch {
                tag: *tag,
                name: name.clone(),
                seconds: parsed
                    .as_ref()
                    .and_then(|tag| tag.tagger.as_ref())
                    .map_or(0, |tagger| tagger.seconds),
                message: parsed
                    .and_then(|tag| ReviewMessage::parse(&tag.message, repo.format()).ok()),
            }
        });
        read.collect()
    }

    /// Returns what reviewers name as the tip they saw, where it once was the tip: on the
    /// first-parent chain of what is the tip now. Oldest first.
    fn former_tips(
        &self,
        repo: &Repo,
        genesis: &Genesis,
        reviews: &[Fetch],
    ) -> Result<Vec<Entry>, CliError> {
        let mut wanted: BTreeMap<&RefName, BTreeSet<Oid>> = BTreeMap::new();
        for message in reviews.iter().filter_map(|review| review.message.as_ref()) {
            if let Some(base) = message.base {
                wanted.entry(&message.target).or_default().insert(base);
            }
        }
        let mut entries = Vec::new();
        for (name, mut bases) in wanted {
            let mut at = genesis.tips.get(name).copied();
            let mut found = Vec::new();
            for _ in 0..FORMER {
                let Some(oid) = at.filter(|_| !bases.is_empty()) else {
                    break;
                };
                if bases.remove(&oid) {
                    found.push(oid);
                }
                // Where history ends here, a shallow clone too, so does the search.
                at = repo.parents(&oid).ok().and_then(|all| all.first().copied());
            }
            entries.extend(found.into_iter().rev().map(|oid| {
                Entry::Genesis(Genesis {
                    tips: BTreeMap::from([(name.clone(), oid)]),
                    dry_run: Vec::new(),
                    keys: BTreeMap::new(),
                    ..genesis.clone()
                })
            }));
        }
        Ok(entries)
    }
}

/// A fetched review.
struct Fetch {
    tag: Oid,
    name: RefName,
    seconds: u64,
    message: Option<ReviewMessage>,
}

/// Taking reviews in.
struct Taking<'a> {
    repo: &'a Repo,
    policy_ref: &'a RefName,
    limits: &'a Limits,
    now: Timestamp,
    base: Vec<Entry>,
    /// In the order they are to stand in.
    taken: Vec<(usize, Review)>,
    refused: Vec<String>,
}

impl Taking<'_> {
    fn view(&self) -> Result<View, CliError> {
        let reviews = self.taken.iter().map(|(_, review)| review.clone());
        let reviews = reviews.map(Entry::Review);
        let all = self.base.iter().cloned().chain(reviews).collect();
        View::in_memory(all).map_err(undecided)
    }

    /// Takes in what is sound; a review that refers to another becomes sound once that one is in.
    fn take(&mut self, reviews: Vec<Fetch>) -> Result<(), CliError> {
        let mut left: Vec<(usize, Fetch)> = reviews.into_iter().enumerate().collect();
        for _ in 0..ROUNDS {
            if left.is_empty() {
                break;
            }
            let (reviews, verdict) = self.ask(&left)?;
            if reviews.is_empty() {
                self.refused = said(&verdict);
                break;
            }
            let mut found = reviews
                .into_iter()
                .map(|it| (it.tag, it))
                .collect::<BTreeMap<_, _>>();
            let mut later = Vec::new();
            for (place, fetch) in left {
                match found.remove(&fetch.tag) {
                    Some(review) => self.taken.push((place, review)),
                    None => later.push((place, fetch)),
                }
            }
            left = later;
            self.taken.sort_by_key(|(place, _)| *place);
        }
        Ok(())
    }

    fn ask(&self, left: &[(usize, Fetch)]) -> Result<(Vec<Review>, Verdict), CliError> {
        let updates: Vec<Proposed> = left
            .iter()
            .map(|(_, fetch)| Proposed {
                name: fetch.name.clone(),
                old: None,
                new: Some(fetch.tag),
                current: Some(None),
            })
            .collect();
        let admission = admit(Asked {
            repo: self.repo,
            view: self.view()?,
            policy_ref: self.policy_ref,
            limits: self.limits,
            mode: Mode::Enforce,
            now: self.now,
            pusher: &|_| Pusher::Nobody,
            bringers: &Nobody,
            expired: &|| false,
            updates: &updates,
        })
        .map_err(undecided)?;
        Ok((admission.reviews, admission.verdict))
    }
}

/// Says of each review why it was not taken in.
fn said(verdict: &Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    for update in &verdict.updates {
        if let Some(finding) = update.findings.first() {
            let detail = words::detail(update, finding);
            lines.push(format!("[{}] {detail}", finding.code.as_str()));
        }
    }
    lines
}

/// Whoever pushes brings what no remote-tracking branch has; of the rest nobody knows.
pub(super) struct Bringing<'a> {
    repo: &'a Repo,
    new: BTreeSet<Oid>,
    /// The tip of the target, as fetched: whoever brought what it has, the server let it in.
    landed: Option<Oid>,
    limit: usize,
}

impl<'a> Bringing<'a> {
    /// Finds what pushing `new` to the remote would bring.
    pub(super) fn of(
        repo: &'a Repo,
        fetched: &Fetched,
        new: &Oid,
        landed: Option<Oid>,
        limits: &Limits,
    ) -> Result<Self, CliError> {
        let limit = limits.objects();
        let new = match walk::new_commits(repo, new, &fetched.branches(), limit) {
            Ok(new) => new.into_iter().collect(),
            // Judging says what is missing.
            Err(GitError::Missing(_)) => BTreeSet::new(),
            Err(error) => return Err(undecided(error)),
        };
        Ok(Self {
            repo,
            new,
            landed,
            limit,
        })
    }
}

impl Bringers for Bringing<'_> {
    fn bringer(&self, _commit: &Oid) -> Result<Option<Bringer>, RecordError> {
        Ok(None)
    }

    fn arrives(&self, commit: &Oid) -> bool {
        self.new.contains(commit)
    }

    fn vouches(&self, commit: &Oid) -> bool {
        self.landed.is_some_and(|tip| {
            let is_in = walk::is_ancestor(self.repo, commit, &tip, self.limit);
            *commit == tip || is_in.unwrap_or(false)
        })
    }
}

/// Nobody brings anything.
pub(super) struct Nobody;

impl Bringers for Nobody {
    fn bringer(&self, _commit: &Oid) -> Result<Option<Bringer>, RecordError> {
        Ok(None)
    }
}

fn undecided(error: impl Into<AdmitError>) -> CliError {
    CliError::new(Kind::Undecided, error.into())
}
