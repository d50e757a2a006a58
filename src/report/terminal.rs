//! A verdict for the person at the other end: at most 20 lines of 72 columns.
//!
//! The order is that of what to do: what was refused, how to share it (it is not on the server),
//! who can approve, what the reviewer copies, where to read more, and what else was found. What
//! does not fit is cut from the richest text downwards, but no code is left out unsaid.

use std::collections::BTreeSet;

use crate::judge::verdict::{Code, Decision, Finding, Severity, UpdateVerdict, Verdict};
use crate::policy::Mode;

pub use super::reply::{ReviewAct, ReviewOutcome, review_reply};

use super::Context;
use super::command::Command;
use super::entry::{Entry, LENGTHS, bracketed, entries};
use super::plain::{COLUMNS, clip, plain, width, wrap};
use super::words;

/// The lines a text may take.
pub const LINES: usize = 20;

/// Returns what to print for a verdict, each line ended by a line feed.
pub fn verdict(verdict: &Verdict, context: &Context) -> String {
    let lines = match verdict.decision {
        Decision::Accept => accepted(verdict),
        Decision::Undecided | Decision::Refuse => refused(verdict, context),
    };
    join(lines)
}

pub(super) fn join(lines: Vec<String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Two or three lines: what passed, who reviewed it, and the codes of what is worth a look.
fn accepted(verdict: &Verdict) -> Vec<String> {
    let reviewed = |update: &&UpdateVerdict| !update.approvals.is_empty();
    let mut updates = verdict.updates.iter();
    let Some(update) = updates.clone().find(reviewed).or_else(|| updates.next()) else {
        return vec!["countersign: accepted".to_owned()];
    };
    let mut lines = vec![headline("accepted", verdict, update)];
    let counted = update.approvals.iter().filter(|approval| approval.counted);
    let people: BTreeSet<_> = counted
        .map(|approval| approval.person.to_string())
        .collect();
    if !people.is_empty() {
        let people: Vec<_> = people.into_iter().collect();
        let dry = match update.mode {
            Mode::DryRun => " (dry run: not recorded as reviewed)",
            Mode::Enforce => "",
        };
        let line = format!("  reviewed by {}{dry}", people.join(", "));
        lines.push(clip(&line, COLUMNS));
    }
    let findings = verdict.updates.iter().flat_map(|update| &update.findings);
    let codes: BTreeSet<_> = findings.map(|finding| finding.code).collect();
    if !codes.is_empty() {
        let codes: Vec<_> = codes.into_iter().map(bracketed).collect();
        lines.push(clip(&format!("  noted: {}", codes.join(" ")), COLUMNS));
    }
    lines
}

fn headline(what: &str, verdict: &Verdict, update: &UpdateVerdict) -> String {
    let commits = match update.commits {
        0 => String::new(),
        1 => " (1 commit)".to_owned(),
        n => format!(" ({n} commits)"),
    };
    let more = match verdict.updates.len().saturating_sub(1) {
        0 => String::new(),
        1 => " and 1 more ref".to_owned(),
        n => format!(" and {n} more refs"),
    };
    let end = format!("{commits}{more}");
    let start = format!("countersign: {what}: {}", plain(&update.name.to_string()));
    let room = COLUMNS.saturating_sub(end.chars().count());
    format!("{}{end}", clip(&start, room))
}

/// The parts of a refusal, from which the richest text that fits is laid out.
struct Refusal {
    head: Vec<String>,
    share: Vec<String>,
    review: Vec<String>,
    help: Vec<String>,
    /// Strongest first; missing approvals before others that weigh the same.
    entries: Vec<Entry>,
    /// How many of them hold the push up.
    refusing: usize,
    /// Whether the commit must be mended before anybody's approval could help.
    mend_first: bool,
}

/// Returns whether something refuses that no approval of this very commit lifts.
fn mend_first(update: &UpdateVerdict) -> bool {
    let approvable = |code| {
        let lifted = [
            Code::MissingApprovals,
            Code::Rejected,
            Code::UnreviewedResidual,
        ];
        lifted.contains(&code)
    };
    let mut refusing = update
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Refuse);
    refusing.any(|finding| !approvable(finding.code))
}

/// What a layout spends lines on.
#[derive(Clone, Copy)]
struct Layout {
    rules: usize,
    others: usize,
    help: bool,
    review: bool,
    share: bool,
}

fn refused(verdict: &Verdict, context: &Context) -> Vec<String> {
    let Some(focus) = focus(verdict) else {
        return vec!["countersign: refused: nothing was pushed".to_owned()];
    };
    let refusal = Refusal::new(verdict, focus, context);
    // A finding takes a line at least.
    let most = refusal.entries.len().min(LINES);
    let whole = (0..LENGTHS).map(Layout::all);
    let mut whole = whole.map(|layout| refusal.lay_out(layout, refusal.entries.len()));
    if let Some(lines) = whole.find(|lines| lines.len() <= LINES && most == refusal.entries.len()) {
        return lines;
    }
    for (layout, least) in Layout::shorter(refusal.worth(), refusal.refusing) {
        for shown in (least..=most).rev() {
            let lines = refusal.lay_out(layout, shown);
            if lines.len() <= LINES {
                return lines;
            }
        }
    }
    // Every code there is, and nothing but codes.
    let mut lines = refusal.lay_out(Layout::BARE, 0);
    lines.truncate(LINES);
    lines
}

impl Layout {
    const BARE: Self = Self {
        rules: LENGTHS - 1,
        others: LENGTHS - 1,
        help: false,
        review: false,
        share: false,
    };

    /// Everything, each finding told in this length.
    fn all(length: usize) -> Self {
        Self {
            rules: length,
            others: length,
            help: true,
            review: true,
            share: true,
        }
    }

    /// What is given up for room, in this order, and how many findings must still be told.
    fn shorter(worth: usize, refusing: usize) -> [(Self, usize); 8] {
        let short = Self::all(LENGTHS - 1);
        let rules = Self {
            rules: LENGTHS - 2,
            ..short
        };
        let no_help = Self {
            help: false,
            ..short
        };
        let no_review = Self {
            review: false,
            ..no_help
        };
        [
            (rules, worth),
            (short, worth),
            (no_help, worth),
            (rules, refusing.max(1)),
            (short, 1),
            (no_help, 1),
            (no_review, 1),
            (Self::BARE, 1),
        ]
    }
}

/// The update the text is about: the strongest decision that is enforced, the first on ties.
fn focus(verdict: &Verdict) -> Option<&UpdateVerdict> {
    let mut focus: Option<&UpdateVerdict> = None;
    let weight = |update: &UpdateVerdict| {
        let refused = update.decision != Decision::Accept;
        (refused, update.mode, update.decision)
    };
    for update in &verdict.updates {
        if focus.is_none_or(|best| weight(update) > weight(best)) {
            focus = Some(update);
        }
    }
    focus
}

impl Refusal {
    fn new(verdict: &Verdict, focus: &UpdateVerdict, context: &Context) -> Self {
        let passes = verdict.admits();
        let what = match (verdict.decision, passes) {
            (Decision::Undecided, false) => "could not decide, refused",
            (Decision::Undecided, true) => "dry run, could not decide",
            (_, false) => "refused",
            (_, true) => "dry run, would refuse",
        };
        let mut head = vec![headline(what, verdict, focus)];
        if passes {
            head.push("  the push passes, but nothing it lands counts as reviewed".to_owned());
        }
        let missing = |finding: &&Finding| finding.code == Code::MissingApprovals;
        let mend_first = mend_first(focus);
        let missing = focus.findings.iter().find(missing);
        let missing = missing.filter(|_| !passes && !mend_first);
        let entries = entries(verdict, focus, context, LINES, mend_first);
        let help = entries.first().and_then(|first| help(context, first.code));
        let findings = verdict.updates.iter().flat_map(|update| &update.findings);
        let refusing = findings.filter(|finding| finding.severity >= Severity::Undecided);
        Self {
            head,
            refusing: refusing.count(),
            share: missing.map_or_else(Vec::new, |_| share(focus, context)),
            review: missing.map_or_else(Vec::new, |finding| {
                review(&verdict.repository, focus, finding, context)
            }),
            help: help.unwrap_or_default(),
            mend_first,
            entries,
        }
    }

    /// Returns how many entries are worth more than long words: those that hold the push up, and all
    /// down to how to see what was not reviewed.
    fn worth(&self) -> usize {
        let shows = self.entries.iter().position(|entry| entry.shows);
        shows
            .map_or(0, |at| at.saturating_add(1))
            .max(self.refusing)
            .max(1)
    }

    /// Returns the text with the first `shown` entries; the codes of the others at its end.
    fn lay_out(&self, layout: Layout, shown: usize) -> Vec<String> {
        let (shown, hidden) = self.entries.split_at(shown.min(self.entries.len()));
        let is_rule = |entry: &&Entry| entry.code == Code::MissingApprovals;
        let text = |entry: &Entry| {
            let length = if is_rule(&entry) {
                layout.rules
            } else {
                layout.others
            };
            entry.texts.get(length).cloned().unwrap_or_default()
        };
        let mut lines = self.head.clone();
        let rules = shown.iter().filter(is_rule).flat_map(text);
        let others = shown.iter().filter(|entry| !is_rule(entry));
        if self.mend_first {
            lines.extend(shown.iter().flat_map(text));
        } else {
            if layout.share {
                lines.extend(self.share.clone());
            }
            lines.extend(rules);
            if layout.review {
                lines.extend(self.review.clone());
            }
            lines.extend(others.flat_map(text));
        }
        if !hidden.is_empty() {
            lines.push(format!(
                "... and {} more findings: countersign check --json",
                hidden.len()
            ));
            let said: BTreeSet<_> = shown.iter().map(|entry| entry.code).collect();
            let codes: BTreeSet<_> = hidden.iter().map(|entry| entry.code).collect();
            let unsaid: Vec<_> = codes
                .difference(&said)
                .map(|code| bracketed(*code))
                .collect();
            if !unsaid.is_empty() {
                lines.extend(wrap(&format!("  {}", unsaid.join(" ")), "  "));
            }
        }
        if layout.help {
            lines.extend(self.help.clone());
        }
        lines
    }
}

/// Tells where a code is explained; a `{code}` in the address stands for it.
fn help(context: &Context, code: Code) -> Option<Vec<String>> {
    let url = context.help_url.as_deref()?;
    let url = url.replace("{code}", code.as_str());
    Some(wrap(&format!("help: {}", plain(&url)), ""))
}

fn share(update: &UpdateVerdict, context: &Context) -> Vec<String> {
    if let Some(name) = context.shared.get(&context.commit(update)) {
        return wrap(&format!("it is shared already, as {name}"), "  ");
    }
    let Some(command) = words::share(update, context) else {
        return Vec::new();
    };
    let mut lines = vec!["share it first, a refused commit is not on the server:".to_owned()];
    lines.extend(command.lines());
    lines
}

fn review(
    repository: &str,
    update: &UpdateVerdict,
    finding: &Finding,
    context: &Context,
) -> Vec<String> {
    let reviewer = finding.about.first().map_or("review", String::as_str);
    let commands = words::review(repository, update, context, reviewer);
    if commands.is_empty() {
        return Vec::new();
    }
    let who = match finding.about.len() {
        0 => String::new(),
        1 => format!(" ({})", plain(reviewer)),
        _ => format!(" ({}; others end in their own name)", plain(reviewer)),
    };
    let mut lines = vec![format!("then, to approve it{who}:")];
    if width(&lines.concat()) > COLUMNS {
        lines = vec!["then, to approve it (others end in their own name):".to_owned()];
    }
    lines.extend(commands.iter().flat_map(Command::lines));
    let again = match finding.about.len() {
        0 | 1 => "and then push again",
        _ => "and, once nothing is missing, push again",
    };
    lines.push(again.to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::rehearse::Rehearsal;
    use crate::judge::facts::Scope;
    use crate::judge::sample::{N, Push, oid, protection, rule};
    use crate::judge::verdict::{Coverage, Role};
    use crate::policy::Protection;
    use crate::wire::name::RepoPath;

    fn context() -> Context {
        Context {
            help_url: Some("https://git.example.com/help/review".to_owned()),
            pusher: Some("alice".to_owned()),
            ..Context::default()
        }
    }

    fn text(push: &Push) -> String {
        verdict(&push.judge().verdict, &context())
    }

    fn pipelines() -> Push {
        let rules = rule("everyone", r#"["1 of @maintainers"]"#, "")
            + &rule(
                "pipelines",
                r#"["2 of @maintainers", "1 of @security"]"#,
                "class = [\"pipeline\"]",
            );
        let mut push = Push::new(&rules).changing(&[".github/workflows/ci.yml", "src/lib.rs"]);
        push.update.commits = 3;
        push
    }

    /// Missing approvals: share, who can approve, what the reviewer copies, help, and the rest.
    #[test]
    fn missing_approvals() {
        insta::assert_snapshot!(text(&pipelines().approved(&["bob", "alice"])), @r#"
        countersign: refused: refs/heads/main (3 commits)
        share it first, a refused commit is not on the server:
          git push origin 0000000000000000000000020000000000000002:\
        refs/countersign/proposals/alice/000000000000
        [missing-approvals] pipelines: 2 of @maintainers, 1 of @security
          .countersign/policy.toml:7; has bob; can approve: carol, dana, erin
          for .github/workflows/ci.yml
        then, to approve it (carol; others end in their own name):
          git fetch origin refs/countersign/proposals/alice/000000000000
          git tag -s countersign/ok 0000000000000000000000020000000000000002 \
          -m "countersign: approve refs/heads/main of git.example.com/payments"
          git push origin refs/tags/countersign/ok:refs/countersign/reviews/\
        0000000000000000000000020000000000000002/carol
          git tag -d countersign/ok
        and, once nothing is missing, push again
        note [self-approval] alice's approval of 000000000000 is of their own
          work
        help: https://git.example.com/help/review
        "#);
    }

    /// An address with a place for the code leads to the page of what matters most.
    #[test]
    fn help_by_code() {
        let url = "https://git.example.com/findings/{code}.html";
        let context = Context {
            help_url: Some(url.to_owned()),
            ..context()
        };
        let missing = pipelines().approved(&["bob", "alice"]);
        let unsafe_path = missing.clone().noticed(Code::UnsafePath, &["a/.git"]);
        for (push, page) in [(missing, "missing-approvals"), (unsafe_path, "unsafe-path")] {
            let text = verdict(&push.judge().verdict, &context);
            let last = format!("help: https://git.example.com/findings/{page}.html\n");
            assert!(text.ends_with(&last), "{text}");
        }
    }

    /// Faults of the push itself come with what to do, and nothing to share.
    #[test]
    fn faults() {
        let push = Push::new("").approved(&["bob"]);
        let push = push.noticed(Code::UnknownTip, &[]);
        let push = push.noticed(Code::UnsafePath, &["a/.git/\u{1b}[2Jx"]);
        insta::assert_snapshot!(text(&push), @r#"
        countersign: refused: refs/heads/main (1 commit)
        [unsafe-path] a path is unsafe to check out: seen, a/.git/%1B[2Jx
          rename the path and amend the commit
        [unknown-tip] refs/heads/main is not where the record left it: seen
          on the host set it back, or take it as it is, with
          git update-ref refs/heads/main \
            0000000000000000000000010000000000000001
          countersign log adopt refs/heads/main
        help: https://git.example.com/help/review
        "#);
    }

    /// An accepted push is told in a few lines who reviewed it.
    #[test]
    fn accepted() {
        let push = Push::new("").approved(&["bob", "carol"]);
        let push = push.noticed(Code::SubmoduleChange, &["vendor"]);
        insta::assert_snapshot!(text(&push), @r#"
        countersign: accepted: refs/heads/main (1 commit)
          reviewed by bob, carol
          noted: [submodule-change]
        "#);
    }

    /// Dry run says what enforcing would say, and that the push passes.
    #[test]
    fn dry_run() {
        let push = Push::new("").scoped(Scope::Protected(Protection {
            mode: Mode::DryRun,
            ..protection()
        }));
        insta::assert_snapshot!(text(&push), @r#"
        countersign: dry run, would refuse: refs/heads/main (1 commit)
          the push passes, but nothing it lands counts as reviewed
        [missing-approvals] default: 1 of any
          built in; has nobody; can approve: bob, carol, dana, erin, frank
          for src/lib.rs
        help: https://git.example.com/help/review
        "#);
    }

    /// What could not be decided says so.
    #[test]
    fn undecided() {
        let push = Push::new("")
            .approved(&["bob"])
            .noticed(Code::Unverifiable, &[]);
        insta::assert_snapshot!(text(&push), @r#"
        countersign: could not decide, refused: refs/heads/main (1 commit)
        [unverifiable] what a review covers could not be computed: seen
          approve a commit that is built on the ref's tip
        help: https://git.example.com/help/review
        "#);
    }

    /// An error in the policy is shown as it was rendered, file, line and caret.
    #[test]
    fn policy_error() {
        let mut push = Push::new("")
            .approved(&["bob"])
            .noticed(Code::PolicyInvalid, &[]);
        push.update.notices[0].about = vec![
            "error: unknown key `requires`\n --> .countersign/policy.toml:4:1\n  |\n4 | requires = []\n  | ^^^^^^^^".to_owned(),
        ];
        insta::assert_snapshot!(text(&push), @r#"
        countersign: refused: refs/heads/main (1 commit)
        [policy-invalid] the policy or people file has an error
        error: unknown key `requires`
         --> .countersign/policy.toml:4:1
          |
        4 | requires = []
          | ^^^^^^^^
          mend the file until `countersign policy check` finds nothing
        help: https://git.example.com/help/review
        "#);
    }

    /// More than fits: the commands stay, and every code is still said.
    #[test]
    fn crowded() {
        let mut push = pipelines().approved(&["alice", "robot", "github"]);
        for code in [
            Code::UnknownContributor,
            Code::SubmoduleChange,
            Code::HiddenContent,
            Code::UnknownSigner,
        ] {
            push = push.noticed(code, &["some/path"]);
        }
        let push = push.with("carol", &[Role::CoAuthor]);
        insta::assert_snapshot!(text(&push), @r#"
        countersign: refused: refs/heads/main (3 commits)
        share it first, a refused commit is not on the server:
          git push origin 0000000000000000000000020000000000000002:\
        refs/countersign/proposals/alice/000000000000
        [missing-approvals] everyone: 1 of @maintainers
          .countersign/policy.toml:3; has nobody; can approve: bob
        [missing-approvals] pipelines: 2 of @maintainers, 1 of @security
          .countersign/policy.toml:7; has nobody; can approve: bob, dana, erin
        then, to approve it (bob):
          git fetch origin refs/countersign/proposals/alice/000000000000
          git tag -s countersign/ok 0000000000000000000000020000000000000002 \
          -m "countersign: approve refs/heads/main of git.example.com/payments"
          git push origin refs/tags/countersign/ok:refs/countersign/reviews/\
        0000000000000000000000020000000000000002/bob
          git tag -d countersign/ok
        and then push again
        ... and 7 more findings: countersign check --json
          [submodule-change] [hidden-content] [unknown-signer]
          [unknown-contributor] [self-approval] [bot-approval]
        help: https://git.example.com/help/review
        "#);
    }

    /// How to see what a reviewer did not is told once, of the approval that is nearest to what is
    /// pushed, and before other notes.
    #[test]
    fn residual() {
        let of = |at: u64, paths: &'static [&'static str]| {
            move |review: &mut crate::judge::facts::ReviewFacts| {
                review.tag = oid(at);
                review.coverage = Coverage::Residual;
                review.residual = paths.iter().map(|path| RepoPath::from(*path)).collect();
            }
        };
        let push = pipelines()
            .approved(&["alice", "robot", "github"])
            .reviewed("bob", 5, of(7, &["a", "b"]))
            .reviewed("carol", 6, of(8, &["evil/file"]))
            .noticed(Code::SubmoduleChange, &["vendor"]);
        insta::assert_snapshot!(text(&push), @r#"
        countersign: refused: refs/heads/main (3 commits)
        share it first, a refused commit is not on the server:
          git push origin 0000000000000000000000020000000000000002:\
        refs/countersign/proposals/alice/000000000000
        [missing-approvals] everyone: 1 of @maintainers; has nobody
        [missing-approvals] pipelines: 2 of @maintainers, 1 of @security; has...
        then, to approve it (bob; others end in their own name):
          git fetch origin refs/countersign/proposals/alice/000000000000
          git tag -s countersign/ok 0000000000000000000000020000000000000002 \
          -m "countersign: approve refs/heads/main of git.example.com/payments"
          git push origin refs/tags/countersign/ok:refs/countersign/reviews/\
        0000000000000000000000020000000000000002/bob
          git tag -d countersign/ok
        and, once nothing is missing, push again
        warning [submodule-change] a submodule changes; what it points at is...
        note [unreviewed-residual] carol has not seen evil/file; approved 000...
          countersign diff 0000000000000000000000080000000000000008 \
            0000000000000000000000020000000000000002
        ... and 4 more findings: countersign check --json
          [self-approval] [bot-approval]
        "#);
    }

    /// The reply to a review says what it did and what is missing, or that nothing is.
    #[test]
    fn replies() {
        let outcome = |push: &Push| ReviewOutcome {
            person: "bob".to_owned(),
            act: ReviewAct::Approves,
            head: oid(N),
            target: push.update.name.clone(),
            how: Some(Rehearsal::Itself),
            now: Some(push.verdict()),
        };
        let missing = outcome(&pipelines().approved(&["bob"]));
        let done = outcome(&Push::new("").approved(&["bob"]));
        insta::assert_snapshot!(review_reply(&[missing, done], &context()), @r#"
        countersign: bob approves 000000000000 for refs/heads/main
          still missing before it can land:
          [missing-approvals] pipelines wants 2 of @maintainers, 1 of @security;
            has bob
            can approve: carol, dana, erin
        countersign: bob approves 000000000000 for refs/heads/main
          nothing is missing; whoever may push can land it:
          git push origin \
            0000000000000000000000020000000000000002:refs/heads/main
        "#);
    }

    /// Each act has its words, and a head that could not be judged says so.
    #[test]
    fn replies_name_the_act() {
        for (act, words) in [
            (ReviewAct::Approves, "approves"),
            (ReviewAct::Rejects, "rejects"),
            (ReviewAct::Withdraws, "withdraws from"),
            (ReviewAct::Known, "already said so of"),
        ] {
            let outcome = ReviewOutcome {
                person: "bob".to_owned(),
                act,
                head: oid(N),
                target: "refs/heads/main".into(),
                how: None,
                now: None,
            };
            let text = review_reply(&[outcome], &context());
            let line = format!("countersign: bob {words} 000000000000 for refs/heads/main\n");
            assert!(text.starts_with(&line), "{text}");
            assert!(text.contains("could not be computed"), "{text}");
        }
    }

    /// Without a known pusher a refused commit is shared on a topic branch; a ref that a shell
    /// would read as more than a name is in no command.
    #[test]
    fn shares_safely() {
        let mut push = Push::new("");
        let nobody = Context::default();
        let text = verdict(&push.judge().verdict, &nobody);
        assert!(text.contains("refs/heads/review-000000000000"), "{text}");
        push.update.name = "refs/heads/$(id)".into();
        let text = verdict(&push.judge().verdict, &nobody);
        assert!(!text.contains("countersign/ok"), "{text}");
        assert!(text.contains("[missing-approvals]"), "{text}");
    }

    /// Even with every code there is, and many of each, each is named.
    #[test]
    fn every_code_at_once() {
        let mut verdict = Push::new("").judge().verdict;
        let finding = verdict.updates[0].findings[0].clone();
        let all = (0..500).flat_map(|_| Code::ALL.iter().copied());
        let all = all.map(|code| Finding {
            code,
            ..finding.clone()
        });
        verdict.updates[0].findings = all.collect();
        let text = super::verdict(&verdict, &context());
        assert!(text.lines().count() <= LINES, "{text}");
        for code in Code::ALL {
            assert!(text.contains(&bracketed(*code)), "{code:?}");
        }
    }
}
