//! What the operator set: it overrides what the program chose.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::options::Options;
use crate::profiler::HIGHEST_RECORDER_RATE;

/// An interval longer than this is a mistake.
const LONGEST: f64 = 86_400.0;

/// Applies the environment to the options, and says of each value that cannot be used why it
/// was not.
pub(crate) fn apply(options: &mut Options, read: impl Fn(&str) -> Option<OsString>) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |name: &str, value: OsString, wanted: &str| {
        let value = value.to_string_lossy();
        complaints.push(format!("{name}={value} is not {wanted}; it changes nothing"));
    };
    if let Some(value) = read("SIGQUIT_OFF") {
        match switch(&value) {
            Some(off) => options.off = off,
            None => complain("SIGQUIT_OFF", value, "0 or 1"),
        }
    }
    if let Some(value) = read("SIGQUIT_STDERR") {
        match switch(&value) {
            Some(stderr) => options.stderr = stderr,
            None => complain("SIGQUIT_STDERR", value, "0 or 1"),
        }
    }
    if let Some(value) = read("SIGQUIT_TASKS") {
        match switch(&value) {
            Some(trace) => options.trace_tasks = trace,
            None => complain("SIGQUIT_TASKS", value, "0 or 1"),
        }
    }
    if let Some(value) = read("SIGQUIT_DIR").filter(|value| !value.is_empty()) {
        options.directory = Some(PathBuf::from(value));
    }
    if let Some(value) = read("SIGQUIT_DUMPS") {
        match value.to_str().and_then(|text| text.trim().parse().ok()) {
            Some(dumps) if (1..=1000).contains(&dumps) => options.dumps = dumps,
            _ => complain("SIGQUIT_DUMPS", value, "a number from 1 to 1000"),
        }
    }
    if let Some(value) = read("SIGQUIT_INTERVAL") {
        match value.to_str().and_then(seconds) {
            Some(interval) => options.interval = interval,
            None => complain("SIGQUIT_INTERVAL", value, "a time in seconds, such as 0.5"),
        }
    }
    if let Some(value) = read("SIGQUIT_PROFILE") {
        match value.to_str().and_then(seconds) {
            Some(duration) => options.profile = Some(duration),
            None => complain("SIGQUIT_PROFILE", value, "a time in seconds, 0 for no profile"),
        }
    }
    if let Some(value) = read("SIGQUIT_RECORDER") {
        match value.to_str().and_then(|text| text.trim().parse().ok()) {
            Some(rate @ 0..=HIGHEST_RECORDER_RATE) => options.recorder_rate = rate,
            _ => complain("SIGQUIT_RECORDER", value, "samples a second, 0 to 99, such as 19"),
        }
    }
    complaints
}

fn switch(value: &OsString) -> Option<bool> {
    match value.to_str()?.trim() {
        "1" | "true" | "yes" | "on" => Some(true),
        "" | "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    (0.0..=LONGEST).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(variables: &[(&str, &str)]) -> (Options, Vec<String>) {
        let mut options = Options::default();
        let read = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        };
        let complaints = apply(&mut options, read);
        (options, complaints)
    }

    #[test]
    fn every_variable_overrides_its_option() {
        let (options, complaints) = applied(&[
            ("SIGQUIT_DIR", "/var/log/orders"),
            ("SIGQUIT_DUMPS", "3"),
            ("SIGQUIT_INTERVAL", "0.25"),
            ("SIGQUIT_PROFILE", "2"),
            ("SIGQUIT_RECORDER", "19"),
            ("SIGQUIT_STDERR", "1"),
            ("SIGQUIT_TASKS", "0"),
            ("SIGQUIT_OFF", "1"),
        ]);
        assert_eq!(complaints, [""; 0]);
        let expected = Options {
            directory: Some("/var/log/orders".into()),
            dumps: 3,
            interval: Duration::from_millis(250),
            profile: Some(Duration::from_secs(2)),
            recorder_rate: 19,
            stderr: true,
            trace_tasks: false,
            off: true,
            ..Options::default()
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn what_cannot_be_used_is_said_and_changes_nothing() {
        let (options, complaints) = applied(&[
            ("SIGQUIT_DIR", ""),
            ("SIGQUIT_DUMPS", "0"),
            ("SIGQUIT_INTERVAL", "-1"),
            ("SIGQUIT_RECORDER", "999"),
            ("SIGQUIT_STDERR", "maybe"),
            ("SIGQUIT_OFF", "perhaps"),
        ]);
        assert_eq!(options, Options::default());
        assert_eq!(complaints.len(), 5, "{complaints:?}");
        for bad in ["NaN", "inf", "1e9", "soon", ""] {
            assert_eq!(applied(&[("SIGQUIT_INTERVAL", bad)]).1.len(), 1, "{bad}");
        }
    }
}
