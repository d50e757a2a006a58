//! Small edits of inputs that mean something.

use bstr::ByteSlice;

/// The longest input.
const LONGEST: usize = 1 << 16;

/// Pieces that mean something to one parser or another.
const WORDS: &[&[u8]] = &[
    b"\n",
    b"\n\n",
    b"\n ",
    b" ",
    b"\0",
    b"\r",
    b"\t",
    b"<",
    b"> ",
    b": ",
    b" = ",
    b"\"",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b"*",
    b"**/",
    b"/",
    b".",
    b"..",
    b"\\",
    b"|",
    b"~1",
    b":$",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\0\0\0\x0b",
    b"\x7f\xff\xff\xff",
    b"gpgsig ",
    b"gpgsig-sha256 x\n",
    b"mergetag object ",
    b"encoding x\n",
    b"parent ",
    b"tree ",
    b"tagger ",
    b" -0000",
    b" 18446744073709551616 ",
    b"Keeps: ",
    b"Override: ",
    b"co-authored-by: ",
    b"40000 a\0",
    b"100644 .git\0",
    b"120000 b\0",
    b"160000 c\0",
    b"-----BEGIN SSH SIGNATURE-----\n",
    b"-----BEGIN PGP SIGNATURE-----\n",
    b"-----END PGP SIGNATURE-----\n",
    b"=AAAA\n",
    b"refs/heads/",
    b"refs/tags/",
    b".lock",
    b"@{",
    b"\"kind\":\"landed\",",
    b"null",
    b"1e400",
    b"-0",
    b"\\u0000",
    b" of ",
    b"@maintainers",
    b"[[rule]]\n",
    b"[people.",
    "\u{200d}".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{345}".as_bytes(),
    "\u{130}".as_bytes(),
    "\u{1e9e}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{1f600}".as_bytes(),
    "\u{2014} ".as_bytes(),
];

/// xorshift64*: the same edits for the same seed.
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { state }
    }

    /// Returns a number below the bound; zero for none.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let mixed = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(mixed).unwrap() % bound.max(1)
    }

    /// Returns one of the pool with one to four edits.
    pub(crate) fn mutation(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = pool[self.below(pool.len())].clone();
        for _ in 0..=self.below(4) {
            match self.below(4) {
                0 => self.edit_byte(&mut bytes),
                1 => self.edit_range(&mut bytes),
                2 => self.edit_lines(&mut bytes),
                _ => self.insert(&mut bytes, pool),
            }
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn edit_byte(&mut self, bytes: &mut [u8]) {
        if bytes.is_empty() {
            return;
        }
        let at = self.below(bytes.len());
        bytes[at] = match self.below(4) {
            0 => bytes[at] ^ (1 << self.below(8)),
            1 => bytes[at].wrapping_add(1),
            2 => bytes[at].wrapping_sub(1),
            _ => u8::try_from(self.below(256)).unwrap(),
        };
    }

    fn edit_range(&mut self, bytes: &mut Vec<u8>) {
        let (start, end) = self.range(bytes);
        match self.below(4) {
            0 => bytes.truncate(end),
            1 => drop(bytes.drain(start..end.min(start + 8))),
            2 => drop(bytes.drain(start..end)),
            _ => {
                let copy = bytes[start..end.min(start + 64)].to_vec();
                let at = self.below(bytes.len() + 1);
                // Rarely very often: what one copy cannot exhaust, many may.
                let times = if self.below(50) == 0 { 500 } else { 1 };
                bytes.splice(at..at, copy.repeat(times));
            }
        }
    }

    /// A line again, gone, or elsewhere: what smuggling headers does.
    fn edit_lines(&mut self, bytes: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> = bytes.lines_with_terminator().map(<[u8]>::to_vec).collect();
        if lines.is_empty() {
            return;
        }
        let (from, to) = (self.below(lines.len()), self.below(lines.len()));
        match self.below(3) {
            0 => lines.swap(from, to),
            1 => drop(lines.remove(from)),
            _ => lines.insert(to, lines[from].clone()),
        }
        *bytes = lines.concat();
    }

    fn insert(&mut self, bytes: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        if self.below(3) > 0 {
            let word = WORDS[self.below(WORDS.len())];
            bytes.splice(at..at, word.iter().copied());
            return;
        }
        let other = &pool[self.below(pool.len())];
        let (start, end) = self.range(other);
        bytes.splice(at..at, other[start..end].iter().copied());
    }

    fn range(&mut self, bytes: &[u8]) -> (usize, usize) {
        let (one, other) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
        (one.min(other), one.max(other))
    }
}
