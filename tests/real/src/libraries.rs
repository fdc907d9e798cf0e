//! Libraries that call back while they hold a lock, each used by two dozen threads.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::Program;
use crate::stage::{Random, inside, using};

pub const ALL: &[Program] = &[
    Program { name: "moka", lock: "of a key, parking_lot", around: false, start: moka },
    Program { name: "dashmap", lock: "of a shard, its own", around: false, start: dashmap },
    Program {
        name: "prometheus",
        lock: "of a registry, parking_lot",
        around: false,
        start: prometheus,
    },
    Program { name: "sled", lock: "of all, parking_lot 0.11", around: false, start: sled },
    Program { name: "indicatif", lock: "of bars and of all, std", around: true, start: indicatif },
    Program {
        name: "rusqlite",
        lock: "SQLite's shared cache, pthread",
        around: false,
        start: rusqlite,
    },
];

const THREADS: u64 = 24;
/// How many things there are to use, where there can be several.
const THINGS: usize = 6;

/// Starts the threads, each of which uses one of the things after another.
fn spread(things: usize, use_it: impl Fn(usize, &mut Random) + Send + Sync + 'static) {
    let use_it = Arc::new(use_it);
    for seed in 0..THREADS {
        let use_it = use_it.clone();
        thread::spawn(move || {
            let (mut random, mut how) = (Random(seed), Random(!seed));
            loop {
                let thing = 1 + random.below(things);
                using(thing, &mut random, || use_it(thing, &mut how));
            }
        });
    }
}

/// Whoever computes a value holds the lock of its key, for writing; the others wait to read.
fn moka() {
    let cache = moka::sync::Cache::new(100);
    spread(THINGS, move |key, _| {
        cache.invalidate(&key);
        cache.get_with(key, inside);
    });
}

/// Who changes or looks through a map is called back under the lock of a shard.
fn dashmap() {
    let maps: Vec<_> = (0..=THINGS)
        .map(|_| dashmap::DashMap::<u64, u64>::with_capacity_and_shard_amount(8, 2))
        .collect();
    maps.iter().for_each(|map| _ = map.insert(1, 0));
    spread(THINGS, move |at, random| match random.below(5) {
        0 => maps[at].alter(&1, |_, value| {
            inside();
            value + 1
        }),
        1 => maps[at].retain(|_, _| {
            inside();
            true
        }),
        2 => _ = maps[at].view(&1, |_, _| inside()),
        3 => maps[at].iter().for_each(|_| inside()),
        _ => *maps[at].entry(1).or_insert(0) += 1,
    });
}

/// Whoever gathers metrics holds their registry's lock for reading; who registers one wants it alone.
fn prometheus() {
    use prometheus::core::{Collector, Desc};

    struct Slow(Desc);
    impl Collector for Slow {
        fn desc(&self) -> Vec<&Desc> {
            vec![&self.0]
        }

        fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
            inside();
            Vec::new()
        }
    }
    let registries: Vec<prometheus::Registry> = (0..=THINGS).map(|_| <_>::default()).collect();
    for registry in &registries {
        let name = Desc::new("slow".into(), "slow".into(), Vec::new(), <_>::default());
        registry.register(Box::new(Slow(name.expect("a name")))).expect("the first");
    }
    spread(THINGS, move |at, random| match random.below(2) {
        0 => _ = registries[at].gather(),
        _ => {
            let name = format!("gauge_{}", random.below(usize::MAX));
            let gauge = prometheus::Gauge::new(name, "one of many").expect("a gauge");
            drop(registries[at].register(Box::new(gauge.clone())));
            drop(registries[at].unregister(Box::new(gauge)));
        }
    });
}

/// A transaction holds the lock of all trees for writing, everything else for reading.
fn sled() {
    let database = sled::Config::new().temporary(true).open().expect("a database");
    spread(1, move |_, random| {
        let key = [random.below(10) as u8];
        match random.below(3) {
            0 => {
                let done = database.transaction(|tree| {
                    inside();
                    tree.insert(&key, b"by transaction")?;
                    Ok::<_, sled::transaction::ConflictableTransactionError>(())
                });
                done.expect("a transaction");
            }
            1 => _ = database.insert(key, b"alone").expect("an insertion"),
            _ => _ = database.get(key).expect("a look"),
        }
    });
}

/// Whoever draws holds the lock of its bar and, for writing, that of all bars.
fn indicatif() {
    use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, TermLike};

    #[derive(Debug)]
    struct SlowTerminal;
    impl TermLike for SlowTerminal {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, _: &str) -> io::Result<()> {
            Ok(())
        }

        fn write_str(&self, _: &str) -> io::Result<()> {
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            inside();
            Ok(())
        }
    }
    let all =
        MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(SlowTerminal)));
    let bars: Vec<ProgressBar> = (0..=THINGS).map(|_| all.add(ProgressBar::new(1 << 40))).collect();
    spread(THINGS, move |at, random| match random.below(3) {
        0 => bars[at].println("a line above all bars"),
        1 => bars[at].set_message("at work"),
        _ => bars[at].inc(1),
    });
}

/// Whoever runs a statement holds the mutex of the cache that its connection shares with others.
fn rusqlite() {
    use rusqlite::functions::FunctionFlags;
    use rusqlite::{Connection, OpenFlags};

    fn open(number: usize) -> Connection {
        let path = format!("file:shared{number}?mode=memory&cache=shared");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).expect("a connection");
        let slow = |_: &mut rusqlite::functions::Context| {
            inside();
            Ok(1)
        };
        let made = connection.create_scalar_function("slow", 0, FunctionFlags::SQLITE_UTF8, slow);
        made.expect("a function");
        connection
    }
    // Opened before, for that takes locks around all caches.
    let idle: Vec<Mutex<Vec<Connection>>> = (0..=THINGS)
        .map(|number| Mutex::new((0..THREADS).map(|_| open(number)).collect()))
        .collect();
    spread(THINGS, move |at, _| {
        let connection = idle[at].lock().unwrap().pop().expect("one for each thread");
        let mut statement = connection
            .prepare("SELECT slow() FROM sqlite_schema UNION ALL SELECT slow()")
            .expect("a statement");
        let rows = statement.query_map([], |_| Ok(())).map(|rows| rows.flatten().count());
        drop(rows);
        drop(statement);
        idle[at].lock().unwrap().push(connection);
    });
}
