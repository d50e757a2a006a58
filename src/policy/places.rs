//! Places: `<n> of <who>{|<who>}`, and people filling them, one person one place.
//!
//! Filling is maximum bipartite matching by augmenting paths (Kuhn 1955), place by place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::people::{People, Person, PersonKind, PersonName};

use super::{Place, Who};

/// The most places of one rule.
pub const MAX_PLACES: usize = 32;
/// The most people one rule may ask for.
pub const MAX_WANTED: usize = 100;
/// The most alternatives of one place.
pub const MAX_WHO: usize = 64;

/// What is wrong with a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Not of that form.
    #[error("a place is `<n> of <who>`, as in \"2 of @maintainers|alice\" or \"1 of any\"")]
    Shape,
    /// Nobody at all.
    #[error("a place asks for at least 1")]
    Zero,
    /// More than [`MAX_WANTED`].
    #[error("a place asks for at most {MAX_WANTED}")]
    TooMany,
    /// Not a team, a person or `any`.
    #[error("neither a person, nor a @team, nor `any`: {0:?}")]
    Who(String),
    /// The same alternative twice.
    #[error("{0} stands here a second time")]
    Repeated(Who),
    /// More than [`MAX_WHO`].
    #[error("more than {MAX_WHO} alternatives; make a team of them")]
    TooManyWho,
}

/// Who fills which place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// How many are filled, the most that can be.
    pub filled: usize,
    /// How many there are to fill.
    pub wanted: usize,
    /// For each place who fills it, in the order of the people given.
    pub by_place: Vec<Vec<PersonName>>,
}

impl Assignment {
    /// Returns whether nothing is missing.
    pub fn is_full(&self) -> bool {
        self.filled == self.wanted
    }
}

impl Place {
    /// Parses the text of one place, exactly as it is written in the grammar.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let (count, who) = text.split_once(" of ").ok_or(PlaceError::Shape)?;
        let digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || who.is_empty() {
            return Err(PlaceError::Shape);
        }
        if count.bytes().all(|byte| byte == b'0') {
            return Err(PlaceError::Zero);
        }
        if count.starts_with('0') {
            return Err(PlaceError::Shape);
        }
        let count = count
            .parse()
            .ok()
            .filter(|count| *count <= MAX_WANTED)
            .ok_or(PlaceError::TooMany)?;
        let mut all: Vec<Who> = Vec::new();
        for who in who.split('|') {
            if all.len() == MAX_WHO {
                return Err(PlaceError::TooManyWho);
            }
            let who = Who::parse(who)?;
            if all.contains(&who) {
                return Err(PlaceError::Repeated(who));
            }
            all.push(who);
        }
        Ok(Self { count, who: all })
    }

    /// Returns whether a person may fill the place.
    pub fn admits(&self, person: &Person, people: &People) -> bool {
        self.who.iter().any(|who| who.includes(person, people))
    }
}

impl Who {
    fn parse(text: &str) -> Result<Self, PlaceError> {
        let refuse = || PlaceError::Who(text.chars().take(60).collect());
        match text.strip_prefix('@') {
            Some(team) => PersonName::new(team)
                .map(|name| Self::Team(name.as_str().to_owned()))
                .ok_or_else(refuse),
            None if text == "any" => Ok(Self::Any),
            None => PersonName::new(text).map(Self::Person).ok_or_else(refuse),
        }
    }

    /// Returns whether this alternative means that person.
    ///
    /// A bot is meant only by its own name, a forge never.
    pub fn includes(&self, person: &Person, people: &People) -> bool {
        let named = *self == Self::Person(person.name.clone());
        match person.kind {
            PersonKind::Forge => false,
            PersonKind::Bot => named,
            PersonKind::Human => match self {
                Self::Any => true,
                Self::Team(team) => people
                    .team(team)
                    .is_some_and(|members| members.contains(&person.name)),
                Self::Person(_) => named,
            },
        }
    }

    /// Returns everyone this alternative means.
    pub fn everyone<'p>(&'p self, people: &'p People) -> Box<dyn Iterator<Item = &'p Person> + 'p> {
        match self {
            Self::Any => Box::new(people.humans()),
            Self::Team(team) => Box::new(
                people
                    .team(team)
                    .into_iter()
                    .flatten()
                    .filter_map(|name| people.person(name))
                    .filter(|person| person.kind == PersonKind::Human),
            ),
            Self::Person(name) => Box::new(
                people
                    .person(name)
                    .into_iter()
                    .filter(|person| person.kind != PersonKind::Forge),
            ),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of ", self.count)?;
        for (at, who) in self.who.iter().enumerate() {
            if at > 0 {
                f.write_str("|")?;
            }
            write!(f, "{who}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Team(team) => write!(f, "@{team}"),
            Self::Person(name) => write!(f, "{name}"),
        }
    }
}

/// Fills as many places as these people can, each person one.
///
/// Somebody given twice counts once. The same people in the same order are assigned alike.
pub fn fill(places: &[Place], persons: &[&Person], people: &People) -> Assignment {
    let mut seen = BTreeSet::new();
    let persons: Vec<&Person> = persons
        .iter()
        .copied()
        .filter(|person| seen.insert(&person.name))
        .collect();
    let eligible: Vec<Vec<usize>> = places
        .iter()
        .map(|place| {
            let admitted = persons.iter().enumerate();
            admitted
                .filter(|(_, person)| place.admits(person, people))
                .map(|(at, _)| at)
                .collect()
        })
        .collect();
    let taken = matching(places, &eligible);
    let mut by_place = vec![Vec::new(); places.len()];
    for (person, place) in &taken {
        if let (Some(person), Some(filled)) = (persons.get(*person), by_place.get_mut(*place)) {
            filled.push(person.name.clone());
        }
    }
    Assignment {
        filled: taken.len(),
        wanted: wanted(places),
        by_place,
    }
}

/// Returns whether these places could be filled by people for whom `ready` holds.
pub fn satisfiable(places: &[Place], people: &People, ready: &dyn Fn(&Person) -> bool) -> bool {
    let wanted = wanted(places);
    // As many as all places ask for are enough for any one of them: more change nothing.
    let mut numbers: BTreeMap<&PersonName, usize> = BTreeMap::new();
    let mut eligible = Vec::new();
    for place in places {
        let mut found = BTreeSet::new();
        let everyone = place.who.iter().flat_map(|who| who.everyone(people));
        for person in everyone.filter(|person| ready(person)) {
            let next = numbers.len();
            found.insert(*numbers.entry(&person.name).or_insert(next));
            if found.len() >= wanted {
                break;
            }
        }
        eligible.push(found.into_iter().collect());
    }
    matching(places, &eligible).len() == wanted
}

fn wanted(places: &[Place]) -> usize {
    places
        .iter()
        .fold(0usize, |sum, place| sum.saturating_add(place.count))
}

/// Returns person → place, as many pairs as there can be.
fn matching(places: &[Place], eligible: &[Vec<usize>]) -> BTreeMap<usize, usize> {
    let mut taken = BTreeMap::new();
    for (at, place) in places.iter().enumerate() {
        for _ in 0..place.count {
            let mut visited = BTreeSet::new();
            if !augment(at, eligible, &mut taken, &mut visited) {
                break;
            }
        }
    }
    taken
}

/// Finds one more person for a place, moving others to other places where that helps.
///
/// A place is visited once, so the recursion is no deeper than there are places.
fn augment(
    place: usize,
    eligible: &[Vec<usize>],
    taken: &mut BTreeMap<usize, usize>,
    visited: &mut BTreeSet<usize>,
) -> bool {
    if !visited.insert(place) {
        return false;
    }
    let Some(people) = eligible.get(place) else {
        return false;
    };
    if let Some(free) = people.iter().find(|person| !taken.contains_key(person)) {
        taken.insert(*free, place);
        return true;
    }
    for person in people {
        let Some(other) = taken.get(person).copied() else {
            continue;
        };
        if other != place && augment(other, eligible, taken, visited) {
            taken.insert(*person, place);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people() -> People {
        let text = r#"
            [people.alice]
            [people.bob]
            [people.carol]
            [people.bot]
            kind = "bot"
            [people.github]
            kind = "forge"
            [teams]
            pair = ["alice", "bob"]
            machines = ["bot", "github", "carol"]
        "#;
        People::parse(text.as_bytes(), &|_| None).unwrap()
    }

    fn places(texts: &[&str]) -> Vec<Place> {
        texts
            .iter()
            .map(|text| Place::parse(text).unwrap())
            .collect()
    }

    /// A place reads as it is written, and only so.
    #[test]
    fn parses_strictly() {
        for text in [
            "2 of @maintainers",
            "1 of @security|carol",
            "1 of any",
            "12 of a|@b|any",
        ] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "1",
            "of any",
            "1 of ",
            "1 of",
            "+1 of any",
            "-1 of any",
            "01 of any",
            "1  of any",
            " 1 of any",
            "1.0 of any",
            "one of any",
        ] {
            assert_eq!(Place::parse(text), Err(PlaceError::Shape), "{text:?}");
        }
        for who in [
            "Any", "@", "@Team", "a b", "a|", "|a", "a | b", "any ", "@a@b", "a,b",
        ] {
            let found = Place::parse(&format!("1 of {who}"));
            assert!(
                matches!(found, Err(PlaceError::Who(_))),
                "{who:?} is {found:?}"
            );
        }
        assert_eq!(Place::parse("0 of any"), Err(PlaceError::Zero));
        assert_eq!(Place::parse("00 of any"), Err(PlaceError::Zero));
        assert_eq!(Place::parse("101 of any"), Err(PlaceError::TooMany));
        assert_eq!(
            Place::parse("99999999999999999999 of any"),
            Err(PlaceError::TooMany)
        );
        assert_eq!(
            Place::parse("1 of a|a"),
            Err(PlaceError::Repeated(Who::Person(
                PersonName::new("a").unwrap()
            )))
        );
    }

    /// Bots count by their own name alone, forges never, whoever puts them in a team.
    #[test]
    fn bots_and_forges() {
        let people = people();
        for (who, expected) in [
            ("any", &["alice", "bob", "carol"][..]),
            ("@machines", &["carol"]),
            ("@pair", &["alice", "bob"]),
            ("bot", &["bot"]),
            ("github", &[]),
        ] {
            let place = Place::parse(&format!("1 of {who}")).unwrap();
            let admitted: Vec<_> = people
                .persons
                .values()
                .filter(|person| place.admits(person, &people))
                .map(|person| person.name.as_str())
                .collect();
            assert_eq!(admitted, expected, "{who}");
            let everyone: Vec<_> = place.who[0]
                .everyone(&people)
                .map(|p| p.name.as_str())
                .collect();
            assert_eq!(everyone, expected, "{who}");
        }
    }

    /// A person is moved to another place where only that lets everyone fill one.
    #[test]
    fn fills_as_many_as_can_be() {
        let people = people();
        for (texts, who, filled) in [
            (&["1 of any", "1 of alice"][..], &["alice", "bob"][..], 2),
            (
                &["1 of alice|bob", "1 of bob|carol", "1 of alice"],
                &["alice", "bob", "carol"],
                3,
            ),
            (&["1 of any", "1 of any"], &["alice", "alice"], 1),
            (&["2 of @pair", "1 of @pair"], &["alice", "bob"], 2),
            (
                &["2 of @pair", "1 of @pair|carol"],
                &["alice", "bob", "carol"],
                3,
            ),
            (&["2 of any"], &["bot", "github", "alice"], 1),
            (&["1 of any"], &[], 0),
        ] {
            let persons: Vec<&Person> = who
                .iter()
                .map(|name| people.person(&PersonName::new(name).unwrap()).unwrap())
                .collect();
            let places = places(texts);
            let found = fill(&places, &persons, &people);
            assert_eq!(found.filled, filled, "{texts:?}");
            assert_eq!(found.by_place.iter().map(Vec::len).sum::<usize>(), filled);
            for (place, filled) in places.iter().zip(&found.by_place) {
                assert!(filled.len() <= place.count);
                for name in filled {
                    assert!(place.admits(people.person(name).unwrap(), &people));
                }
            }
        }
    }

    /// The exact assignment against trying every one.
    #[test]
    fn agrees_with_brute_force() {
        let people = people();
        let persons: Vec<&Person> = people.persons.values().collect();
        let who = [
            "any",
            "alice",
            "bob|bot",
            "@pair",
            "carol|@pair",
            "@machines",
        ];
        for a in who {
            for b in who {
                for c in who {
                    for count in 1..=2 {
                        let texts = [
                            format!("{count} of {a}"),
                            format!("1 of {b}"),
                            format!("1 of {c}"),
                        ];
                        let places: Vec<_> =
                            texts.iter().map(|t| Place::parse(t).unwrap()).collect();
                        let slots: Vec<&Place> = places
                            .iter()
                            .flat_map(|place| std::iter::repeat_n(place, place.count))
                            .collect();
                        let best = brute(&slots, &persons, &people);
                        assert_eq!(fill(&places, &persons, &people).filled, best, "{texts:?}");
                        let full = best == slots.len();
                        assert_eq!(satisfiable(&places, &people, &|_| true), full, "{texts:?}");
                    }
                }
            }
        }
    }

    fn brute(slots: &[&Place], persons: &[&Person], people: &People) -> usize {
        let Some((slot, rest)) = slots.split_first() else {
            return 0;
        };
        let mut best = brute(rest, persons, people);
        for (at, person) in persons.iter().enumerate() {
            if slot.admits(person, people) {
                let mut others = persons.to_vec();
                others.remove(at);
                best = best.max(1 + brute(rest, &others, people));
            }
        }
        best
    }
}
