//! What a finding means, in one sentence, and what to do next.

use crate::host::pusher::CERTIFICATE;
use crate::judge::verdict::{Code, Finding, UpdateVerdict};
use crate::wire::oid::Oid;

use super::Context;
use super::command::Command;
use super::plain::{plain, wrap};

/// How many of a list are written out.
const LISTED: usize = 5;

/// Says in one line what was found; safe for a terminal.
pub fn detail(update: &UpdateVerdict, finding: &Finding) -> String {
    let about = |at: usize| finding.about.get(at).map_or("", String::as_str);
    let text = match finding.code {
        Code::MissingApprovals => format!("{}; {}", missing(finding), could(finding)),
        Code::Rejected => format!(
            "{} rejected {}; {} wanted, overriding so far: {}",
            about(0),
            about(1),
            finding.want.as_deref().unwrap_or("approvals"),
            list_or(&finding.got, "nobody"),
        ),
        Code::UnprovenCommit => format!(
            "nobody known signed or first pushed {}; every rule wants one approval more",
            list(&finding.about)
        ),
        Code::UnknownPusher if certificate(finding).is_some() => format!(
            "the push certificate does not say who pushes: {}",
            certificate(finding).unwrap_or_default()
        ),
        Code::UnknownPusher if about(0).is_empty() => "the host names no pusher".to_owned(),
        Code::UnknownPusher => format!("the pusher {} is no person of people.toml", about(0)),
        Code::UnknownTip => format!(
            "{} is not where the record left it{}",
            update.name,
            tail(finding)
        ),
        Code::UnreviewedResidual if is_of_commits(finding) => {
            format!("no review covers {}", list(&finding.about))
        }
        Code::UnknownContributor if finding.about.len() > 3 => committer(finding),
        code => match uncounted(finding) {
            Some(why) => why,
            None => format!("{}{}", sentence(code), tail(finding)),
        },
    };
    plain(&text)
}

/// Says what a rule wants and what there is.
pub(super) fn missing(finding: &Finding) -> String {
    plain(&format!(
        "{} wants {}; has {}",
        finding.rule.as_deref().unwrap_or("a rule"),
        finding.want.as_deref().unwrap_or("approvals"),
        list_or(&finding.got, "nobody"),
    ))
}

/// Says who could still approve.
pub(super) fn could(finding: &Finding) -> String {
    if finding.about.is_empty() {
        "nobody else may now: contributors do not count, nor who has no valid key".to_owned()
    } else {
        format!("can approve: {}", list(&finding.about))
    }
}

/// Returns whether a finding is about commits, and nothing else.
fn is_of_commits(finding: &Finding) -> bool {
    let is_oid = |text: &String| text.parse::<Oid>().is_ok();
    !finding.about.is_empty() && finding.about.iter().all(is_oid)
}

/// Returns why a push certificate names nobody.
fn certificate(finding: &Finding) -> Option<&str> {
    finding.about.first()?.strip_prefix(CERTIFICATE)
}

/// Says that a commit's signature and its committer are not one person.
fn committer(finding: &Finding) -> String {
    let about = |at: usize| finding.about.get(at).map_or("", String::as_str);
    let whose = match about(2) {
        "" => "nobody's of people.toml".to_owned(),
        owner => format!("{owner}'s"),
    };
    let commits = finding.about.get(3..).unwrap_or_default();
    format!(
        "signed by {}, but the committer {} is {whose}: {}",
        about(0),
        about(1),
        list(commits)
    )
}

/// Says why an approval did not count: its finding is about person, head, tag and reason.
fn uncounted(finding: &Finding) -> Option<String> {
    let [person, head, _tag, reason] = finding.about.as_slice() else {
        return None;
    };
    let why = match (finding.code, reason.as_str()) {
        (Code::StaleApproval, "expired") => "is older than the policy lets approvals be",
        (Code::StaleApproval, "replaced") => "was replaced by a later review of theirs",
        (Code::StaleApproval, "withdrawn") => "was withdrawn",
        (Code::StaleApproval, "unknown") => "is by a person or key that people.toml has no more",
        (Code::StaleApproval, "base") => "is of another base, and the rule wants that very one",
        (Code::RevokedKey, "revoked") => "is signed by a key that is revoked",
        (Code::SpentApproval, "spent") => "is used up: what it vouches for landed already",
        (Code::BotApproval, "forge") => "is a forge's, which fills no place",
        (Code::BotApproval, "bot") => "is a bot's, and no rule here names it",
        (Code::SelfApproval, "contributor") => "is of their own work",
        (Code::WeakEvidence, "forge") => "is the forge's word, and the rule wants a signature",
        (Code::WeakEvidence, "unasked") => "is of paths no rule asks them about",
        (Code::Unverifiable, "unverifiable") => "could not be compared with what is pushed",
        (Code::UnreviewedResidual, "residual") => "is of something else than what is pushed",
        (Code::UnreviewedResidual, "other") => "is of another head than those that land",
        _ => return None,
    };
    let paths: Vec<_> = finding.paths.iter().map(ToString::to_string).collect();
    if finding.code == Code::UnreviewedResidual && !paths.is_empty() {
        // The paths first: where lines are short, what comes last is cut off.
        let (seen, paths) = (brief(head), list(&paths));
        return Some(format!("{person} has not seen {paths}; approved {seen}"));
    }
    let at = if paths.is_empty() {
        String::new()
    } else {
        format!(" at {}", list(&paths))
    };
    Some(format!("{person}'s approval of {} {why}{at}", brief(head)))
}

/// Shortens every full id of a line that has no room for them.
pub(super) fn shortened(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let text = word.trim_end_matches([',', ';', ':']);
        let rest = word.get(text.len()..).unwrap_or_default();
        format!("{}{rest}", brief(text))
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Shortens a full id for people; anything else stays.
fn brief(text: &str) -> String {
    text.parse::<Oid>()
        .map_or_else(|_| text.to_owned(), |oid| oid.short())
}

fn sentence(code: Code) -> &'static str {
    match code {
        Code::MalformedObject => "an object breaks git's format",
        Code::UnsafePath => "a path is unsafe to check out",
        Code::PathCollision => "two paths are one on other file systems",
        Code::UnsafeMode => "a file mode that is not allowed here",
        Code::SubmoduleChange => "a submodule changes; what it points at is not reviewed here",
        Code::HiddenContent => "content that a reviewer may not see",
        Code::RewoundBranch => "the push leaves commits of the branch behind",
        Code::DeletedRef => "a protected ref must not be deleted",
        Code::MovedTag => "a tag that is made once must not move",
        Code::UnrecordedTarget => "the target is no recorded commit",
        Code::ForbiddenRef => "this ref must not be written by a push",
        Code::ShadowingRef => "the name shadows or imitates a protected ref",
        Code::SymrefAlias => "a symbolic ref would move a protected one",
        Code::UnknownTip => "the ref is not where the record left it",
        Code::UnsignedCommit => "not signed",
        Code::BadSignature => "a signature does not verify",
        Code::UnknownSigner => "signed by a key that people.toml does not know",
        Code::ExpiredKey => "signed by a key outside its time",
        Code::RevokedKey => "signed by a key that is revoked",
        Code::UnprovenCommit => "a commit that nobody known signed or first pushed",
        Code::UnknownContributor => "an author whom people.toml does not know",
        Code::UnknownPusher => "the pusher is no person of people.toml",
        Code::MissingApprovals => "approvals are missing",
        Code::SelfApproval => "an approval of one's own work does not count",
        Code::BotApproval => "a bot's approval does not count here",
        Code::StaleApproval => "an approval counts no more",
        Code::SpentApproval => "an approval is used up",
        Code::WrongTarget => "the review is for a ref that nothing protects",
        Code::WrongRepository => "the review is for another repository",
        Code::WeakEvidence => "the rule wants a reviewer's own signature",
        Code::UnreviewedResidual => "the push brings what no review covers",
        Code::Unverifiable => "what a review covers could not be computed",
        Code::Rejected => "a reject stands",
        Code::MalformedReview => "the review is malformed",
        Code::ReplayedReview => "the review is older than one already recorded",
        Code::PolicyMissing => "the policy or people file is missing",
        Code::PolicyInvalid => "the policy or people file has an error",
        Code::UnsatisfiableRule => "a rule that the people there are cannot satisfy",
        Code::PolicyWeakened => "the policy asks for less than before",
        Code::ShadowingOwners => "an owners file that another one shadows",
        Code::FloatingReference => "CI uses something that may change under it",
        Code::DynamicPipeline => "CI runs something that cannot be known before",
        Code::PrivilegeWidened => "CI gets more rights than before",
        Code::BreakglassUsed => "breakglass was used",
        Code::BreakglassInvalid => "the breakglass statement does not hold",
        Code::BreakglassOverdue => "a breakglass was not reviewed in time",
        Code::OverBudget => "more than the limits allow",
        Code::Undecidable => "could not be decided",
    }
}

/// Says what a finding is about: ids and names, then paths; rendered errors stand on their own.
fn tail(finding: &Finding) -> String {
    let paths = finding.paths.iter().map(ToString::to_string);
    let about = finding.about.iter().filter(|text| !text.contains('\n'));
    let all: Vec<_> = about.cloned().chain(paths).collect();
    let at = finding.at.as_deref();
    match (all.is_empty(), at) {
        (true, None) => String::new(),
        (true, Some(at)) => format!(" ({at})"),
        (false, None) => format!(": {}", list(&all)),
        (false, Some(at)) => format!(" ({at}): {}", list(&all)),
    }
}

fn list_or(names: &[String], none: &str) -> String {
    if names.is_empty() {
        none.to_owned()
    } else {
        list(names)
    }
}

pub(super) fn list(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(LISTED).map(String::as_str).collect();
    let more = names.len().saturating_sub(LISTED);
    match more {
        0 => shown.join(", "),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}

/// One thing to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A sentence.
    Say(String),
    /// A command to copy.
    Run(Command),
}

impl Remedy {
    /// Returns it on one line.
    pub fn one_line(&self) -> String {
        match self {
            Self::Say(text) => text.clone(),
            Self::Run(command) => command.one_line(),
        }
    }

    /// Returns it on lines of [`super::plain::COLUMNS`], indented.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Say(text) => wrap(&format!("  {text}"), "    "),
            Self::Run(command) => command.lines(),
        }
    }
}

/// Says what to do next; safe for a terminal.
pub fn remedy(
    repository: &str,
    update: &UpdateVerdict,
    finding: &Finding,
    context: &Context,
) -> Vec<Remedy> {
    match finding.code {
        Code::MissingApprovals => {
            let share = share(update, context).into_iter();
            let reviewer = finding.about.first().map_or("review", String::as_str);
            let review = review(repository, update, context, reviewer);
            share.chain(review).map(Remedy::Run).collect()
        }
        Code::UnknownTip => unknown_tip(update),
        Code::UnknownPusher if certificate(finding).is_some() => {
            let say = "sign this push and all later ones, with a key of people.toml".to_owned();
            let always = Command::new(&["git", "config", "push.gpgSign", "if-asked"]);
            let always = always.into_iter().map(Remedy::Run);
            std::iter::once(Remedy::Say(say)).chain(always).collect()
        }
        Code::UnknownPusher if finding.about.first().is_none_or(String::is_empty) => {
            let host = "have an admin see what `countersign doctor` says of who pushes";
            let plain = "over a path or file:// say it yourself: COUNTERSIGN_PUSHER=<you> git push";
            let say = |text: &str| Remedy::Say(text.to_owned());
            vec![say(host), say(plain)]
        }
        Code::MovedTag if update.name.as_bstr().starts_with(b"refs/countersign/") => {
            let say = "that ref is taken: end yours in another name, such as <you>-2";
            vec![Remedy::Say(say.to_owned())]
        }
        code => {
            let shown = residual(update, finding).map(Remedy::Run);
            let text = next(code).map(str::to_owned).map(Remedy::Say);
            let signs = matches!(code, Code::UnsignedCommit | Code::BadSignature);
            let sign = signs.then(|| sign_all(update, context)).flatten();
            shown
                .into_iter()
                .chain(text)
                .chain(sign.map(Remedy::Run))
                .collect()
        }
    }
}

/// Returns the command that shows what the person of a note about an approval did not see.
pub(super) fn residual(update: &UpdateVerdict, finding: &Finding) -> Option<Command> {
    match finding.about.as_slice() {
        [_, _, tag, reason] if finding.code == Code::UnreviewedResidual && reason == "residual" => {
            diff(tag, &update.new)
        }
        _ => None,
    }
}

/// Returns the command that shows what a reviewer did not see of a commit; the tag names its ref.
pub(super) fn diff(tag: &str, landed: &Oid) -> Option<Command> {
    Command::new(&["countersign", "diff", tag, &landed.to_string()])
}

/// Signs every commit that the remote's branch does not have.
fn sign_all(update: &UpdateVerdict, context: &Context) -> Option<Command> {
    let branch = update.name.as_str()?.strip_prefix("refs/heads/")?;
    if update.old.is_zero() {
        return None;
    }
    let upstream = format!("{}/{branch}", context.remote);
    let each = "git commit --amend --no-edit -S";
    Command::new(&[
        "git",
        "rebase",
        "--keep-base",
        "--rebase-merges",
        "--exec",
        each,
        &upstream,
    ])
}

/// Gives both ways out: where the record left the ref, or the record to where the ref is.
fn unknown_tip(update: &UpdateVerdict) -> Vec<Remedy> {
    let (name, old) = (update.name.to_string(), update.old.to_string());
    let back = if update.old.is_zero() {
        Command::new(&["git", "update-ref", "-d", &name])
    } else {
        Command::new(&["git", "update-ref", &name, &old])
    };
    let adopt = Command::new(&["countersign", "log", "adopt", &name]);
    let say = "on the host set it back, or take it as it is, with".to_owned();
    let commands = [back, adopt].into_iter().flatten().map(Remedy::Run);
    std::iter::once(Remedy::Say(say)).chain(commands).collect()
}

fn next(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::MalformedObject => "make the commit again with a current git",
        Code::UnsafePath | Code::PathCollision => "rename the path and amend the commit",
        Code::UnsafeMode => "use an ordinary file there and amend the commit",
        Code::HiddenContent => {
            "remove it and amend the commit, or let the policy's [hidden_content] allow the path"
        }
        Code::RewoundBranch => "rebase onto the branch's tip instead, or revert with a commit",
        Code::DeletedRef => "ask an admin; the policy does not let this ref be deleted",
        Code::MovedTag => "choose a new tag name",
        Code::UnrecordedTarget => "land the commit on a protected branch first",
        Code::ForbiddenRef | Code::ShadowingRef | Code::SymrefAlias => "push to another name",
        Code::UnsignedCommit | Code::BadSignature => {
            "sign it: git commit --amend --no-edit -S; to sign all of your branch:"
        }
        Code::UnknownSigner | Code::ExpiredKey | Code::RevokedKey => {
            "sign with a key of people.toml, or have yours added there"
        }
        Code::UnknownPusher => "have an admin add you to people.toml, or fix your login",
        Code::Rejected => "talk to them: their next review of that head ends it",
        Code::UnreviewedResidual => "have a commit reviewed that is built on the ref's tip",
        Code::Unverifiable => "approve a commit that is built on the ref's tip",
        Code::WrongTarget => "name the full ref of a protected branch in the first line",
        Code::WrongRepository => "name this repository in the first line of the review",
        Code::MalformedReview => "make the tag again as the documentation shows",
        Code::ReplayedReview => "sign a new review",
        Code::PolicyMissing | Code::PolicyInvalid | Code::UnsatisfiableRule => {
            "mend the file until `countersign policy check` finds nothing"
        }
        Code::OverBudget => "push less at once, or have an admin raise the limit",
        Code::Undecidable => "try again; if it stays, tell the server's admin",
        Code::SubmoduleChange
        | Code::UnknownTip
        | Code::UnprovenCommit
        | Code::UnknownContributor
        | Code::MissingApprovals
        | Code::SelfApproval
        | Code::BotApproval
        | Code::StaleApproval
        | Code::SpentApproval
        | Code::WeakEvidence
        | Code::PolicyWeakened
        | Code::ShadowingOwners
        | Code::FloatingReference
        | Code::DynamicPipeline
        | Code::PrivilegeWidened
        | Code::BreakglassUsed
        | Code::BreakglassInvalid
        | Code::BreakglassOverdue => return None,
    })
}

/// Returns the ref under which a refused commit is shared: the one that has it, a proposal of the
/// pusher's, or, where nobody known pushes, a topic branch.
fn shared_as(update: &UpdateVerdict, context: &Context) -> (String, String) {
    let commit = context.commit(update);
    let short = commit.short();
    if let Some(name) = context.shared.get(&commit) {
        return (name.to_string(), String::new());
    }
    match &context.pusher {
        Some(person) => (
            "refs/countersign/proposals/".to_owned(),
            format!("{person}/{short}"),
        ),
        None => ("refs/heads/".to_owned(), format!("review-{short}")),
    }
}

/// Returns the command that brings a refused commit to the server, where it is on no ref there yet.
pub(super) fn share(update: &UpdateVerdict, context: &Context) -> Option<Command> {
    if context.shared.contains_key(&context.commit(update)) {
        return None;
    }
    let (folder, name) = shared_as(update, context);
    let refspec = format!("{}:\n{folder}\n{name}", context.commit(update));
    Command::new(&["git", "push", &context.remote, &refspec])
}

/// Returns what a reviewer copies: fetch, sign, push, clean up. Nothing where a name is not plain.
pub(super) fn review(
    repository: &str,
    update: &UpdateVerdict,
    context: &Context,
    reviewer: &str,
) -> Vec<Command> {
    let (folder, name) = shared_as(update, context);
    let (new, remote) = (context.commit(update).to_string(), context.remote.as_str());
    let message = format!("countersign: approve \n{}\n of \n{repository}", update.name);
    let refspec =
        format!("refs/tags/countersign/ok:\nrefs/countersign/reviews/\n{new}/\n{reviewer}");
    let commands = [
        Command::new(&["git", "fetch", remote, &format!("{folder}\n{name}")]),
        Command::new(&["git", "tag", "-s", "countersign/ok", &new, "-m", &message]),
        Command::new(&["git", "push", remote, &refspec]),
        Command::new(&["git", "tag", "-d", "countersign/ok"]),
    ];
    let all: Option<Vec<_>> = commands.into_iter().collect();
    all.unwrap_or_default()
}
