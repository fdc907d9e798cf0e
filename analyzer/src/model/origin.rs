//! Whose code a function is: the program's own, a library's, or the runtime's. What no rule knows is the
//! program's own.

use sigquit_dump::Runtime;

use super::call::Origin;
use super::rule::{self, FrameOf};

/// Whose code a normalized function is, by what is known of its runtime.
pub(super) fn origin(runtime: Runtime, frame: FrameOf) -> Origin {
    let function = frame.function;
    let is_runtime = match runtime {
        Runtime::Go => is_go_standard(function),
        Runtime::Rust => !function.contains("::"),
        Runtime::Native | Runtime::Unknown => is_of_libc(function),
        Runtime::Jvm => false,
    };
    if is_runtime {
        return Origin::Runtime;
    }
    let is_foreign = || frame.file.is_some_and(is_of_a_published_crate);
    rule::known_origin(runtime, frame).unwrap_or_else(|| match is_foreign() {
        true => Origin::Library,
        false => Origin::Application,
    })
}

/// Whether a source file is one of a crate that Cargo fetched: `lock_api-0.4.14/src/rwlock.rs`, as the agent shortens
/// it, or below Cargo's registry or its checkouts.
fn is_of_a_published_crate(file: &str) -> bool {
    let is_version = |text: &str| {
        let mut parts = text.split('.');
        let mut number =
            || parts.next().is_some_and(|part| part.starts_with(|c: char| c.is_ascii_digit()));
        number() && number() && number()
    };
    let folder = file.split_once('/').map_or("", |(folder, _)| folder);
    let mut dashes = folder.match_indices('-');
    dashes.any(|(at, _)| at > 0 && is_version(&folder[at + 1..]))
        || file.contains("/registry/src/")
        || file.contains("/git/checkouts/")
}

/// Go's standard library: its import paths have no domain, and begin with one of these.
/// `main` is the program.
fn is_go_standard(function: &str) -> bool {
    let first = function.split(['/', '.']).next().unwrap_or(function);
    let has_domain =
        function.split('/').next().is_some_and(|part| function.contains('/') && part.contains('.'));
    !has_domain && GO_STANDARD.contains(&first)
}

const GO_STANDARD: &[&str] = &[
    "archive",
    "bufio",
    "builtin",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "gogo",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "panic",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "unicode",
    "unique",
    "unsafe",
    "vendor",
    "weak",
];

/// The C library's functions in which threads wait or are interrupted, by the names that
/// debuggers show: `__libc_recv` and `recv@GLIBC_2.2.5` are `recv`.
fn is_of_libc(function: &str) -> bool {
    const WORDS: &[&str] = &[
        "_exit",
        "abort",
        "accept",
        "accept4",
        "aio_suspend",
        "alarm",
        "calloc",
        "clock_nanosleep",
        "close",
        "connect",
        "copy_file_range",
        "dup",
        "dup2",
        "exit",
        "fcntl",
        "fdatasync",
        "flock",
        "fork",
        "free",
        "fsync",
        "futex",
        "getaddrinfo",
        "getrandom",
        "gettimeofday",
        "ioctl",
        "kill",
        "lseek",
        "madvise",
        "malloc",
        "memcmp",
        "memcpy",
        "memmove",
        "memset",
        "mmap",
        "mprotect",
        "msync",
        "munmap",
        "nanosleep",
        "open",
        "open64",
        "openat",
        "pause",
        "poll",
        "ppoll",
        "pread",
        "pread64",
        "preadv",
        "pselect",
        "pwrite",
        "pwrite64",
        "pwritev",
        "raise",
        "read",
        "readv",
        "realloc",
        "recv",
        "recvfrom",
        "recvmmsg",
        "recvmsg",
        "rename",
        "sched_yield",
        "select",
        "send",
        "sendfile",
        "sendfile64",
        "sendmmsg",
        "sendmsg",
        "sendto",
        "sigprocmask",
        "sigsuspend",
        "sigtimedwait",
        "sigwait",
        "sigwaitinfo",
        "sleep",
        "splice",
        "strcmp",
        "strlen",
        "tgkill",
        "unlink",
        "usleep",
        "wait",
        "wait3",
        "wait4",
        "waitid",
        "waitpid",
        "write",
        "writev",
    ];
    let name = function.split('@').next().unwrap_or(function);
    WORDS.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_cargo_fetched_is_a_library_by_its_files() {
        let of = |file| {
            origin(
                Runtime::Rust,
                FrameOf { function: "shelf::Shelf::get", file: Some(file), ..FrameOf::default() },
            )
        };
        for file in [
            "shelf-0.4.14/src/lib.rs",
            "my-shelf-2.0.0-rc.1/src/lib.rs",
            "/srv/registry/src/index/shelf-1.0.0/a.rs",
        ] {
            assert_eq!(of(file), Origin::Library, "{file}");
        }
        for file in ["src/shelf.rs", "shelf/src/lib.rs", "shelf-two/src/lib.rs", "v-2/src/a.rs", ""]
        {
            assert_eq!(of(file), Origin::Application, "{file}");
        }
    }

    #[test]
    fn the_programs_own_code_is_told_from_the_rest() {
        for (runtime, function, expected) in [
            (Runtime::Jvm, "java.util.HashMap.get", Origin::Runtime),
            (Runtime::Jvm, "com.zaxxer.hikari.pool.HikariPool.getConnection", Origin::Library),
            (Runtime::Jvm, "shop.marlin.CheckoutApi.placeOrder", Origin::Application),
            (Runtime::Go, "net/http.(*conn).serve", Origin::Runtime),
            (Runtime::Go, "sync.(*Mutex).Lock", Origin::Runtime),
            (Runtime::Go, "main.(*Ledger).Append", Origin::Application),
            (Runtime::Go, "github.com/acme/orders.Serve", Origin::Application),
            (Runtime::Go, "golang.org/x/net/http2.(*Transport).RoundTrip", Origin::Library),
            (Runtime::Go, "net.example.org/shop.Serve", Origin::Application),
            (Runtime::Rust, "std::thread::park", Origin::Runtime),
            (Runtime::Rust, "__libc_start_main", Origin::Runtime),
            (Runtime::Rust, "tokio::runtime::park::Inner::park", Origin::Library),
            (Runtime::Rust, "victim::order_service::orders::serve", Origin::Application),
            (Runtime::Native, "render_page", Origin::Application),
            (Runtime::Native, "pthread_mutex_lock", Origin::Runtime),
            (Runtime::Native, "recv@GLIBC_2.2.5", Origin::Runtime),
            (Runtime::Native, "clock_nanosleep", Origin::Runtime),
        ] {
            let frame = FrameOf { function, ..FrameOf::default() };
            assert_eq!(origin(runtime, frame), expected, "{function}");
        }
    }

    #[test]
    fn whose_a_binary_is_its_functions_are() {
        let of = |module| {
            let function = "_pthread_mutex_firstfit_lock_slow";
            origin(Runtime::Native, FrameOf { function, module, ..FrameOf::default() })
        };
        assert_eq!(of(Some("/usr/lib/system/libsystem_pthread.dylib")), Origin::Runtime);
        assert_eq!(of(Some("/srv/bin/shop")), Origin::Application);
    }
}
