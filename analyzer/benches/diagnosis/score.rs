//! Counts what was found of what is true.

use std::collections::BTreeMap;

use sigquit_analyzer::detect::Severity;

/// What was found of one case, beside what is true of it.
pub struct Outcome {
    pub healthy: bool,
    pub root: Vec<String>,
    pub also: Vec<String>,
    /// The first finding of the report.
    pub first: Option<Found>,
    pub found: Vec<Found>,
    pub dumps: usize,
}

/// A finding.
pub struct Found {
    pub detector: &'static str,
    pub severity: Severity,
}

impl Outcome {
    fn is_true(&self, detector: &str) -> bool {
        self.root.iter().chain(&self.also).any(|name| name == detector)
    }

    fn finds_root(&self) -> bool {
        self.found.iter().any(|one| self.root.iter().any(|root| root == one.detector))
    }

    fn root_is_first(&self) -> bool {
        self.first.as_ref().is_some_and(|one| self.root.iter().any(|root| root == one.detector))
    }

    fn alarms(&self) -> impl Iterator<Item = &Found> {
        self.found.iter().filter(|one| one.severity >= Severity::Medium)
    }
}

#[derive(Default)]
struct Detector {
    true_alarms: usize,
    false_alarms: usize,
    found: usize,
    missed: usize,
}

/// All outcomes of one set.
#[derive(Default)]
pub struct Scores {
    detectors: BTreeMap<String, Detector>,
    faults: usize,
    roots_first: usize,
    healthy_dumps: usize,
    medium: usize,
    high: usize,
    mistakes: Vec<String>,
}

impl Scores {
    pub fn add(&mut self, name: &str, outcome: Outcome) {
        for alarm in outcome.alarms() {
            let detector = self.detectors.entry(alarm.detector.into()).or_default();
            match outcome.is_true(alarm.detector) {
                true => detector.true_alarms += 1,
                false => detector.false_alarms += 1,
            }
        }
        if outcome.healthy {
            self.add_healthy(name, &outcome);
        } else {
            self.add_fault(name, &outcome);
        }
    }

    fn add_healthy(&mut self, name: &str, outcome: &Outcome) {
        self.healthy_dumps += outcome.dumps;
        self.medium += outcome.alarms().count();
        self.high += outcome.alarms().filter(|one| one.severity >= Severity::High).count();
        for alarm in outcome.alarms() {
            self.mistakes.push(format!("{name}: false alarm {}", alarm.detector));
        }
    }

    fn add_fault(&mut self, name: &str, outcome: &Outcome) {
        self.faults += 1;
        self.roots_first += usize::from(outcome.root_is_first());
        let detector = self.detectors.entry(outcome.root[0].clone()).or_default();
        if outcome.finds_root() {
            detector.found += 1;
        } else {
            detector.missed += 1;
        }
        if !outcome.root_is_first() {
            let first = outcome.first.as_ref().map_or("nothing", |one| one.detector);
            self.mistakes.push(format!("{name}: {first} stands first, not {}", outcome.root[0]));
        }
        for alarm in outcome.alarms().filter(|one| !outcome.is_true(one.detector)) {
            self.mistakes.push(format!("{name}: {} is not true", alarm.detector));
        }
    }

    pub fn print(&self) {
        println!("  {:28} {:>9} {:>7} {:>9} {:>7}", "", "precision", "of", "recall", "of");
        for (name, counts) in &self.detectors {
            let alarms = counts.true_alarms + counts.false_alarms;
            let cases = counts.found + counts.missed;
            let precision = percent(counts.true_alarms, alarms);
            let recall = percent(counts.found, cases);
            println!("  {name:28} {precision:>9} {alarms:>7} {recall:>9} {cases:>7}");
        }
        let all = |of: fn(&Detector) -> usize| self.detectors.values().map(of).sum::<usize>();
        let alarms = all(|one| one.true_alarms + one.false_alarms);
        let precision = percent(all(|one| one.true_alarms), alarms);
        let recall = percent(all(|one| one.found), self.faults);
        println!("  {:28} {precision:>9} {alarms:>7} {recall:>9} {:>7}", "all", self.faults);
        println!("  root at first place          {}", percent(self.roots_first, self.faults));
        let per_thousand = |count: usize| count as f64 * 1000.0 / self.healthy_dumps.max(1) as f64;
        println!(
            "  false alarms per 1,000 healthy dumps: {:.1} at medium or above, {:.1} at high or \
             above ({} dumps)",
            per_thousand(self.medium),
            per_thousand(self.high),
            self.healthy_dumps
        );
        self.mistakes.iter().for_each(|mistake| println!("  - {mistake}"));
        println!();
    }
}

fn percent(part: usize, whole: usize) -> String {
    match whole {
        0 => "-".into(),
        _ => format!("{:.1} %", part as f64 * 100.0 / whole as f64),
    }
}
