//! `countersign approve`, `reject` and `withdraw`: what plain git does for a reviewer, in one go.
//!
//! 1. write the message, with the tip that the reviewer sees;
//! 2. show the change that is approved;
//! 3. `git tag -s`, with the reviewer's own key and settings;
//! 4. `git push` of the tag to a review ref of its own;
//! 5. delete the local tag, however 3 and 4 ended.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use bstr::ByteSlice;
use clap::Args;
use serde_json::json;

use super::fetched::Fetched;
use super::ground::Where;
use super::{CliError, Exit, Kind, Session, git, repository};
use crate::git::{RefValue, Repo, walk};
use crate::host::hooks::{self, quote};
use crate::people::People;
use crate::report::plain::{counted, plain};
use crate::wire::name::RefName;
use crate::wire::oid::Oid;
use crate::wire::review::{ReviewMessage, ReviewVerb};

/// How far to look for where the change begins, to show it.
const WALK: usize = 1_000_000;

/// A review to sign.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The reviewed commit
    #[arg(value_name = "commit")]
    commit: String,
    #[command(flatten)]
    place: Where,
    /// Sign, and keep the tag here
    #[arg(long)]
    no_push: bool,
    /// Print the git commands that would sign and push, and run none
    #[arg(long)]
    print: bool,
    /// What else to say; several are paragraphs
    #[arg(short, long, value_name = "text")]
    message: Vec<String>,
    /// The tip of the ref that you saw (default, for an approval: as fetched)
    #[arg(long, value_name = "commit", conflicts_with = "no_base")]
    base: Option<String>,
    /// Leave out what tip you saw: the server takes the one at receipt
    #[arg(long)]
    no_base: bool,
    /// Your approval of this earlier commit of the same change stays
    #[arg(long, value_name = "commit")]
    keeps: Vec<String>,
    /// Your approval of this other commit ends
    #[arg(long, value_name = "commit")]
    replaces: Vec<String>,
    /// This rejection, by the id of its tag, is overridden
    #[arg(long = "override", value_name = "tag")]
    overrides: Vec<String>,
    /// What the repository calls itself (default: as its policy says)
    #[arg(long, value_name = "name")]
    repository: Option<String>,
    /// What the review's ref ends in (default: you, by your e-mail)
    #[arg(long = "as", value_name = "name")]
    leaf: Option<String>,
}

impl Sign {
    pub(super) fn run(
        &self,
        verb: ReviewVerb,
        session: &mut Session<'_>,
    ) -> Result<Exit, CliError> {
        let repo = repository::discover(session)?;
        if repository::server(&repo)?.is_some() {
            let message = "reviews are signed in a clone, not on the server";
            return Err(CliError::words(Kind::Usage, message));
        }
        let review = self.compose(verb, session, &repo)?;
        if self.print {
            session.print(&review.commands())?;
            return Ok(Exit::Fine);
        }
        if verb == ReviewVerb::Approve {
            show(&review, session, &repo)?;
        }
        if review.brings > 0 && (self.no_push || !review.is_proposed(session)) {
            session.say(&format!(
                "warning: on no fetched branch of {}: {} of the change; pushing this review may bring \
                 what is missing there, and who first brings a commit cannot approve it",
                plain(&review.remote),
                counted(review.brings, "unsigned commit"),
            ));
        }
        let tag = review.sign(session, &repo)?;
        let name = review.review_ref(&tag);
        let push = review.push(&format!("{tag}:{name}"));
        if self.no_push {
            session.say(&format!("signed, not pushed: {}", review.tag));
            session.say(&format!("hint: {}", shown(&push)));
            return review.done(session, &tag, &name, false);
        }
        let pushed = run(session, &push);
        drop_tag(session, &review.tag);
        match pushed?.code() {
            Some(0) => review.done(session, &tag, &name, true),
            Some(1) => Err(CliError::words(Kind::Refused, "the review was not taken")),
            _ => Err(CliError::words(Kind::Undecided, "git push failed")),
        }
    }

    /// Puts together what is to be signed.
    fn compose(
        &self,
        verb: ReviewVerb,
        session: &Session<'_>,
        repo: &Repo,
    ) -> Result<Review, CliError> {
        let target = self.place.target()?;
        let fetched = Fetched::read(repo, &self.place.remote)?;
        let policy_ref = repository::full_name(&self.place.policy_ref);
        let rules = match &self.repository {
            Some(_) => None,
            None => Some(fetched.rules(repo, &policy_ref)?),
        };
        if let Some(rules) = &rules
            && rules.policy.protection(&target, &policy_ref).is_none()
        {
            return Err(repository::unprotected(&policy_ref, &target));
        }
        let commits = |texts: &[String]| -> Result<Vec<Oid>, CliError> {
            let mut all = Vec::new();
            for text in texts {
                all.push(git::revision(session, repo, text)?);
            }
            all.sort_unstable();
            all.dedup();
            Ok(all)
        };
        let tip = fetched.tips.get(&target).copied();
        let head = git::revision(session, repo, &self.commit)
            .map_err(|error| error.hint([fetch_hint(&self.place.remote)]))?;
        let message = ReviewMessage {
            verb,
            target: target.clone(),
            repository: match (&self.repository, &rules) {
                (Some(name), _) => name.clone(),
                (None, Some(rules)) => rules.policy.repository.clone(),
                (None, None) => String::new(),
            },
            base: match &self.base {
                Some(text) => Some(git::revision(session, repo, text)?),
                None => tip.filter(|_| verb == ReviewVerb::Approve && !self.no_base),
            },
            tree: None,
            keeps: commits(&self.keeps)?,
            replaces: commits(&self.replaces)?,
            overrides: ids(&self.overrides, repo)?,
            text: self.message.join("\n\n").trim_matches('\n').to_owned(),
        };
        let text = message.compose();
        // What the server would not read is not signed.
        match ReviewMessage::parse(text.as_bytes(), repo.format()) {
            Ok(again) if again == message => {}
            Ok(_) => {
                return Err(CliError::words(
                    Kind::Usage,
                    "this review cannot be written",
                ));
            }
            Err(error) => return Err(CliError::new(Kind::Usage, error)),
        }
        Ok(Review {
            tag: format!("countersign/{verb}-{}", head.short()),
            remote: self.place.remote.clone(),
            leaf: self.leaf(session, rules.as_ref().map(|rules| &*rules.people))?,
            brings: brings(repo, &fetched, &head),
            head,
            target,
            tip,
            text,
        })
    }

    /// Returns what the review's ref begins its last part with; it counts for nothing.
    fn leaf(&self, session: &Session<'_>, people: Option<&People>) -> Result<String, CliError> {
        if let Some(name) = &self.leaf {
            let fits = leaf_of(name) == *name;
            let message = format!("{}: not of [a-z0-9][a-z0-9._-]*", plain(name));
            return match fits {
                true => Ok(name.clone()),
                false => Err(CliError::words(Kind::Usage, message)),
            };
        }
        let mut command = git::own(session)?;
        command.args(["config", "--get", "user.email"]);
        let email = git::line_of(command).unwrap_or_default();
        let person = people.and_then(|people| people.person_by_email(email.as_bytes()));
        Ok(match person {
            Some(person) => person.name.to_string(),
            None => leaf_of(email.split('@').next().unwrap_or_default()),
        })
    }
}

fn fetch_hint(remote: &str) -> String {
    let word = hooks::word(remote.as_ref());
    format!(
        "what is shared for review and on no branch: \
         git fetch {word} 'refs/countersign/proposals/*:refs/countersign/proposals/*'"
    )
}

/// Counts the unsigned commits that no fetched branch has; what cannot be read is not counted.
fn brings(repo: &Repo, fetched: &Fetched, head: &Oid) -> usize {
    let new = walk::new_commits(repo, head, &fetched.branches(), WALK).unwrap_or_default();
    let unsigned = |oid: &&Oid| repo.commit(oid).is_ok_and(|commit| commit.signed.is_none());
    new.iter().filter(unsigned).count()
}

/// Reads full ids: a reject tag is named by nothing else.
fn ids(texts: &[String], repo: &Repo) -> Result<Vec<Oid>, CliError> {
    let mut all = Vec::new();
    for text in texts {
        match text.parse::<Oid>() {
            Ok(oid) if oid.format() == repo.format() => all.push(oid),
            _ => {
                let message = format!("{}: not the full id of a tag", plain(text));
                return Err(CliError::words(Kind::Usage, message));
            }
        }
    }
    Ok(all)
}

/// Turns any name into one that may end a ref.
fn leaf_of(name: &str) -> String {
    let letter = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '.' | '_' | '-') => c,
        _ => '-',
    };
    let leaf: String = name.chars().map(letter).take(64).collect();
    let leaf = leaf.trim_start_matches(['.', '_', '-']).replace("..", "-");
    match leaf.is_empty() {
        true => "review".to_owned(),
        false => leaf,
    }
}

/// A review, ready to be signed.
struct Review {
    /// Short name of the local tag.
    tag: String,
    remote: String,
    leaf: String,
    head: Oid,
    target: RefName,
    /// The tip of the target as fetched.
    tip: Option<Oid>,
    /// How many unsigned commits of the change the remote may lack.
    brings: usize,
    text: String,
}

impl Review {
    /// Returns the ref for a signed tag; the tag's id keeps it apart from earlier reviews.
    fn review_ref(&self, tag: &Oid) -> String {
        let id: String = tag.to_string().chars().take(8).collect();
        format!("refs/countersign/reviews/{}/{}-{id}", self.head, self.leaf)
    }

    /// Returns whether the remote says that its head is a proposal there, and so all that leads to it.
    fn is_proposed(&self, session: &Session<'_>) -> bool {
        let ask = || {
            let mut command = git::own(session)?;
            let proposals = "refs/countersign/proposals/*";
            command.args(["ls-remote", "--refs", "--", &self.remote, proposals]);
            git::line_of(command)
        };
        let head = self.head.to_string();
        ask().is_ok_and(|refs: String| refs.lines().any(|line| line.starts_with(&head)))
    }

    fn push(&self, refspec: &str) -> Vec<String> {
        // Settings that would push more than the review are switched off. Where the server asks
        // for push certificates, one may be what tells it who pushes.
        [
            "push",
            "--signed=if-asked",
            "--no-follow-tags",
            "--no-recurse-submodules",
            "--",
            &self.remote,
            refspec,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// Returns the commands as somebody would type them.
    fn commands(&self) -> String {
        let word = |text: &str| quote(OsStr::new(text));
        let (tag, head) = (&self.tag, self.head);
        format!(
            "git tag -s -f --cleanup=verbatim -m {} {tag} {head}\n\
             git push {} \"refs/tags/{tag}:refs/countersign/reviews/{head}/{}-\
             $(git rev-parse --short=8 refs/tags/{tag})\"\n\
             git tag -d {tag}\n",
            // With its line feed: the signature must begin a line.
            word(&self.text),
            word(&self.remote),
            self.leaf,
        )
    }

    /// Signs the tag and returns its id; a failure leaves no tag.
    fn sign(&self, session: &mut Session<'_>, repo: &Repo) -> Result<Oid, CliError> {
        let signed = self.try_sign(session, repo);
        if signed.is_err() {
            drop_tag(session, &self.tag);
        }
        signed
    }

    fn try_sign(&self, session: &Session<'_>, repo: &Repo) -> Result<Oid, CliError> {
        let failed = |error: std::io::Error| CliError::new(Kind::Undecided, error);
        let mut command = git::own(session)?;
        let head = self.head.to_string();
        command.args(["tag", "-s", "-f", "--cleanup=verbatim", "-F", "-", "--"]);
        command.args([self.tag.as_str(), head.as_str()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let written = match child.stdin.take() {
            Some(mut stdin) => stdin.write_all(self.text.as_bytes()),
            None => Ok(()),
        };
        let status = child.wait().map_err(failed)?;
        if !status.success() {
            let hint = "git tag -s must work here: set gpg.format and user.signingKey";
            return Err(
                CliError::words(Kind::Usage, "git could not sign the tag").hint([hint.to_owned()])
            );
        }
        written.map_err(failed)?;
        let name = RefName::new(format!("refs/tags/{}", self.tag));
        match repo.reference(&name) {
            Ok(Some(RefValue::Oid(tag))) => Ok(tag),
            Ok(_) => Err(CliError::words(Kind::Undecided, "git left no tag")),
            Err(error) => Err(CliError::new(Kind::Undecided, error)),
        }
    }

    fn done(
        &self,
        session: &mut Session<'_>,
        tag: &Oid,
        name: &str,
        pushed: bool,
    ) -> Result<Exit, CliError> {
        if session.json() {
            let done = json!({
                "schema": "countersign.signed/v1",
                "commit": self.head,
                "tag": tag,
                "ref": name,
                "pushed": pushed,
            });
            session.print(&format!("{done}\n"))?;
        }
        Ok(Exit::Fine)
    }
}

/// Shows what the commit changes since it left the target.
fn show(review: &Review, session: &mut Session<'_>, repo: &Repo) -> Result<(), CliError> {
    let Some(tip) = review.tip else {
        session.say("note: the target is not fetched, so the change cannot be shown");
        return Ok(());
    };
    let Review { remote, target, .. } = review;
    let against = format!("{target} of {remote} as fetched ({})", tip.short());
    session.say(&plain(&format!(
        "against {against}; is it the newest? git fetch {remote}"
    )));
    let bases = walk::merge_bases(repo, &review.head, &tip, WALK).unwrap_or_default();
    let [base] = bases.as_slice() else {
        session.say("note: there is no one commit that this change starts from to show it");
        return Ok(());
    };
    let mut command = git::scrubbed(session)?;
    command.args(["--no-pager", "-c", "core.pager=cat", "diff", "--stat"]);
    command.args([
        "--no-ext-diff",
        "--no-textconv",
        "--no-renames",
        "--no-color",
    ]);
    command.args([base.to_string(), review.head.to_string(), "--".to_owned()]);
    let output = command.output();
    let output = output.map_err(|error| CliError::new(Kind::Undecided, error))?;
    for line in output.stdout.to_str_lossy().lines() {
        session.say(&plain(line));
    }
    Ok(())
}

fn shown(args: &[String]) -> String {
    let words = args.iter().map(|arg| quote(OsStr::new(arg)));
    format!("git {}", words.collect::<Vec<_>>().join(" "))
}

/// Runs git with the user's own settings; what it says goes straight to them.
fn run(session: &Session<'_>, args: &[String]) -> Result<std::process::ExitStatus, CliError> {
    let mut command: Command = git::own(session)?;
    let failed = |error: std::io::Error| CliError::new(Kind::Undecided, error);
    command.args(args).stdout(Stdio::null());
    command.status().map_err(failed)
}

/// Deletes the local tag if it is there.
fn drop_tag(session: &mut Session<'_>, tag: &str) {
    let deleted = git::own(session).and_then(|mut command| {
        command.args(["update-ref", "-d", &format!("refs/tags/{tag}")]);
        git::line_of(command)
    });
    if deleted.is_err() {
        session.say(&format!(
            "warning: the local tag is left behind: git tag -d {tag}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever somebody is called, their review's ref has a name that the server takes.
    #[test]
    fn leaves() {
        for (name, leaf) in [
            ("bob", "bob"),
            ("Bob.Smith+work", "bob.smith-work"),
            ("..bob", "bob"),
            ("a..b", "a-b"),
            ("\u{e4}\u{f6}", "review"),
            ("", "review"),
            ("-", "review"),
            ("$(id)", "id-"),
        ] {
            assert_eq!(leaf_of(name), leaf, "{name}");
            let head = "1".repeat(40);
            let name = RefName::new(format!("refs/countersign/reviews/{head}/{leaf}-0123abcd"));
            assert!(crate::wire::refname::review_ref(&name).is_some(), "{name}");
        }
    }
}
