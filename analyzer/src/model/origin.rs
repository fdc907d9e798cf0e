//! Whose code a function is: the program's own, a library's, or the runtime's. One list of
//! rules a runtime; what no rule knows is the program's own.

use sigquit_dump::Runtime;

use super::call::Origin;
use super::pattern::matches_any;

/// Whose code a normalized function is.
pub(crate) fn origin(runtime: Runtime, function: &str) -> Origin {
    let (own, libraries) = match runtime {
        Runtime::Jvm => (JAVA_RUNTIME, JAVA_LIBRARIES),
        Runtime::Go if is_go_standard(function) => return Origin::Runtime,
        Runtime::Go => (&[] as &[&str], GO_LIBRARIES),
        Runtime::Rust if !function.contains("::") => return Origin::Runtime,
        Runtime::Native | Runtime::Unknown if is_of_libc(function) => return Origin::Runtime,
        _ => (NATIVE_RUNTIME, RUST_LIBRARIES),
    };
    if matches_any(own, function) {
        Origin::Runtime
    } else if matches_any(libraries, function) {
        Origin::Library
    } else {
        Origin::Application
    }
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

const GO_LIBRARIES: &[&str] = &[
    "golang.org/x/*",
    "google.golang.org/*",
    "go.opentelemetry.io/*",
    "go.uber.org/*",
    "gorm.io/*",
    "gopkg.in/*",
    "k8s.io/*",
    "github.com/gin-gonic/*",
    "github.com/labstack/echo*",
    "github.com/go-redis/*",
    "github.com/redis/*",
    "github.com/jackc/*",
    "github.com/lib/pq*",
    "github.com/go-sql-driver/*",
    "github.com/prometheus/*",
    "github.com/sirupsen/*",
    "github.com/gorilla/*",
];

const JAVA_RUNTIME: &[&str] = &[
    "java.*",
    "javax.*",
    "jdk.*",
    "sun.*",
    "com.sun.*",
    "$Proxy*",
    "com.oracle.*",
    "kotlin.*",
    "scala.*",
    "groovy.lang.*",
    "clojure.lang.*",
];

const JAVA_LIBRARIES: &[&str] = &[
    "kotlinx.*",
    "jakarta.*",
    "akka.*",
    "ch.qos.logback.*",
    "com.fasterxml.*",
    "com.google.common.*",
    "com.mchange.*",
    "com.mongodb.*",
    "com.mysql.*",
    "com.zaxxer.hikari.*",
    "io.grpc.*",
    "io.lettuce.*",
    "io.micrometer.*",
    "io.netty.*",
    "io.reactivex.*",
    "io.undertow.*",
    "io.vertx.*",
    "okhttp3.*",
    "okio.*",
    "oracle.jdbc.*",
    "org.apache.*",
    "org.codehaus.*",
    "org.eclipse.*",
    "org.glassfish.*",
    "org.hibernate.*",
    "org.jboss.*",
    "org.mariadb.*",
    "org.postgresql.*",
    "org.slf4j.*",
    "org.springframework.*",
    "org.xnio.*",
    "reactor.*",
    "redis.clients.*",
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

const NATIVE_RUNTIME: &[&str] = &[
    "std::*",
    "core::*",
    "alloc::*",
    "proc_macro::*",
    "sigquit::*",
    "sigquit_dump::*",
    "signal_hook::*",
    "signal_hook_registry::*",
    "__*",
    "_start",
    "start_thread",
    "main",
    "clone*",
    "syscall",
    "pthread_*",
    "futex_*",
    "lll_*",
    "sem_*wait",
    "epoll_*",
    "ld-linux*",
    "libc.so*",
    "libc-*",
    "libpthread*",
    "[vdso]*",
    "?+*",
];

const RUST_LIBRARIES: &[&str] = &[
    "actix*::*",
    "async_std::*",
    "axum::*",
    "bb8::*",
    "crossbeam*::*",
    "deadpool*::*",
    "diesel::*",
    "flume::*",
    "futures*::*",
    "h2::*",
    "hashbrown::*",
    "hyper*::*",
    "log::*",
    "mio::*",
    "parking_lot*::*",
    "r2d2::*",
    "rayon*::*",
    "reqwest::*",
    "rustls::*",
    "serde*::*",
    "sqlx*::*",
    "threadpool::*",
    "tokio*::*",
    "tonic::*",
    "tower*::*",
    "tracing*::*",
    "warp::*",
];

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(origin(runtime, function), expected, "{function}");
        }
    }
}
