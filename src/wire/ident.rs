//! Who a commit or tag says made it, and when: `name <email> seconds ±hhmm`.
//!
//! What is read here proves nobody; it only excludes. Source: git's `fsck_ident`, made stricter.

use bstr::{BString, ByteSlice};

use super::object::split_once;

/// One author, committer or tagger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ident {
    /// The name, possibly empty, in whatever encoding it was written.
    pub name: BString,
    /// The e-mail, possibly empty.
    pub email: BString,
    /// Seconds since 1970 by that person's clock.
    pub seconds: u64,
    /// Minutes east of UTC.
    pub offset_minutes: i32,
}

/// What is wrong with an ident.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentError {
    /// A control character, in which tools differ.
    #[error("control character 0x{0:02x} in the name, e-mail or date")]
    Control(u8),
    /// Not exactly one `<` and one `>`, in this order.
    #[error("not `name <email> seconds ±hhmm` with one pair of angle brackets")]
    Brackets,
    /// No space before `<`; git refuses it too.
    #[error("no space between the name and the e-mail")]
    NoSpace,
    /// Seconds that are no plain decimal number git can hold.
    #[error("the date is not a plain number of seconds from 0 to 2^63-1")]
    Seconds,
    /// An offset that is not a sign and four digits.
    #[error("the time zone is not a sign and four digits")]
    Offset,
}

impl Ident {
    /// Parses the value of a header line, without its line feed.
    ///
    /// An empty name and an empty e-mail are accepted, as git does; both still have their
    /// separators.
    pub fn parse(value: &[u8]) -> Result<Self, IdentError> {
        if let Some(byte) = value.iter().find(|byte| byte.is_ascii_control()) {
            return Err(IdentError::Control(*byte));
        }
        let (name, rest) = split_once(value, b'<').ok_or(IdentError::Brackets)?;
        let (email, date) = split_once(rest, b'>').ok_or(IdentError::Brackets)?;
        let date = date.strip_prefix(b" ").ok_or(IdentError::Brackets)?;
        if [name, email, date]
            .iter()
            .any(|part| part.find_byteset(b"<>").is_some())
        {
            return Err(IdentError::Brackets);
        }
        let name = name.strip_suffix(b" ").ok_or(IdentError::NoSpace)?;
        let (seconds, offset) = split_once(date, b' ').ok_or(IdentError::Seconds)?;
        Ok(Self {
            name: name.into(),
            email: email.into(),
            seconds: parse_seconds(seconds).ok_or(IdentError::Seconds)?,
            offset_minutes: parse_offset(offset).ok_or(IdentError::Offset)?,
        })
    }
}

/// Reads digits only (`str::parse` would take a sign), without padding, as a number git can hold.
fn parse_seconds(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) || (digits.len() > 1 && digits.starts_with(b"0")) {
        return None;
    }
    let seconds: u64 = digits.to_str().ok()?.parse().ok()?;
    i64::try_from(seconds).is_ok().then_some(seconds)
}

fn parse_offset(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text.split_first()? {
        (b'+', digits) => (1, digits),
        (b'-', digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: i32 = digits.to_str().ok()?.parse().ok()?;
    let minutes = (number / 100).checked_mul(60)?.checked_add(number % 100)?;
    minutes.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What git writes is read, also with the odd names of old history.
    #[test]
    fn reads_what_git_writes() {
        for (text, name, email, seconds, offset) in [
            (
                "A U Thor <a@x> 1700000000 +0130",
                "A U Thor",
                "a@x",
                1_700_000_000,
                90,
            ),
            (" <a@x> 1 +0000", "", "a@x", 1, 0),
            ("A <> 0 -0800", "A", "", 0, -480),
            (
                "J. R. \"Bob\" O'Dell, Jr. <b.o@x.y> 9 -0000",
                "J. R. \"Bob\" O'Dell, Jr.",
                "b.o@x.y",
                9,
                0,
            ),
            (
                "(no author) <(no author)@svn-uuid> 5 +0000",
                "(no author)",
                "(no author)@svn-uuid",
                5,
                0,
            ),
        ] {
            let ident = Ident::parse(text.as_bytes()).unwrap();
            assert_eq!(
                (
                    ident.name.to_str().unwrap(),
                    ident.email.to_str().unwrap(),
                    ident.seconds,
                    ident.offset_minutes
                ),
                (name, email, seconds, offset),
            );
        }
        assert_eq!(
            Ident::parse(b"Ren\xe9 <r@x> 1 +0000").unwrap().name,
            b"Ren\xe9".as_slice()
        );
    }

    /// OBJ-10, OBJ-11: two e-mails, overflow, signs, padding and control characters are refused.
    #[test]
    fn refuses_what_tools_read_differently() {
        use IdentError::*;
        for (text, error) in [
            ("A <a@x> <bob@x> 1700000000 +0000", Brackets),
            ("A <a@x <bob@x> 1 +0000", Brackets),
            ("A> <a@x> 1 +0000", Brackets),
            ("A <a@x>> 1 +0000", Brackets),
            ("A a@x 1 +0000", Brackets),
            ("A <a@x>1 +0000", Brackets),
            ("A <a@x> 1 +0000>", Brackets),
            ("A<a@x> 1 +0000", NoSpace),
            ("<a@x> 1 +0000", NoSpace),
            ("A <a@x> 99999999999999999999 +0000", Seconds),
            ("A <a@x> 9223372036854775808 +0000", Seconds),
            ("A <a@x> -1 +0000", Seconds),
            ("A <a@x> +1 +0000", Seconds),
            ("A <a@x> 01 +0000", Seconds),
            ("A <a@x>  1 +0000", Seconds),
            ("A <a@x> 1", Seconds),
            ("A <a@x> ", Seconds),
            ("A <a@x> 1 0000", Offset),
            ("A <a@x> 1 +000", Offset),
            ("A <a@x> 1 +051800", Offset),
            ("A <a@x> 1 +00 0", Offset),
            ("A <a@x> 1 +0000 ", Offset),
            ("A <a@x> 1 +-100", Offset),
            ("A\t<a@x> 1 +0000", Control(9)),
            ("A <a@x\0> 1 +0000", Control(0)),
            ("A\r <a@x> 1 +0000", Control(13)),
        ] {
            assert_eq!(Ident::parse(text.as_bytes()), Err(error), "{text:?}");
        }
        let most = Ident::parse(b"A <a@x> 9223372036854775807 +9999").unwrap();
        assert_eq!(
            (most.seconds, most.offset_minutes),
            (i64::MAX.unsigned_abs(), 6039)
        );
    }
}
