//! Many wait for the same peer outside of the process.

use std::collections::{BTreeMap, HashMap, HashSet};

use sigquit_dump::Nanos;

use super::{Detector, Evidence, Finding, Grade, Severity, forsaken, phrase};
use crate::model::pattern::matches_any;
use crate::model::{Activity, Incident, MemberId, Sort};

pub(super) const DETECTOR: Detector =
    Detector { name: "downstream-stall", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# downstream-stall

Many threads or tasks wait for an answer at one place, and none comes: the peer that they ask, a
database or another service, is slow or silent. The cause lies outside of this process.

## Evidence

- Five members at least, and a quarter of all that are not idle (not counting those who wait throughout to hand
  something on, perhaps to these), that wait in one function for an
  answer: in a client library's functions, or in a function of the program's own that reads from a
  connection and says by its name that it asks.
- Five of them in that same call in every dump, and, where CPU time is counted, without having used
  any: who asks again and again uses some. Of Go, whose dumps count none, the arguments on the stacks tell: who asks anew
  has others each time. They are half at least of those who waited there in the
  first dump.

- Low, as slow or asked much: ten and half of all that are not idle wait there in every one of three dumps, and go on in
  between.
- Low, and said to be unknown: five that wait for child processes, that write to connections, or that read from
  connections for tasks of a pool, or as goroutines that were not made where connections are taken, in functions whose
  names say neither that they ask nor that they are asked, each in one call over three dumps.

High when there are ten and half of all that are not idle, over three dumps; medium otherwise; low in
one dump, which cannot tell a wait from a stall.

## Limits

- That one function asks one peer is an assumption. The agent's dumps say where the process has connected to; those
  of JVMs and of Go do not, nor do debuggers'.
- Which process it is that does not answer is told only where its own dumps, taken by its agent within a minute, are
  read too: then what is wrong there is the cause. It is tied by the two ends of a connection, or on one machine by
  the address at which it listens, and not where it waits on that connection itself. Names and times tie nothing.
- Where nothing is counted, a client that asks anew in every dump at the same line looks the same; then
  three dumps are needed.
- A server that asks itself with all of its workers looks like one whose peer is silent; where all workers of a pool that
  answers requests wait, the finding says so.
- Network trouble on the way looks like a peer that is silent.

## What to do

Look at the peer: its own dumps, its queries and locks, its load. Give the calls a timeout that is below
the patience of those who wait here, and let them fail fast while it lasts. Restarting this process
helps only where connections are half dead.
";

/// Fewer are a slow call or two.
const SOME: usize = 5;
const MANY: usize = 10;
/// Within these a server's worker answers a request.
const SERVERS: &[&str] = &[
    "com.sun.net.httpserver.Filter$Chain.doFilter",
    "io.undertow.server.Connectors.executeRootHandler",
    "org.apache.coyote.*.service",
    "org.eclipse.jetty.server.*.handle",
    "sun.net.httpserver.ServerImpl$Exchange.run",
];
/// So much CPU time in all shows that a member went on between the dumps. To answer a dump costs
/// less.
const WENT_ON: Nanos = Nanos(5_000_000);
/// Dumps in which a place has to be the same where no counter tells of progress.
const UNCOUNTED: usize = 3;

fn detect(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let mut places: BTreeMap<&str, Vec<MemberId>> = BTreeMap::new();
    for (id, call) in incident.found(newest, |id| incident.asks_peer(id, newest)) {
        places.entry(&call.function).or_default().push(id);
    }
    let of_place = |(place, members): (&str, Vec<MemberId>)| {
        finding(incident, place, &members).or_else(|| slow(incident, place, members))
    };
    places.into_iter().filter_map(of_place).chain(unexplained(incident)).collect()
}

/// Many that wait for something outside of the process, in one place and one call throughout, of which nothing says
/// that it is late: child processes, peers that do not take what they are sent, and connections on which no name
/// tells who asks. Who sends to slow readers, as a server of large files does, looks like the second.
fn unexplained(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    if incident.dumps.len() < UNCOUNTED {
        return Vec::new();
    }
    let mut places: BTreeMap<(Awaited, &str), Vec<MemberId>> = BTreeMap::new();
    let mut known: HashMap<Sort, Option<(Awaited, &str)>> = HashMap::new();
    let takers = incident.takers_of_connections(newest);
    for id in incident.shown(newest) {
        let Some(sort) = incident.sort(id, newest) else { continue };
        let awaited = known.entry(sort).or_insert_with(|| awaits(incident, id, newest, &takers));
        if let Some(place) = awaited.filter(|_| incident.waits_throughout(id)) {
            places.entry(place).or_default().push(id);
        }
    }
    let many =
        |members: &[MemberId]| members.len() >= SOME && members.len() * 4 >= incident.busy(newest);
    places.retain(|_, members| many(members));
    places.into_iter().map(|((what, place), ids)| not_told(incident, what, place, ids)).collect()
}

/// What is waited for outside of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Awaited {
    Child,
    Reader,
    Connection,
}

fn awaits<'a>(
    incident: &'a Incident,
    id: MemberId,
    dump: usize,
    takers: &HashSet<&str>,
) -> Option<(Awaited, &'a str)> {
    if incident.asks_peer(id, dump).is_some() {
        return None;
    }
    if incident.activity(id, dump) == Activity::ChildProcess {
        let own = incident.application_calls(id, dump).next()?;
        return Some((Awaited::Child, &own.function));
    }
    if let Some(own) = incident.writes_to_peer(id, dump) {
        return Some((Awaited::Reader, &own.function));
    }
    let reads = incident.reads_for_task(id, dump);
    let reads = reads.or_else(|| incident.reads_on_its_own(id, dump, takers));
    reads.map(|own| (Awaited::Connection, own.function.as_str()))
}

fn not_told(incident: &Incident, what: Awaited, place: &str, members: Vec<MemberId>) -> Finding {
    let newest = incident.dumps.len() - 1;
    let who = phrase::count(incident, &members);
    let dumps = phrase::number(newest + 1, "dump");
    let (headline, next_step) = match what {
        Awaited::Child => (
            format!("{who} wait in {place} for child processes; whether these get on is not known"),
            format!(
                "Look at the children (`ps --ppid`, `top`): do they use CPU, or wait for somebody to read what \
                 they write? Read the output of each while it runs, and give the wait in {place} a timeout."
            ),
        ),
        Awaited::Reader => (
            format!(
                "{who} write to connections in {place} and nothing is taken; whether their peers have stopped to \
                 read or are slow is not known"
            ),
            format!(
                "Look at who is at the other end (`ss -tnp`: what waits in Send-Q?), and whether that one waits to \
                 write as well: two that only write wait for each other. Give the write in {place} a timeout."
            ),
        ),
        Awaited::Connection => (
            format!(
                "{who} read from connections in {place} and nothing comes; whether their peers are late or \
                 have nothing to say is not known"
            ),
            format!(
                "Look at who is at the other end (`ss -tnp`), and whether it owes an answer. If so, give \
                 the read in {place} a timeout."
            ),
        ),
    };
    Finding {
        detector: DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Repeat,
        confidence: Grade::Repeat.cap() - 0.2,
        headline,
        detail: format!("Each is in the same call in all of {dumps}."),
        next_step,
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![forsaken::standstill(incident, &members)],
        members,
        ..Finding::default()
    }
}

/// Who stayed in its call throughout, and how that is known.
struct Stayed {
    members: Vec<MemberId>,
    counted: bool,
}

/// Most of those who are not idle wait for answers there in every dump, and get them: what they do takes as long as the
/// peer does. That is how a peer that is slow looks, and one that is just asked much.
fn slow(incident: &Incident, place: &str, members: Vec<MemberId>) -> Option<Finding> {
    let dumps = incident.dumps.len();
    let counts: Vec<usize> =
        (0..dumps).map(|dump| waiting(incident, place, dump).count()).collect();
    let most = |(dump, &count): (usize, &usize)| count >= MANY && count * 2 >= incident.busy(dump);
    if dumps < UNCOUNTED || !counts.iter().enumerate().all(most) {
        return None;
    }
    let who = phrase::count(incident, &members);
    Some(Finding {
        detector: DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Repeat,
        confidence: Grade::Repeat.cap() - 0.2,
        headline: format!(
            "{who} wait in {place} for answers, and as many in every dump; they get them: the peer is slow, or asked much"
        ),
        detail: format!(
            "In {} most of those who are not idle wait there, and went on in between. How long an answer takes is not in \
             the dumps.",
            phrase::number(dumps, "dump"),
        ),
        next_step: format!(
            "If requests are late, look at how long the service or database that {place} asks takes for an answer, and \
             whether this process asks it more often than it has to."
        ),
        frames: phrase::telling_frames(incident, members[0], dumps - 1),
        evidence: evidence(incident, place),
        members,
        ..Finding::default()
    })
}

fn finding(incident: &Incident, place: &str, members: &[MemberId]) -> Option<Finding> {
    let dumps = incident.dumps.len();
    let busy = incident.busy(dumps - 1).max(members.len());
    let stayed = stayed(incident, place, members);
    let count = if dumps > 1 { stayed.members.len() } else { members.len() };
    let half = members.len() * 2 >= busy;
    // Where most of those who waited at first were answered, the peer answers.
    let answers = count * 2 < waiting(incident, place, 0).count();
    let severity = match dumps {
        1 if count >= MANY && half => Severity::Low,
        1 => return None,
        _ if count < SOME || answers || members.len() * 4 < others(incident, busy) => return None,
        _ if !stayed.counted && dumps < UNCOUNTED => Severity::Low,
        2 => Severity::Medium,
        _ if count >= MANY && half => Severity::High,
        _ => Severity::Medium,
    };
    let grade = match (dumps, stayed.counted) {
        (1, _) => Grade::Pattern,
        (_, true) => Grade::Counter,
        (_, false) => Grade::Repeat,
    };
    let own = own_server(incident, members, dumps - 1);
    let who = phrase::count(incident, members);
    let lasted = stayed.members.iter().filter_map(|&id| duration(incident, id)).min();
    let each = if count == members.len() { "each".into() } else { format!("{count} of them") };
    let for_how_long = lasted
        .filter(|time| time.0 > 0)
        .map_or(String::new(), |time| format!(", {each} for {} at least", phrase::duration(time)));
    Some(Finding {
        detector: DETECTOR.name,
        severity,
        grade,
        // Which peer it is, and that it is one, is concluded from names.
        confidence: grade.cap() - 0.1,
        headline: format!("{who} wait in {place} for a peer that does not answer{for_how_long}"),
        detail: format!(
            "{} of the {busy} that are not idle wait there{}. {}",
            members.len(),
            if dumps > 1 {
                format!(", {count} of them in the same call in every dump")
            } else {
                String::new()
            },
            match &own {
                Some(pool) => format!(
                    "All workers of {pool}, which answer requests, are among them: if it is this process that they \
                     ask, they wait for themselves."
                ),
                None => "Nothing in this process keeps them.".to_owned(),
            },
        ),
        next_step: format!(
            "Look at the service or database that {place} asks: it is slow or silent. Give the call \
             a timeout below its callers' patience.{}",
            match own {
                Some(_) =>
                    " If it asks this process, answer such calls by a pool of their own, or without a call.",
                None => "",
            },
        ),
        frames: phrase::telling_frames(incident, members[0], dumps - 1),
        evidence: evidence(incident, place),
        members: members.to_vec(),
        ..Finding::default()
    })
}

/// How many of those who are not idle do anything else than wait throughout to hand something on: these may wait for
/// the very ones who ask.
fn others(incident: &Incident, busy: usize) -> usize {
    let newest = incident.dumps.len() - 1;
    let hands_on = |id| {
        let waits = incident.submits(id, newest).is_some() || incident.sends(id, newest);
        (waits && incident.idle(id, newest).is_none()).then_some(())
    };
    let handing = incident.found(newest, hands_on);
    busy.saturating_sub(handing.filter(|&(id, ())| incident.waits_throughout(id)).count())
}

/// The pool that answers requests of others, all of whose workers wait among these.
fn own_server(incident: &Incident, members: &[MemberId], dump: usize) -> Option<String> {
    let serves = |id: MemberId| {
        let mut calls = incident.calls(id, dump);
        calls.any(|call| matches_any(SERVERS, &call.function)).then_some(())
    };
    let serving = incident.found(dump, serves).map(|(id, ())| id);
    let serving: Vec<MemberId> = serving.filter(|id| members.binary_search(id).is_ok()).collect();
    let pool = incident.pool_of(*serving.first()?)?;
    let workers = incident
        .ids()
        .filter(|&id| incident.thread(id, dump).is_some() && incident.pool_of(id) == Some(pool));
    let workers: Vec<MemberId> = workers.collect();
    (workers == serving).then(|| pool.to_owned())
}

fn stayed(incident: &Incident, place: &str, members: &[MemberId]) -> Stayed {
    let is_there = |id: MemberId, dump: usize| {
        incident.asks_peer(id, dump).is_some_and(|call| call.function == place)
    };
    let throughout = |&id: &MemberId| {
        (0..incident.dumps.len()).all(|dump| is_there(id, dump))
            && incident.same_activation(id).is_some_and(|activation| {
                activation.calls.iter().any(|&call| incident.call(call).function == place)
            })
            && !went_on(incident, id)
    };
    let members: Vec<MemberId> = members.iter().copied().filter(throughout).collect();
    let counted = members.iter().all(|&id| {
        incident.cpu_used(id).is_some() || incident.task(id, incident.dumps.len() - 1).is_some()
    });
    Stayed { members, counted }
}

/// Who waits at that place in one dump.
fn waiting<'a>(
    incident: &'a Incident,
    place: &'a str,
    dump: usize,
) -> impl Iterator<Item = MemberId> + 'a {
    let is_there = move |id: &MemberId| {
        incident.asks_peer(*id, dump).is_some_and(|call| call.function == place)
    };
    incident.shown(dump).filter(is_there)
}

/// Whether counters show that a member did something between the dumps, or the values on its stack are others each time:
/// then it asks anew.
fn went_on(incident: &Incident, id: MemberId) -> bool {
    let polled =
        incident.task(id, incident.dumps.len() - 1).is_some() && !incident.was_not_polled(id);
    polled
        || incident.comes_back(id)
        || incident.cpu_used(id).is_some_and(|(used, _)| used >= WENT_ON)
}

fn duration(incident: &Incident, id: MemberId) -> Option<Nanos> {
    incident.same_activation(id)?.duration
}

fn evidence(incident: &Incident, place: &str) -> Vec<Evidence> {
    let count = |dump: usize| waiting(incident, place, dump).count();
    let counts: Vec<usize> = (0..incident.dumps.len()).map(count).collect();
    Evidence::per_dump(&counts, |count| format!("{count} waiting there for an answer"))
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Kind, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::Scene;

    const CALLING: &[&str] =
        &["sun.nio.ch.SocketDispatcher.read0", "shop.Wire.roundTrip:8", "shop.Orders.place:9"];
    const READING: &[&str] =
        &["sun.nio.ch.SocketDispatcher.read0", "shop.Server.readRequest:4", "shop.Server.run:9"];
    const WORKING: &[&str] = &["shop.Price.of:3", "shop.Orders.place:7"];

    /// So many that wait, and so many that work, over so many dumps; who waits uses so many
    /// milliseconds from dump to dump.
    fn found(stack: &[&str], waiting: u32, working: u32, dumps: u64, used: u64) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..dumps {
            scene = scene.dump(second, |dump| {
                for number in 0..waiting {
                    let thread = dump.thread(&format!("request-{number}"), stack);
                    thread.cpu = Some(Nanos::from_millis(used * second));
                }
                (0..working).for_each(|number| _ = dump.thread(&format!("w-{number}"), WORKING));
            });
        }
        detect(&scene.incident())
    }

    #[test]
    fn many_in_one_call_without_an_answer() {
        let findings = found(CALLING, 12, 4, 3, 0);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.grade), (Severity::High, Grade::Counter));
        assert_eq!(finding.members.len(), 12);
        assert!(finding.headline.contains("each for 2.0 s at least"), "{}", finding.headline);
        assert_eq!(found(CALLING, 6, 10, 2, 0)[0].severity, Severity::Medium);
    }

    #[test]
    fn a_server_all_of_whose_workers_ask_may_ask_itself() {
        const SERVES: &str = "org.apache.coyote.http11.Http11Processor.service";
        let serving = [CALLING, &[SERVES]].concat();
        let detail = |working| found(&serving, 12, working, 3, 0)[0].detail.clone();
        assert!(detail(0).contains("All workers of request, which answer"), "{}", detail(0));
        assert!(found(CALLING, 12, 0, 3, 0)[0].detail.contains("Nothing in this process"));
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..3 {
            scene = scene.dump(second, |dump| {
                for number in 0..12 {
                    let stack = if number < 11 { &serving[..] } else { &[WORKING[0], SERVES][..] };
                    dump.thread(&format!("request-{number}"), stack).cpu = Some(Nanos(0));
                }
            });
        }
        let findings = detect(&scene.incident());
        assert!(findings[0].detail.contains("Nothing in this process"), "one is left to answer");
    }

    #[test]
    fn who_is_late_is_not_known_where_no_name_says_who_asks() {
        const POOL: &str = "java.util.concurrent.ThreadPoolExecutor.runWorker";
        let severity = |stack: &[&str], dumps| {
            let findings = found(stack, 6, 0, dumps, 0);
            findings.first().map(|found| (found.severity, found.detector))
        };
        let low = Some((Severity::Low, "downstream-stall"));
        let read = "sun.nio.ch.SocketDispatcher.read0";
        assert_eq!(severity(&[read, "shop.Feed.frame:4", "shop.Feed.quote:9", POOL], 3), low);
        assert_eq!(severity(&[read, "shop.Feed.frame:4", "shop.Feed.quote:9"], 3), None, "no task");
        assert_eq!(severity(&[read, "shop.Web.handle:4", POOL], 3), None, "it is asked");
        let child = ["java.lang.ProcessImpl.waitFor", "shop.Pictures.convert:4"];
        assert_eq!(severity(&child, 3), low);
        assert_eq!(severity(&child, 2), None);
        let write = "sun.nio.ch.SocketDispatcher.write0";
        assert_eq!(severity(&[write, "shop.Feed.push:4"], 3), low);
        assert_eq!(severity(&[write, "shop.Feed.push:4"], 2), None);
        let served = found(&[write, "shop.Feed.push:4"], 6, 0, 3, 40);
        assert_eq!(served, [], "it is taken");
    }

    #[test]
    fn goroutines_that_nobody_made_for_a_connection_may_have_asked() {
        let severity_of = |by: &str, place: &str, maker: &str, takes: &str| {
            let mut scene = Scene::of(Runtime::Go);
            for second in 0..3 {
                scene = scene.dump(second, |dump| {
                    let made = dump.thread("", &[maker]).stack;
                    dump.dump.threads.pop();
                    for number in 0..6 {
                        let poll = "internal/poll.runtime_pollWait";
                        let stack = [poll, "net.(*conn).Read", by, place];
                        let thread = dump.thread(&number.to_string(), &stack);
                        (thread.state, thread.created_by) = (ThreadState::Waiting, made);
                    }
                    let stack = ["internal/poll.(*FD).Accept", takes];
                    dump.thread("takes", &stack).state = ThreadState::Waiting;
                });
            }
            detect(&scene.incident()).first().map(|finding| finding.severity)
        };
        let severity = |place, maker, takes| severity_of("io.ReadFull", place, maker, takes);
        let events = severity_of("bufio.(*Scanner).Scan", "main.follow:9", "main.start:4", "");
        assert_eq!(events, None, "lines come when there are any");
        assert_eq!(severity("main.quote:9", "main.start:4", "main.web:7"), Some(Severity::Low));
        assert_eq!(severity("main.session:9", "main.web:4", "main.web:7"), None, "made for one");
        assert_eq!(severity("main.session:9", "main.handle:4", "main.web:7"), None, "it is asked");
        assert_eq!(severity("main.readLoop:9", "main.start:4", "main.web:7"), None, "it is told");
    }

    #[test]
    fn one_slow_caller_is_none() {
        assert_eq!(found(CALLING, 1, 0, 5, 0), []);
        assert_eq!(found(CALLING, 4, 2, 5, 0), []);
        assert_eq!(found(CALLING, 6, 60, 5, 0), [], "a small share");
    }

    #[test]
    fn who_waits_to_hand_something_on_makes_the_share_of_those_who_ask_no_smaller() {
        let severity = |state: &str| {
            let scene = (0..3).fold(Scene::of(Runtime::Go), |scene, second| {
                scene.dump(second, |dump| {
                    for number in 0..40 {
                        let mails = ["internal/poll.runtime_pollWait", "net/smtp.SendMail"];
                        let (own, text, leaf) = match number < 7 {
                            true => ("main.deliver:9", "IO wait", &mails[..]),
                            false => ("main.invite:4", state, &["main.sum:3", "main.add:5"][..]),
                        };
                        let thread = dump.thread("", &[leaf, &[own]].concat());
                        (thread.kind, thread.number) = (Kind::Goroutine, Some(number));
                        thread.state_text = text.into();
                        thread.state = match text {
                            "running" => ThreadState::Running,
                            _ => ThreadState::Waiting,
                        };
                    }
                })
            });
            detect(&scene.incident()).first().map(|finding| finding.severity)
        };
        assert_eq!(severity("chan send"), Some(Severity::Medium));
        assert_eq!(severity("running"), None, "a small share");
    }

    #[test]
    fn who_connects_and_is_not_accepted_asks() {
        let connects = ["__connect", "std::net::tcp::TcpStream::connect", "shop::upload:7"];
        let severity = |stack: &[&str]| {
            let scene = (0..3).fold(Scene::of(Runtime::Rust), |scene, second| {
                scene.dump(second, |dump| {
                    for number in 0..6 {
                        dump.thread(&number.to_string(), stack).cpu = Some(Nanos(0));
                    }
                })
            });
            detect(&scene.incident()).first().map(|finding| finding.severity)
        };
        assert_eq!(severity(&connects), Some(Severity::Medium));
        let accepts = ["accept4", "std::net::tcp::TcpListener::accept", "shop::serve:7"];
        assert_eq!(severity(&accepts), None, "it is asked");
    }

    #[test]
    fn who_asks_again_and_again_is_served() {
        let slow = found(CALLING, 12, 4, 3, 40);
        assert_eq!((slow.len(), slow[0].severity), (1, Severity::Low));
        assert!(slow[0].headline.contains("they get them"), "{}", slow[0].headline);
        assert_eq!(found(CALLING, 8, 4, 3, 40), [], "a few");
        assert_eq!(found(CALLING, 12, 14, 3, 40), [], "most do something else");
    }

    #[test]
    fn who_has_other_values_on_its_stack_each_time_asks_anew() {
        let calls = |values: [u32; 3]| {
            let scene = (0..3).fold(Scene::of(Runtime::Jvm), |scene, second| {
                scene.dump(second, |dump| {
                    for number in 0..12 {
                        let asks = dump.thread(&number.to_string(), CALLING);
                        asks.values = values[second as usize];
                    }
                })
            });
            detect(&scene.incident())[0].severity
        };
        assert_eq!(calls([7, 7, 7]), Severity::High);
        assert_eq!(calls([7, 8, 9]), Severity::Low);
        assert_eq!(calls([7, 8, 8]), Severity::High, "its stack was moved once");
    }

    #[test]
    fn a_server_that_waits_for_requests_is_at_rest() {
        assert_eq!(found(READING, 50, 0, 5, 0), []);
    }

    #[test]
    fn one_dump_cannot_tell_a_stall() {
        assert_eq!(found(CALLING, 20, 4, 1, 0)[0].severity, Severity::Low);
        assert_eq!(found(CALLING, 6, 4, 1, 0), []);
    }
}
