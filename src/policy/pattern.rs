//! Path and ref patterns: one dialect, matched against bytes.
//!
//! ```text
//! name        no slash, a trailing one aside: any depth
//! a/b  /a     otherwise from the root
//! dir/        the directory and all below
//! **          whole components, also none; at the end at least one
//! *           any run of characters but slashes, also none
//! ?           one character but a slash
//! [a-z] [!a]  one character of, or not of, a class
//! \x          the character x
//! ```
//!
//! Nothing is special about a leading dot or braces. A directory pattern also matches an entry of
//! that very name: a symlink put where a protected directory would be is a change to it.
//! Matching backtracks over the last star alone, so it takes at most |pattern| × |path| steps.

use std::fmt;

use crate::wire::fold::fold_component;

/// The longest pattern.
pub const MAX_PATTERN: usize = 4096;
/// The most wildcards in one pattern.
const MAX_WILDCARDS: usize = 64;

/// A pattern of the policy's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
    /// The same on folded names, where that differs.
    folded: Option<Vec<Part>>,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing, or nothing but a slash.
    #[error("an empty pattern")]
    Empty,
    /// Longer than [`MAX_PATTERN`].
    #[error("a pattern of {0} bytes, at most {MAX_PATTERN} are allowed")]
    TooLong(usize),
    /// More wildcards than are matched in bounded time.
    #[error("more than {MAX_WILDCARDS} wildcards in one pattern")]
    TooManyWildcards,
    /// `a//b`.
    #[error("an empty component in a pattern")]
    EmptyComponent,
    /// `.` or `..`, which no path contains.
    #[error("`{0}` stands in no path, so the pattern could never match")]
    Dots(String),
    /// `a**` and the like.
    #[error("`**` stands only as a whole component")]
    PartialDeep,
    /// `!…`, which other dialects read as a negation.
    #[error("a pattern cannot be negated; `\\!` means the character")]
    Negated,
    /// A backslash with nothing, or a slash, behind it.
    #[error("a backslash needs a character behind it, and that is no slash")]
    Escape,
    /// A class that does not end, is empty, or says something no class can.
    #[error("a bad class: {0}")]
    Class(&'static str),
    /// Line feeds, tabs and the like.
    #[error("a control character in a pattern")]
    Control,
}

/// One component of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Any number of components, also none.
    Deep,
    /// One component.
    One(Vec<Token>),
}

/// A piece of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(Vec<u8>),
    Star,
    Any,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN {
            return Err(PatternError::TooLong(text.len()));
        }
        if text.contains(char::is_control) {
            return Err(PatternError::Control);
        }
        if text.starts_with('!') {
            return Err(PatternError::Negated);
        }
        if text.matches(['*', '?', '[']).count() > MAX_WILDCARDS {
            return Err(PatternError::TooManyWildcards);
        }
        let parts = parse_parts(text)?;
        let folded = fold_parts(&parts);
        Ok(Self {
            text: text.to_owned(),
            folded: (folded != parts).then_some(folded),
            parts,
        })
    }

    /// Returns whether the pattern matches the whole path or ref name, as it is.
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        matches(&self.parts, &components(bytes))
    }

    /// Returns whether the folded pattern matches a name that was folded the same way.
    pub fn is_match_folded(&self, folded: &[u8]) -> bool {
        matches(self.folded_parts(), &components(folded))
    }

    fn folded_parts(&self) -> &[Part] {
        self.folded.as_deref().unwrap_or(&self.parts)
    }

    /// Returns the pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the one name that the pattern matches, or nothing where it can match several.
    pub fn literal(&self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        for (at, part) in self.parts.iter().enumerate() {
            let Part::One(tokens) = part else {
                return None;
            };
            if at > 0 {
                name.push(b'/');
            }
            match tokens.as_slice() {
                [Token::Literal(text)] => name.extend_from_slice(text),
                _ => return None,
            }
        }
        Some(name)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A path as it is and folded, taken apart once for many patterns.
#[derive(Debug)]
pub(super) struct Names<'p> {
    plain: Vec<&'p [u8]>,
    folded: Vec<&'p [u8]>,
    same: bool,
}

impl<'p> Names<'p> {
    /// Takes a path apart; `folded` is what [`crate::wire::fold::fold_path`] makes of it.
    pub(super) fn new(path: &'p [u8], folded: &'p [u8]) -> Self {
        Self {
            plain: components(path),
            folded: components(folded),
            same: path == folded,
        }
    }

    /// Returns whether the path matches as it is, or folded.
    pub(super) fn matches(&self, pattern: &Pattern) -> bool {
        let again = !self.same || pattern.folded.is_some();
        matches(&pattern.parts, &self.plain)
            || (again && matches(pattern.folded_parts(), &self.folded))
    }
}

fn components(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| *byte == b'/').collect()
}

fn parse_parts(text: &str) -> Result<Vec<Part>, PatternError> {
    let (body, below) = match text.strip_suffix('/') {
        Some(body) => (body, true),
        None => (text, false),
    };
    let (body, anchored) = match body.strip_prefix('/') {
        Some(body) => (body, true),
        None => (body, body.contains('/')),
    };
    if body.is_empty() {
        return Err(PatternError::Empty);
    }
    let mut parts = Vec::new();
    if !anchored {
        parts.push(Part::Deep);
    }
    let mut components = body.split('/').peekable();
    while let Some(component) = components.next() {
        match component {
            "" => return Err(PatternError::EmptyComponent),
            "." | ".." => return Err(PatternError::Dots(component.to_owned())),
            "**" => {
                parts.push(Part::Deep);
                if components.peek().is_none() {
                    parts.push(Part::One(vec![Token::Star]));
                }
            }
            _ => parts.push(Part::One(parse_component(component)?)),
        }
    }
    if below {
        parts.push(Part::Deep);
    }
    parts.dedup_by(|later, earlier| *later == Part::Deep && *earlier == Part::Deep);
    Ok(parts)
}

fn parse_component(text: &str) -> Result<Vec<Token>, PatternError> {
    let mut tokens = Vec::new();
    let mut literal = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let token = match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '[' => parse_class(&mut chars)?,
            _ => {
                let c = match c {
                    '\\' => chars.next().ok_or(PatternError::Escape)?,
                    c => c,
                };
                literal.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        if !literal.is_empty() {
            tokens.push(Token::Literal(std::mem::take(&mut literal)));
        }
        if token == Token::Star && tokens.last() == Some(&Token::Star) {
            return Err(PatternError::PartialDeep);
        }
        tokens.push(token);
    }
    if !literal.is_empty() {
        tokens.push(Token::Literal(literal));
    }
    Ok(tokens)
}

/// Reads a class behind its opening bracket.
fn parse_class(chars: &mut std::str::Chars<'_>) -> Result<Token, PatternError> {
    let refuse = |why| Err(PatternError::Class(why));
    let mut ranges: Vec<(char, char)> = Vec::new();
    let mut negated = false;
    let mut first = true;
    loop {
        let Some(c) = chars.next() else {
            return refuse("it has no end; `\\[` means the character");
        };
        let low = match c {
            '!' if first && !negated => {
                negated = true;
                continue;
            }
            '^' if first && !negated => return refuse("`[!` negates; `\\^` means the character"),
            ']' if first => return refuse("it is empty; `\\]` means the character"),
            ']' => return Ok(Token::Class { negated, ranges }),
            '[' => return refuse("`\\[` means the character"),
            '\\' => chars.next().ok_or(PatternError::Escape)?,
            c => c,
        };
        first = false;
        let mut ahead = chars.clone();
        let range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
        let high = match range {
            false => low,
            true => match chars.nth(1) {
                Some('\\') => chars.next().ok_or(PatternError::Escape)?,
                Some('[') | None => return refuse("a range without its end"),
                Some(high) => high,
            },
        };
        if low > high {
            return refuse("a range that runs backwards");
        }
        ranges.push((low, high));
    }
}

/// Folds the literals and the classes of a pattern.
fn fold_parts(parts: &[Part]) -> Vec<Part> {
    parts
        .iter()
        .map(|part| match part {
            Part::Deep => Part::Deep,
            Part::One(tokens) => Part::One(fold_tokens(tokens)),
        })
        .collect()
}

fn fold_tokens(tokens: &[Token]) -> Vec<Token> {
    let last = tokens.len().saturating_sub(1);
    tokens
        .iter()
        .enumerate()
        .map(|(at, token)| match token {
            // Only what ends a component loses trailing dots and spaces by folding.
            Token::Literal(text) if at < last => {
                let mut text = text.clone();
                text.push(b'x');
                let mut folded = fold_component(&text);
                folded.pop();
                Token::Literal(folded)
            }
            Token::Literal(text) => Token::Literal(fold_component(text)),
            Token::Class { negated, ranges } => Token::Class {
                negated: *negated,
                ranges: fold_ranges(ranges),
            },
            Token::Star | Token::Any => token.clone(),
        })
        .collect()
}

/// Adds the lower-case letters of every range of capitals.
fn fold_ranges(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut all = ranges.to_vec();
    for (low, high) in ranges {
        let (low, high) = ((*low).max('A'), (*high).min('Z'));
        if low <= high {
            all.push((low.to_ascii_lowercase(), high.to_ascii_lowercase()));
        }
    }
    all
}

/// Matches components, going back to the last `**` alone.
fn matches(parts: &[Part], names: &[&[u8]]) -> bool {
    let (mut part, mut name) = (0usize, 0usize);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let matched = match (parts.get(part), names.get(name)) {
            (None, None) => return true,
            (Some(Part::Deep), _) => {
                let rest = parts.get(part.saturating_add(1)..).unwrap_or_default();
                // What follows the last `**` can only stand at the end.
                if !rest.contains(&Part::Deep) {
                    let left = names.len().saturating_sub(name);
                    let from = names.len().saturating_sub(rest.len());
                    let tail = names.get(from..).unwrap_or_default();
                    return rest.len() <= left
                        && rest.iter().zip(tail).all(|(part, name)| one(part, name));
                }
                back = Some((part, name));
                part = part.saturating_add(1);
                continue;
            }
            (Some(part), Some(name)) => one(part, name),
            (None, Some(_)) => false,
            (Some(Part::One(_)), None) => return false,
        };
        if matched {
            part = part.saturating_add(1);
            name = name.saturating_add(1);
            continue;
        }
        let Some((deep, from)) = back else {
            return false;
        };
        let from = from.saturating_add(1);
        back = Some((deep, from));
        part = deep.saturating_add(1);
        name = from;
    }
}

fn one(part: &Part, name: &[u8]) -> bool {
    match part {
        Part::Deep => false,
        Part::One(tokens) => component(tokens, name),
    }
}

/// Matches one component, going back to the last star alone.
fn component(tokens: &[Token], text: &[u8]) -> bool {
    let (mut at, mut rest) = (0usize, text);
    let mut back: Option<(usize, &[u8])> = None;
    loop {
        let after = match tokens.get(at) {
            None if rest.is_empty() => return true,
            None => None,
            Some(Token::Star) => {
                back = Some((at, rest));
                at = at.saturating_add(1);
                continue;
            }
            Some(Token::Literal(literal)) => rest.strip_prefix(literal.as_slice()),
            Some(Token::Any) => step(rest).map(|(_, rest)| rest),
            Some(Token::Class { negated, ranges }) => step(rest).and_then(|(c, rest)| {
                let inside = c.is_some_and(|c| ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)));
                (inside != *negated).then_some(rest)
            }),
        };
        if let Some(after) = after {
            rest = after;
            at = at.saturating_add(1);
            continue;
        }
        let Some((star, from)) = back else {
            return false;
        };
        let Some((_, from)) = step(from) else {
            return false;
        };
        back = Some((star, from));
        at = star.saturating_add(1);
        rest = from;
    }
}

/// Takes one character; what is no UTF-8 is taken byte by byte and is no character.
fn step(text: &[u8]) -> Option<(Option<char>, &[u8])> {
    match bstr::decode_utf8(text) {
        (_, 0) => None,
        (Some(c), size) => text.get(size..).map(|rest| (Some(c), rest)),
        (None, _) => text.get(1..).map(|rest| (None, rest)),
    }
}

#[cfg(test)]
mod tests;
