//! Dumps of a Go server with as many goroutines as one likes: one holds a lock while it waits for
//! an answer, every third waits for that lock, the others serve connections and queues.

use std::fmt::Write;

const OWNER: usize = 7;

/// What requests may have come through, from the outermost on.
const LAYERS: [&str; 9] = [
    "recovered",
    "traced",
    "logged",
    "limited",
    "authorized",
    "routed",
    "timed",
    "retried",
    "cached",
];

/// What the runtime prints of so many goroutines. Moments of one number have the same goroutines,
/// each of them where it was.
pub fn goroutines(number: usize) -> String {
    let mut dump = String::new();
    for goroutine in 1..=number {
        let (state, calls) = what_it_does(goroutine);
        let _ = writeln!(dump, "goroutine {goroutine} [{state}]:");
        for call in calls {
            dump.push_str(call);
        }
        for (depth, layer) in LAYERS.iter().enumerate().take(goroutine % 100 / 10).rev() {
            let _ = write!(dump, "main.{layer}(0x1)\n\t/srv/app/layers.go:{depth}1 +0x1d\n");
        }
        dump.push_str("created by main.main in goroutine 1\n\t/srv/app/main.go:40 +0x9c\n\n");
    }
    dump
}

/// A goroutine's state, and its calls from the innermost on.
fn what_it_does(goroutine: usize) -> (&'static str, &'static [&'static str]) {
    match goroutine {
        OWNER => ("IO wait, 3 minutes", &OWNING),
        one if one % 3 == 0 => ("sync.Mutex.Lock, 2 minutes", &WAITING),
        one if one % 3 == 1 => ("IO wait, 7 minutes", &SERVING),
        one if one % 2 == 0 => ("chan receive, 7 minutes", &TAKING),
        _ => ("select", &TICKING),
    }
}

const OWNING: [&str; 5] = [
    "internal/poll.runtime_pollWait(0x7f3f966d1e00, 0x72)\n\t/srv/go/src/runtime/netpoll.go:351 +0x85\n",
    "internal/poll.(*FD).Read(0xc0000c8080, {0xc0000a00b4, 0x1, 0x1})\n\t/srv/go/src/internal/poll/fd_unix.go:165 +0x279\n",
    "net.(*conn).Read(0xc00009a050, {0xc0000a00b4?, 0x0?, 0x0?})\n\t/srv/go/src/net/net.go:196 +0x45\n",
    "main.(*Catalog).ask(0xc000094930, {0x58ff98, 0xc00009a050})\n\t/srv/app/catalog.go:58 +0x74\n",
    "main.(*Catalog).Refresh(0xc000094930)\n\t/srv/app/catalog.go:31 +0x51\n",
];

const WAITING: [&str; 5] = [
    "internal/sync.runtime_SemacquireMutex(0x0?, 0x0?, 0x0?)\n\t/srv/go/src/runtime/sema.go:95 +0x25\n",
    "internal/sync.(*Mutex).lockSlow(0xc000094930)\n\t/srv/go/src/internal/sync/mutex.go:149 +0x15d\n",
    "sync.(*Mutex).Lock(...)\n\t/srv/go/src/sync/mutex.go:46\n",
    "main.(*Catalog).Price(0xc000094930?)\n\t/srv/app/catalog.go:20 +0x31\n",
    "main.checkout(0xc000112000)\n\t/srv/app/checkout.go:77 +0x1c2\n",
];

const SERVING: [&str; 3] = [
    "internal/poll.runtime_pollWait(0x7f3f966d2000, 0x72)\n\t/srv/go/src/runtime/netpoll.go:351 +0x85\n",
    "net.(*conn).Read(0xc00009a060, {0xc0000a00b4?, 0x0?, 0x0?})\n\t/srv/go/src/net/net.go:196 +0x45\n",
    "net/http.(*conn).serve(0xc000112480, {0x8e3a68, 0xc000110f60})\n\t/srv/go/src/net/http/server.go:2027 +0x6d5\n",
];

const TAKING: [&str; 2] = [
    "main.(*Mailbox).next(0xc0001a0000)\n\t/srv/app/mailbox.go:12 +0x1d\n",
    "main.worker(0x3)\n\t/srv/app/worker.go:9 +0x47\n",
];

const TICKING: [&str; 2] = [
    "main.(*Session).keepAlive(0xc0001c0000)\n\t/srv/app/session.go:88 +0x9a\n",
    "main.(*Session).run(0xc0001c0000)\n\t/srv/app/session.go:41 +0x2d\n",
];
