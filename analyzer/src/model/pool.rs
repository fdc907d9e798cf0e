//! What functions are to pools and queues, known by words: which borrow a pooled resource and wait
//! when there is none, which show that one is in use, which hand work to a queue and wait when it
//! is full, which wait for the result of such work.

use super::name::{FunctionName, begins_with_word, words};
use super::pattern::matches_any;

/// Pools that everyone knows, by their own functions.
const KNOWN_BORROWS: &[&str] = &[
    "com.zaxxer.hikari.*.getConnection",
    "com.zaxxer.hikari.util.ConcurrentBag.borrow",
    "*GenericObjectPool.borrowObject",
    "*GenericKeyedObjectPool.borrowObject",
    "org.apache.tomcat.jdbc.pool.ConnectionPool.borrowConnection",
    "org.apache.tomcat.jdbc.pool.ConnectionPool.getConnection",
    "com.mchange.v2.resourcepool.BasicResourcePool.*heckoutResource",
    "com.mchange.v2.resourcepool.BasicResourcePool.awaitAvailable",
    "com.alibaba.druid.pool.DruidDataSource.*getConnection*",
    "com.alibaba.druid.pool.DruidDataSource.takeLast",
    "com.alibaba.druid.pool.DruidDataSource.pollLast",
    "oracle.ucp.*.borrowConnection*",
    "*ObjectPool.borrow*",
    "org.apache.http.pool.AbstractConnPool.getPoolEntryBlocking",
    "org.apache.http.impl.conn.PoolingHttpClientConnectionManager.leaseConnection",
    "org.apache.*.pool.*ConnPool.lease*",
    "redis.clients.*Pool.getResource",
    "io.agroal.pool.ConnectionPool.getConnection",
    "io.r2dbc.pool.*acquire*",
    "database/sql.(*DB).conn",
    "net/http.(*Transport).getConn",
    "github.com/jackc/*pool.(*Pool).Acquire*",
    "github.com/jackc/puddle/*.(*Pool).Acquire*",
    "github.com/gomodule/redigo/redis.(*Pool).get*",
    "github.com/go-redis/*/internal/pool.(*ConnPool).Get",
    "github.com/redis/*/internal/pool.(*ConnPool).Get",
    "golang.org/x/sync/semaphore.(*Weighted).Acquire",
    "r2d2::Pool::get*",
    "bb8::*Pool::get*",
    "bb8::*Pool*::get*",
    "deadpool::*Pool::get*",
    "deadpool::*Pool::timeout_get",
    "sqlx_core::pool::*Pool*::acquire*",
    "sqlx::pool::*Pool*::acquire*",
    "mobc::Pool::get*",
    "mysql::*Pool::get_conn*",
    "diesel::r2d2::*::get*",
];

/// Pools that open what is not there while the borrower waits; and what does so.
const OPENS: &[(&str, &str)] =
    &[("net/http.(*Transport).getConn", "net/http.(*Transport).dialConn*")];

/// What a method that takes something out of a pool is called, in its first word.
const BORROW_VERBS: &[&str] =
    &["acquire", "borrow", "checkout", "check", "get", "lease", "obtain", "take"];

/// Pools with one of these words in their name hold threads, memory or texts: nothing to borrow.
const NOT_BORROWED_FROM: &[&str] = &[
    "thread", "worker", "fork", "executor", "task", "string", "constant", "memory", "buffer", "job",
];

/// Functions of a resource in use: whoever is inside one has borrowed it.
const KNOWN_USES: &[&str] = &[
    "com.zaxxer.hikari.pool.*Proxy*.*",
    "org.apache.commons.dbcp*.Delegating*.*",
    "org.apache.commons.dbcp*.PoolGuardConnectionWrapper.*",
    "org.apache.tomcat.jdbc.pool.*Proxy*.*",
    "com.mchange.v2.c3p0.impl.NewProxy*.*",
    "com.alibaba.druid.pool.DruidPooled*.*",
    "database/sql.(*Tx).Commit*",
    "database/sql.(*Tx).Exec*",
    "database/sql.(*Tx).Prepare*",
    "database/sql.(*Tx).Query*",
    "database/sql.(*Tx).Rollback*",
    "database/sql.(*Conn).*",
    "database/sql.(*DB).*DC",
    "database/sql.(*Rows).Next*",
    "database/sql.(*Rows).Scan*",
    "database/sql.(*Rows).Close*",
    "net/http.(*persistConn).roundTrip",
    "net/http.(*body).Read*",
    "net/http.(*bodyEOFSignal).*",
    "r2d2::PooledConnection::*",
    "bb8::*PooledConnection::*",
    "sqlx_core::pool::connection::PoolConnection::*",
];

/// Waiting for one of a semaphore's permits. Some stand for what a pool lends, others are signals:
/// the function that asks for them tells.
const WAITS_FOR_PERMIT: &[&str] = &["java.util.concurrent.Semaphore.*cquire*"];

/// Waiting to be told that something has come back, or for it itself. Much else is waited for like this.
const WAITS_FOR_RETURN: &[&str] = &[
    "java.lang.Object.wait*",
    "java.util.concurrent.locks.*ConditionObject.await*",
    "java.util.concurrent.*Queue.take",
    "java.util.concurrent.*Queue.poll",
    "java.util.concurrent.*Deque.take*",
    "java.util.concurrent.*Deque.poll*",
    "std::sync::*ondvar::wait*",
    "std::sync::mpsc::*Receiver::recv*",
    "parking_lot::condvar::Condvar::wait*",
    "crossbeam_channel::*Receiver::recv*",
    "sync.(*Cond).Wait",
];

/// Those of them that hand out what is in a queue.
const TAKES_ITEM: &[&str] = &[
    "java.util.concurrent.*Queue.take",
    "java.util.concurrent.*Queue.poll",
    "java.util.concurrent.*Deque.take*",
    "java.util.concurrent.*Deque.poll*",
];

/// Methods that lend, by their first word; and those that do when they name what they lend.
const LENDS: &[&str] = &["borrow", "checkout", "lease", "lend", "loan", "obtain"];
/// Those that mean nothing else.
const ONLY_LENDS: &[&str] = &["borrow", "lease", "lend", "loan"];
const LENDS_BY_NAME: &[&str] = &["acquire", "check", "get", "take"];
const LENT: &[&str] = &["out", "connection", "conn", "session", "client", "socket"];
const LENT_THINGS: &[&str] = &["connection", "conn", "session", "client", "socket", "channel"];
/// Methods that lend what their type keeps, by their first word; and types that keep things to lend, by a word of their
/// names: several of them, or one with a word for keeping.
const LENDS_KEPT: &[&str] = &["acquire", "borrow", "current", "lease", "lend", "loan", "obtain"];
const KEPT: &[&str] = &["connections", "conns", "sessions", "clients", "sockets", "channels"];
const KEEPS: &[&str] = &["factory", "holder", "manager", "provider", "source", "store"];

/// Methods that do something with what they lend, and take it back themselves, by their first word.
const LENDS_AROUND: &[&str] = &["with", "use", "using"];

/// Queues that everyone knows, by the functions that wait for room.
const KNOWN_SUBMITS: &[&str] = &[
    "java.util.concurrent.*Queue.put",
    "java.util.concurrent.*Queue.offer",
    "java.util.concurrent.*Deque.put*",
    "java.util.concurrent.*Deque.offer*",
    "java.util.concurrent.SubmissionPublisher.submit",
    "java.util.concurrent.SubmissionPublisher.offer",
    "std::sync::mpsc::SyncSender::send",
    "std::sync::mpmc::Sender::send",
    "crossbeam_channel::*Sender::send*",
    "flume::*Sender::send*",
    "tokio::sync::mpsc::*blocking_send",
    "com.lmax.disruptor.*Sequencer.next",
];

/// What handing over is called, in a method's first word.
const SUBMIT_VERBS: &[&str] =
    &["add", "enqueue", "execute", "offer", "push", "put", "send", "submit"];

/// Types that take work have one of these words in their name.
const TAKE_WORK: &[&str] = &["queue", "channel", "mailbox", "inbox", "backlog"];

/// What taking the work out again is called.
const TAKE_VERBS: &[&str] = &["dequeue", "next", "poll", "pop", "receive", "recv", "take"];

/// What waiting for room is called where one thing or a few have a place, in a method's first word; and what waiting
/// for such a thing is.
const GIVES: &[&str] = &["give", "insert", "produce"];
const TAKES: &[&str] = &["consume", "get", "remove"];

/// Waiting for the result of work that was handed to others.
const RESULTS: &[&str] = &[
    "java.util.concurrent.FutureTask.get",
    "java.util.concurrent.ExecutorCompletionService.take",
    "java.util.concurrent.CompletableFuture.get",
    "java.util.concurrent.CompletableFuture.join",
    "java.util.concurrent.AbstractExecutorService.invoke*",
    "com.google.common.util.concurrent.*Future.get",
    "java.util.concurrent.ForkJoinTask.get*",
    "java.util.concurrent.ForkJoinTask.*waitDone",
    "java.util.concurrent.ForkJoinPool.awaitJoin",
    "scala.concurrent.Await*.result",
    "io.netty.util.concurrent.DefaultPromise.await*",
    "io.reactivex.*.Blocking*.blocking*",
    "kotlinx.coroutines.BlockingCoroutine.joinBlocking",
    "reactor.core.publisher.Blocking*.blocking*",
];

/// A pool's worker runs a task inside of these.
const RUNS_TASKS: &[&str] = &[
    "java.util.concurrent.ThreadPoolExecutor.runWorker",
    "java.util.concurrent.ForkJoinPool.runWorker",
    "java.util.concurrent.FutureTask.run*",
    "java.util.concurrent.CompletableFuture$Async*.run",
    "org.eclipse.jetty.util.thread.QueuedThreadPool*.run*",
    "org.apache.tomcat.util.threads.ThreadPoolExecutor.runWorker",
    "org.jboss.threads.EnhancedQueueExecutor$ThreadBody.*",
    "weblogic.work.ExecuteThread.run",
    "threadpool::*",
    "rayon_core::registry::*",
];

/// Those of them that nothing but a worker brings, by running the task.
const RESULTS_OF_TASKS: &[&str] = &[
    "java.util.concurrent.FutureTask.get",
    "java.util.concurrent.ExecutorCompletionService.take",
    "java.util.concurrent.AbstractExecutorService.invoke*",
    "com.google.common.util.concurrent.TrustedListenableFutureTask.get",
    "java.util.concurrent.ForkJoinTask.*waitDone",
    "java.util.concurrent.ForkJoinPool.awaitJoin",
];

/// Whether a normalized function waits for a task that only a worker can do.
pub(crate) fn is_task_result(function: &str) -> bool {
    matches_any(RESULTS_OF_TASKS, function)
}

/// Whether a normalized function hands work to a queue that may be full.
pub(crate) fn is_submit(function: &str, name: FunctionName) -> bool {
    matches_any(KNOWN_SUBMITS, function)
        || is_of_queue(name, SUBMIT_VERBS) && !function.starts_with("java.")
}

/// Whether a normalized function takes work out of a queue.
pub(crate) fn is_take(name: FunctionName) -> bool {
    is_of_queue(name, TAKE_VERBS)
}

/// Whether a normalized function waits for the result of work that others do.
pub(crate) fn is_result(function: &str) -> bool {
    matches_any(RESULTS, function)
}

/// Whether a normalized function runs the tasks of a pool.
pub(crate) fn runs_tasks(function: &str) -> bool {
    matches_any(RUNS_TASKS, function)
}

/// Whether a function's name says that it gives something to an object of which others take it.
pub(crate) fn gives(name: FunctionName) -> bool {
    begins_with_word(name.method, SUBMIT_VERBS) || begins_with_word(name.method, GIVES)
}

/// Whether a function's name says that it takes what others give.
pub(crate) fn takes(name: FunctionName) -> bool {
    begins_with_word(name.method, TAKE_VERBS) || begins_with_word(name.method, TAKES)
}

fn is_of_queue(name: FunctionName, verbs: &[&str]) -> bool {
    let is = |list: &[&str], word: &String| list.contains(&word.as_str());
    begins_with_word(name.method, verbs)
        && words(name.type_name).iter().any(|word| is(TAKE_WORK, word))
}

/// Whether a normalized function takes a resource out of a pool.
pub(crate) fn is_borrow(function: &str, name: FunctionName) -> bool {
    matches_any(KNOWN_BORROWS, function) || is_borrow_by_words(name)
}

/// Whether a normalized function waits for a permit of a semaphore.
pub(crate) fn waits_for_permit(function: &str) -> bool {
    matches_any(WAITS_FOR_PERMIT, function)
}

/// Whether a normalized function's name says that it lends something: `Sessions.borrow`,
/// `Db.getConnection`. Then the permit that it waits for stands for what it lends.
pub(crate) fn lends(name: FunctionName) -> bool {
    begins_with_word(name.method, LENDS)
        || begins_with_word(name.method, LENDS_BY_NAME) && is_about(name, LENT)
}

/// Whether a normalized function takes the next thing out of a queue, and waits for it.
pub(crate) fn takes_item(function: &str) -> bool {
    matches_any(TAKES_ITEM, function)
}

/// Whether a normalized function waits to be told of something, or for it to come.
pub(crate) fn waits_for_return(function: &str) -> bool {
    matches_any(WAITS_FOR_RETURN, function)
}

/// What opens what a function borrows, where borrowers wait for that as well.
pub(super) fn opener(borrow: &str) -> Option<&'static str> {
    OPENS.iter().find(|(name, _)| *name == borrow).map(|&(_, opener)| opener)
}

/// Whether a normalized function's name says what it lends: `DataSource.getConnection`, `Db.takeSession`,
/// `Sessions.current`. A method that makes one does not wait to be told of it.
pub(crate) fn lends_by_name(name: FunctionName) -> bool {
    let lends = |verbs| begins_with_word(name.method, verbs);
    lends(ONLY_LENDS)
        || (lends(LENDS) || lends(LENDS_BY_NAME)) && is_about(name, LENT_THINGS)
        || lends(LENDS_KEPT) && keeps_to_lend(name)
}

/// Whether a normalized function's name says that it lends something for as long as it runs, and takes it back itself:
/// `Sessions.with`, `Db.withConnection`, `SessionPool.use`.
pub(crate) fn lends_around(name: FunctionName) -> bool {
    begins_with_word(name.method, LENDS_AROUND)
        && (is_about(name, LENT_THINGS) || keeps_to_lend(name) || is_of_pool(name))
}

/// Whether a type's name says that it keeps things to lend. Who takes the next of several to serve it is no borrower:
/// what the method is called tells.
fn keeps_to_lend(name: FunctionName) -> bool {
    let inner = name.type_name.rsplit('$').next().unwrap_or(name.type_name);
    let of_type = words(inner);
    let has = |list: &[&str]| of_type.iter().any(|word| list.contains(&word.as_str()));
    has(KEPT) || has(LENT_THINGS) && has(KEEPS)
}

/// Whether the words behind a method's first say one of these.
fn is_about(name: FunctionName, things: &[&str]) -> bool {
    words(name.method).iter().skip(1).any(|word| things.contains(&word.as_str()))
}

/// Whether a normalized function belongs to a pooled resource in use.
pub(crate) fn is_use(function: &str) -> bool {
    matches_any(KNOWN_USES, function)
}

/// `order::ConnectionPool::acquire_timeout`, `db.(*Pool).Get`, `shop.SessionPool.checkOut`.
fn is_borrow_by_words(name: FunctionName) -> bool {
    begins_with_word(name.method, BORROW_VERBS) && is_of_pool(name)
}

/// Whether a type's name says that it is a pool of something that is lent.
fn is_of_pool(name: FunctionName) -> bool {
    let is = |list: &[&str], word: &String| list.contains(&word.as_str());
    let of_what = words(name.type_name);
    of_what.iter().any(|word| word == "pool")
        && !of_what.iter().any(|word| is(NOT_BORROWED_FROM, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lends_is_known_by_verb_or_by_what_it_lends() {
        for function in ["shop.Sessions.borrow", "shop.Db.getConnection", "shop.Db.checkOut"] {
            assert!(lends(FunctionName::of(function)), "{function}");
        }
        for function in ["shop.Inbox.get", "shop.Limiter.acquire", "shop.Db.checkRoom", "main"] {
            assert!(!lends(FunctionName::of(function)), "{function}");
        }
    }

    #[test]
    fn what_is_lent_may_be_named() {
        for function in [
            "shop.DataSource.getConnection",
            "main.(*store).takeConn",
            "shop::Db::borrow_session",
            "shop.Web$Sessions.current",
            "shop.ClientProvider.obtain",
            "main.(*Connections).Acquire",
        ] {
            assert!(lends_by_name(FunctionName::of(function)), "{function}");
        }
        for function in [
            "shop.Cart.checkout",
            "shop.Inbox.take",
            "shop.Connection.get",
            "shop.Db.connection",
            "shop.Sessions.next",
            "shop.Connections.take",
            "shop.Clock.current",
            "shop.Session.current",
        ] {
            assert!(!lends_by_name(FunctionName::of(function)), "{function}");
        }
    }

    #[test]
    fn what_is_lent_for_as_long_as_a_function_runs() {
        for function in [
            "shop.Db$Sessions.with",
            "shop.Db.withConnection",
            "db.(*ClientPool).Use",
            "shop::Connections::with",
        ] {
            assert!(lends_around(FunctionName::of(function)), "{function}");
        }
        for function in [
            "shop.Request.with",
            "shop.Session.withTimeout",
            "shop.ThreadPool.with",
            "shop.Sessions.without",
            "std::thread::LocalKey::with",
        ] {
            assert!(!lends_around(FunctionName::of(function)), "{function}");
        }
    }

    #[test]
    fn borrows_are_known_by_pool_and_verb() {
        for function in [
            "com.zaxxer.hikari.pool.HikariPool.getConnection",
            "org.apache.commons.pool2.impl.GenericObjectPool.borrowObject",
            "database/sql.(*DB).conn",
            "r2d2::Pool::get_timeout",
            "victim::connection_pool::ConnectionPool::acquire",
            "victim::connection_pool::ConnectionPool::acquire_timeout",
            "db.(*Pool).Get",
            "github.com/acme/shop.(*ClientPool).Checkout",
            "shop.SessionPool.checkOut",
            "order::pool::take",
        ] {
            assert!(is_borrow(function, FunctionName::of(function)), "{function}");
        }
    }

    #[test]
    fn other_pools_and_other_methods_are_not() {
        for function in [
            "java.util.concurrent.ThreadPoolExecutor.getTask",
            "java.util.concurrent.ForkJoinPool.getParallelism",
            "rayon_core::ThreadPool::get",
            "sync.(*BufferPool).Get",
            "victim::connection_pool::ConnectionPool::release",
            "shop.SessionPool.getter",
            "shop.Cache.get",
            "pool",
        ] {
            assert!(!is_borrow(function, FunctionName::of(function)), "{function}");
        }
    }

    #[test]
    fn queues_are_known_by_type_and_verb() {
        for function in [
            "java.util.concurrent.ArrayBlockingQueue.put",
            "std::sync::mpsc::SyncSender::send",
            "victim::order_service::request_queue::RequestQueue::push",
        ] {
            assert!(is_submit(function, FunctionName::of(function)), "{function}");
        }
        let pop = "victim::order_service::request_queue::RequestQueue::pop";
        assert!(is_take(FunctionName::of(pop)));
        for function in ["java.util.ArrayList.add", "shop.Cart.push", "net.(*conn).send"] {
            assert!(!is_submit(function, FunctionName::of(function)), "{function}");
        }
    }

    #[test]
    fn a_proxy_on_the_stack_shows_a_resource_in_use() {
        assert!(is_use("com.zaxxer.hikari.pool.HikariProxyPreparedStatement.execute"));
        assert!(is_use("database/sql.(*DB).queryDC"));
        assert!(!is_use("com.zaxxer.hikari.pool.HikariPool.getConnection"));
    }
}
