//! What design §6 says, once more, by brute force over small histories.
//!
//! Nothing here is shared with what it is compared to: trees are maps of whole paths, histories are
//! sets of ancestors, sequences are tried one after the other. Every line of a file stands in it
//! once, so that there is one way to tell two texts apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use countersign::wire::oid::Oid;

use super::world::{File, Files};

/// The most heads in a sequence that is tried; histories here have fewer.
const DEPTH: usize = 6;
/// The most ways that are kept.
const WAYS: usize = 200;

/// A commit.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) oid: Oid,
    pub(crate) files: Files,
    pub(crate) parents: Vec<usize>,
    pub(crate) author: &'static str,
    /// Itself and all its ancestors.
    pub(crate) above: BTreeSet<usize>,
}

/// A review as logged.
#[derive(Clone, Debug)]
pub(crate) struct Approval {
    pub(crate) index: u64,
    pub(crate) verb: &'static str,
    pub(crate) person: &'static str,
    pub(crate) head: usize,
    /// The tip that the reviewer saw.
    pub(crate) seen: usize,
    pub(crate) names_base: bool,
    /// Heads named by `Keeps`.
    pub(crate) keeps: Vec<usize>,
    /// Heads named by `Replaces`.
    pub(crate) replaces: Vec<usize>,
}

/// What happened so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) nodes: Vec<Node>,
    pub(crate) approvals: Vec<Approval>,
    /// P.
    pub(crate) tip: usize,
    /// Heads that landed, with the index of the entry that says so.
    pub(crate) counted: Vec<(u64, usize)>,
    /// Commits that landed without being reachable.
    pub(crate) spent: BTreeSet<usize>,
    /// Whether the rule says `base = "exact"`.
    pub(crate) exact: bool,
    /// Whether who wrote and who approves is looked at: a maintainer, and for what is below `d/`
    /// carol or dana, who did not write it; and whether reviews are anything but approvals.
    pub(crate) peopled: bool,
}

/// What of a head's history its landing may leave out when it is asked who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgets {
    /// What its reviewer saw, nothing else.
    OnlySeen,
    /// Also what is below a head that landed, where the landing brings nothing of that.
    Landed,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, node) in self.nodes.iter().enumerate() {
            writeln!(
                f,
                "{at} {} on {:?}: {:?}",
                node.oid.short(),
                node.parents,
                node.files
            )?;
        }
        for approval in &self.approvals {
            writeln!(f, "{approval:?}")?;
        }
        writeln!(
            f,
            "tip {}, counted {:?}, spent {:?}",
            self.tip, self.counted, self.spent
        )
    }
}

/// A merge that was computed: base, ours, theirs, and what came out.
pub(crate) type MergeOf = ([usize; 3], Option<Files>);

impl History {
    /// Adds a commit.
    pub(crate) fn add(
        &mut self,
        oid: Oid,
        files: Files,
        parents: &[usize],
        author: &'static str,
    ) -> usize {
        let at = self.nodes.len();
        let mut above = BTreeSet::from([at]);
        for parent in parents {
            above.extend(&self.nodes[*parent].above);
        }
        self.nodes.push(Node {
            oid,
            files,
            parents: parents.to_vec(),
            author,
            above,
        });
        at
    }

    pub(crate) fn is_ancestor(&self, older: usize, newer: usize) -> bool {
        self.nodes[newer].above.contains(&older)
    }

    /// Returns the best common ancestors.
    pub(crate) fn bases(&self, a: usize, b: usize) -> Vec<usize> {
        let common = &self.nodes[a].above & &self.nodes[b].above;
        self.nearest(common.into_iter().collect())
    }

    /// Leaves out whatever is an ancestor of another.
    fn nearest(&self, all: Vec<usize>) -> Vec<usize> {
        let below = |one: usize| {
            let mut others = all.iter();
            others.any(|other| *other != one && self.is_ancestor(one, *other))
        };
        all.iter().copied().filter(|one| !below(*one)).collect()
    }

    /// Returns every sequence of heads that covers the step from the tip to `new`.
    pub(crate) fn ways(&self, new: usize, forgets: Forgets) -> Vec<Vec<usize>> {
        self.ways_from(self.tip, new, &[], forgets)
    }

    /// The same from another commit, where heads landed before in the same push.
    pub(crate) fn ways_from(
        &self,
        from: usize,
        new: usize,
        earlier: &[usize],
        forgets: Forgets,
    ) -> Vec<Vec<usize>> {
        if new == from || !self.is_ancestor(from, new) {
            return Vec::new();
        }
        let chain = self.first_parents(from, new);
        let step = Step {
            history: self,
            on_chain: chain.is_some(),
            chain: chain.unwrap_or_else(|| vec![from, new]),
            from,
            earlier,
            forgets,
        };
        let mut ways = Vec::new();
        step.follow(0, &mut Vec::new(), &mut ways);
        ways
    }

    /// Returns the first-parent chain, oldest first, if it meets `from`.
    pub(crate) fn first_parents(&self, from: usize, new: usize) -> Option<Vec<usize>> {
        let mut chain = vec![new];
        while *chain.last()? != from {
            chain.push(*self.nodes[*chain.last()?].parents.first()?);
        }
        chain.reverse();
        Some(chain)
    }

    /// Returns whether a head has landed already.
    pub(crate) fn is_spent(&self, head: usize) -> bool {
        self.is_ancestor(head, self.tip)
            || self.spent.contains(&head)
            || self.counted.iter().any(|(_, counted)| *counted == head)
    }

    /// Returns the heads whose approval by the same person took this one's place; nothing where it
    /// is over for good.
    fn replacing(&self, approval: &Approval) -> Option<Vec<usize>> {
        let later = self.approvals.iter();
        let later = later.filter(|it| it.person == approval.person && it.index > approval.index);
        let mut heads = Vec::new();
        for other in later {
            if other.head == approval.head {
                return None;
            }
            let named = other.replaces.contains(&approval.head);
            if other.keeps.contains(&approval.head) && !named {
                continue;
            }
            match self.is_ancestor(approval.head, other.head) {
                true => heads.push(other.head),
                false if named => return None,
                false => {}
            }
        }
        Some(heads)
    }

    /// Returns the heads that somebody's last word rejects, with those people.
    fn rejected(&self) -> Vec<(usize, &'static str)> {
        let mut last = BTreeMap::new();
        for review in &self.approvals {
            last.insert((review.head, review.person), review.verb);
        }
        let rejects = last.into_iter().filter(|(_, verb)| *verb == "reject");
        rejects.map(|(key, _)| key).collect()
    }

    /// Returns what landing an approval's head on `onto` gives; nothing for a conflict, or where
    /// there is not one base.
    pub(crate) fn landing(
        &self,
        approval: &Approval,
        onto: &Files,
        prior: &[usize],
    ) -> Option<Files> {
        let base = self.base(approval, prior)?;
        let [base, head] = [base, approval.head].map(|at| &self.nodes[at].files);
        merge(base, onto, head)
    }

    fn base(&self, approval: &Approval, prior: &[usize]) -> Option<usize> {
        let since = self.counted.iter().filter(|(at, _)| *at > approval.index);
        let landed = since.map(|(_, head)| *head).chain(prior.iter().copied());
        let below: BTreeSet<usize> = landed
            .filter(|head| *head != approval.head && self.is_ancestor(*head, approval.head))
            .collect();
        let bases = match below.is_empty() {
            true => self.bases(approval.head, approval.seen),
            false => self.nearest(below.into_iter().collect()),
        };
        match bases.as_slice() {
            [base] => Some(*base),
            _ => None,
        }
    }
}

struct Step<'a> {
    history: &'a History,
    chain: Vec<usize>,
    on_chain: bool,
    from: usize,
    earlier: &'a [usize],
    forgets: Forgets,
}

/// One head of a sequence, with where it lands, and its approvals that land it there.
struct Used {
    head: usize,
    from: usize,
    to: usize,
    approvals: Vec<usize>,
}

impl Step<'_> {
    /// Tries every head that can follow, and every place it can lead to.
    fn follow(&self, at: usize, used: &mut Vec<Used>, ways: &mut Vec<Vec<usize>>) {
        if at + 1 == self.chain.len() {
            if self.whole(used) {
                ways.push(used.iter().map(|one| one.head).collect());
            }
            return;
        }
        if used.len() >= DEPTH || ways.len() >= WAYS {
            return;
        }
        let prior: Vec<usize> = self.prior(used);
        let heads: BTreeSet<usize> = self.history.approvals.iter().map(|it| it.head).collect();
        for head in heads {
            let landed = |other: &usize| self.history.is_ancestor(head, *other);
            if self.history.is_spent(head) || prior.iter().any(landed) {
                continue;
            }
            let mut reached: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for (position, approval) in self.history.approvals.iter().enumerate() {
                if approval.head == head && approval.verb == "approve" {
                    for to in self.reaches(approval, at, &prior) {
                        reached.entry(to).or_default().push(position);
                    }
                }
            }
            for (to, approvals) in reached {
                used.push(Used {
                    head,
                    from: at,
                    to,
                    approvals,
                });
                self.follow(to, used, ways);
                used.pop();
            }
        }
    }

    fn prior(&self, used: &[Used]) -> Vec<usize> {
        let used = used.iter().map(|one| one.head);
        self.earlier.iter().copied().chain(used).collect()
    }

    fn reaches(&self, approval: &Approval, at: usize, prior: &[usize]) -> Vec<usize> {
        let history = self.history;
        let start = self.chain[at];
        if history.exact && !(approval.names_base && approval.seen == start) {
            return Vec::new();
        }
        let onto = &history.nodes[start].files;
        let Some(files) = history.landing(approval, onto, prior) else {
            return Vec::new();
        };
        (at + 1..self.chain.len())
            .filter(|to| {
                let reached = self.chain[*to];
                history.nodes[reached].files == files
                    && (files != *onto || reached == approval.head)
            })
            .collect()
    }

    /// Returns whether each head has an approval that stands, and every new commit a reason.
    fn whole(&self, used: &[Used]) -> bool {
        let history = self.history;
        let landed = self.prior(used);
        let stands = |position: &usize| {
            let replacing = history.replacing(&history.approvals[*position]);
            replacing.is_some_and(|by| by.is_empty() || by.iter().any(|head| landed.contains(head)))
        };
        let new = *self.chain.last().unwrap();
        let has_reason = |commit: &usize| {
            let behind = |head: &usize| history.is_ancestor(*commit, *head);
            if landed.iter().any(behind) {
                return true;
            }
            let parents = history.nodes[*commit].parents.iter().skip(1);
            self.on_chain
                && self.chain.contains(commit)
                && parents.copied().all(|parent| landed.contains(&parent))
        };
        let fresh = &history.nodes[new].above - &history.nodes[self.from].above;
        let standing = |one: &Used| -> Vec<usize> {
            let approvals = one.approvals.iter().copied();
            approvals.filter(|position| stands(position)).collect()
        };
        let all: Vec<(&Used, Vec<usize>)> = used.iter().map(|one| (one, standing(one))).collect();
        all.iter().all(|(_, approvals)| !approvals.is_empty())
            && fresh.iter().all(has_reason)
            && (!history.peopled || self.by_people(&all, &fresh))
    }

    /// Returns whether each rule holds at each head, and nobody's rejection stands.
    fn by_people(&self, used: &[(&Used, Vec<usize>)], fresh: &BTreeSet<usize>) -> bool {
        let history = self.history;
        let mut named = BTreeSet::from(["alice", "bob", "carol"]);
        let mut before = self.earlier.to_vec();
        for (one, approvals) in used {
            let [from, to] = [one.from, one.to].map(|at| &history.nodes[self.chain[at]].files);
            let wrote = self.writers(one, approvals, &before);
            let people: BTreeSet<&str> = approvals
                .iter()
                .map(|position| history.approvals[*position].person)
                .filter(|person| !wrote.contains(person))
                .collect();
            let some = |who: &[&str]| who.iter().any(|person| people.contains(person));
            let mut changed = from.keys().chain(to.keys());
            let below_d = |path: &String| path.starts_with("d/") && from.get(path) != to.get(path);
            let is_asked = from == to || changed.any(below_d);
            if !some(&["alice", "bob", "carol"]) || (is_asked && !some(&["carol", "dana"])) {
                return false;
            }
            if is_asked {
                named.insert("dana");
            }
            before.push(one.head);
        }
        let counted = |head: &usize| used.iter().any(|(one, _)| one.head == *head);
        let mut rejected = history.rejected().into_iter();
        !rejected.any(|(head, person)| {
            named.contains(person) && (fresh.contains(&head) || counted(&head))
        })
    }

    /// Returns who had a hand in a head: the authors of its range, and alice, who brought it all.
    fn writers(&self, one: &Used, approvals: &[usize], before: &[usize]) -> BTreeSet<&'static str> {
        let history = self.history;
        let above = |at: usize| &history.nodes[at].above;
        let mut hidden = BTreeSet::new();
        if self.forgets == Forgets::Landed {
            let counted = history.counted.iter().map(|(_, head)| head);
            let landed = history.spent.iter().chain(counted).chain(before);
            for other in landed.filter(|other| **other != one.head) {
                let below = history.is_ancestor(*other, one.head) || before.contains(other);
                if below && self.brings_the_rest(one, *other) {
                    hidden.extend(above(*other));
                }
            }
        }
        let mut wrote = BTreeSet::new();
        for position in approvals {
            let seen = above(history.approvals[*position].seen);
            let range = above(one.head) - &(seen | &hidden);
            wrote.extend(range.iter().map(|at| history.nodes[*at].author));
            if !range.is_empty() {
                wrote.insert("alice");
            }
        }
        wrote
    }

    /// Returns whether a landing is that of what its head has over another, and of nothing below.
    fn brings_the_rest(&self, one: &Used, other: usize) -> bool {
        let history = self.history;
        let [base] = history.bases(one.head, other)[..] else {
            return false;
        };
        let [from, to] = [one.from, one.to].map(|at| &history.nodes[self.chain[at]].files);
        let files = |at: usize| &history.nodes[at].files;
        merge(files(base), from, files(one.head)).as_ref() == Some(to)
    }
}

/// Merges path by path; nothing for a conflict.
pub(crate) fn merge(base: &Files, ours: &Files, theirs: &Files) -> Option<Files> {
    let paths: BTreeSet<&String> = base
        .keys()
        .chain(ours.keys())
        .chain(theirs.keys())
        .collect();
    let mut merged = Files::new();
    for path in paths {
        let sides = [base, ours, theirs].map(|side| side.get(path));
        if let Some(file) = merge_file(sides)? {
            merged.insert(path.clone(), file);
        }
    }
    // A name cannot be a file and a directory.
    let below = |path: &String| {
        let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
        above.any(|parent| merged.contains_key(parent))
    };
    (!merged.keys().any(below)).then_some(merged)
}

fn merge_file([base, ours, theirs]: [Option<&File>; 3]) -> Option<Option<File>> {
    if ours == theirs || theirs == base {
        return Some(ours.cloned());
    }
    if ours == base {
        return Some(theirs.cloned());
    }
    let (base, ours, theirs) = (base?, ours?, theirs?);
    let regular = |file: &File| ["100644", "100755"].contains(&file.0);
    if ![base, ours, theirs].into_iter().all(regular) {
        return None;
    }
    let mode = if ours.0 == base.0 { theirs.0 } else { ours.0 };
    Some(Some((mode, merge_text(&base.1, &ours.1, &theirs.1)?)))
}

/// Merges texts in which no line stands twice and none changes its place.
fn merge_text(base: &str, ours: &str, theirs: &str) -> Option<String> {
    let [base, ours, theirs] =
        [base, ours, theirs].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let kept: Vec<&str> = base
        .iter()
        .copied()
        .filter(|line| ours.contains(line) && theirs.contains(line))
        .collect();
    let mut merged = String::new();
    let mut parts = [&base[..], &ours[..], &theirs[..]];
    for line in kept.into_iter().map(Some).chain([None]) {
        let mut before = [&[][..]; 3];
        for (part, before) in parts.iter_mut().zip(&mut before) {
            let end = part.iter().position(|it| Some(*it) == line);
            let (head, rest) = part.split_at(end.unwrap_or(part.len()));
            (*before, *part) = (head, rest);
        }
        let [base, ours, theirs] = before;
        let text = match (ours == base, theirs == base) {
            (_, true) => ours,
            (true, false) => theirs,
            (false, false) if ours == theirs => ours,
            (false, false) => return None,
        };
        merged.extend(text.iter().copied());
        if let Some(line) = line {
            merged += line;
            for part in &mut parts {
                *part = &part[1..];
            }
        }
    }
    Some(merged)
}
