//! What somebody could change about a covered landing. None of it stays covered.

use super::history::Making;
use super::world::Files;

/// A change of the landed tree, and its name.
type Change = (&'static str, fn(&mut Files, usize));

/// Each brings something into the tree that nobody has seen.
const CHANGES: [Change; 8] = [
    ("a file more", |files, number| {
        files.insert(format!("more-{number}"), ("100644", "more\n".to_owned()));
    }),
    ("one byte more", |files, number| {
        edit(files, number, |text| *text += "\n");
    }),
    ("a line without its end", |files, number| {
        edit(files, number, |text| *text += "unseen");
    }),
    ("a line at the top", |files, number| {
        edit(files, number, |text| {
            *text = format!("unseen {number}\n{text}")
        });
    }),
    ("a symlink in place of a file", |files, number| {
        if let Some(file) = files.values_mut().next() {
            *file = ("120000", format!("unseen-{number}"));
        }
    }),
    ("a submodule in place of a file", |files, number| {
        if let Some(file) = files.values_mut().next() {
            *file = ("160000", format!("unseen {number}"));
        }
    }),
    ("a file renamed", |files, number| {
        if let Some((_, file)) = files.pop_first() {
            files.insert(format!("renamed-{number}"), file);
        }
    }),
    ("an executable more", |files, number| {
        files.insert(format!("run-{number}"), ("100755", String::new()));
    }),
];

fn edit(files: &mut Files, number: usize, how: impl FnOnce(&mut String)) {
    let mut regular = files.values_mut().filter(|file| file.0.starts_with("100"));
    match regular.next() {
        Some((_, text)) => how(text),
        None => drop(files.insert(format!("edited-{number}"), ("100644", "x\n".to_owned()))),
    }
}

impl Making {
    /// Asks both sides about every mutation of a landing that was found covered.
    pub(crate) fn mutate(&mut self, new: usize) {
        let node = self.history.nodes[new].clone();
        for (name, change) in CHANGES {
            let mut files = node.files.clone();
            change(&mut files, 1_000 + new);
            let covered = self.mutated(files, &node.parents);
            assert!(!covered, "{name} stays covered");
        }
        // Modes and removed files may be what another head brings: both sides must agree.
        let mut files = node.files.clone();
        if let Some((mode @ ("100644" | "100755"), _)) = files.values_mut().next() {
            *mode = if *mode == "100644" {
                "100755"
            } else {
                "100644"
            };
        }
        self.mutated(files, &node.parents);
        let mut files = node.files.clone();
        files.pop_last();
        self.mutated(files, &node.parents);
        self.mutate_parents(new);
    }

    fn mutate_parents(&mut self, new: usize) {
        let node = self.history.nodes[new].clone();
        let tip = self.history.tip;
        let mut side = self.history.nodes[tip].files.clone();
        side.insert("side".to_owned(), ("100644", format!("{new}\n")));
        for (name, roots) in [("a parent more", vec![tip]), ("a root more", Vec::new())] {
            let files = node.files.clone();
            let covered = self.with(side.clone(), &roots, |making, stranger| {
                let parents = [node.parents.as_slice(), &[stranger]].concat();
                making.mutated(files, &parents)
            });
            assert!(!covered, "{name} stays covered");
        }
        // On other parents it is another landing, about which both sides must agree.
        for parents in [
            node.parents.iter().rev().copied().collect::<Vec<_>>(),
            [node.parents.as_slice(), &[0]].concat(),
            [node.parents.as_slice(), &[new / 2]].concat(),
            vec![tip],
            vec![tip, new],
            vec![new],
            vec![new, tip],
        ] {
            self.mutated(node.files.clone(), &parents);
        }
    }

    /// Asks both sides about one commit more; returns whether it may land.
    fn mutated(&mut self, files: Files, parents: &[usize]) -> bool {
        self.tally.mutations += 1;
        self.with(files, parents, |making, at| making.compare(at).is_some())
    }
}
