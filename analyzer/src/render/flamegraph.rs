//! Folded stacks -> a flamegraph.

use std::io::{self, Write};

use inferno::differential;
use inferno::flamegraph::{Direction, Options, from_lines, from_reader};
use sigquit_dump::{Profile, Unit};

/// What a flamegraph shows.
#[derive(Clone, Debug, Default)]
pub struct FlamegraphOptions {
    /// What the widths are of.
    pub title: String,
    /// Below the title: what was asked for and delivered.
    pub subtitle: String,
    /// What is counted.
    pub count_name: String,
    /// The leaves are at the bottom: who calls the functions that are hot.
    pub reverse: bool,
    /// Frames that are narrower are left out, in percent of the picture; inferno's own limit, where
    /// nothing is named.
    pub narrowest: Option<f64>,
    /// Red and blue, more and less, change places: what is drawn is the earlier time.
    pub is_earlier: bool,
}

impl FlamegraphOptions {
    /// What is to be said of a profile.
    pub fn of(profile: &Profile) -> FlamegraphOptions {
        let title = match profile.unit {
            Unit::Threads => "Where threads and tasks are".to_owned(),
            Unit::Samples | Unit::Nanos => format!("Where {} goes", profile.clock.noun()),
        };
        FlamegraphOptions {
            title,
            subtitle: profile.summary(),
            count_name: profile.unit.noun().to_owned(),
            ..FlamegraphOptions::default()
        }
    }
}

/// Draws folded stacks.
///
/// # Errors
/// Those of the writer, and when there is nothing to draw.
pub fn flamegraph(
    folded: &[String],
    options: &FlamegraphOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let lines = folded.iter().map(String::as_str);
    from_lines(&mut drawing(options), lines, out).map_err(io::Error::other)
}

/// Draws folded stacks, coloured by what has become more (red) or less (blue) since others.
///
/// # Errors
/// Those of the writer, and when there is nothing to draw.
pub fn difference(
    before: &[String],
    after: &[String],
    options: &FlamegraphOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let normalize = differential::Options { normalize: true, ..Default::default() };
    let (before, after) = (before.join("\n"), after.join("\n"));
    let mut both = Vec::new();
    differential::from_readers(normalize, before.as_bytes(), after.as_bytes(), &mut both)?;
    from_reader(&mut drawing(options), &both[..], out).map_err(io::Error::other)
}

fn drawing(options: &FlamegraphOptions) -> Options<'static> {
    let mut drawing = Options::default();
    // The same input gives the same picture.
    drawing.deterministic = true;
    drawing.title.clone_from(&options.title);
    drawing.subtitle = Some(options.subtitle.clone());
    drawing.count_name.clone_from(&options.count_name);
    drawing.negate_differentials = options.is_earlier;
    if let Some(narrowest) = options.narrowest {
        drawing.min_width = narrowest;
    }
    if options.reverse {
        drawing.direction = Direction::Inverted;
    }
    drawing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(draw: impl FnOnce(&FlamegraphOptions, &mut dyn Write) -> io::Result<()>) -> String {
        let mut svg = Vec::new();
        let options = FlamegraphOptions {
            subtitle: "99 Hz, 3 lost".into(),
            count_name: "samples".into(),
            ..FlamegraphOptions::default()
        };
        draw(&options, &mut svg).unwrap();
        String::from_utf8(svg).unwrap()
    }

    #[test]
    fn a_picture_names_functions_and_losses() {
        let folded = ["w;main;sum 3".to_owned(), "w;main;parse 1".to_owned()];
        let svg = drawn(|options, out| flamegraph(&folded, options, out));
        assert!(svg.contains("sum (3 samples, 75.00%)") && svg.contains("99 Hz, 3 lost"));
    }

    #[test]
    fn a_difference_says_how_much() {
        let (before, after) = (["w;a 1".to_owned(), "w;b 1".to_owned()], ["w;b 2".to_owned()]);
        let svg = drawn(|options, out| difference(&before, &after, options, out));
        assert!(svg.contains("+50.00%"), "{svg}");
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        assert!(flamegraph(&[], &FlamegraphOptions::default(), &mut Vec::new()).is_err());
    }
}
