//! Many names as few words: `request-1 .. request-12 (12)`.

use sigquit_dump::Kind;

use super::plain::short;
use crate::explain::MemberReport;

/// The longest name that is shown whole, in columns.
const LONGEST_NAME: usize = 60;

/// The members' names, those that differ in one number put together; the first so many groups,
/// and how many members are left.
pub(super) fn fold(members: &[MemberReport], most: usize) -> String {
    folded(members, most).join(", ")
}

/// The same, each group by itself.
pub(super) fn folded(members: &[MemberReport], most: usize) -> Vec<String> {
    let groups = groups(members);
    let shown = groups.iter().take(most).map(Group::text);
    let left: usize = groups.iter().skip(most).map(|group| group.count).sum();
    let mut words: Vec<String> = shown.collect();
    if left > 0 {
        words.push(format!("{left} more"));
    }
    words
}

/// What a member is called: its name, and its number where a name is missing.
pub(super) fn called(member: &MemberReport) -> String {
    match (member.name.is_empty(), member.kind) {
        (false, Kind::Goroutine) | (true, _) => {
            format!("{} {}", member.kind.noun(), member.id).trim_end().to_owned()
        }
        (false, _) => member.name.clone(),
    }
}

/// Members whose names follow each other in number, or are equal.
struct Group {
    before: String,
    after: String,
    numbers: Option<(u64, u64)>,
    count: usize,
}

impl Group {
    fn text(&self) -> String {
        let one =
            |number: &str| short(&format!("{}{number}{}", self.before, self.after), LONGEST_NAME);
        match self.numbers {
            None if self.count > 1 => format!("{} ({})", one(""), self.count),
            None => one(""),
            Some((first, last)) if first == last && self.count > 1 => {
                format!("{} ({})", one(&first.to_string()), self.count)
            }
            Some((first, last)) if first == last => one(&first.to_string()),
            Some((first, last)) if self.count == 2 => {
                format!("{}, {}", one(&first.to_string()), one(&last.to_string()))
            }
            Some((first, last)) => {
                format!(
                    "{} .. {} ({})",
                    one(&first.to_string()),
                    one(&last.to_string()),
                    self.count
                )
            }
        }
    }

    /// Whether a name continues the group; if so it is in it afterwards.
    fn takes(&mut self, before: &str, after: &str, number: Option<u64>) -> bool {
        if self.before != before || self.after != after {
            return false;
        }
        match (&mut self.numbers, number) {
            (Some((_, last)), Some(next)) if next == *last || Some(next) == last.checked_add(1) => {
                *last = next;
            }
            (None, None) => {}
            _ => return false,
        }
        self.count += 1;
        true
    }
}

fn groups(members: &[MemberReport]) -> Vec<Group> {
    let mut names: Vec<(String, String, Option<u64>)> =
        members.iter().map(|member| split(&called(member))).collect();
    names.sort();
    let mut groups: Vec<Group> = Vec::new();
    for (before, after, number) in names {
        let taken = groups.last_mut().is_some_and(|group| group.takes(&before, &after, number));
        if !taken {
            let numbers = number.map(|number| (number, number));
            groups.push(Group { before, after, numbers, count: 1 });
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

/// A name as what stands before its last number, what stands after it, and the number. A number
/// with leading zeros is a part of the name: written anew it would be another.
fn split(name: &str) -> (String, String, Option<u64>) {
    let is_digit = |character: char| character.is_ascii_digit();
    let Some(last) = name.rfind(is_digit) else { return (name.to_owned(), String::new(), None) };
    let start = name[..last].rfind(|character| !is_digit(character));
    let start = start.map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    let digits = &name[start..=last];
    match digits.parse() {
        Ok(number) if digits == "0" || !digits.starts_with('0') => {
            (name[..start].to_owned(), name[last + 1..].to_owned(), Some(number))
        }
        _ => (name.to_owned(), String::new(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], folded: &str) {
        let member =
            |name: &&str| MemberReport { kind: Kind::Thread, id: "7".into(), name: (*name).into() };
        assert_eq!(fold(&names.iter().map(member).collect::<Vec<_>>(), 3), folded);
    }

    #[test]
    fn names_that_differ_in_a_number_are_one_word() {
        check(&["request-3", "request-1", "request-2"], "request-1 .. request-3 (3)");
        check(&["qtp12-9", "qtp12-10"], "qtp12-9, qtp12-10");
        check(&["a1b", "a2b", "a4b"], "a1b, a2b, a4b");
        check(
            &["http-8080-exec-2 #x", "http-8080-exec-1 #x"],
            "http-8080-exec-1 #x, http-8080-exec-2 #x",
        );
    }

    #[test]
    fn equal_names_are_counted_and_missing_ones_replaced() {
        check(&["worker", "worker"], "worker (2)");
        check(&["", ""], "thread 7 (2)");
        check(&["w-01", "w-02"], "w-01, w-02");
        check(&["99999999999999999999999"], "99999999999999999999999");
        check(&["é1", "é2", "1", ""], "é1, é2, 1, thread 7");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        check(&["a", "b", "c", "d", "e"], "a, b, c, 2 more");
    }
}
