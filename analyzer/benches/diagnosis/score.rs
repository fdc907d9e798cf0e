//! Counts what was found of what is true.

use std::collections::{BTreeMap, BTreeSet};

use sigquit_analyzer::detect::Severity;

/// What was found of one case, beside what is true of it.
#[derive(Clone)]
pub struct Outcome {
    pub name: String,
    pub kind: String,
    pub healthy: bool,
    pub root: Vec<String>,
    pub also: Vec<String>,
    /// What of that has to be found.
    pub owed: Vec<String>,
    /// The first finding of the report.
    pub first: Option<Found>,
    pub found: Vec<Found>,
    pub dumps: usize,
    pub load: Option<bool>,
    pub runtime: &'static str,
}

/// A finding.
#[derive(Clone)]
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

    /// The parts of the set that it belongs to.
    fn parts(&self) -> Vec<&'static str> {
        let load = self.load.map(|load| if load { "under load" } else { "without load" });
        let dumps = if self.dumps > 1 { "a series" } else { "one dump" };
        ["all", dumps].into_iter().chain(load).chain([self.runtime]).collect()
    }

    fn mistakes(&self) -> Vec<String> {
        let name = &self.name;
        if self.healthy {
            return self
                .alarms()
                .map(|one| format!("{name}: false alarm {}", one.detector))
                .collect();
        }
        let first = self.first.as_ref().map_or("nothing", |one| one.detector);
        let missed = (!self.root_is_first())
            .then(|| format!("{name}: {first} stands first, not {}", self.root[0]));
        let untrue = self.alarms().filter(|one| !self.is_true(one.detector));
        missed
            .into_iter()
            .chain(untrue.map(|one| format!("{name}: {} is not true", one.detector)))
            .collect()
    }
}

#[derive(Default)]
struct Detector {
    true_alarms: usize,
    false_alarms: usize,
    found: usize,
    missed: usize,
}

/// Some of a set's cases.
#[derive(Default)]
struct Part {
    faults: usize,
    found: usize,
    roots_first: usize,
    healthy: usize,
    healthy_dumps: usize,
    medium: usize,
    high: usize,
}

/// All outcomes of one set.
#[derive(Default)]
pub struct Scores {
    detectors: BTreeMap<String, Detector>,
    parts: Vec<(&'static str, Part)>,
    kinds: BTreeSet<String>,
    mistakes: Vec<String>,
}

impl Scores {
    pub fn add(&mut self, outcome: Outcome) {
        for alarm in outcome.alarms() {
            let detector = self.detectors.entry(alarm.detector.into()).or_default();
            match outcome.is_true(alarm.detector) {
                true => detector.true_alarms += 1,
                false => detector.false_alarms += 1,
            }
        }
        if let Some(root) = outcome.root.first() {
            let detector = self.detectors.entry(root.clone()).or_default();
            detector.found += usize::from(outcome.finds_root());
            detector.missed += usize::from(!outcome.finds_root());
            self.kinds.insert(outcome.kind.clone());
        }
        for owed in &outcome.owed {
            let found = outcome.found.iter().any(|one| one.detector == owed);
            let detector = self.detectors.entry(owed.clone()).or_default();
            detector.found += usize::from(found);
            detector.missed += usize::from(!found);
        }
        for name in outcome.parts() {
            self.part(name).add(&outcome);
        }
        self.mistakes.extend(outcome.mistakes());
    }

    fn part(&mut self, name: &'static str) -> &mut Part {
        let at = self.parts.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.parts.push((name, Part::default()));
            self.parts.len() - 1
        });
        &mut self.parts[at].1
    }

    pub fn print(&mut self) {
        self.print_counts();
        self.mistakes.iter().for_each(|mistake| println!("  - {mistake}"));
        println!();
    }

    /// The same without what was mistaken.
    pub fn print_counts(&mut self) {
        println!("  {:28} {:>9} {:>7} {:>9} {:>7}", "", "precision", "of", "recall", "of");
        for (name, counts) in &self.detectors {
            counts.print(name);
        }
        self.detectors.values().fold(Detector::default(), Detector::and).print("all");
        let kinds = self.kinds.len();
        println!(
            "\n  {:14} {:>7} {:>9} {:>11} {:>9} {:>7} {:>12} {:>12}",
            "", "faults", "recall", "root first", "healthy", "dumps", "medium/1000", "high/1000"
        );
        self.parts.sort_by_key(|&(name, _)| name);
        self.parts.iter().for_each(|(name, part)| part.print(name));
        println!("  {kinds} kinds of faults");
    }
}

impl Detector {
    fn and(mut self, other: &Detector) -> Detector {
        self.true_alarms += other.true_alarms;
        self.false_alarms += other.false_alarms;
        self.found += other.found;
        self.missed += other.missed;
        self
    }

    fn print(&self, name: &str) {
        let alarms = self.true_alarms + self.false_alarms;
        let cases = self.found + self.missed;
        let precision = percent(self.true_alarms, alarms);
        let recall = percent(self.found, cases);
        println!("  {name:28} {precision:>9} {alarms:>7} {recall:>9} {cases:>7}");
    }
}

impl Part {
    fn add(&mut self, outcome: &Outcome) {
        if outcome.healthy {
            self.healthy += 1;
            self.healthy_dumps += outcome.dumps;
            self.medium += outcome.alarms().count();
            self.high += outcome.alarms().filter(|one| one.severity >= Severity::High).count();
        } else {
            self.faults += 1;
            self.found += usize::from(outcome.finds_root());
            self.roots_first += usize::from(outcome.root_is_first());
        }
    }

    fn print(&self, name: &str) {
        let per_thousand = |count: usize| match self.healthy_dumps {
            0 => "-".to_owned(),
            dumps => format!("{:.1}", count as f64 * 1000.0 / dumps as f64),
        };
        println!(
            "  {name:14} {:>7} {:>9} {:>11} {:>9} {:>7} {:>12} {:>12}",
            self.faults,
            percent(self.found, self.faults),
            percent(self.roots_first, self.faults),
            self.healthy,
            self.healthy_dumps,
            per_thousand(self.medium),
            per_thousand(self.high),
        );
    }
}

fn percent(part: usize, whole: usize) -> String {
    match whole {
        0 => "-".into(),
        _ => format!("{:.1} %", part as f64 * 100.0 / whole as f64),
    }
}
