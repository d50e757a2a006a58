//! Random histories: commits, merges, approvals and landings, drawn from small numbers so that a
//! failing one shrinks.

use std::collections::BTreeSet;

use countersign::admit::Admission;
use countersign::judge::verdict::Decision;
use countersign::wire::oid::{ObjectFormat, Oid};

use super::oracle::{Approval, Forgets, History, MergeOf, merge};
use super::world::{Files, World};

/// Lines that a file can have, each in its place.
const SLOTS: usize = 10;
/// Paths of files; some are below what others can become.
const PATHS: [&str; 6] = ["a", "b", "d/a", "d/b", "d/e/f", "x"];

/// One step of a drawn history: what is done, and to what.
pub(crate) type Draw = (u8, u16, u16, u16);

/// What was tried, so that a test can say that it tried something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) histories: usize,
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    pub(crate) sequences: usize,
    pub(crate) replayed: usize,
    pub(crate) mutations: usize,
    pub(crate) merges: usize,
    pub(crate) conflicts: usize,
    pub(crate) criss_cross: usize,
    /// Landings whose trees are covered, by the wrong people.
    pub(crate) barred: usize,
}

/// A policy to prove under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Under {
    Replay,
    Exact,
    EveryCommit,
    /// Several write, several rules ask for several people, and reviews are taken back.
    People,
}

/// A rule beside the first, for some paths.
const FOR_D: &str = "[[rule]]\nname = \"d\"\npaths = [\"d/\"]\nrequire = [\"1 of carol|dana\"]";

/// A history in the making, on both sides of the comparison.
pub(crate) struct Making {
    pub(crate) world: World,
    pub(crate) history: History,
    under: Under,
    fresh: usize,
    /// Merges that the oracle computed of whole commits, for git to compute again.
    pub(crate) merges: Vec<MergeOf>,
    pub(crate) tally: Tally,
}

impl Making {
    pub(crate) fn new(format: ObjectFormat, under: Under) -> Self {
        let files: Files = PATHS[..4]
            .iter()
            .map(|path| ((*path).to_owned(), ("100644", text(path))))
            .collect();
        let (rule, branches) = match under {
            Under::Replay => ("", ""),
            Under::Exact => ("base = \"exact\"", ""),
            Under::EveryCommit => ("", "every_commit = true"),
            Under::People => (FOR_D, ""),
        };
        let (world, root) = World::new(format, rule, branches, &files);
        let mut history = History {
            exact: under == Under::Exact,
            peopled: under == Under::People,
            ..History::default()
        };
        history.add(root, files, &[], "alice");
        Self {
            world,
            history,
            under,
            fresh: 0,
            merges: Vec::new(),
            tally: Tally {
                histories: 1,
                ..Tally::default()
            },
        }
    }

    /// Does what was drawn.
    pub(crate) fn run(&mut self, draws: &[Draw]) {
        for (what, a, b, c) in draws {
            let (a, b, c) = (usize::from(*a), usize::from(*b), usize::from(*c));
            match what % 22 {
                0..=1 => self.edit(a, b, c),
                2..=7 => self.topic(a, b, c),
                8 => self.join(a, b, c),
                9 => self.update(a),
                10 => self.revert(a),
                11..=12 => self.approve(self.recent(a), b, c),
                13 => self.attempt(self.recent(a)),
                14 => self.land_merges(&[a], c),
                15 => self.land_squash(a, c),
                16..=17 => self.land_merges(&[a, b, c], a ^ b),
                18 => self.land_rebase(a),
                19..=20 => self.weave(a, b, c),
                _ => self.land_octopus(a, b),
            }
        }
        self.land_merges(&[usize::MAX], 0);
    }

    /// Picks a commit, later ones more often.
    fn recent(&self, draw: usize) -> usize {
        let all = self.history.nodes.len();
        let back = (draw % 7) * ((draw / 7) % 7) / 3;
        all - 1 - back.min(all - 1)
    }

    /// Picks the head of an approval, mostly one that has not landed; any commit if there is none.
    fn approved(&self, draw: usize) -> usize {
        let all = self.history.approvals.iter().map(|approval| approval.head);
        let open: Vec<usize> = match draw % 9 {
            8 => all.collect(),
            _ => all.filter(|head| !self.history.is_spent(*head)).collect(),
        };
        match open.len() {
            0 => self.recent(draw),
            count => open[draw / 9 % count],
        }
    }

    /// One or two commits on main, on another topic or anywhere, and mostly an approval of the last.
    fn topic(&mut self, on: usize, what: usize, how: usize) {
        let mut at = match on % 6 {
            0..=2 => self.history.tip,
            3 => self.approved(on / 6),
            _ => self.recent(on / 6),
        };
        for number in 0..=on / 64 % 2 {
            let mut files = self.files(at).clone();
            self.change(&mut files, what >> number, how >> number);
            at = self.add(files, &[at]);
        }
        if !how.is_multiple_of(8) {
            self.approve(at, what, how / 8);
            if self.under == Under::People {
                self.approve(at, what + 1, how / 8);
            }
        }
    }

    /// Makes a commit; a parent that is named twice is one.
    fn add(&mut self, files: Files, parents: &[usize]) -> usize {
        let mut seen = BTreeSet::new();
        let parents: Vec<usize> = parents
            .iter()
            .copied()
            .filter(|it| seen.insert(*it))
            .collect();
        let tree = self.world.tree(&files);
        let oids: Vec<Oid> = parents
            .iter()
            .map(|at| self.history.nodes[*at].oid)
            .collect();
        let author = match self.under {
            Under::People => {
                let number = self.history.nodes.len() % 6;
                ["alice", "alice", "bob", "alice", "alice", "carol"][number]
            }
            Under::Replay | Under::Exact | Under::EveryCommit => "alice",
        };
        let oid = self.world.commit_by(author, &tree, &oids);
        self.history.add(oid, files, &parents, author)
    }

    fn files(&self, at: usize) -> &Files {
        &self.history.nodes[at].files
    }

    /// A commit on another, which changes one or two paths; or none.
    fn edit(&mut self, on: usize, what: usize, how: usize) {
        let on = match on % 3 {
            0 => self.history.tip,
            _ => self.recent(on),
        };
        let mut files = self.files(on).clone();
        self.change(&mut files, what, how);
        if how.is_multiple_of(5) {
            self.change(&mut files, what / 7, how / 5);
        }
        self.add(files, &[on]);
    }

    pub(crate) fn change(&mut self, files: &mut Files, what: usize, how: usize) {
        self.fresh += 1;
        let path = PATHS[what % PATHS.len()].to_owned();
        let number = self.fresh;
        match (what / PATHS.len()) % 12 {
            0 => drop(files.remove(&path)),
            1 => {
                // Renamed, as it is.
                if let Some(file) = files.remove(&path) {
                    files.insert(PATHS[how % PATHS.len()].to_owned(), file);
                }
            }
            2 => {
                if let Some((mode @ ("100644" | "100755"), _)) = files.get_mut(&path) {
                    *mode = if *mode == "100644" {
                        "100755"
                    } else {
                        "100644"
                    };
                }
            }
            3 => drop(files.insert(path, ("120000", format!("to-{}", number % 3)))),
            4 => drop(files.insert(path, ("160000", format!("commit {}", number % 3)))),
            5 => {}
            6 => drop(files.insert(path.clone(), ("100644", text(&path)))),
            _ => match files.get_mut(&path) {
                Some((mode, text)) if mode.starts_with("100") => {
                    *text = set_line(text, how % SLOTS, !(how / SLOTS).is_multiple_of(4), number);
                }
                _ => drop(files.insert(path.clone(), ("100644", text(&path)))),
            },
        }
        // Where a directory came into the place of a file, or the other way, the new one stays.
        let paths: Vec<String> = files.keys().cloned().collect();
        for path in paths {
            let parents: Vec<String> = path
                .match_indices('/')
                .map(|(at, _)| path[..at].to_owned())
                .collect();
            if parents.iter().any(|parent| files.contains_key(parent)) {
                files.remove(&path);
            }
        }
    }

    /// A merge of any two commits, by the rules where they have one base.
    fn join(&mut self, a: usize, b: usize, how: usize) {
        let (a, b) = (self.recent(a), self.recent(b));
        let merged = self.merged(a, b);
        let mut files = merged.unwrap_or_else(|| self.files(a).clone());
        if how.is_multiple_of(4) {
            self.change(&mut files, how / 4, how);
        }
        self.add(files, &[a, b]);
    }

    /// Main is merged into a topic.
    fn update(&mut self, topic: usize) {
        let (topic, tip) = (self.recent(topic), self.history.tip);
        if let Some(files) = self.merged(topic, tip) {
            self.add(files, &[topic, tip]);
        }
    }

    /// Merges two commits over their one base, if there is one and they do not conflict.
    fn merged(&mut self, a: usize, b: usize) -> Option<Files> {
        let bases = self.history.bases(a, b);
        let [base] = bases[..] else {
            self.tally.criss_cross += 1;
            return None;
        };
        let [base_files, ours, theirs] = [base, a, b].map(|at| self.files(at));
        let merged = merge(base_files, ours, theirs);
        self.merges.push(([base, a, b], merged.clone()));
        merged
    }

    /// A commit on main that takes back what its tip, or another commit, brought.
    fn revert(&mut self, draw: usize) {
        let (tip, gone) = (self.history.tip, self.recent(draw));
        let reverted = if draw.is_multiple_of(2) { tip } else { gone };
        let Some(parent) = self.history.nodes[reverted].parents.first().copied() else {
            return;
        };
        let [base, ours, theirs] = [reverted, tip, parent].map(|at| self.files(at));
        if let Some(files) = merge(base, ours, theirs) {
            self.add(files, &[tip]);
        }
    }

    fn approve(&mut self, head: usize, who: usize, how: usize) {
        let people = self.under == Under::People;
        let (person, verb) = match (people, how / 16 % 12) {
            (false, _) => (["bob", "carol"][who % 2], "approve"),
            (true, 0) => (["bob", "carol", "dana"][who % 3], "reject"),
            (true, 1) => (["bob", "carol", "dana"][who % 3], "withdraw"),
            (true, _) => (
                ["bob", "carol", "dana", "carol", "alice"][who % 5],
                "approve",
            ),
        };
        let oid = self.history.nodes[head].oid;
        let mut lines = Vec::new();
        let names_base = how.is_multiple_of(3) || self.history.exact;
        let tip = self.history.tip;
        if names_base {
            lines.push(format!("Base: {}", self.history.nodes[tip].oid));
        }
        let mut keeps = Vec::new();
        let own = self.history.approvals.iter().rev();
        let mut own = own.filter(|it| it.person == person && it.head != head);
        if how % 4 == 1
            && let Some(kept) = own.next()
        {
            keeps.push(kept.head);
            lines.push(format!("Keeps: {}", self.history.nodes[kept.head].oid));
        }
        let mut replaces = Vec::new();
        let mut own = self.history.approvals.iter();
        if people
            && how % 11 == 2
            && let Some(other) = own.rfind(|it| it.person == person && it.head != head)
        {
            replaces.push(other.head);
            lines.push(format!("Replaces: {}", self.history.nodes[other.head].oid));
        }
        if let Some(index) = self.world.review_as(verb, person, &oid, &lines) {
            self.history.approvals.push(Approval {
                index,
                verb,
                person,
                head,
                seen: tip,
                names_base,
                keeps,
                replaces,
            });
        }
    }

    /// A topic takes main in while main takes it in: what comes after has two bases with main.
    fn weave(&mut self, head: usize, who: usize, how: usize) {
        let (head, tip) = (self.approved(head), self.history.tip);
        let Some(mut files) = self.merged(head, tip) else {
            return;
        };
        let updated = self.add(files.clone(), &[head, tip]);
        if how.is_multiple_of(3) {
            self.approve(updated, who, how);
        }
        self.land(&[head], how / 3);
        self.change(&mut files, 7 + how, who);
        let after = self.add(files, &[updated]);
        self.approve(after, who / 2, how / 2);
        self.land(&[after], how / 9);
    }

    fn land_merges(&mut self, heads: &[usize], how: usize) {
        let heads: Vec<usize> = heads.iter().map(|head| self.approved(*head)).collect();
        self.land(&heads, how);
    }

    /// Merges heads onto main, one after the other, by the rules; and lands the last merge.
    fn land(&mut self, heads: &[usize], how: usize) {
        let mut at = self.history.tip;
        for head in heads.iter().copied() {
            if let Some(files) = self.landed(head, at) {
                at = match how % 3 {
                    2 => self.add(files, &[at]),
                    _ => self.add(files, &[at, head]),
                };
            }
        }
        self.attempt(at);
    }

    fn land_squash(&mut self, head: usize, how: usize) {
        let (head, tip) = (self.approved(head), self.history.tip);
        if let Some(mut files) = self.landed(head, tip) {
            if how.is_multiple_of(4) {
                self.change(&mut files, how / 4, how);
            }
            let squashed = self.add(files, &[tip]);
            self.attempt(squashed);
        }
    }

    /// What a person would get who merges `head` onto `at`.
    fn landed(&mut self, head: usize, at: usize) -> Option<Files> {
        if self.history.is_ancestor(at, head) {
            return Some(self.files(head).clone());
        }
        self.merged(at, head)
    }

    /// Every commit of a head's own, made again on main.
    fn land_rebase(&mut self, head: usize) {
        let (head, tip) = (self.approved(head), self.history.tip);
        let own = &self.history.nodes[head].above - &self.history.nodes[tip].above;
        let mut at = tip;
        for commit in own {
            let Some(parent) = self.history.nodes[commit].parents.first().copied() else {
                return;
            };
            let [base, ours, theirs] = [parent, at, commit].map(|at| self.files(at));
            let Some(files) = merge(base, ours, theirs) else {
                return;
            };
            at = self.add(files, &[at]);
        }
        self.attempt(at);
    }

    /// Two heads as parents of one merge.
    fn land_octopus(&mut self, a: usize, b: usize) {
        let (a, b, tip) = (self.approved(a), self.approved(b), self.history.tip);
        let Some(one) = self.landed(a, tip) else {
            return;
        };
        let middle = self.add(one, &[tip, a]);
        if let Some(files) = self.landed(b, middle) {
            let octopus = self.add(files, &[tip, a, b]);
            self.attempt(octopus);
        }
    }

    /// Asks both sides about a landing, and lands it where they agree that it may.
    fn attempt(&mut self, new: usize) {
        let admission = self.compare(new);
        let Some(admission) = admission else { return };
        self.mutate(new);
        let counted = &admission.landings[0].decided.counted;
        let position = |oid: &Oid| {
            let mut nodes = self.history.nodes.iter();
            nodes.position(|node| node.oid == *oid).unwrap()
        };
        let heads: Vec<usize> = counted.iter().map(|it| position(&it.head)).collect();
        let spent: Vec<usize> = counted
            .iter()
            .flat_map(|it| &it.spent)
            .map(position)
            .collect();
        self.tally.sequences += usize::from(heads.len() > 1);
        let approvals = &admission.verdict.updates[0].approvals;
        let replay = |it: &&countersign::judge::verdict::ApprovalVerdict| {
            it.counted && it.coverage == countersign::judge::verdict::Coverage::Replay
        };
        self.tally.replayed += usize::from(approvals.iter().any(|it| replay(&it)));
        let index = self.world.size();
        self.world.land(&admission);
        let history = &mut self.history;
        history
            .counted
            .extend(heads.into_iter().map(|head| (index, head)));
        history.spent.extend(spent);
        history.tip = new;
    }

    /// Asks both sides whether a commit may land; returns the answer where they agree that it may.
    pub(crate) fn compare(&mut self, new: usize) -> Option<Admission> {
        let admission = self.world.judge(&self.history.nodes[new].oid);
        let accepted = admission.verdict.decision == Decision::Accept;
        match accepted {
            true => self.tally.accepted += 1,
            false => self.tally.refused += 1,
        }
        let told = || {
            format!(
                "{:?}, commit {new} from {}\n{:#?}\n{}",
                self.under, self.history.tip, admission.verdict.updates[0].findings, self.history
            )
        };
        if self.under == Under::EveryCommit {
            // Which of several ways a step takes decides what the next may count; ours is careful.
            assert!(!accepted || self.by_every_commit(new), "{}", told());
        } else {
            let ways = self.history.ways(new, Forgets::Landed);
            let sure = match self.under {
                Under::People => self.history.ways(new, Forgets::OnlySeen),
                Under::Replay | Under::Exact | Under::EveryCommit => ways.clone(),
            };
            assert!(accepted || sure.is_empty(), "{sure:?}\n{}", told());
            assert!(!accepted || !ways.is_empty(), "{}", told());
            if self.under == Under::People && !accepted {
                let anybody = History {
                    peopled: false,
                    ..self.history.clone()
                };
                let covered = !anybody.ways(new, Forgets::Landed).is_empty();
                self.tally.barred += usize::from(covered);
            }
            if accepted {
                let counted = admission.landings[0].decided.counted.iter();
                let counted: Vec<Oid> = counted.map(|it| it.head).collect();
                let oid = |at: &usize| self.history.nodes[*at].oid;
                let is_counted =
                    |way: &Vec<usize>| way.iter().map(oid).collect::<Vec<_>>() == counted;
                assert!(ways.iter().any(is_counted), "{ways:?}\n{}", told());
            }
        }
        accepted.then_some(admission)
    }

    /// Returns whether every first-parent commit is covered as a step of its own, in some way.
    fn by_every_commit(&self, new: usize) -> bool {
        let Some(chain) = self.history.first_parents(self.history.tip, new) else {
            return !self.history.ways(new, Forgets::Landed).is_empty();
        };
        let mut earlier = BTreeSet::from([Vec::new()]);
        for pair in chain.windows(2) {
            let mut next = BTreeSet::new();
            for before in &earlier {
                for way in self
                    .history
                    .ways_from(pair[0], pair[1], before, Forgets::Landed)
                {
                    next.insert([before.as_slice(), &way].concat());
                }
            }
            earlier = next;
        }
        !earlier.is_empty()
    }

    /// Adds a commit for as long as `ask` needs it.
    pub(crate) fn with<T>(
        &mut self,
        files: Files,
        parents: &[usize],
        ask: impl FnOnce(&mut Self, usize) -> T,
    ) -> T {
        let kept = self.history.nodes.len();
        let at = self.add(files, parents);
        let answer = ask(self, at);
        self.history.nodes.truncate(kept);
        answer
    }
}

/// A file's first text: every second of its lines.
fn text(path: &str) -> String {
    (0..SLOTS)
        .step_by(2)
        .map(|slot| format!("{slot} {path} first\n"))
        .collect()
}

/// Writes or removes the line of one place.
fn set_line(text: &str, slot: usize, write: bool, number: usize) -> String {
    let place = format!("{slot} ");
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with(&place))
        .map(str::to_owned)
        .collect();
    if write {
        lines.push(format!("{place}edit {number}"));
    }
    lines.sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}
