//! `countersign generate`: what a packager installs beside the binary, made by the binary itself.

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory, Subcommand, ValueEnum};
use clap_complete::Shell as Dialect;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{Cli, CliError, Exit, Kind, Session};
use crate::host::place::place;

/// The exit codes, in the words of a page.
const EXIT_STATUS: [(&str, &str); 4] = [
    ("0", "Accepted, or fine."),
    ("1", "Refused, or something was found."),
    ("2", "Usage or configuration."),
    ("3", "Could not decide, and nothing was refused outright."),
];

/// Man pages, completions and schemas, as this version has them
#[derive(Debug, Subcommand)]
pub(super) enum Generate {
    /// Man pages, one a command: into a directory, and their names are printed; else to the output
    Man {
        /// The directory, which must exist
        #[arg(value_name = "directory")]
        dir: Option<PathBuf>,
    },
    /// Completions for a shell
    Completions {
        /// Which
        #[arg(value_enum, value_name = "shell")]
        shell: Shell,
    },
    /// JSON Schema of a file of the policy, or of what judging commands print with --json
    Schema {
        /// Of what
        #[arg(value_enum, value_name = "format")]
        of: Schema,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    Pwsh,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Schema {
    Policy,
    People,
    Verdict,
}

impl Generate {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, CliError> {
        match self {
            Self::Man { dir: Some(dir) } => {
                let dir = session.dir().join(dir);
                for (name, page) in pages()? {
                    write(&dir, &name, &page)?;
                    session.print(&format!("{name}\n"))?;
                }
            }
            Self::Man { dir: None } => {
                for (_, page) in pages()? {
                    session.out().write_all(&page)?;
                }
            }
            Self::Completions { shell } => {
                let dialect = match shell {
                    Shell::Bash => Dialect::Bash,
                    Shell::Zsh => Dialect::Zsh,
                    Shell::Fish => Dialect::Fish,
                    Shell::Pwsh => Dialect::PowerShell,
                };
                let mut text = Vec::new();
                clap_complete::generate(dialect, &mut Cli::command(), "countersign", &mut text);
                session.out().write_all(&text)?;
            }
            Self::Schema { of } => session.print(match of {
                Schema::Policy => include_str!("../../templates/schema/policy.json"),
                Schema::People => include_str!("../../templates/schema/people.json"),
                Schema::Verdict => include_str!("../../templates/schema/verdict.json"),
            })?,
        }
        session.out().flush()?;
        Ok(Exit::Fine)
    }
}

fn write(dir: &Path, name: &str, page: &[u8]) -> Result<(), CliError> {
    let path = dir.join(name);
    place(&path, page, 0o644)
        .map_err(|error| CliError::words(Kind::Usage, format!("{}: {error}", path.display())))
}

/// Returns every page with its file's name: of each command, and the one `git help` looks for.
fn pages() -> Result<Vec<(String, Vec<u8>)>, CliError> {
    let mut root = Cli::command();
    root.build();
    let mut pages = Vec::new();
    let mut open = vec![&root];
    while let Some(command) = open.pop() {
        let name = command.get_display_name().unwrap_or("countersign");
        pages.push((format!("{name}.1"), page(command, name)?));
        open.extend(shown(command));
    }
    let twin = "git-countersign";
    pages.push((format!("{twin}.1"), page(&root, twin)?));
    pages.sort();
    Ok(pages)
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    let subcommands = command.get_subcommands();
    subcommands.filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn page(command: &Command, title: &str) -> std::io::Result<Vec<u8>> {
    let version = concat!("countersign ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone());
    let man = man.title(title).source(version).manual("Countersign");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    let usage = command.clone().render_usage().to_string();
    let usage = usage
        .lines()
        .map(|line| line.trim_start_matches("Usage: ").trim());
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]);
    for line in usage {
        synopsis.text([roman(line)]);
        synopsis.control("br", []);
    }
    synopsis.to_writer(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if shown(command).next().is_some() {
        man.render_subcommands_section(&mut out)?;
    }
    let mut end = Roff::new();
    end.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_STATUS {
        end.control("TP", []);
        end.text([roman(code)]);
        end.text([roman(meaning)]);
    }
    end.control("SH", ["SEE ALSO"]);
    end.text([roman("countersign(1), git(1)")]);
    end.to_writer(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each command has its page, the ones below others too, and each page says what it is.
    #[test]
    fn every_command_has_a_page() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "countersign.1",
            "countersign-check.1",
            "countersign-people-import.1",
            "countersign-generate-man.1",
            "git-countersign.1",
        ] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("help")), "{names:?}");
        for (name, page) in &pages {
            let text = String::from_utf8(page.clone()).unwrap();
            let title = format!(".TH {} 1", name.trim_end_matches(".1"));
            assert!(text.contains(&title), "{text}");
            for heading in ["NAME", "SYNOPSIS", "OPTIONS", "\"EXIT STATUS\""] {
                assert!(
                    text.contains(&format!("\n.SH {heading}\n")),
                    "{name}: {heading}"
                );
            }
        }
    }
}
