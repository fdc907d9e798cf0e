//! Texts that come again and again: a type's name, a file's. Each is kept once, for ever.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Texts that are kept. A program has so many source files, and not many more; what comes after
/// these is not known.
const MOST: usize = 4096;
/// Texts that each thread remembers, by their addresses.
const REMEMBERED: usize = 32;

static KEPT: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

thread_local! {
    /// Most texts lie in the program's own constants, and come from the same address each time.
    static NEAR: RefCell<[&'static str; REMEMBERED]> = const { RefCell::new([""; REMEMBERED]) };
}

/// The kept text that is equal to this one; `None` when there is no room for another.
pub(super) fn keep(text: &str) -> Option<&'static str> {
    let place = (text.as_ptr().addr() / 8 + text.len()) % REMEMBERED;
    let near = NEAR.try_with(|near| near.borrow()[place]).unwrap_or_default();
    if near == text {
        return Some(near);
    }
    let kept = keep_for_all(text)?;
    let _ = NEAR.try_with(|near| near.borrow_mut()[place] = kept);
    Some(kept)
}

fn keep_for_all(text: &str) -> Option<&'static str> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    if let Some(known) = kept.get(text) {
        return Some(known);
    }
    if kept.len() == MOST {
        return None;
    }
    let text: &'static str = Box::leak(text.into());
    kept.insert(text);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_kept_once() {
        let (one, other) = (String::from("src/orders.rs"), String::from("src/orders.rs"));
        let (one, other) = (keep(&one).unwrap(), keep(&other).unwrap());
        assert_eq!(one, "src/orders.rs");
        assert_eq!(one.as_ptr(), other.as_ptr());
        assert_eq!(keep(""), Some(""));
    }
}
