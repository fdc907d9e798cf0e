//! Who waits for an answer from outside of the process, and where it asked.
//!
//! A server's connection that waits for the next request reads from a peer as well. So a member
//! counts only where a client library is on its stack, or where the program's own function that
//! reads says by its name that it asks.

use std::collections::HashSet;

use sigquit_dump::StackId;

use super::activity::Activity;
use super::call::{Call, CallId, Origin};
use super::incident::{Incident, MemberId};
use super::name::{FunctionName, begins_with_word, words};
use super::pattern::matches_any;

/// Functions that ask a peer and wait for its answer.
const CLIENTS: &[&str] = &[
    "com.microsoft.sqlserver.jdbc.*",
    "com.mongodb.internal.connection.*",
    "com.mysql.*",
    "feign.*",
    "io.grpc.stub.ClientCalls.*",
    "com.datastax.oss.driver.internal.core.util.concurrent.CompletableFutures.getUninterruptibly",
    "com.rabbitmq.client.impl.AMQChannel*",
    "io.lettuce.core.FutureSyncInvocationHandler.*",
    "io.lettuce.core.LettuceFutures.await*",
    "io.lettuce.core.internal.Futures.await*",
    "org.apache.kafka.clients.producer.KafkaProducer.doSend",
    "org.apache.kafka.clients.producer.KafkaProducer.flush",
    "org.apache.kafka.clients.producer.internals.FutureRecordMetadata.get",
    "org.eclipse.jetty.client.HttpRequest.send",
    "org.eclipse.jetty.client.*ResponseListener.get",
    "org.elasticsearch.client.RestClient.performRequest*",
    "org.redisson.command.*.get*",
    "net.spy.memcached.*.get",
    "java.net.Inet*AddressImpl.lookup*",
    "java.net.HttpURLConnection.getResponseCode",
    "jdk.internal.net.http.HttpClientImpl.send",
    "okhttp3.*Call.execute",
    "oracle.jdbc.*",
    "org.apache.hc.client5.*.execute*",
    "org.apache.http.impl.client.*.execute",
    "org.mariadb.jdbc.*",
    "org.postgresql.*",
    "org.springframework.web.client.RestTemplate.*",
    "redis.clients.jedis.*",
    "sun.net.www.protocol.http.HttpURLConnection.getInputStream*",
    "database/sql.(*DB).exec*",
    "database/sql.(*DB).query*",
    "database/sql.(*Tx).Commit*",
    "database/sql.(*Tx).Exec*",
    "database/sql.(*Tx).Prepare*",
    "database/sql.(*Tx).Query*",
    "database/sql.(*Tx).Rollback*",
    "github.com/go-sql-driver/mysql.(*mysqlConn).*",
    "github.com/jackc/pgx*",
    "github.com/lib/pq.*",
    "github.com/redis/go-redis*.(*Client).*",
    "google.golang.org/grpc.(*ClientConn).Invoke",
    "net.(*Dialer).Dial*",
    "net/http.(*Client).do",
    "net/http.(*Transport).roundTrip",
    "net/rpc.(*Client).Call",
    "net/smtp.*",
    "hyper::client::*",
    "hyper_util::client::*",
    "mysql::*",
    "mysql_async::*",
    "postgres::*",
    "redis::*",
    "reqwest::*",
    "sqlx*::*",
    "tokio_postgres::*",
    "tonic::client::*",
    "ureq::*",
];

/// Functions that hand something to a peer, and wait while it does not take it.
const WRITES: &[&str] = &[
    "java.net.Socket$SocketOutputStream.*",
    "java.net.SocketOutputStream.*",
    "sun.nio.ch.NioSocketImpl.*rite*",
    "sun.nio.ch.SocketDispatcher.write*",
    "internal/poll.(*FD).Write*",
    "*__send*",
    "send",
    "sendmsg",
    "sendto",
];
/// The same where what takes it is a pipe or a terminal.
const WRITES_A_FILE: &[&str] = &["os.(*File).*"];

/// How a goroutine reads from a connection, and how it waits for the next one.
const READS: &str = "net.(*conn).Read";
const TAKES: &str = "internal/poll.(*FD).Accept";
/// Reading what comes piece by piece, for as long as it likes: the body of an answer that has begun, lines.
const STREAMS: &[&str] = &["net/http.*", "bufio.(*Scanner).*"];
/// Reading until it is complete.
const WHOLE: &[&str] = &["encoding/json.(*Decoder).Decode", "io.ReadAll", "io.ReadFull"];

/// What asking is called, in a method's words.
const ASKS: &[&str] = &[
    "ask",
    "call",
    "charge",
    "exchange",
    "execute",
    "fetch",
    "invoke",
    "lookup",
    "query",
    "request",
    "roundtrip",
    "rpc",
    "trip",
];

/// What is asked for.
const ANSWERS: &[&str] = &["answer", "reply", "response", "result"];

/// What those do who are asked, in a method's first word: they read requests.
const SERVES: &[&str] = &[
    "accept", "answer", "dispatch", "reply", "respond", "await", "handle", "listen", "loop",
    "next", "parse", "poll", "process", "read", "receive", "recv", "run", "serve",
];

/// What those do who are asked, while they do it.
const GIVES_ANSWERS: &[&str] =
    &["answer", "dispatch", "handle", "process", "reply", "respond", "serve"];

impl Incident {
    /// The function in which a member waits for an answer from outside of the process: the
    /// program's own innermost one, or the client library's where there is none.
    pub fn asks_peer(&self, id: MemberId, dump: usize) -> Option<&Call> {
        let calls = || self.calls(id, dump).zip(self.marks(id, dump));
        let is_own = |call: &Call| call.origin == Origin::Application;
        let own = calls().find(|(call, _)| is_own(call));
        let inner = calls().take_while(|(call, _)| !is_own(call));
        // Who waits for a connection of a pool has asked nobody yet.
        if self.borrow(id, dump).is_some() {
            return None;
        }
        let client = inner.filter(|(_, marks)| marks.client).last();
        let asks = own.is_some_and(|(_, marks)| marks.asks);
        if client.is_none() && !asks {
            return None;
        }
        let waits = match self.activity(id, dump) {
            Activity::Network => true,
            Activity::Event => client.is_some(),
            _ => false,
        };
        own.or(client).map(|(call, _)| call).filter(|_| waits)
    }

    /// The function of the program's own in which a member reads from a connection on behalf of a pool's task, where
    /// no name says whether it asks or is asked.
    pub fn reads_for_task(&self, id: MemberId, dump: usize) -> Option<&Call> {
        let own = self.application_calls(id, dump).next()?;
        let reads = self.activity(id, dump) == Activity::Network
            && self.idle(id, dump).is_none()
            && self.runs_task(id, dump);
        (reads && !serves(FunctionName::of(&own.function))).then_some(own)
    }

    /// The same of a goroutine that was made in another function than in those given, in which connections are taken.
    /// What comes piece by piece may be late by design.
    pub fn reads_on_its_own(
        &self,
        id: MemberId,
        dump: usize,
        takers: &HashSet<&str>,
    ) -> Option<&Call> {
        let own = self.application_calls(id, dump).next()?;
        let maker = self.creator(id, dump)?;
        let is_asked = |call: &Call| serves(FunctionName::of(&call.function));
        let mut inner = self.calls(id, dump).take_while(|call| call.origin != Origin::Application);
        let reads = self.activity(id, dump) == Activity::Network
            && self.idle(id, dump).is_none()
            && inner.clone().any(|call| call.function == READS)
            && (inner.clone().any(|call| matches_any(WHOLE, &call.function))
                || !inner.any(|call| matches_any(STREAMS, &call.function)));
        let asked = is_asked(own) || is_asked(maker) || takers.contains(maker.function.as_str());
        (reads && !asked).then_some(own)
    }

    /// The functions of the program's own in which goroutines wait for connections in a dump.
    pub fn takers_of_connections(&self, dump: usize) -> HashSet<&str> {
        let takers = self.found(dump, |id| self.is_inside(id, dump, TAKES).then_some(()));
        let own = takers.flat_map(|(id, ())| self.application_calls(id, dump));
        own.map(|call| call.function.as_str()).collect()
    }

    /// The function of the program's own in which a member writes to a connection.
    pub fn writes_to_peer(&self, id: MemberId, dump: usize) -> Option<&Call> {
        if self.activity(id, dump) != Activity::Network || self.idle(id, dump).is_some() {
            return None;
        }
        let own = self.application_calls(id, dump).next()?;
        let inner = self.calls(id, dump).take_while(|call| call.origin != Origin::Application);
        let within = |list| inner.clone().any(|call| matches_any(list, &call.function));
        (within(WRITES) && !within(WRITES_A_FILE)).then_some(own)
    }
}

/// Whether a function of a library asks a peer and waits for its answer.
pub(super) fn is_client(function: &str) -> bool {
    matches_any(CLIENTS, function)
}

/// How one connects to a peer.
const CONNECTS: &[&str] = &[
    "__connect",
    "connect",
    "java.net.Socket.connect",
    "sun.nio.ch.SocketChannelImpl.connect",
    "net.(*Dialer).DialContext",
    "std::net::tcp::TcpStream::connect*",
    "std::os::unix::net::stream::UnixStream::connect*",
];

/// The calls, by their numbers, of the program's own functions within which somebody connects to a peer: who makes a
/// connection is the one who asks on it, whatever the function is called.
pub(super) fn of_those_who_connect(incident: &Incident) -> Vec<usize> {
    let connects: Vec<bool> =
        incident.all_calls().iter().map(|call| matches_any(CONNECTS, &call.function)).collect();
    if !connects.contains(&true) {
        return Vec::new();
    }
    let is_own = |call: &&(CallId, u32)| incident.call(call.0).origin == Origin::Application;
    let mut functions: HashSet<&str> = HashSet::new();
    for (at, dump) in incident.dumps.iter().enumerate() {
        for stack in 0..dump.stacks.len() as u32 {
            let calls = incident.calls_of_stack(at, StackId(stack));
            let mut inner = calls.iter().take_while(|call| !is_own(call));
            if inner.any(|&(call, _)| connects[call.0 as usize])
                && let Some(&(own, _)) = calls.iter().find(is_own)
            {
                functions.insert(&incident.call(own).function);
            }
        }
    }
    let own = incident.all_calls().iter().enumerate();
    own.filter(|(_, call)| functions.contains(call.function.as_str())).map(|(at, _)| at).collect()
}

/// Whether a function asks somebody, by its name.
pub(super) fn asks(name: FunctionName) -> bool {
    let words = words(name.method);
    let is_of = |list: &[&str], word: &String| list.contains(&word.as_str());
    // `readReply` waits for an answer, and `reply` makes one.
    let awaits_answer = words.iter().skip(1).any(|word| is_of(ANSWERS, word));
    awaits_answer || words.iter().any(|word| is_of(ASKS, word)) && !serves(name)
}

/// Whether a function asks another part of the program, by its name: it begins with the word.
pub(crate) fn asks_by_name(function: &str) -> bool {
    begins_with_word(FunctionName::of(function).method, ASKS)
}

/// Whether a function is asked, by its name: it answers, and does not merely take what comes.
pub(crate) fn serves_by_name(function: &str) -> bool {
    begins_with_word(FunctionName::of(function).method, GIVES_ANSWERS)
}

/// Whether a function is asked, by its name.
fn serves(name: FunctionName) -> bool {
    begins_with_word(name.method, SERVES)
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use crate::model::scene::Scene;

    fn place(frames: &[&str]) -> Option<String> {
        let scene = Scene::of(Runtime::Jvm).dump(0, |dump| _ = dump.thread("t", frames));
        let incident = scene.incident();
        incident.asks_peer(incident.named("t"), 0).map(|call| call.function.clone())
    }

    const READ: &str = "sun.nio.ch.SocketDispatcher.read0";

    #[test]
    fn a_client_waits_for_an_answer() {
        let own = place(&[READ, "shop.Wire.roundTrip", "shop.Orders.place"]);
        assert_eq!(own.as_deref(), Some("shop.Wire.roundTrip"));
        let driver = place(&[READ, "org.postgresql.core.PGStream.receiveChar", "shop.Stock.of"]);
        assert_eq!(driver.as_deref(), Some("shop.Stock.of"));
        let reply = place(&[READ, "shop.Wire.readReply"]);
        assert_eq!(reply.as_deref(), Some("shop.Wire.readReply"));
    }

    #[test]
    fn a_client_whose_answer_another_thread_reads_waits_in_the_process() {
        const PARK: &str = "java.util.concurrent.locks.LockSupport.park";
        let waits = |function: &str| {
            let stack =
                [PARK, "java.util.concurrent.CountDownLatch.await", function, "shop.Stock.of"];
            let scene = Scene::of(Runtime::Jvm).dump(0, |dump| {
                dump.thread("t", &stack).state = sigquit_dump::ThreadState::Waiting;
            });
            let incident = scene.incident();
            incident.asks_peer(incident.named("t"), 0).is_some()
        };
        for client in [
            "io.lettuce.core.FutureSyncInvocationHandler.handleInvocation",
            "com.rabbitmq.client.impl.AMQChannel.privateRpc",
            "org.apache.kafka.clients.producer.internals.FutureRecordMetadata.get",
            "org.eclipse.jetty.client.util.InputStreamResponseListener.get",
        ] {
            assert!(waits(client), "{client}");
        }
        assert!(
            !waits("org.apache.kafka.clients.consumer.KafkaConsumer.poll"),
            "it waits for work"
        );
        assert!(!waits("io.lettuce.core.resource.DefaultEventLoopGroupProvider.shutdown"));
    }

    #[test]
    fn who_waits_for_a_connection_has_asked_nobody_yet() {
        let stack = ["runtime.selectgo", "database/sql.(*DB).conn", "database/sql.(*DB).query"];
        let scene = Scene::of(Runtime::Go).dump(0, |dump| {
            dump.thread("waits", &stack).state = sigquit_dump::ThreadState::Waiting;
            dump.thread("asks", &["runtime.selectgo", stack[2]]).state =
                sigquit_dump::ThreadState::Waiting;
        });
        let incident = scene.incident();
        let asks = |name| incident.asks_peer(incident.named(name), 0).is_some();
        assert!(asks("asks") && !asks("waits"));
    }

    #[test]
    fn who_connects_asks_whatever_it_is_called() {
        let incident = |outer: &str| {
            let scene = Scene::of(Runtime::Rust).dump(0, |dump| {
                dump.thread("reads", &["recv", "shop::upload:9"]);
                dump.thread("other", &["__connect", outer]);
            });
            let incident = scene.incident();
            incident.asks_peer(incident.named("reads"), 0).is_some()
        };
        assert!(incident("shop::upload:7"));
        assert!(!incident("shop::dial:3"), "who connects is another one");
    }

    #[test]
    fn a_server_waits_for_requests_and_others_for_nobody_outside() {
        assert_eq!(place(&[READ, "shop.Server.readRequest", "shop.Server.run"]), None);
        assert_eq!(place(&[READ, "shop.Server.serve"]), None);
        assert_eq!(place(&[READ, "shop.Server.answer"]), None);
        assert_eq!(place(&["shop.Wire.roundTrip"]), None, "it computes");
        assert_eq!(place(&["java.lang.Thread.sleep", "shop.Wire.call"]), None);
    }
}
