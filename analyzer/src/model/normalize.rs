//! Function names made comparable: without what differs between two builds, two runs or two
//! ways to print the same function. One list of rules a runtime.

use std::borrow::Cow;

use sigquit_dump::Runtime;

/// A function's name without compiler hashes, generic arguments, and the numbers that a runtime
/// gives to what it generates.
///
/// What tells two pieces of source apart stays: `main.main.func1` is not `main.main.func2`.
pub(crate) fn normalize(runtime: Runtime, function: &str) -> String {
    match runtime {
        Runtime::Jvm => java(function),
        Runtime::Go => go(function),
        Runtime::Rust | Runtime::Native | Runtime::Unknown => native(function),
    }
}

// --- Rust, and what else is machine code -------------------------------------------------------

/// `<alloc::boxed::Box<F,A> as core::ops::FnOnce<Args>>::call_once::h0123456789abcdef`
/// -> `core::ops::FnOnce::call_once`.
fn native(function: &str) -> String {
    let function = without_hash(function.trim());
    let function = begun_by_cpp_thread(function).unwrap_or(function);
    let function = match function.strip_prefix('<').and_then(split_qualified_self) {
        Some((self_type, rest)) => Cow::Owned(format!("{}{rest}", implementor(self_type))),
        None => Cow::Borrowed(function),
    };
    without_closures(&without_brackets(&function, '<', '>'))
}

/// `std::thread::_State_impl<std::thread::_Invoker<std::tuple<serve()::{lambda()#1}> > >::_M_run()`
/// -> `serve()::{lambda()#1}`: where a thread begins with a closure, the compiler often leaves
/// nothing else of it.
fn begun_by_cpp_thread(function: &str) -> Option<&str> {
    let begun =
        function.strip_prefix("std::thread::_State_impl<std::thread::_Invoker<std::tuple<")?;
    let end = begun.rfind("> > >::_M_run(")?;
    let begun = &begun[..end];
    begun.contains("::{lambda(").then_some(begun)
}

/// `core::fmt::write::h0123456789abcdef` -> `core::fmt::write`
fn without_hash(function: &str) -> &str {
    let is_hash = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match function.rsplit_once("::h") {
        Some((name, hash)) if is_hash(hash) => name,
        _ => function,
    }
}

/// What stands between the outer angle brackets, and what follows them; the opening one is gone.
fn split_qualified_self(text: &str) -> Option<(&str, &str)> {
    let end = closing(text, '<', '>')?;
    Some((&text[..end], &text[end + 1..]))
}

/// Of `T as Trait` the more particular one: the trait when the type is a type parameter or the
/// standard library's own, otherwise the type. It is where the code most likely stands.
fn implementor(self_type: &str) -> &str {
    let Some((implementor, implemented)) = split_as(self_type) else { return self_type };
    let name = implementor.trim_start_matches(['&', '*', '(', '[']);
    let name = name.trim_start_matches("mut ").trim_start_matches("dyn ");
    let standard = ["core::", "alloc::", "std::"].iter().any(|own| name.starts_with(own));
    if standard || !name.contains("::") { implemented } else { name }
}

/// Splits at the ` as ` that stands outside of all brackets.
fn split_as(self_type: &str) -> Option<(&str, &str)> {
    let mut depth = 0_i32;
    for (at, letter) in self_type.char_indices() {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' if !self_type[..at].ends_with('-') => depth -= 1,
            ')' | ']' => depth -= 1,
            ' ' if depth == 0 && self_type[at..].starts_with(" as ") => {
                return Some((&self_type[..at], &self_type[at + 4..]));
            }
            _ => {}
        }
    }
    None
}

/// `order::serve::{{closure}}` and `order::serve::{closure#0}` -> `order::serve`: a closure is
/// named for the function that wrote it, as the source shows it.
fn without_closures(function: &str) -> String {
    let is_own = |piece: &&str| !piece.starts_with('{') && !piece.is_empty();
    let pieces: Vec<&str> = function.split("::").filter(is_own).collect();
    if pieces.is_empty() { function.to_owned() } else { pieces.join("::") }
}

// --- JVM ---------------------------------------------------------------------------------------

/// What a JVM writes between a generated class's stem and its number, and whether the stem
/// alone is to stay. Each has a `$` or says `Generated`.
const JAVA_GENERATED: &[&str] = &[
    "$$Lambda",
    "$Proxy",
    "GeneratedMethodAccessor",
    "GeneratedConstructorAccessor",
    "GeneratedSerializationConstructorAccessor",
    "$$FastClassBySpringCGLIB$$",
    "$$EnhancerBySpringCGLIB$$",
    "$$SpringCGLIB$$",
    "$$FastClassByGuice$$",
    "$$EnhancerByGuice$$",
    "$HibernateProxy$",
    "$$_javassist_",
    "LambdaForm$MH",
    "LambdaForm$DMH",
    "$ByteBuddy$",
];

/// `java.base@17.0.15/jdk.proxy1.$Proxy12.execute` -> `jdk.proxy1.$Proxy.execute`
fn java(function: &str) -> String {
    let mut name = without_generated_numbers(function.trim());
    // What is left before a slash is a module or a class loader: `java.base/`, `app//`.
    if let Some(slash) = name.rfind('/') {
        name.drain(..=slash);
    }
    name
}

fn without_generated_numbers(name: &str) -> String {
    let mut name = name.to_owned();
    // Most names have neither.
    if memchr::memchr(b'$', name.as_bytes()).is_none() && !name.contains("Generated") {
        return name;
    }
    for stem in JAVA_GENERATED {
        if let Some(at) = name.find(stem) {
            let from = at + stem.len();
            let until = name[from..].find('.').map_or(name.len(), |dot| from + dot);
            // `LambdaForm$MH/0x0000000800c8.invoke`: numbers, letters, slashes up to the method.
            name.replace_range(from..until, "");
        }
    }
    name
}

// --- Go ----------------------------------------------------------------------------------------

/// `main.(*Cache[...]).Get(0xc000012345, ...)` -> `main.(*Cache).Get`
fn go(function: &str) -> String {
    let name = without_brackets(without_arguments(function.trim()), '[', ']');
    name.strip_suffix("-fm").map_or(name.clone(), str::to_owned)
}

/// A call's arguments are the last bracketed part, when nothing follows it.
fn without_arguments(call: &str) -> &str {
    if !call.ends_with(')') {
        return call;
    }
    let mut depth = 0_i32;
    for (at, letter) in call.char_indices().rev() {
        match letter {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &call[..at];
        }
    }
    call
}

// --- Brackets ----------------------------------------------------------------------------------

/// Leaves out everything between such brackets, and the brackets.
fn without_brackets(text: &str, open: char, close: char) -> String {
    let mut rest = text;
    let mut kept = String::with_capacity(text.len());
    while let Some(at) = rest.find(open) {
        let inside = &rest[at + open.len_utf8()..];
        let Some(end) = closing(inside, open, close) else { break };
        // `Vec::<u8>::push` keeps one separator; `operator<` never closes and stays.
        kept.push_str(rest[..at].trim_end_matches("::"));
        rest = &inside[end + close.len_utf8()..];
    }
    kept.push_str(rest);
    kept
}

/// Where the bracket closes that was opened just before `text`.
fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0_u32;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        if letter == open {
            depth += 1;
        } else if letter == close && before != '-' {
            match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return Some(at),
            }
        }
        before = letter;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(runtime: Runtime, names: &[(&str, &str)]) {
        for (printed, expected) in names {
            assert_eq!(normalize(runtime, printed), *expected, "from {printed}");
        }
    }

    #[test]
    fn rust_names_lose_hashes_generics_and_closures() {
        check(
            Runtime::Rust,
            &[
                ("core::fmt::write::h0123456789abcdef", "core::fmt::write"),
                ("order::prices::price", "order::prices::price"),
                ("order::serve::{{closure}}", "order::serve"),
                ("order::serve::{closure#0}::{closure#1}", "order::serve"),
                ("order::Map<K,V>::get", "order::Map::get"),
                ("order::Map::<u64, alloc::vec::Vec<u8>>::get", "order::Map::get"),
                ("<order::Map<u64, u32>>::get", "order::Map::get"),
                (
                    "<std::sys::sync::mutex::futex::Mutex>::lock_contended",
                    "std::sys::sync::mutex::futex::Mutex::lock_contended",
                ),
                ("<order::Db as core::fmt::Display>::fmt", "order::Db::fmt"),
                ("<alloc::vec::Vec<T> as order::Store>::save", "order::Store::save"),
                (
                    "<F as core::ops::function::FnOnce<(A,)>>::call_once",
                    "core::ops::function::FnOnce::call_once",
                ),
                (
                    "core::ops::function::FnOnce::call_once{{vtable.shim}}",
                    "core::ops::function::FnOnce::call_once{{vtable.shim}}",
                ),
                ("<fn(u8) -> u8 as order::Run>::run", "order::Run::run"),
                ("<&mut order::Db as core::fmt::Write>::write_str", "order::Db::write_str"),
                ("{{closure}}", "{{closure}}"),
                ("operator<", "operator<"),
                ("", ""),
            ],
        );
    }

    #[test]
    fn java_names_lose_modules_and_the_numbers_of_generated_classes() {
        check(
            Runtime::Jvm,
            &[
                ("java.base/java.lang.Thread.run", "java.lang.Thread.run"),
                ("java.base@17.0.15/java.lang.Thread.run", "java.lang.Thread.run"),
                ("app//mx.tern.MxDump.rec", "mx.tern.MxDump.rec"),
                ("edge.Locks$$Lambda$1/471910020.run", "edge.Locks$$Lambda.run"),
                ("edge.Locks$$Lambda$15/0x00007f5144015060.run", "edge.Locks$$Lambda.run"),
                ("edge.Locks$$Lambda/0x000000003d040210.run", "edge.Locks$$Lambda.run"),
                ("edge.Locks.lambda$connect$0", "edge.Locks.lambda$connect$0"),
                ("jdk.proxy1.$Proxy12.execute", "jdk.proxy1.$Proxy.execute"),
                (
                    "sun.reflect.GeneratedMethodAccessor45.invoke",
                    "sun.reflect.GeneratedMethodAccessor.invoke",
                ),
                (
                    "shop.Cart$$EnhancerBySpringCGLIB$$1a2b3c.add",
                    "shop.Cart$$EnhancerBySpringCGLIB$$.add",
                ),
                (
                    "java.lang.invoke.LambdaForm$MH/0x0000000800c8.invoke",
                    "java.lang.invoke.LambdaForm$MH.invoke",
                ),
                ("shop.Cart.<init>", "shop.Cart.<init>"),
            ],
        );
    }

    #[test]
    fn go_names_lose_arguments_and_type_arguments() {
        check(
            Runtime::Go,
            &[
                ("main.(*Cache[...]).Get(0xc000012345, ...)", "main.(*Cache).Get"),
                ("main.(*Cache[...]).Get", "main.(*Cache).Get"),
                ("main.(*Ledger).Append", "main.(*Ledger).Append"),
                ("main.main.func1", "main.main.func1"),
                ("main.Map[go.shape.int].func2", "main.Map.func2"),
                ("main.(*Ledger).Append-fm", "main.(*Ledger).Append"),
                ("main.main(...)", "main.main"),
            ],
        );
    }
}
