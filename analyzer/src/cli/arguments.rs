//! What may be asked, and its help.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::manual::{Completions, Manual};
use super::surroundings::ColorChoice;
use crate::cluster::Level;
use crate::detect::{self, Severity};
use crate::explain::{Detail, Report};
use crate::model;
use crate::read::{self, Limits};

#[derive(Parser)]
#[command(
    name = "sigquit",
    version,
    about = "Reads thread dumps and profiles of many runtimes, and names the cause",
    after_help = "Exit status: 0 done; 1 findings at or above --fail-on; 2 no input could be \
                  understood, or the arguments are wrong."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Say what is wrong, from any mix of dump files and folders
    Analyze(Analyze),
    /// Print the dumps like jstack does, equal stacks folded together
    Show(Show),
    /// Put alike stacks together, at one of four levels: the tree of all stacks is one
    Clusters(Clusters),
    /// Walk through the report in the terminal: findings, clusters, threads, stacks, waits
    Tui(Browse),
    /// Ask a process that has the agent for dumps, wait for them, and say what is wrong
    Dump(Dump),
    /// Draw where the time goes: from profiles, or the stacks of dumps
    Flamegraph(Flamegraph),
    /// Write a profile, or the stacks of dumps, in the format of another tool
    Convert(Convert),
    /// What a detector looks for, its evidence, its limits, what to do; with no name, the list
    Explain(Explain),
    /// Print what makes a shell complete the arguments
    Completions(Completions),
    /// Print a manual page, for `man -l`
    Man(Manual),
}

/// What to read, and how.
#[derive(Args, Clone)]
pub(super) struct Reading {
    /// Dump files, profiles and folders; `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The inputs' format, instead of finding it by content
    #[arg(long, value_name = "NAME", value_parser = formats())]
    pub format: Option<String>,
    /// A folder with binaries and debug files: gives names to frames that have none
    #[arg(long, value_name = "DIR")]
    pub symbols: Option<PathBuf>,
    /// Bytes of a file, or of all that is packed in it, before the rest is left out
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "16G")]
    pub max_bytes: u64,
    /// Bytes of an input that has to be in memory at once
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "1G")]
    pub max_memory: u64,
    /// Threads, goroutines and tasks of an input
    #[arg(long, value_name = "N", default_value_t = Limits::default().threads)]
    pub max_threads: usize,
    /// Files in an archive
    #[arg(long, value_name = "N", default_value_t = Limits::default().members)]
    pub max_files: usize,
}

impl Reading {
    /// Everything about one path that is not said otherwise.
    pub(super) fn of(path: PathBuf) -> Reading {
        let limits = Limits::default();
        Reading {
            paths: vec![path],
            format: None,
            symbols: None,
            max_bytes: limits.bytes,
            max_memory: limits.memory,
            max_threads: limits.threads,
            max_files: limits.members,
        }
    }

    /// How much is to be read.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            bytes: self.max_bytes,
            memory: self.max_memory,
            threads: self.max_threads,
            members: self.max_files,
        }
    }
}

/// `1500`, `64K`, `200M`, `2G`: bytes, in units of 1024.
fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "expected bytes, as in 1500, 64K, 200M or 2G".to_owned())
}

#[derive(Args)]
pub(super) struct Analyze {
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub saying: Saying,
}

/// How a report is said, and where.
#[derive(Args)]
pub(super) struct Saying {
    /// Healthy dumps of the same program: what these also show is not reported
    #[arg(long, value_name = "PATH")]
    pub baseline: Vec<PathBuf>,
    /// A file of rules of your own: whose code a function is, who is idle, what clusters leave out; see
    /// `sigquit explain rules`
    #[arg(long, value_name = "FILE")]
    pub rules: Vec<PathBuf>,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub output: OutputFormat,
    /// Write to a file, whole or not at all, instead of standard output
    #[arg(short = 'o', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Exit with 1 when a finding is this severe or more
    #[arg(long, value_enum, default_value_t, value_name = "SEVERITY")]
    pub fail_on: FailOn,
    /// Tell so many findings whole, not only the first screen
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Replace names, hosts, addresses and arguments, each by the same stand-in everywhere
    #[arg(long)]
    pub redact: bool,
    /// Colours; NO_COLOR is honoured
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
}

#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    pub reading: Reading,
    /// Every thread or task in a block of its own
    #[arg(long)]
    pub all: bool,
}

#[derive(Args)]
pub(super) struct Clusters {
    #[command(flatten)]
    pub reading: Reading,
    /// A file of rules of your own: whose code a function is, who is idle, what clusters leave out; see
    /// `sigquit explain rules`
    #[arg(long, value_name = "FILE")]
    pub rules: Vec<PathBuf>,
    /// How alike is one
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    pub level: ClusterLevel,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    pub output: ClusterOutput,
    /// Leave out what fewer than so many are in
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub least: usize,
    /// Write to a file, whole or not at all, instead of standard output
    #[arg(short = 'o', value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// How much stacks have to have in common.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum ClusterLevel {
    /// The same functions in the same order, and the same kind of state
    Exact,
    /// The same short name, which outlives rebuilds
    Signature,
    /// All stacks of all dumps merged from their roots
    #[default]
    Tree,
    /// Alike as a whole: probably one problem, met in different places
    Family,
}

impl From<ClusterLevel> for Level {
    fn from(level: ClusterLevel) -> Level {
        match level {
            ClusterLevel::Exact => Level::Exact,
            ClusterLevel::Signature => Level::Signature,
            ClusterLevel::Tree => Level::Tree,
            ClusterLevel::Family => Level::Family,
        }
    }
}

/// How clusters are said.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum ClusterOutput {
    /// For people
    #[default]
    Text,
    /// For programs: `sigquit.clusters/1`
    Json,
}

#[derive(Args)]
pub(super) struct Browse {
    #[command(flatten)]
    pub reading: Reading,
    /// Healthy dumps of the same program: what these also show is not reported
    #[arg(long, value_name = "PATH")]
    pub baseline: Vec<PathBuf>,
    /// A file of rules of your own: whose code a function is, who is idle, what clusters leave out; see
    /// `sigquit explain rules`
    #[arg(long, value_name = "FILE")]
    pub rules: Vec<PathBuf>,
}

#[derive(Args)]
pub(super) struct Dump {
    /// The process; it must have the agent, and belong to you
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: i32,
    /// Seconds without a further dump after which it is not waited for any longer
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience: u64,
    #[command(flatten)]
    pub saying: Saying,
}

#[derive(Args)]
pub(super) struct Flamegraph {
    #[command(flatten)]
    pub reading: Reading,
    /// Colour by what has become more or less since this one
    #[arg(long, value_name = "BASELINE")]
    pub diff: Option<PathBuf>,
    /// Only the thread with this name or number
    #[arg(long, value_name = "NAME")]
    pub thread: Option<String>,
    /// Only the async task with this number
    #[arg(long, value_name = "NUMBER")]
    pub task: Option<u64>,
    /// From the leaves: who calls the functions that are hot
    #[arg(long)]
    pub reverse: bool,
    /// Write to a file, whole or not at all, instead of standard output
    #[arg(short = 'o', value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Convert {
    #[command(flatten)]
    pub reading: Reading,
    /// The format
    #[arg(long, value_enum, value_name = "NAME")]
    pub to: To,
    /// Write to a file, whole or not at all, instead of standard output
    #[arg(short = 'o', value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Formats of other tools.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum To {
    /// One line a stack: `thread;root;leaf 42`
    Folded,
    /// For `go tool pprof`
    Pprof,
    /// For speedscope.app
    Speedscope,
    /// For profiler.firefox.com
    Firefox,
    /// As sigquit writes it: one JSON object a line
    Json,
}

#[derive(Args)]
pub(super) struct Explain {
    /// The detector's name; `rules` for how rules are written, and `rules.jvm`, `rules.go` and
    /// `rules.native` for those that are known already
    #[arg(value_parser = topics())]
    pub detector: Option<String>,
}

fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(read::FORMATS.iter().map(|format| format.name))
}

fn topics() -> PossibleValuesParser {
    let detectors = detect::all().iter().map(|detector| detector.name);
    let lists = model::BUILT_IN_RULES.iter().map(|&(name, _)| name);
    PossibleValuesParser::new(detectors.chain(["rules"]).chain(lists))
}

/// How a report is said.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: `sigquit.report/1`.
    Json,
    /// One file for a browser, with pictures; sends nothing anywhere.
    Html,
    /// For tickets and chat.
    Markdown,
    /// For code review: SARIF 2.1.0.
    Sarif,
    /// For build servers: a detector is a test.
    #[value(name = "junit")]
    JUnit,
    /// For what collects metrics.
    #[value(name = "openmetrics")]
    OpenMetrics,
    /// Who waits for whom in the newest dumps, for Graphviz.
    Dot,
    /// The same, for Mermaid.
    Mermaid,
}

impl OutputFormat {
    /// How much a report has to hold to be said so.
    pub(super) fn detail(self) -> Detail {
        match self {
            OutputFormat::Html | OutputFormat::Dot | OutputFormat::Mermaid => Detail::Pictures,
            OutputFormat::Text
            | OutputFormat::Json
            | OutputFormat::Markdown
            | OutputFormat::Sarif
            | OutputFormat::JUnit
            | OutputFormat::OpenMetrics => Detail::Story,
        }
    }
}

/// The least severity that makes the exit status 1.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum FailOn {
    Critical,
    High,
    Medium,
    Low,
    #[default]
    Never,
}

impl FailOn {
    pub(super) fn is_met(self, report: &Report) -> bool {
        let least = match self {
            FailOn::Critical => Severity::Critical,
            FailOn::High => Severity::High,
            FailOn::Medium => Severity::Medium,
            FailOn::Low => Severity::Low,
            FailOn::Never => return false,
        };
        report.findings.iter().any(|finding| finding.severity >= least)
    }
}
