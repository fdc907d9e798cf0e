//! What a function's name says: its type, its method, and the words that these are made of.

/// A normalized function name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionName<'a> {
    /// Everything before the method: `java.util.HashMap$TreeNode`, `order::cache::Map`,
    /// `main.(*SpinLock)`. Empty for a bare name.
    pub owner: &'a str,
    /// The last part of the owner: a type, or the module of a free function. An inner class is
    /// named with its outer one: `HashMap$TreeNode`.
    pub type_name: &'a str,
    /// The method or function itself.
    pub method: &'a str,
}

impl<'a> FunctionName<'a> {
    /// Takes a name of any language apart.
    ///
    /// ```
    /// use sigquit_analyzer::model::FunctionName;
    ///
    /// let name = FunctionName::of("github.com/acme/shop.(*Prices).Get");
    /// assert_eq!((name.type_name, name.method), ("Prices", "Get"));
    /// ```
    pub fn of(function: &'a str) -> FunctionName<'a> {
        // Asked for thousands of names: to look for one letter is the fastest.
        let bytes = function.as_bytes();
        let mut colons = memchr::memchr_iter(b':', bytes);
        let split = match colons.any(|at| bytes.get(at + 1) == Some(&b':')) {
            true => |name: &'a str| name.rsplit_once("::"),
            false => |name: &'a str| {
                let dot = memchr::memrchr(b'.', name.as_bytes())?;
                Some((&name[..dot], &name[dot + 1..]))
            },
        };
        let (owner, method) = split(function).unwrap_or(("", function));
        let last = split(owner).map_or(owner, |(_, last)| last);
        let last = memchr::memrchr(b'/', last.as_bytes()).map_or(last, |slash| &last[slash + 1..]);
        FunctionName { owner, type_name: last.trim_matches(['(', ')', '*']), method }
    }

    /// The type without its inner classes.
    pub fn outer_type(&self) -> &'a str {
        self.type_name.split('$').next().unwrap_or(self.type_name)
    }
}

/// The type of which a function is a method, in Go also one that is written within a method; of a JVM the outermost type. None of
/// free functions.
pub(crate) fn type_of(function: &str) -> Option<&str> {
    let owner = FunctionName::of(function).owner;
    if let Some(end) = owner.find(')') {
        return Some(&owner[..=end]);
    }
    let outer = owner.split('$').next().unwrap_or(owner);
    let last = outer.rsplit(['.', ':']).next()?;
    last.starts_with(char::is_uppercase).then_some(outer)
}

/// Whether a type is another one, or is declared in it, as the JVM names it: `Pool$Worker` in `Pool`.
pub fn is_within(found: &str, outer: &str) -> bool {
    found.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('$'))
}

/// The words of an identifier, in lower case: `getTreeNode` and `get_tree_node` are the same
/// three.
pub fn words(identifier: &str) -> Vec<String> {
    each_word(identifier).collect()
}

/// Whether the first of these words is one of some, which are lower case. Most names are told by
/// their first letter not to be what is looked for.
pub(super) fn begins_with_word(identifier: &str, words: &[&str]) -> bool {
    let letter = identifier.chars().find(|letter| letter.is_alphanumeric()).map(lower);
    let begin = |word: &&&str| letter.is_some_and(|letter| word.starts_with(letter));
    let mut likely = words.iter().filter(begin).peekable();
    likely.peek().is_some()
        && each_word(identifier).next().is_some_and(|first| likely.any(|&word| word == first))
}

/// A letter in lower case, where that is one letter.
fn lower(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

fn each_word(identifier: &str) -> impl Iterator<Item = String> {
    let mut before = ' ';
    let mut letters = identifier.chars().peekable();
    let mut begun = String::new();
    std::iter::from_fn(move || {
        while let Some(letter) = letters.next() {
            let begins = !before.is_alphanumeric()
                || letter.is_uppercase()
                    && (!before.is_uppercase()
                        || letters.peek().is_some_and(|next| next.is_lowercase()));
            before = letter;
            if !letter.is_alphanumeric() {
                continue;
            }
            let word = if begins { std::mem::take(&mut begun) } else { String::new() };
            begun.extend(letter.to_lowercase());
            if !word.is_empty() {
                return Some(word);
            }
        }
        Some(std::mem::take(&mut begun)).filter(|word| !word.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_language_come_apart() {
        for (function, owner, type_name, method) in [
            (
                "java.util.HashMap$TreeNode.find",
                "java.util.HashMap$TreeNode",
                "HashMap$TreeNode",
                "find",
            ),
            ("order::cache::Map::get", "order::cache::Map", "Map", "get"),
            ("order::cache::transfer", "order::cache", "cache", "transfer"),
            ("main.(*SpinLock).Lock", "main.(*SpinLock)", "SpinLock", "Lock"),
            ("main.serve", "main", "main", "serve"),
            ("net/http.(*conn).serve", "net/http.(*conn)", "conn", "serve"),
            ("internal/runtime/maps.fatal", "internal/runtime/maps", "maps", "fatal"),
            ("sched_yield", "", "", "sched_yield"),
            ("", "", "", ""),
        ] {
            assert_eq!(FunctionName::of(function), FunctionName { owner, type_name, method });
        }
        assert_eq!(FunctionName::of("java.util.HashMap$TreeNode.find").outer_type(), "HashMap");
    }

    #[test]
    fn types_are_told_from_modules() {
        assert_eq!(type_of("shop::Studio::work"), Some("shop::Studio"));
        assert_eq!(type_of("shop::studio::work"), None);
        assert_eq!(type_of("shop.Studio$Worker.run"), Some("shop.Studio"));
        assert_eq!(type_of("main.(*studio).work"), Some("main.(*studio)"));
        assert_eq!(type_of("main.(*studio).open.func1"), Some("main.(*studio)"));
        assert_eq!(type_of("main.work"), None);
    }

    #[test]
    fn the_first_word_tells_most() {
        for name in ["getTreeNode", "Get", "_get_tree", "GET"] {
            assert!(begins_with_word(name, &["put", "get"]), "{name}");
        }
        for name in ["getter", "treeGet", "put", "", "_", "\u{df}"] {
            assert!(!begins_with_word(name, &["get", "call"]), "{name}");
        }
    }

    #[test]
    fn words_are_found_in_any_spelling() {
        for (identifier, expected) in [
            ("getTreeNode", &["get", "tree", "node"][..]),
            ("wait_until_ready", &["wait", "until", "ready"]),
            ("LRUCache", &["lru", "cache"]),
            ("compareAndSwapInt", &["compare", "and", "swap", "int"]),
            ("HashMap$TreeNode", &["hash", "map", "tree", "node"]),
            ("mapaccess1_fast64", &["mapaccess1", "fast64"]),
            ("ID", &["id"]),
            ("", &[]),
        ] {
            assert_eq!(words(identifier), expected, "{identifier}");
        }
    }
}
