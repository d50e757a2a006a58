//! `countersign diff`: what a reviewer did not see, as a patch.

use clap::Args;

use super::ground::{Ground, Where};
use super::{CliError, Exit, Kind, Session, check, git, repository};
use crate::admit::residual::{Step, compare};
use crate::gather::candidates::message_of;
use crate::git::Repo;
use crate::git::patch::{Content, Patcher};
use crate::judge::facts::Pusher;
use crate::judge::verdict::Coverage;
use crate::record::entry::Review;
use crate::report::diff::{self, About};
use crate::report::patch::{self, Reader};
use crate::wire::name::RefName;
use crate::wire::object::ObjectKind;
use crate::wire::oid::Oid;
use crate::wire::refname::review_ref;
use crate::wire::review::{ReviewMessage, ReviewVerb};

/// Show what a reviewer did not see of a landing, as a patch to review
///
/// The patch leads from what landing the reviewed commit alone gives to what landed, or would. It is
/// made from raw objects, without configuration, attributes or renames; `git apply` takes it. Exits 0
/// without a patch where the review covers the landing, 1 with what is left to review, 3 where that
/// cannot be told.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The review: its tag, its ref, or the reviewed commit (then the latest approval of that)
    #[arg(value_name = "review")]
    review: String,
    /// What landed or would land, and on what, if that is not as recorded
    #[arg(value_name = "[<old>..]<landed>")]
    landed: String,
    /// The ref it lands on; a short name is a branch (default: what the review names, else main)
    #[arg(long, value_name = "ref")]
    onto: Option<String>,
    /// In a clone: whose branches and reviews to go by
    #[arg(long, value_name = "remote", default_value = "origin")]
    remote: String,
    /// In a clone: the branch that policy and people stand on
    #[arg(long, value_name = "ref", default_value = "main")]
    policy_ref: String,
    /// Print the paths that differ instead of the patch
    #[arg(long)]
    name_only: bool,
}

/// What the user means by a review.
enum Meant {
    /// This tag object.
    Tag(Oid),
    /// This review ref, which is not here.
    Ref(RefName, Oid),
    /// The latest approval of this commit.
    Head(Oid),
}

impl Diff {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        let repo = repository::discover(session)?;
        let meant = self.meant(session, &repo)?;
        let place = Where {
            onto: match &self.onto {
                Some(name) => name.clone(),
                None => named(&repo, &meant).unwrap_or_else(|| "main".to_owned()),
            },
            remote: self.remote.clone(),
            policy_ref: self.policy_ref.clone(),
        };
        let target = place.target()?;
        if target.as_bstr().starts_with(b"refs/tags/") {
            let message = "nothing lands on a tag: it is made at the reviewed commit or not at all";
            return Err(CliError::words(Kind::Usage, message));
        }
        let (old, landed) = check::split(&self.landed)?;
        let ground = Ground::open(session, &place, None)?;
        let old = old.map(|text| git::revision(session, ground.repo(), text));
        let old = old.transpose()?;
        let landed = git::revision(session, ground.repo(), landed).map_err(|error| {
            error.hint(["a refused commit is not on the server until it is shared".to_owned()])
        })?;
        let review = found(&ground, &target, &meant, &place)?;
        let landing = ground.landing(&target, &landed)?;
        let step = Step {
            landed: &landed,
            past: landing.as_ref().map(|(past, _)| past),
            from: old,
            dated: ground.is_server(),
        };
        let compared = ground.ask(&[], &landed, &|_| Pusher::Nobody, |asked| {
            let asked = match &landing {
                Some((_, before)) => crate::admit::Asked {
                    view: before.clone(),
                    ..asked
                },
                None => asked,
            };
            compare(&asked, &target, &review, &step)
        })?;
        let counted = landing.as_ref().map_or(&[][..], |(past, _)| &past.counted);
        let about = About {
            target: &target,
            review: &review,
            landed: &landed,
            compared: &compared,
            counted,
            unread: Vec::new(),
        };
        self.show(session, ground.repo(), about)
    }

    /// Finds what the user means; what git does not know may still be in the record.
    fn meant(&self, session: &Session<'_>, repo: &Repo) -> Result<Meant, CliError> {
        let text = self.review.as_str();
        let named = review_ref(&RefName::from(text));
        match (git::object(session, repo, text), named) {
            (Ok((oid, ObjectKind::Tag)), _) => Ok(Meant::Tag(oid)),
            (Ok((oid, ObjectKind::Commit)), None) => Ok(Meant::Head(oid)),
            (Err(_), Some((head, _))) => Ok(Meant::Ref(RefName::from(text), head)),
            (Err(error), None) => match text.parse::<Oid>() {
                Ok(oid) if oid.format() == repo.format() => Ok(Meant::Tag(oid)),
                _ => Err(error),
            },
            (Ok((_, kind)), _) => {
                let message = format!("a {kind:?} is neither a review nor a commit");
                Err(CliError::words(Kind::Usage, message))
            }
        }
    }

    fn show(
        &self,
        session: &mut Session<'_>,
        repo: &Repo,
        mut about: About<'_>,
    ) -> Result<Exit, CliError> {
        let compared = about.compared;
        let reader = match session.on_terminal() {
            true => Reader::Terminal,
            false => Reader::Program,
        };
        let mut data = Vec::new();
        let told = compared.why.is_none();
        if told && !session.json() {
            let mut patcher = Patcher::new(repo);
            for change in &compared.changes {
                if self.name_only {
                    data.extend_from_slice(&patch::quoted("", &change.path));
                    data.push(b'\n');
                    continue;
                }
                let failed = |error| CliError::new(Kind::Undecided, error);
                for file in patcher.patch(change).map_err(failed)? {
                    if file.content == Content::Unread {
                        about.unread.push(file.path.to_string());
                    }
                    data.extend_from_slice(&patch::file(&file, reader));
                }
            }
        }
        for line in diff::lines(&about) {
            session.say(&line);
        }
        if session.json() {
            data = format!("{}\n", diff::value(&about)).into_bytes();
        }
        session.out().write_all(&data)?;
        session.out().flush()?;
        Ok(match compared.coverage {
            Coverage::Identity | Coverage::Replay => Exit::Fine,
            Coverage::Residual => Exit::Refused,
            Coverage::Unverifiable => Exit::Undecided,
        })
    }
}

/// Returns the ref that a review's tag names, where the tag is here.
fn named(repo: &Repo, meant: &Meant) -> Option<String> {
    let Meant::Tag(tag) = meant else {
        return None;
    };
    let tag = repo.tag(tag).ok()?;
    let message = ReviewMessage::parse(&tag.message, repo.format()).ok()?;
    message.target.as_str().map(str::to_owned)
}

/// Finds the review among those that the record, or the clone, has taken in.
fn found(
    ground: &Ground,
    target: &RefName,
    meant: &Meant,
    place: &Where,
) -> Result<Review, CliError> {
    let failed = |error| CliError::new(Kind::Undecided, error);
    let of_head = |head: &Oid| {
        let all = ground.view.reviews_of_head(target, head).map_err(failed)?;
        Ok::<_, CliError>(
            all.into_iter()
                .rev()
                .map(|(_, review)| Review::clone(&review)),
        )
    };
    let review = match meant {
        Meant::Tag(tag) => {
            let found = ground.view.review_tag(tag).map_err(failed)?;
            found.map(|(_, review)| Review::clone(&review))
        }
        Meant::Ref(name, head) => of_head(head)?.find(|review| review.name == *name),
        Meant::Head(head) => {
            let format = ground.repo().format();
            let approves = |review: &Review| {
                let message = message_of(review, format);
                message.is_some_and(|message| message.verb == ReviewVerb::Approve)
            };
            of_head(head)?.find(approves)
        }
    };
    let review = review.filter(|review| review.target == *target);
    review.ok_or_else(|| {
        let (what, remote) = (meant.shown(), &place.remote);
        let message = format!("{what} is not among the reviews for {target} here");
        let error = CliError::words(Kind::Usage, message);
        match ground.is_server() {
            true => error,
            false => error.hint([format!(
                "git fetch {remote} 'refs/countersign/reviews/*:refs/countersign/reviews/*'"
            )]),
        }
    })
}

impl Meant {
    fn shown(&self) -> String {
        match self {
            Self::Tag(tag) => format!("tag {tag}"),
            Self::Ref(name, _) => name.to_string(),
            Self::Head(head) => format!("an approval of {head}"),
        }
    }
}
