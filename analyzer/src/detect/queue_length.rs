//! How bad a queue is, whatever stands at its head: a lock, a pool.

use super::{Grade, Severity};
use crate::model::Incident;

/// In one dump, fewer than this many waiters are everyday life.
const FEW: usize = 3;
/// So many in every dump are a queue that does not drain.
const MANY: usize = 10;
/// Fewer than this are no crowd, whatever their share.
const CROWD: usize = 5;

/// How bad so many waiters in each dump are, or nothing where that is everyday life.
pub(super) fn severity(incident: &Incident, waiters: &[usize]) -> Option<Severity> {
    let least = waiters.iter().copied().min().unwrap_or(0);
    let most = waiters.iter().copied().max().unwrap_or(0);
    let crowded =
        |(dump, &count): (usize, &usize)| count >= CROWD && count * 4 > incident.busy(dump);
    let crowds = waiters.iter().enumerate().filter(|&sight| crowded(sight)).count();
    let one_dump = waiters.len() == 1;
    // What the newest dump does not show, nor most others, is over.
    let shown = waiters.iter().filter(|&&count| count > 0).count();
    let lasts = waiters.last() > Some(&0) || shown * 2 >= waiters.len();
    if least >= MANY || crowds * 2 > waiters.len() {
        Some(Severity::High)
    } else if least >= if one_dump { CROWD } else { FEW } || most >= 2 * MANY && lasts {
        Some(Severity::Medium)
    } else if most >= FEW || !one_dump && least >= 2 {
        Some(Severity::Low)
    } else {
        None
    }
}

/// What such evidence is, and how sure it makes: a queue that one dump shows is a hint.
pub(super) fn sureness(waiters: &[usize]) -> (Grade, f64) {
    let seen = waiters.iter().filter(|&&count| count > 0).count();
    if seen < 2 {
        return (Grade::Pattern, Grade::Pattern.cap());
    }
    let share = seen as f64 / waiters.len() as f64;
    (Grade::Repeat, 0.5 + (Grade::Repeat.cap() - 0.5) * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::Scene;
    use sigquit_dump::Runtime;

    /// The severity beside so many busy threads in each dump.
    fn beside(busy: usize, waiters: &[usize]) -> Option<Severity> {
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..waiters.len() as u64 {
            scene = scene.dump(second, |dump| {
                (0..busy).for_each(|number| {
                    dump.thread(&number.to_string(), &["shop.Price.of:3"]);
                });
            });
        }
        severity(&scene.incident(), waiters)
    }

    #[test]
    fn what_one_of_three_dumps_shows_is_over() {
        assert_eq!(beside(100, &[35, 0, 0]), Some(Severity::Low));
        assert_eq!(beside(200, &[35, 0, 35]), Some(Severity::Medium));
        assert_eq!(beside(200, &[0, 0, 35]), Some(Severity::Medium), "it has just begun");
    }

    #[test]
    fn a_queue_is_judged_by_how_long_it_is_and_how_long_it_lasts() {
        for (waiters, expected) in [
            (&[12, 11, 10][..], Some(Severity::High)),
            (&[3, 4, 3], Some(Severity::Medium)),
            (&[0, 30, 0], Some(Severity::Low)),
            (&[0, 3, 0], Some(Severity::Low)),
            (&[2, 2], Some(Severity::Low)),
            (&[0, 2, 0], None),
            (&[5], Some(Severity::Medium)),
            (&[3], Some(Severity::Low)),
            (&[2], None),
        ] {
            assert_eq!(beside(100, waiters), expected, "{waiters:?}");
        }
    }

    #[test]
    fn a_large_share_of_the_busy_is_bad_even_when_few() {
        assert_eq!(beside(8, &[5, 5]), Some(Severity::High));
        assert_eq!(beside(8, &[3, 3]), Some(Severity::Medium));
    }

    #[test]
    fn one_dump_is_a_hint() {
        assert_eq!(sureness(&[9]), (Grade::Pattern, 0.5));
        assert_eq!(sureness(&[9, 9]), (Grade::Repeat, 0.8));
        assert_eq!(sureness(&[9, 9, 0]).0, Grade::Repeat);
    }
}
