//! Which finding follows from which.
//!
//! One finding is a symptom of another only when facts tie them together: those who make the
//! symptom what it is (the owner of its lock, the holders of its pool, its members) are the
//! members of the cause or wait behind them; or the cause uses up the CPU that the symptom
//! lacks. Findings without such a tie stay side by side, however alike they look.
//!
//! Method: condensing the wait-for graph to the parties that wait for nobody (wPerf, Zhou et
//! al., OSDI 2018), with pools as further nodes. A waiter of a lock needs every owner to leave;
//! a waiter of a pool needs any holder to, so it counts as blocked when most holders are.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use foldhash::fast::RandomState;

use crate::detect::{Finding, Grade, Severity};
use crate::model::{Incident, MemberId};

use super::Diagnosis;
use super::rank::weight;

/// The share of those who make a symptom what it is that a cause has to account for.
const MOST: f64 = 0.5;

/// The causes among the findings of one incident.
pub(super) struct Causes {
    /// For each finding, those that it follows from.
    pub by_finding: Vec<Vec<Cause>>,
    /// For each finding, those of other processes that it follows from.
    pub across: Vec<Vec<Across>>,
    /// For each finding, who waits behind those who make it what it is.
    pub behind: Vec<BTreeSet<MemberId>>,
    /// How many members are not idle.
    pub busy: usize,
}

/// One finding as the cause of another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    /// Its index among the incident's findings.
    pub finding: usize,
    /// What ties the two together.
    pub tie: Tie,
}

/// A finding of another process as the cause of one here: so many of those who make this one what it is
/// wait for that process to answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Across {
    /// The other process.
    pub diagnosis: usize,
    /// The finding's index there.
    pub finding: usize,
    /// How many wait for it.
    pub some: usize,
    /// Of how many.
    pub all: usize,
    /// Where the first of them has connected to.
    pub peer: SocketAddr,
}

impl Across {
    /// The tie as a sentence about the cause of that id in a process of that name.
    pub(super) fn sentence(&self, cause: &str, process: &str) -> String {
        let Across { some, all, peer, .. } = self;
        format!(
            "{some} of {all} wait on connections to {peer}, of which {process} has the other ends; \
             {cause} is what is wrong there"
        )
    }
}

/// What ties a symptom to its cause: so many of so many.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tie {
    /// Those who hold what the symptom's members wait for are in the cause, or wait behind it.
    Holders(usize, usize),
    /// The symptom's members wait behind the cause.
    Waiters(usize, usize),
    /// The symptom's members are the cause's.
    Same(usize, usize),
    /// The cause's members used this share of the CPU that all members used.
    Cpu(f64),
}

impl Tie {
    pub(super) fn share(&self) -> f64 {
        match *self {
            Tie::Holders(some, all) | Tie::Waiters(some, all) | Tie::Same(some, all) => {
                some as f64 / all.max(1) as f64
            }
            Tie::Cpu(share) => share,
        }
    }

    /// The tie as a sentence about the finding whose cause has that id.
    pub(super) fn sentence(&self, cause: &str) -> String {
        match self {
            Tie::Holders(1, 1) => {
                format!("the owner of what is waited for here is in {cause} or waits behind it")
            }
            Tie::Holders(some, all) => format!(
                "{some} of {all} who hold what is waited for here are in {cause} or wait behind it"
            ),
            Tie::Waiters(some, all) => format!("{some} of {all} wait behind {cause}"),
            Tie::Same(some, all) => format!("{some} of {all} are the same as in {cause}"),
            Tie::Cpu(share) => {
                format!("{:.0} % of the CPU time went to the members of {cause}", share * 100.0)
            }
        }
    }
}

impl Causes {
    /// Whether a finding follows from no other.
    pub(super) fn is_root(&self, finding: usize) -> bool {
        self.by_finding[finding].is_empty() && self.across[finding].is_empty()
    }

    /// Finds the causes among an incident's findings.
    pub(super) fn of(diagnosis: &Diagnosis) -> Causes {
        let findings = &diagnosis.findings;
        let parties: Vec<Parties> = findings.iter().map(Parties::of).collect();
        let makes = makes(&parties);
        let behind = |cause| behind(diagnosis.incident, &parties, &makes, cause);
        let behind: Vec<BTreeSet<MemberId>> = parties.iter().map(behind).collect();
        let ties = all_ties(diagnosis, &parties, &behind);
        let busy = diagnosis.incident.ids().filter(|&id| !diagnosis.incident.always_idle(id));
        let across = vec![Vec::new(); findings.len()];
        Causes { by_finding: direct(findings, &ties), across, behind, busy: busy.count() }
    }
}

/// What a detector's findings are about: the causal order of kinds, the likeliest cause first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nature {
    /// On CPU without progress.
    Spin,
    /// A cycle of waits, or a wait that nobody can end.
    Cycle,
    /// The end of the process.
    End,
    /// Someone holds others up and does not come back.
    Stuck,
    /// Many want what one has at a time.
    Contention,
    /// Something is used up.
    Exhaustion,
    /// The machine is short of something.
    Pressure,
    /// Busy, and nothing says whether in vain.
    Hot,
}

/// The nature of a detector's findings.
pub(super) fn nature(detector: &str) -> Nature {
    match detector {
        "map-corruption" | "spin-loop" | "busy-wait" | "runaway-recursion" => Nature::Spin,
        "deadlock" | "self-deadlock" | "lock-upgrade" | "lost-waker" => Nature::Cycle,
        "concurrent-map-access" | "data-race" | "panic" => Nature::End,
        "stuck-lock-owner" | "downstream-stall" | "io-stall" => Nature::Stuck,
        "lock-contention" => Nature::Contention,
        "gc-pressure" | "memory-pressure" | "cpu-starvation" => Nature::Pressure,
        "cpu-hot" => Nature::Hot,
        _ => Nature::Exhaustion,
    }
}

/// The likelier cause of two findings about the same parties comes first. Within a nature the
/// more exact detector does; workers that lack connections are why their queue fills, and not
/// the other way round.
fn precedence(finding: &Finding) -> (Nature, usize) {
    const EXACT_FIRST: &[&str] = &[
        "map-corruption",
        "spin-loop",
        "busy-wait",
        "deadlock",
        "self-deadlock",
        "concurrent-map-access",
        "memory-pressure",
        "downstream-stall",
        "connection-pool-exhaustion",
        "thread-pool-exhaustion",
    ];
    let exact = EXACT_FIRST.iter().position(|&name| name == finding.detector);
    let nature = match (finding.detector, finding.grade) {
        // What ended the process because no memory was left is told by that, and not by its end.
        ("memory-pressure", Grade::Proof) => Nature::End,
        (detector, _) => nature(detector),
    };
    (nature, exact.unwrap_or(EXACT_FIRST.len()))
}

/// Those who make a finding what it is: while they are as they are, it lasts.
pub(super) fn makers(finding: &Finding) -> BTreeSet<MemberId> {
    let holders = holders(finding);
    match nature(finding.detector) {
        Nature::Contention | Nature::Exhaustion => holders,
        Nature::Stuck if !holders.is_empty() => holders,
        _ => finding.members.iter().copied().collect(),
    }
}

/// Who holds what a finding's members wait for, as far as that is known.
fn holders(finding: &Finding) -> BTreeSet<MemberId> {
    finding.owner.iter().chain(&finding.holders).copied().collect()
}

/// Those who suffer from a finding: everyone in it who does not make it what it is.
pub(super) fn sufferers(finding: &Finding) -> BTreeSet<MemberId> {
    let everyone: BTreeSet<MemberId> =
        finding.members.iter().chain(&finding.victims).copied().collect();
    &everyone - &makers(finding)
}

/// Who makes a finding what it is and who suffers from it: each finding is compared with all
/// others, so this is found once.
struct Parties {
    makers: BTreeSet<MemberId>,
    sufferers: BTreeSet<MemberId>,
    holders: BTreeSet<MemberId>,
}

impl Parties {
    fn of(finding: &Finding) -> Parties {
        Parties {
            makers: makers(finding),
            sufferers: sufferers(finding),
            holders: holders(finding),
        }
    }

    /// Whether so many of the makers are most of them.
    fn are_held_up(&self, stuck: usize) -> bool {
        !self.makers.is_empty() && stuck as f64 >= MOST * self.makers.len() as f64
    }
}

/// For each member the findings that it is a maker of.
type Makes = HashMap<MemberId, Vec<usize>, RandomState>;

fn makes(findings: &[Parties]) -> Makes {
    let mut makes = Makes::default();
    for (finding, parties) in findings.iter().enumerate() {
        parties.makers.iter().for_each(|&maker| makes.entry(maker).or_default().push(finding));
    }
    makes
}

/// Everyone who waits, through however many others, for the makers of a finding; without them.
/// Others are the owners of locks and the holders of what findings say is waited for.
fn behind(
    incident: &Incident,
    findings: &[Parties],
    makes: &Makes,
    cause: &Parties,
) -> BTreeSet<MemberId> {
    let mut blocked = &cause.makers | &cause.sufferers;
    let mut news: Vec<MemberId> = blocked.iter().copied().collect();
    // How many makers of each finding are blocked.
    let mut stuck = vec![0; findings.len()];
    while !news.is_empty() {
        let mut next = waiters_of_locks(incident, &news);
        for &finding in news.iter().filter_map(|id| makes.get(id)).flatten() {
            let parties = &findings[finding];
            let was = parties.are_held_up(stuck[finding]);
            stuck[finding] += 1;
            if !was && parties.are_held_up(stuck[finding]) {
                next.extend(&parties.sufferers);
            }
        }
        next.retain(|&id| blocked.insert(id));
        news = next;
    }
    &blocked - &cause.makers
}

/// Who waits in the newest dump for locks that these members own. An older dump shows what may
/// be over.
fn waiters_of_locks(incident: &Incident, owners: &[MemberId]) -> Vec<MemberId> {
    let Some(newest) = incident.dumps.len().checked_sub(1) else { return Vec::new() };
    let thread_of = |&owner: &MemberId| incident.member(owner).seen[newest];
    let threads: Vec<u32> = owners.iter().filter_map(thread_of).map(|at| at as u32).collect();
    let blocked = incident.wait_for(newest).blocked_by_all(&threads);
    blocked.into_iter().filter_map(|at| incident.member_of(newest, at as usize)).collect()
}

/// `ties[f][g]`: what makes `g` a symptom of `f`.
type Ties = Vec<Vec<Option<Tie>>>;

/// All ties. Of two findings that are tied both ways the likelier cause is the cause; two of one
/// kind then stand side by side.
fn all_ties(diagnosis: &Diagnosis, parties: &[Parties], behind: &[BTreeSet<MemberId>]) -> Ties {
    let findings = &diagnosis.findings;
    let count = findings.len();
    let accounts = accounts(parties, behind);
    let mut ties: Ties = vec![vec![None; count]; count];
    for (g, symptom) in findings.iter().enumerate() {
        let holders = &parties[g].holders;
        let parts = match holders.is_empty() {
            true => parts(&accounts, count, &symptom.members),
            false => parts(&accounts, count, holders),
        };
        for f in (0..count).filter(|&f| f != g) {
            ties[f][g] = tie(diagnosis.incident, &findings[f], parts[f], symptom, holders.len());
        }
    }
    let stands = |f: usize, g: usize| {
        let likelier = precedence(&findings[f]) < precedence(&findings[g]);
        ties[g][f].is_none() || likelier
    };
    let standing = |f: usize, g: usize| ties[f][g].clone().filter(|_| stands(f, g));
    (0..count).map(|f| (0..count).map(|g| standing(f, g)).collect()).collect()
}

/// For each member the findings that account for it, and whether it makes them what they are; else it
/// waits behind them.
type Accounts = HashMap<MemberId, Vec<(usize, bool)>, RandomState>;

fn accounts(parties: &[Parties], behind: &[BTreeSet<MemberId>]) -> Accounts {
    let mut accounts = Accounts::default();
    for (finding, (parties, behind)) in parties.iter().zip(behind).enumerate() {
        let culprits = parties.makers.iter().map(|&member| (member, true));
        for (member, is_culprit) in culprits.chain(behind.iter().map(|&member| (member, false))) {
            accounts.entry(member).or_default().push((finding, is_culprit));
        }
    }
    accounts
}

/// How many of some members a finding accounts for.
#[derive(Clone, Copy, Default)]
struct Part {
    culprits: usize,
    behind: usize,
}

/// For each of so many findings the part of these members that it accounts for.
fn parts<'m>(
    accounts: &Accounts,
    findings: usize,
    members: impl IntoIterator<Item = &'m MemberId>,
) -> Vec<Part> {
    let mut parts = vec![Part::default(); findings];
    for &(finding, is_culprit) in members.into_iter().filter_map(|id| accounts.get(id)).flatten() {
        match is_culprit {
            true => parts[finding].culprits += 1,
            false => parts[finding].behind += 1,
        }
    }
    parts
}

/// What makes one finding the cause of another, of whose holders, or of whose members where none are
/// known, it accounts for that part.
fn tie(
    incident: &Incident,
    cause: &Finding,
    Part { culprits, behind }: Part,
    symptom: &Finding,
    holders: usize,
) -> Option<Tie> {
    if !can_cause(cause, symptom) {
        return None;
    }
    if symptom.detector == "cpu-starvation" {
        return cpu_tie(incident, cause, symptom);
    }
    let enough = |tie: Tie| (tie.share() >= MOST).then_some(tie);
    if holders > 0 {
        return enough(Tie::Holders(culprits + behind, holders));
    }
    let all = symptom.members.len();
    let repeated = precedence(cause) < precedence(symptom);
    (all > 0).then_some(())?;
    enough(Tie::Waiters(behind, all))
        .or_else(|| enough(Tie::Same(culprits, all)).filter(|_| repeated))
}

/// A resource that is a little short is no cause of what weighs more: it would hide it. Threads at work, of which
/// nothing says that they work in vain, are not even one of what weighs as much. What the
/// runtime said of one end is not why another dump shows another. And that threads get too little
/// CPU, or that others wait for them, is not why they want much.
fn can_cause(cause: &Finding, symptom: &Finding) -> bool {
    let of_resource = nature(cause.detector) == Nature::Pressure
        || matches!(cause.detector, "downstream-stall" | "io-stall");
    let hides = of_resource && weight(cause) <= Severity::Low && weight(symptom) > Severity::Low;
    let at_work = nature(cause.detector) == Nature::Hot && weight(symptom) >= weight(cause);
    let ends_elsewhere = nature(symptom.detector) == Nature::End
        && cause.grade == Grade::Proof
        && seen_in(cause) != seen_in(symptom);
    let is_no_work = cause.detector == "cpu-starvation"
        || matches!(
            nature(cause.detector),
            Nature::Stuck | Nature::Contention | Nature::Exhaustion
        );
    let wants_much = is_no_work && nature(symptom.detector) == Nature::Hot;
    !(hides || at_work || ends_elsewhere || wants_much)
}

/// The dump in which a finding was seen first.
fn seen_in(finding: &Finding) -> Option<usize> {
    finding.evidence.iter().find_map(|evidence| evidence.dump)
}

/// Spinning, and collecting garbage, takes the CPU from others when it had most of what was used.
fn cpu_tie(incident: &Incident, cause: &Finding, symptom: &Finding) -> Option<Tie> {
    let takes_cpu = matches!(nature(cause.detector), Nature::Spin | Nature::Hot)
        || cause.detector == "gc-pressure";
    let starved = cause.members.iter().filter(|id| symptom.members.contains(id)).count();
    if !takes_cpu || starved * 2 > cause.members.len() {
        return None;
    }
    let used = |members: &mut dyn Iterator<Item = MemberId>| -> f64 {
        members.filter_map(|id| Some(incident.cpu_used(id)?.0.as_secs_f64())).sum()
    };
    let all = used(&mut incident.ids());
    let share = used(&mut cause.members.iter().copied()) / all;
    (share >= MOST).then_some(Tie::Cpu(share))
}

/// Of all ties, those to the nearest causes: what follows from a symptom is said to follow from
/// that symptom. Ties that would close a circle are left out, the likelier cause first.
fn direct(findings: &[Finding], ties: &Ties) -> Vec<Vec<Cause>> {
    let count = findings.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&f| precedence(&findings[f]));
    let mut follows = vec![BTreeSet::new(); count];
    for &f in &order {
        for g in 0..count {
            if ties[f][g].is_some() && !reaches(&follows, f, g) {
                follows[g].insert(f);
            }
        }
    }
    (0..count).map(|g| nearest(&follows, ties, g)).collect()
}

/// Whether `from` follows, through however many others, from `to`.
fn reaches(follows: &[BTreeSet<usize>], from: usize, to: usize) -> bool {
    from == to || follows[from].iter().any(|&cause| reaches(follows, cause, to))
}

fn nearest(follows: &[BTreeSet<usize>], ties: &Ties, symptom: usize) -> Vec<Cause> {
    let causes = &follows[symptom];
    let indirect = |f: usize| causes.iter().any(|&other| other != f && reaches(follows, other, f));
    causes
        .iter()
        .filter(|&&f| !indirect(f))
        .filter_map(|&f| Some(Cause { finding: f, tie: ties[f][symptom].clone()? }))
        .collect()
}
