//! What a reviewer would not see of a file, however carefully they looked at the diff.
//!
//! Sources: Boucher and Anderson, "Trojan Source" (2021); Unicode UAX #9 (direction), UTS #51
//! (emoji sequences), `Default_Ignorable_Code_Point`; gitattributes(5); git-lfs `docs/spec.md`;
//! GitHub Linguist's `generated.rb`. Visible look-alikes (a Cyrillic `а`) are not hidden, and not
//! looked for.

mod attributes;
mod letters;

use std::fmt;

use bstr::ByteSlice as _;

use super::fold::fold_component;
use super::name::RepoPath;

/// The largest file that forges show in a diff, in bytes.
pub const SHOWN: usize = 1 << 20;
/// The longest line that anybody scrolls along, in bytes.
const LONG_LINE: usize = 20_000;
/// How many lines at the top of a file may say that it is generated.
const HEAD_LINES: usize = 40;

/// One kind of thing that hides content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Characters that change the order in which others are shown.
    Direction,
    /// Characters that show as nothing.
    Invisible,
    /// A NUL in text: git calls the file binary and shows no diff, shells read on.
    Nul,
    /// Control characters: they steer terminals, or end a line for some tools and not for others.
    Control,
    /// The content is elsewhere, and can be changed there.
    LfsPointer,
    /// A `.gitattributes` by which other files' changes are not shown, or not as they are.
    Attribute,
    /// A mark by which forges fold a file away.
    Generated,
    /// A line of more than 20,000 bytes.
    LongLine,
    /// Not text.
    Binary,
    /// More than 1 MiB, which forges do not show.
    Large,
    /// Such a character in the path itself.
    Path,
}

/// Something hidden: the first of its kind in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its kind.
    pub reason: Reason,
    /// The line, from 1, where it has one.
    pub line: Option<usize>,
    /// What it is, in words; may be empty.
    pub what: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direction => "a character that changes the order of others",
            Self::Invisible => "an invisible character",
            Self::Nul => "a NUL byte in text",
            Self::Control => "a control character",
            Self::LfsPointer => "a git-lfs pointer to content elsewhere",
            Self::Attribute => "an attribute that hides or changes content",
            Self::Generated => "a mark of generated files",
            Self::LongLine => "a line too long to be read",
            Self::Binary => "not text",
            Self::Large => "too large to be shown",
            Self::Path => "an invisible character in the path",
        })
    }
}

impl Hidden {
    fn at(reason: Reason, line: usize, what: impl Into<String>) -> Self {
        Self {
            reason,
            line: Some(line.saturating_add(1)),
            what: what.into(),
        }
    }

    fn whole(reason: Reason, what: impl Into<String>) -> Self {
        Self {
            reason,
            line: None,
            what: what.into(),
        }
    }

    /// Says that a file is larger than is looked into.
    pub fn large(size: u64) -> Self {
        Self::whole(Reason::Large, format!("{size} bytes"))
    }
}

/// Returns what a path hides by its own letters.
pub fn in_path(path: &RepoPath) -> Option<Hidden> {
    let mut found = Found::default();
    found.letters(path.as_bstr(), 0, false);
    let first = found.all.first()?;
    Some(Hidden::whole(Reason::Path, first.what.clone()))
}

/// Returns what a file of this path and content hides, each reason once, sorted by reason.
///
/// Where the content is no text by name, by shebang or by itself, that alone is said. One pass over
/// the bytes.
pub fn in_file(path: &RepoPath, bytes: &[u8]) -> Vec<Hidden> {
    if !is_text_name(path) && !bytes.starts_with(b"#!") && is_binary(bytes) {
        return vec![Hidden::whole(Reason::Binary, "")];
    }
    let mut found = Found::default();
    if is_lfs_pointer(bytes) {
        found.push(Hidden::whole(Reason::LfsPointer, ""));
    }
    if bytes.len() > SHOWN {
        found.push(Hidden::large(bytes.len() as u64));
    }
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        found.line(number, line);
    }
    if is_attributes(path) {
        found.all.extend(attributes::hiding(bytes));
    }
    found.all.sort_by_key(|hidden| hidden.reason);
    found.all
}

/// The first of each kind.
#[derive(Default)]
struct Found {
    all: Vec<Hidden>,
}

impl Found {
    fn push(&mut self, hidden: Hidden) {
        if !self.all.iter().any(|known| known.reason == hidden.reason) {
            self.all.push(hidden);
        }
    }

    fn line(&mut self, number: usize, line: &[u8]) {
        if line.len() > LONG_LINE {
            let what = format!("{} bytes", line.len());
            self.push(Hidden::at(Reason::LongLine, number, what));
        }
        if number < HEAD_LINES && says_generated(line) {
            self.push(Hidden::at(Reason::Generated, number, ""));
        }
        // The carriage return of a line that ends in two characters; a page break on its own.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line != b"\x0c" {
            self.letters(line, number, number == 0);
        }
    }

    fn letters(&mut self, line: &[u8], number: usize, starts_file: bool) {
        if line.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e)) {
            return;
        }
        let (mut before, mut start) = (None, starts_file);
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            let mark = start && letter == '\u{feff}';
            start = false;
            if !mark && let Some(reason) = letters::reason(before, letter, letters.peek().copied())
            {
                let what = format!("U+{:04X}", u32::from(letter));
                self.push(Hidden::at(reason, number, what));
            }
            before = Some(letter);
        }
    }
}

/// Returns whether the bytes are no text: no UTF-8, and control characters that no text has.
fn is_binary(bytes: &[u8]) -> bool {
    let odd = |byte: &u8| matches!(byte, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    bytes.iter().any(odd) && bytes.to_str().is_err()
}

fn is_lfs_pointer(bytes: &[u8]) -> bool {
    const VERSIONS: [&[u8]; 3] = [
        b"version https://git-lfs.github.com/spec/",
        b"version http://git-media.io/v/",
        b"version https://hawser.github.com/spec/",
    ];
    VERSIONS.iter().any(|version| bytes.starts_with(version))
}

/// `@generated`; `Code generated by x. DO NOT EDIT.`
fn says_generated(line: &[u8]) -> bool {
    // Written apart, for this file is not generated.
    const MARK: &str = concat!("@", "generated");
    if line.len() > LONG_LINE || line.find_byteset(b"gG").is_none() {
        return false;
    }
    let lower = line.to_ascii_lowercase();
    let not_to_edit = ["do not edit", "do not modify"];
    lower.contains_str(MARK)
        || lower.contains_str("generated")
            && not_to_edit.iter().any(|words| lower.contains_str(words))
}

fn is_attributes(path: &RepoPath) -> bool {
    fold_component(file_name(path)) == b".gitattributes"
}

fn file_name(path: &RepoPath) -> &[u8] {
    let bytes: &[u8] = path.as_bstr();
    bytes.rsplit(|byte| *byte == b'/').next().unwrap_or(bytes)
}

/// Returns whether the name says that tools will read the file as text.
fn is_text_name(path: &RepoPath) -> bool {
    let name = file_name(path).to_ascii_lowercase();
    let extension = match name.rsplit_once_str(".") {
        Some((_, extension)) => extension,
        None => return TEXT_NAMES.iter().any(|known| known.as_bytes() == name),
    };
    TEXT_EXTENSIONS
        .iter()
        .any(|known| known.as_bytes() == extension)
}

/// Files without an extension that are read as text.
const TEXT_NAMES: &[&str] = &[
    "makefile",
    "gnumakefile",
    "dockerfile",
    "containerfile",
    "jenkinsfile",
    "justfile",
    "rakefile",
    "gemfile",
    "vagrantfile",
    "earthfile",
    "procfile",
    "brewfile",
    "configure",
    "codeowners",
    "build",
    "workspace",
    "readme",
    "license",
];

/// Extensions of files that are read as text; dot files (`.bashrc`) are their own extension.
const TEXT_EXTENSIONS: &[&str] = &[
    // Shells and scripts
    "sh",
    "bash",
    "zsh",
    "fish",
    "ksh",
    "csh",
    "ps1",
    "psm1",
    "psd1",
    "bat",
    "cmd",
    "awk",
    "sed",
    "pl",
    "pm",
    "py",
    "pyi",
    "pyw",
    "rb",
    "php",
    "lua",
    "tcl",
    "r",
    "jl",
    "exs",
    "ex",
    "erl",
    "bashrc",
    "profile",
    "envrc",
    "env",
    // Compiled languages
    "c",
    "h",
    "cc",
    "cpp",
    "cxx",
    "hh",
    "hpp",
    "hxx",
    "m",
    "mm",
    "rs",
    "go",
    "java",
    "kt",
    "kts",
    "scala",
    "groovy",
    "swift",
    "cs",
    "fs",
    "vb",
    "hs",
    "ml",
    "mli",
    "zig",
    "d",
    "nim",
    "s",
    "asm",
    "clj",
    "lisp",
    "el",
    "dart",
    "sol",
    "proto",
    "sql",
    // The web
    "js",
    "mjs",
    "cjs",
    "jsx",
    "ts",
    "mts",
    "cts",
    "tsx",
    "vue",
    "svelte",
    "html",
    "htm",
    "css",
    "scss",
    "less",
    "svg",
    "xml",
    "xsl",
    "graphql",
    // Configuration and build
    "json",
    "json5",
    "jsonc",
    "yml",
    "yaml",
    "toml",
    "ini",
    "cfg",
    "conf",
    "properties",
    "tf",
    "tfvars",
    "hcl",
    "nix",
    "mk",
    "am",
    "ac",
    "m4",
    "in",
    "cmake",
    "gradle",
    "bzl",
    "bazel",
    "star",
    "jsonnet",
    "dockerfile",
    "jenkinsfile",
    "just",
    "service",
    "npmrc",
    "gitattributes",
    "gitmodules",
    "gitignore",
    "gitconfig",
    "editorconfig",
    "lock",
    "patch",
    "diff",
    // Words
    "txt",
    "md",
    "markdown",
    "rst",
    "adoc",
    "tex",
    "csv",
    "tsv",
    "asc",
    "pem",
];

#[cfg(test)]
#[path = "hidden/tests.rs"]
mod tests;
