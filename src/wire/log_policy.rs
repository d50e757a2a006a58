//! Trust in logs, as a file: whose checkpoints are taken, and who must have cosigned them.
//!
//! ```text
//! log     <verifier line> [<url>]
//! witness <name> <verifier line> [<url>]
//! group   <name> all|any|<k> <name>…
//! quorum  <name>|none
//! ```
//!
//! Empty lines and those that begin with `#` say nothing. Source: C2SP tlog-policy,
//! <https://c2sp.org/tlog-policy>; names are bytes. Witnesses have keys of type 0x04 alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bstr::{BStr, BString, ByteSlice};

use super::cosignature::CosignerKey;
use super::note::{Note, NoteError, NoteKey};

/// The most bytes of a file.
pub const MAX_POLICY: usize = 256 * 1024;
/// The most logs, witnesses and groups, each.
pub const MAX_OF_A_KIND: usize = 256;

/// Which checkpoints are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPolicy {
    logs: Vec<(NoteKey, Option<BString>)>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// Nothing where no cosignature is asked for.
    quorum: Option<Member>,
}

/// A witness: its name in the file, its key, where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Witness {
    name: BString,
    key: CosignerKey,
    url: Option<BString>,
}

/// So many of these.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: BString,
    least: usize,
    members: Vec<Member>,
}

/// A witness or a group that stands before, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// Who cosigned a checkpoint, and whether that is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cosigned {
    /// Names of the witnesses' keys, and when, in seconds.
    pub by: BTreeMap<String, u64>,
    /// Whether the quorum is there.
    pub enough: bool,
}

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct LogPolicyError {
    /// Counted from 1.
    pub line: usize,
    /// What it is.
    pub fault: LogPolicyFault,
}

/// The same, without the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogPolicyFault {
    /// Larger than [`MAX_POLICY`].
    #[error("more than {MAX_POLICY} bytes")]
    TooLarge,
    /// More than [`MAX_OF_A_KIND`].
    #[error("more than {MAX_OF_A_KIND} of these")]
    TooMany,
    /// The last line does not end.
    #[error("a line ends with a line feed")]
    End,
    /// A control character.
    #[error("a control character other than the tabulator")]
    Character,
    /// A first word that is none of the four.
    #[error("a line begins with log, witness, group, quorum or #, found {0:?}")]
    Word(BString),
    /// Too few or too many words.
    #[error("expected `{0}`")]
    Words(&'static str),
    /// A verifier line that is none, or of another kind.
    #[error("{0}")]
    Key(#[from] NoteError),
    /// A key that stands there already, under whatever name.
    #[error("this key stands here a second time")]
    SameKey,
    /// A name that stands there already.
    #[error("{0:?} is defined a second time")]
    SameName(BString),
    /// A name that may not be given.
    #[error("`none` is no name to give, and no member")]
    None,
    /// A name that no line before defines.
    #[error("{0:?} is not defined on a line before")]
    Unknown(BString),
    /// A name that is in a group already.
    #[error("{0:?} is a member of a group already")]
    Member(BString),
    /// Not `all`, `any` or a number from 1 to that of members.
    #[error("{found:?} of {members} members: all, any, or a number from 1 to {members}")]
    Least {
        /// What stands there.
        found: BString,
        /// How many members there are.
        members: usize,
    },
    /// More than one quorum.
    #[error("a second quorum")]
    SecondQuorum,
    /// No quorum.
    #[error("no line says the quorum")]
    NoQuorum,
}

impl LogPolicy {
    /// Parses a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogPolicyError> {
        let at = |line, fault| LogPolicyError { line, fault };
        if bytes.len() > MAX_POLICY {
            return Err(at(1, LogPolicyFault::TooLarge));
        }
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let mut reader = Reader::default();
        let mut last = 1;
        for (number, line) in (1..).zip(lines) {
            reader.line(line).map_err(|fault| at(number, fault))?;
            last = number;
        }
        match reader.quorum {
            Some(quorum) => Ok(Self {
                logs: reader.logs,
                witnesses: reader.witnesses,
                groups: reader.groups,
                quorum,
            }),
            None => Err(at(last, LogPolicyFault::NoQuorum)),
        }
    }

    /// Returns the policy that asks for so many of these witnesses, which are different ones.
    pub fn of(log: Option<NoteKey>, witnesses: &[CosignerKey], least: usize) -> Self {
        let named = (1..).zip(witnesses).map(|(number, key)| Witness {
            name: format!("w{number}").into(),
            key: key.clone(),
            url: None,
        });
        let group = Group {
            name: "witnesses".into(),
            least,
            members: (0..witnesses.len()).map(Member::Witness).collect(),
        };
        Self {
            logs: log.map(|key| (key, None)).into_iter().collect(),
            witnesses: named.collect(),
            groups: vec![group],
            quorum: Some(Member::Group(0)),
        }
    }

    /// Returns the logs whose checkpoints are taken.
    pub fn logs(&self) -> impl Iterator<Item = &NoteKey> {
        self.logs.iter().map(|(key, _)| key)
    }

    /// Returns the witnesses that are known.
    pub fn witnesses(&self) -> impl Iterator<Item = &CosignerKey> {
        self.witnesses.iter().map(|witness| &witness.key)
    }

    /// Returns who of the witnesses cosigned a note, and whether they are enough.
    ///
    /// Lines of others are ignored. One bad line of a witness fails the whole note.
    pub fn cosigned(&self, note: &Note) -> Result<Cosigned, NoteError> {
        let mut by = BTreeMap::new();
        let mut did = Vec::with_capacity(self.witnesses.len());
        for Witness { key, .. } in &self.witnesses {
            let time = key.verify(note)?;
            did.push(time.is_some());
            by.extend(time.map(|time| (key.name().to_owned(), time)));
        }
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        let has = |groups: &[bool], member: &Member| {
            let (all, at) = match member {
                Member::Witness(at) => (did.as_slice(), at),
                Member::Group(at) => (groups, at),
            };
            all.get(*at).copied().unwrap_or(false)
        };
        // Members stand before their group.
        for group in &self.groups {
            let count = group.members.iter().filter(|member| has(&groups, member));
            let enough = count.count() >= group.least;
            groups.push(enough);
        }
        let enough = self.quorum.is_none_or(|quorum| has(&groups, &quorum));
        Ok(Cosigned { by, enough })
    }

    fn name(&self, member: Member) -> &BStr {
        let name = match member {
            Member::Witness(at) => self.witnesses.get(at).map(|witness| &witness.name),
            Member::Group(at) => self.groups.get(at).map(|group| &group.name),
        };
        name.map_or(BStr::new("none"), |name| name.as_bstr())
    }
}

impl fmt::Display for LogPolicy {
    /// Writes the file, but for names and addresses that are not UTF-8.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = |url: &Option<BString>| {
            let url = url.as_ref();
            url.map(|url| format!(" {url}")).unwrap_or_default()
        };
        for (key, at) in &self.logs {
            writeln!(f, "log {key}{}", url(at))?;
        }
        for witness in &self.witnesses {
            let Witness { name, key, url: at } = witness;
            writeln!(f, "witness {name} {key}{}", url(at))?;
        }
        for group in &self.groups {
            write!(f, "group {} {}", group.name, group.least)?;
            for member in &group.members {
                write!(f, " {}", self.name(*member))?;
            }
            writeln!(f)?;
        }
        let quorum = self.quorum.map_or(BStr::new("none"), |it| self.name(it));
        writeln!(f, "quorum {quorum}")
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    logs: Vec<(NoteKey, Option<BString>)>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<Option<Member>>,
    names: BTreeMap<BString, Member>,
    members: BTreeSet<Member>,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), LogPolicyFault> {
        let line = line.strip_suffix(b"\n").ok_or(LogPolicyFault::End)?;
        let odd = |byte: &u8| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
        if line.iter().any(odd) {
            return Err(LogPolicyFault::Character);
        }
        let words = line.split(|byte| matches!(byte, b' ' | b'\t'));
        let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", rest @ ..] => self.log(rest),
            [b"witness", rest @ ..] => self.witness(rest),
            [b"group", rest @ ..] => self.group(rest),
            [b"quorum", rest @ ..] => self.set_quorum(rest),
            [first, ..] => Err(LogPolicyFault::Word((*first).into())),
        }
    }

    fn log(&mut self, words: &[&[u8]]) -> Result<(), LogPolicyFault> {
        let (key, url) = match words {
            [key] => (key, None),
            [key, url] => (key, Some(BString::from(*url))),
            _ => return Err(LogPolicyFault::Words("log <verifier line> [<url>]")),
        };
        let key = NoteKey::parse(text(key)?)?;
        if self.logs.iter().any(|(known, _)| known.raw() == key.raw()) {
            return Err(LogPolicyFault::SameKey);
        }
        bounded(&self.logs)?;
        self.logs.push((key, url));
        Ok(())
    }

    fn witness(&mut self, words: &[&[u8]]) -> Result<(), LogPolicyFault> {
        let (name, key, url) = match words {
            [name, key] => (name, key, None),
            [name, key, url] => (name, key, Some(BString::from(*url))),
            _ => {
                let form = "witness <name> <verifier line> [<url>]";
                return Err(LogPolicyFault::Words(form));
            }
        };
        let key = CosignerKey::parse(text(key)?)?;
        let same = |known: &Witness| known.key.is_same(&key);
        if self.witnesses.iter().any(same) {
            return Err(LogPolicyFault::SameKey);
        }
        bounded(&self.witnesses)?;
        let name = self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(Witness { name, key, url });
        Ok(())
    }

    fn group(&mut self, words: &[&[u8]]) -> Result<(), LogPolicyFault> {
        let [name, least, rest @ ..] = words else {
            return Err(LogPolicyFault::Words("group <name> all|any|<k> <name>…"));
        };
        if rest.is_empty() {
            return Err(LogPolicyFault::Words("group <name> all|any|<k> <name>…"));
        }
        bounded(&self.groups)?;
        let mut members = Vec::with_capacity(rest.len());
        for word in rest {
            let member = self.known(word)?;
            if !self.members.insert(member) {
                return Err(LogPolicyFault::Member((*word).into()));
            }
            members.push(member);
        }
        let least = match *least {
            b"all" => Some(members.len()),
            b"any" => Some(1),
            digits => number(digits).filter(|least| (1..=members.len()).contains(least)),
        }
        .ok_or_else(|| LogPolicyFault::Least {
            found: (*least).into(),
            members: members.len(),
        })?;
        let name = self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group {
            name,
            least,
            members,
        });
        Ok(())
    }

    fn set_quorum(&mut self, words: &[&[u8]]) -> Result<(), LogPolicyFault> {
        let [name] = words else {
            return Err(LogPolicyFault::Words("quorum <name>|none"));
        };
        if self.quorum.is_some() {
            return Err(LogPolicyFault::SecondQuorum);
        }
        self.quorum = Some(match *name {
            b"none" => None,
            name => Some(self.known(name)?),
        });
        Ok(())
    }

    fn define(&mut self, name: &[u8], member: Member) -> Result<BString, LogPolicyFault> {
        if name == b"none" {
            return Err(LogPolicyFault::None);
        }
        let name = BString::from(name);
        match self.names.insert(name.clone(), member) {
            None => Ok(name),
            Some(_) => Err(LogPolicyFault::SameName(name)),
        }
    }

    fn known(&self, name: &[u8]) -> Result<Member, LogPolicyFault> {
        if name == b"none" {
            return Err(LogPolicyFault::None);
        }
        let name = BStr::new(name);
        let found = self.names.get(name).copied();
        found.ok_or_else(|| LogPolicyFault::Unknown(name.into()))
    }
}

fn bounded<T>(so_far: &[T]) -> Result<(), LogPolicyFault> {
    match so_far.len() >= MAX_OF_A_KIND {
        true => Err(LogPolicyFault::TooMany),
        false => Ok(()),
    }
}

fn text(word: &[u8]) -> Result<&str, NoteError> {
    std::str::from_utf8(word).map_err(|_| NoteError::Characters)
}

/// Reads a decimal number that is written in the one way there is.
fn number(digits: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(digits).ok()?;
    let number = digits.parse::<usize>().ok()?;
    (number.to_string() == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cosignature::Cosigner;
    use crate::wire::note::NoteSigner;

    const TEXT: &str = "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

    fn cosigner(number: u8) -> Cosigner {
        Cosigner::from_seed(&format!("witness.example/{number}"), &[number; 32]).unwrap()
    }

    fn log(seed: u8) -> NoteKey {
        let signer = NoteSigner::from_seed("example.com/log", &[seed; 32]).unwrap();
        signer.public().clone()
    }

    fn cosigned_by(numbers: &[u8]) -> Note {
        let lines = numbers.iter().map(|n| cosigner(*n).cosign(TEXT, 7));
        Note {
            text: TEXT.to_owned(),
            signatures: lines.collect(),
        }
    }

    fn witnesses(numbers: &[u8]) -> String {
        let line = |n: &u8| format!("witness W{n} {}\n", cosigner(*n).public());
        numbers.iter().map(line).collect()
    }

    /// The specification's example, with keys: two of X and any of Y.
    #[test]
    fn the_specified_example() {
        let text = format!(
            "# trust\n\n log\t{} https://log.example/ \n{}group X 2 W1 W2 W3\n\t# Y\n\
             group Y any W4 W5 W6\ngroup X-and-Y all X Y\nquorum X-and-Y\n",
            log(9),
            witnesses(&[1, 2, 3, 4, 5, 6]),
        );
        let policy = LogPolicy::parse(text.as_bytes()).unwrap();
        assert_eq!(policy.logs().collect::<Vec<_>>(), [&log(9)]);
        assert_eq!(policy.witnesses().count(), 6);
        for (by, enough) in [
            (&[][..], false),
            (&[1, 2], false),
            (&[1, 4], false),
            (&[4, 5, 6], false),
            (&[1, 1, 4], false),
            (&[1, 3, 5], true),
            (&[1, 2, 3, 4, 5, 6], true),
            (&[7, 8, 9], false),
        ] {
            let found = policy.cosigned(&cosigned_by(by)).unwrap();
            assert_eq!(found.enough, enough, "{by:?}");
        }
        let again = LogPolicy::parse(policy.to_string().as_bytes()).unwrap();
        assert_eq!(again, policy);
    }

    /// A quorum of one witness, of none, and of so many as a repository's policy asks for.
    #[test]
    fn simple_quorums() {
        let one = format!("{}quorum W1\n", witnesses(&[1, 2]));
        let none = "quorum none\n".to_owned();
        let keys = [1, 2, 3].map(|n| cosigner(n).public().clone());
        let two_of_three = LogPolicy::of(Some(log(9)), &keys, 2).to_string();
        for (text, by, enough) in [
            (&one, &[2][..], false),
            (&one, &[1], true),
            (&none, &[], true),
            (&two_of_three, &[3], false),
            (&two_of_three, &[3, 1], true),
        ] {
            let policy = LogPolicy::parse(text.as_bytes()).unwrap();
            let found = policy.cosigned(&cosigned_by(by)).unwrap();
            assert_eq!(found.enough, enough, "{text}{by:?}");
            assert_eq!(found.by.len(), by.len());
        }
    }

    /// A bad line of a known witness fails the note, however many good ones there are.
    #[test]
    fn one_bad_line_fails() {
        let keys = [1, 2, 3].map(|n| cosigner(n).public().clone());
        let policy = LogPolicy::of(None, &keys, 1);
        let mut note = cosigned_by(&[1, 2, 3]);
        note.signatures[1].signature[20] ^= 1;
        assert!(policy.cosigned(&note).is_err());
    }

    /// Everything that is not a policy has its line and its error.
    #[test]
    fn refuses_garbage() {
        use LogPolicyFault as Fault;
        let two = witnesses(&[1, 2]);
        let renamed = format!("witness.example/x+{}", {
            let other = Cosigner::from_seed("witness.example/x", &[1; 32]).unwrap();
            let line = other.public().to_string();
            line.split_once('+').unwrap().1.to_owned()
        });
        for (text, line, fault) in [
            (String::new(), 1, Fault::NoQuorum),
            ("quorum none".to_owned(), 1, Fault::End),
            ("quorum none\n\r\n".to_owned(), 2, Fault::Character),
            ("quorum none\u{7f}\n".to_owned(), 1, Fault::Character),
            (
                "quorum none\nquorum none\n".to_owned(),
                2,
                Fault::SecondQuorum,
            ),
            ("Quorum none\n".to_owned(), 1, Fault::Word("Quorum".into())),
            ("quorum\n".to_owned(), 1, Fault::Words("quorum <name>|none")),
            ("quorum W1\n".to_owned(), 1, Fault::Unknown("W1".into())),
            (
                format!("{two}witness W3 {renamed}\nquorum none\n"),
                3,
                Fault::SameKey,
            ),
            (
                format!("{two}witness W1 {}\n", cosigner(3).public()),
                3,
                Fault::SameName("W1".into()),
            ),
            (
                format!("witness none {}\n", cosigner(3).public()),
                1,
                Fault::None,
            ),
            (
                format!("log {}\nlog {}\n", log(9), log(9)),
                2,
                Fault::SameKey,
            ),
            (
                format!("{two}group G 1\n"),
                3,
                Fault::Words("group <name> all|any|<k> <name>…"),
            ),
            (format!("{two}group G all none\n"), 3, Fault::None),
            (
                format!("{two}group G all G\n"),
                3,
                Fault::Unknown("G".into()),
            ),
            (
                format!("{two}group G all W1 W1\n"),
                3,
                Fault::Member("W1".into()),
            ),
            (
                format!("{two}group G all W1\ngroup H any W1 W2\n"),
                4,
                Fault::Member("W1".into()),
            ),
            (
                format!("{two}group W1 any W2\n"),
                3,
                Fault::SameName("W1".into()),
            ),
        ] {
            let found = LogPolicy::parse(text.as_bytes());
            assert_eq!(found, Err(LogPolicyError { line, fault }), "{text}");
        }
        for least in ["0", "3", "01", "+1", "-1", "most"] {
            let text = format!("{two}group G {least} W1 W2\nquorum G\n");
            let found = LogPolicy::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(found.fault, Fault::Least { .. }), "{found}");
        }
        for line in [
            format!("log {}\n", cosigner(1).public()),
            format!("witness a {}\n", log(1)),
            "witness a b\n".to_owned(),
        ] {
            let found = LogPolicy::parse(line.as_bytes()).unwrap_err();
            assert!(matches!(found.fault, Fault::Key(_)), "{found}");
        }
        let large = LogPolicy::parse("#\n".repeat(MAX_POLICY).as_bytes());
        assert_eq!(large.unwrap_err().fault, Fault::TooLarge);
    }

    /// Names are bytes, and are told apart as such.
    #[test]
    fn names_are_bytes() {
        let key = |n| cosigner(n).public().to_string();
        let mut text = format!("witness K {}\n", key(1)).into_bytes();
        text.extend_from_slice("witness \u{212a} ".as_bytes());
        text.extend_from_slice(format!("{}\nwitness ", key(2)).as_bytes());
        text.extend_from_slice(b"\xff ");
        text.extend_from_slice(format!("{}\ngroup g 2 K \u{212a} ", key(3)).as_bytes());
        text.extend_from_slice(b"\xff\nquorum g\n");
        let policy = LogPolicy::parse(&text).unwrap();
        assert!(policy.cosigned(&cosigned_by(&[2, 3])).unwrap().enough);
        assert!(!policy.cosigned(&cosigned_by(&[2])).unwrap().enough);
    }
}
