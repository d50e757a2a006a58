//! The operating-system user: who did what only the host's admin can do.

use std::fs;

/// Returns the name of the user this process runs as, or `uid <number>`.
///
/// Source: passwd(5). Users that another service knows are named by their number.
pub fn user() -> String {
    user_of(rustix::process::getuid().as_raw())
}

/// Returns the name of the user of that number, or `uid <number>`.
pub fn user_of(uid: u32) -> String {
    let passwd = fs::read("/etc/passwd").unwrap_or_default();
    named(&String::from_utf8_lossy(&passwd), uid).unwrap_or_else(|| format!("uid {uid}"))
}

fn named(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let number = fields.nth(1)?;
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first user of the number is found; odd lines are passed over.
    #[test]
    fn names() {
        let passwd = "root:x:0:0::/root:/bin/sh\n:x:7:\nbroken\ngit:x:998:998::/:\ntoor:x:0:\n";
        for (uid, name) in [(0, Some("root")), (998, Some("git")), (7, None), (1, None)] {
            assert_eq!(named(passwd, uid).as_deref(), name, "{uid}");
        }
    }
}
