//! The figures by which members on a CPU are judged, each with its reason.

/// Share of the whole time that a member wanted a CPU, from which on it counts as hot. Below 1,
/// because the counters of successive dumps are not read at the very moments of the dumps: on an
/// overloaded machine a thread can be read some hundred milliseconds late.
pub(super) const WANTED: f64 = 0.7;

/// The same for every single interval, in which such a delay weighs more.
pub(super) const WANTED_EACH: f64 = 0.5;

/// Where the run-queue delay is not known: what a member used beside what the busiest member
/// used. Threads that all want a CPU get about as much, also on a starved machine; schedulers
/// are fair over seconds, within a factor of two or so.
pub(super) const BESIDE_MOST: f64 = 0.3;

/// And at least this share of the time. Pollers and timers of an idle process use a tenth of
/// it; ten threads that shared a starved machine with a hundred others used five times as much.
pub(super) const LEAST_SHARE: f64 = 0.002;

/// At least this share where it is met in nothing but calls that wait, as in a selector's: the runtime says runnable of it either
/// way. A loop around one that returns at once used half a CPU and more; one that accepts connections and reads them, a
/// hundredth.
pub(super) const LEAST_IN_CALLS: f64 = 0.2;

/// Fewer looks at the registers than this, over all dumps, say nothing. A thread on a starved
/// machine gives few; but where a healthy program comes back to a state once in a hundred looks,
/// five times in ten is no chance.
pub(super) const LEAST_SAMPLES: u32 = 10;

/// So few beside one dump cannot show that anything came back.
pub(super) const LEAST_SAMPLES_EACH: u32 = 2;

/// That nothing comes back takes more looks: a large circle is seen to be one only when it has
/// been gone round.
pub(super) const LEAST_TO_MOVE: u32 = 50;

/// Share of the looks whose state came back. Loops without progress showed .99 and more, except
/// those that count; programs that progress showed .015 at most. Half is far from both.
pub(super) const RECURS: f64 = 0.5;

/// Below this share nothing comes back: it progresses, or at least changes.
pub(super) const MOVES: f64 = 0.1;

/// A loop that counts its rounds never comes back to a state, but its pointers do. That is taken
/// for evidence only in a loop of so few places in the code.
pub(super) const TIGHT_LOOP: u32 = 16;

/// How many calls may lie between the leaf and the function that is called the loop: comparisons,
/// hashes, accessors.
pub(super) const NEAR_LEAF: usize = 6;

/// Who computes without an end waits for nothing, but for a page of memory or the kernel's own locks: so
/// often over all dumps at most. Who sleeps a millisecond and works one does it a hundred times as often.
pub(super) const NOW_AND_THEN: u64 = 10;

/// Dumps in which a stack has to be the same to the line before that alone, without a look at
/// the registers, supports the claim that nothing progresses. In all of 3 dumps means: at least
/// 37 % of the time.
pub(super) const SAME_DUMPS: usize = 3;

/// So many threads, all with the same stack in both of two dumps, say as much as fewer do in
/// three.
pub(super) const MANY: usize = 4;

/// In machine code a thread is met anywhere in its loop. So many sights of threads, all of them
/// in the map's own function and none of them in what its callers do, say that they hardly ever
/// leave it: at least 86 % of the time.
pub(super) const MANY_SIGHTS: usize = 20;

/// So many samples of a member say in which call it is.
pub(super) const LEAST_SAMPLED: u64 = 20;

/// Share of its samples that a thread which cannot leave a call has in it: all, but for those from
/// before the first dump.
pub(super) const NEVER_LEFT: f64 = 0.9;
