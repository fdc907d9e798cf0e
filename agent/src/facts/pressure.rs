//! `/proc/pressure/{cpu,memory,io}`: for how much of the time some work waited.
//!
//! ```text
//! some avg10=1.53 avg60=0.87 avg300=0.21 total=8213456
//! full avg10=0.00 avg60=0.00 avg300=0.00 total=0
//! ```

use std::fs;

use sigquit_dump::Pressure;

pub(super) fn pressure() -> Option<Pressure> {
    let read = |resource| {
        fs::read_to_string(format!("/proc/pressure/{resource}")).ok().and_then(|text| some(&text))
    };
    Some(Pressure { cpu: read("cpu")?, memory: read("memory")?, io: read("io")? })
}

/// The ten-second average of the line `some`.
fn some(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_average_of_some() {
        let text = "some avg10=1.53 avg60=0.87 avg300=0.21 total=8213456\n\
                    full avg10=9.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(some(text), Some(1.53));
        assert_eq!(some("full avg10=9.00"), None);
        assert_eq!(some(""), None);
    }
}
