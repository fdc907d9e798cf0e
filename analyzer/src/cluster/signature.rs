//! The short name of a stack: the innermost few functions that say something, joined.

use crate::model::pattern::matches_any;

/// So many functions make a name.
const FUNCTIONS: usize = 5;

/// The name of a stack that the source does not show.
const NO_STACK: &str = "(no stack)";

/// How waiting and locking is done, wherever it is done: says nothing of the place.
const WAIT_INTERNALS: &[&str] = &[
    "*.Unsafe.park",
    "*.LockSupport.park*",
    "*AbstractQueuedSynchronizer*",
    "*AbstractQueuedLongSynchronizer*",
    "java.lang.Object.wait*",
    "java.util.concurrent.ForkJoinPool.managedBlock",
    "java.util.concurrent.ForkJoinPool.unmanagedBlock",
    "syscall",
    "*futex*",
    "*::lock_contended",
    "__*",
    "libc.so*",
    "libc-*",
    "runtime.*",
    "*runtime_Semacquire*",
    "*runtime_pollWait",
    "internal/poll.(*pollDesc).*",
];

/// The name of a stack, given as its functions, innermost first, each with whether it
/// is the program's own. Those make the name; a stack without any is named for what
/// else is on it, without the insides of waiting.
pub(super) fn signature<'a>(stack: impl Iterator<Item = (&'a str, bool)> + Clone) -> String {
    let own = stack.clone().filter(|&(_, own)| own).map(|(name, _)| name);
    let telling = stack.clone().map(|(name, _)| name);
    let telling = telling.filter(|name| !matches_any(WAIT_INTERNALS, name));
    join(own)
        .or_else(|| join(telling))
        .or_else(|| join(stack.map(|(name, _)| name)))
        .unwrap_or_else(|| NO_STACK.into())
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut told: Vec<&str> = Vec::new();
    for name in names {
        // A function that calls itself is said once.
        if told.last() != Some(&name) {
            told.push(name);
        }
        if told.len() == FUNCTIONS {
            break;
        }
    }
    (!told.is_empty()).then(|| told.join(" < "))
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn the_programs_own_functions_make_the_name() {
        let stack = [
            ("syscall", false),
            ("std::thread::park", false),
            ("order::pop", true),
            ("order::serve", true),
            ("std::rt", false),
        ];
        assert_eq!(signature(stack.into_iter()), "order::pop < order::serve");
    }

    #[test]
    fn recursion_is_said_once_and_five_functions_are_enough() {
        let stack = ["a", "a", "b", "c", "d", "e", "f"].map(|name| (name, true));
        assert_eq!(signature(stack.into_iter()), "a < b < c < d < e");
    }

    #[test]
    fn without_own_functions_the_insides_of_waiting_go_first() {
        let stack = [("runtime.gopark", false), ("net/http.(*conn).serve", false)];
        assert_eq!(signature(stack.into_iter()), "net/http.(*conn).serve");
        assert_eq!(signature([("runtime.gopark", false)].into_iter()), "runtime.gopark");
        assert_eq!(signature([].into_iter()), "(no stack)");
    }
}
