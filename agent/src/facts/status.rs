//! `/proc/PID/task/TID/status`: the state in the kernel's words, and how often the CPU was given
//! away or taken.
//!
//! ```text
//! Name:   request-1
//! State:  S (sleeping)
//! ...
//! voluntary_ctxt_switches:        3
//! nonvoluntary_ctxt_switches:     0
//! ```

/// What is taken from it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Status<'a> {
    /// The letter and its meaning.
    pub state: &'a str,
    pub voluntary_switches: Option<u64>,
    pub involuntary_switches: Option<u64>,
}

pub(super) fn parse(text: &str) -> Status<'_> {
    let mut status = Status::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key {
            "State" => status.state = value,
            "voluntary_ctxt_switches" => status.voluntary_switches = value.parse().ok(),
            "nonvoluntary_ctxt_switches" => status.involuntary_switches = value.parse().ok(),
            _ => {}
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_its_three_lines_and_passes_over_the_rest() {
        let text = "Name:\tx\nState:\tS (sleeping)\nThreads:\t9\nMems_allowed_list:\t0\n\
                    voluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t41\n";
        let status = Status {
            state: "S (sleeping)",
            voluntary_switches: Some(3),
            involuntary_switches: Some(41),
        };
        assert_eq!(parse(text), status);
        assert_eq!(parse("State"), Status::default());
    }
}
