//! Attributes by which other files' changes are not shown, or are not what is checked out.

use bstr::ByteSlice as _;

use super::{Hidden, Reason};

/// Returns the first line of a `.gitattributes` that hides something, or changes content.
///
/// Of files that are no text anyway (`*.png binary`) nothing could be shown, so there `diff`,
/// `merge` and generated marks hide nothing; filters do. Macros (`[attr]x -diff`) are taken for
/// what they stand for.
pub(super) fn hiding(bytes: &[u8]) -> Option<Hidden> {
    bytes.lines().enumerate().find_map(|(number, line)| {
        let (pattern, attributes) = split(line.trim())?;
        let is_media = is_media(pattern);
        let mut attributes = attributes.fields();
        let found =
            attributes.find(|attribute| changes(attribute) || !is_media && hides(attribute))?;
        let what = found.to_str_lossy().chars().take(64).collect::<String>();
        Some(Hidden::at(
            Reason::Attribute,
            number,
            what.escape_debug().to_string(),
        ))
    })
}

/// Splits a line into pattern, quoted or not, and attributes; nothing for a comment.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if line.is_empty() || line.starts_with(b"#") {
        return None;
    }
    if let Some(quoted) = line.strip_prefix(b"\"") {
        let mut escaped = false;
        let end = quoted.iter().position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        })?;
        return Some(quoted.split_at(end));
    }
    let end = line.find_byteset(b" \t\r\x0c\x0b")?;
    Some(line.split_at(end))
}

/// What is checked out is not what was reviewed.
fn changes(attribute: &[u8]) -> bool {
    let (name, value) = attribute.split_once_str("=").unwrap_or((attribute, b""));
    match name {
        b"filter" | b"working-tree-encoding" | b"encoding" => !value.is_empty(),
        b"ident" | b"export-subst" => true,
        _ => false,
    }
}

/// Changes are not shown, or merged without a look at them.
fn hides(attribute: &[u8]) -> bool {
    let (name, value) = attribute
        .split_once_str("=")
        .unwrap_or((attribute, b"true"));
    match name {
        b"-diff" | b"binary" | b"-merge" => true,
        b"diff" => attribute.len() > name.len() && !is_builtin_driver(value),
        b"merge" => matches!(attribute.split_once_str("="), Some((_, value)) if value != b"text"),
        b"linguist-generated" | b"linguist-vendored" | b"gitlab-generated" => value != b"false",
        _ => false,
    }
}

/// Drivers that git has built in: they choose what is written behind `@@`, no more.
fn is_builtin_driver(name: &[u8]) -> bool {
    const BUILTIN: &[&str] = &[
        "ada", "bash", "bibtex", "cpp", "csharp", "css", "dts", "elixir", "fortran", "fountain",
        "golang", "html", "java", "kotlin", "markdown", "matlab", "objc", "pascal", "perl", "php",
        "python", "ruby", "rust", "scheme", "tex",
    ];
    BUILTIN.iter().any(|known| known.as_bytes() == name)
}

/// Returns whether a pattern is of files that are no text anyway: `*.png`.
fn is_media(pattern: &[u8]) -> bool {
    const MEDIA: &[&str] = &[
        "png", "jpg", "jpeg", "gif", "webp", "ico", "bmp", "tif", "tiff", "avif", "psd", "mp3",
        "mp4", "ogg", "wav", "flac", "webm", "mov", "avi", "woff", "woff2", "ttf", "otf", "eot",
        "pdf", "zip", "gz", "tgz", "bz2", "xz", "zst", "7z", "jar", "war", "whl", "exe", "dll",
        "so", "dylib", "a", "o", "lib", "class", "wasm",
    ];
    if pattern.starts_with(b"[attr]") {
        return false;
    }
    let extension = pattern.rsplit_once_str(".").map(|(_, extension)| extension);
    extension.is_some_and(|extension| {
        let known = |known: &&str| extension.eq_ignore_ascii_case(known.as_bytes());
        MEDIA.iter().any(|it| known(it))
    })
}
