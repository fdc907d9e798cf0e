//! Flame graphs for the page: inferno says where frames lie and what colours they have; the template
//! writes them, with every name escaped.
//!
//! inferno is given numbers for names, so that nothing of an input goes through its picture, of
//! which nothing but places, sizes, colours and counts is taken. Its script and style stay behind:
//! the page has its own, by their hashes.

use std::collections::BTreeSet;
use std::io;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::explain::{Compared, Flame, Stacked};
use crate::render::flamegraph::{FlamegraphOptions, difference, flamegraph};
use crate::render::plain::{plain, short};

/// Frames that are narrower are left out, in percent of the picture: the first of these with which
/// it is small enough, or the last.
const NARROWEST: [f64; 6] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
/// So many frames a picture has at most, and so many bytes in their names.
const MOST_FRAMES: usize = 1_500;
const MOST_BYTES: usize = 150_000;
/// And so many levels.
const DEEPEST: usize = 120;
/// The longest name, in columns.
const LONGEST_NAME: usize = 300;
/// A frame's height with the gap above it, in pixels; and what inferno calls the same.
const LEVEL: usize = 18;
const INFERNO_LEVEL: f64 = 16.0;
/// Columns of text in the whole width, where no script says otherwise.
const COLUMNS: f64 = 165.0;

/// A flame graph as the template draws it.
pub(super) struct FlameView {
    pub title: String,
    pub delivery: Vec<String>,
    /// How to read it, and what is left out.
    pub notes: String,
    pub is_compared: bool,
    /// Functions that are gone, each with the share that it had.
    pub gone: Vec<(String, String)>,
    pub height: usize,
    pub frames: Vec<FrameView>,
}

/// A frame. Where it lies is in percent of the width and in pixels.
pub(super) struct FrameView {
    pub name: String,
    /// `3 samples, 75.00%`.
    pub figures: String,
    pub label: String,
    pub x: String,
    pub width: String,
    pub y: usize,
    /// The red, green and blue.
    pub color: String,
}

/// Draws all that a report holds.
///
/// # Errors
/// When there is nothing in one of them.
pub(super) fn flames(flames: &[Flame]) -> io::Result<Vec<FlameView>> {
    let several = flames.iter().any(|flame| flame.process != flames[0].process);
    flames.iter().map(|flame| flame_view(flame, several)).collect()
}

fn flame_view(flame: &Flame, several: bool) -> io::Result<FlameView> {
    let names = names(flame);
    let compared = flame.compared.as_ref();
    let mut notes = Vec::new();
    let mut drawn = Vec::new();
    for narrowest in NARROWEST {
        drawn = draw(flame, &names, narrowest)?;
        notes = vec![format!("frames below {narrowest}% of the width are left out")];
        let bytes: usize = drawn.iter().map(|frame| frame.bytes(&names)).sum();
        if drawn.len() <= MOST_FRAMES && bytes <= MOST_BYTES {
            break;
        }
    }
    let all = drawn.len();
    let drawn = outermost(drawn, &names);
    if drawn.len() < all {
        notes.push(format!("{} of the innermost frames too", all - drawn.len()));
    }
    if let Some(compared) = compared {
        notes.insert(0, colors(compared).to_owned());
    }
    let deepest = drawn.iter().map(|frame| frame.level).max().unwrap_or(0);
    let process = if several { format!("{}: ", flame.process) } else { String::new() };
    Ok(FlameView {
        title: plain(&format!("{process}{}", flame.title)),
        delivery: flame.delivery.iter().map(|sentence| plain(sentence)).collect(),
        notes: notes.join("; "),
        is_compared: compared.is_some(),
        gone: compared.map_or(Vec::new(), gone),
        height: (deepest + 1) * LEVEL,
        frames: drawn.iter().map(|frame| frame.view(&names)).collect(),
    })
}

fn colors(compared: &Compared) -> &'static str {
    match compared.is_later {
        false => "red: a larger share than before, blue: a smaller one",
        true => "red: a larger share now, blue: a smaller one, or none",
    }
}

/// Functions that are gone, each with its share.
fn gone(compared: &Compared) -> Vec<(String, String)> {
    let gone = compared.gone.iter();
    gone.map(|(name, share)| (short(name, LONGEST_NAME), format!("{:.1}%", share * 100.0)))
        .collect()
}

/// The names in a picture, each once, in order; a frame is called by its place among them.
fn names(flame: &Flame) -> Vec<&str> {
    let stacks = flame.stacked.iter().chain(flame.compared.iter().flat_map(|other| &other.stacked));
    let names: BTreeSet<&str> =
        stacks.flat_map(|(path, _)| path.iter().map(String::as_str)).collect();
    names.into_iter().collect()
}

fn folded(stacked: &Stacked, names: &[&str]) -> Vec<String> {
    let number = |name: &String| {
        let at = names.binary_search(&name.as_str()).unwrap_or_default();
        format!("n{at:08}")
    };
    let line = |(path, weight): &(Vec<String>, u64)| {
        let path: Vec<String> = path.iter().map(number).collect();
        format!("{} {weight}", path.join(";"))
    };
    stacked.iter().map(line).collect()
}

/// A frame as inferno drew it.
struct Drawn {
    /// Its name's number; none for the whole.
    name: Option<usize>,
    figures: String,
    x: f64,
    width: f64,
    level: usize,
    color: String,
}

fn draw(flame: &Flame, names: &[&str], narrowest: f64) -> io::Result<Vec<Drawn>> {
    let options = FlamegraphOptions {
        count_name: flame.count_name.clone(),
        narrowest: Some(narrowest),
        is_earlier: flame.compared.as_ref().is_some_and(|compared| compared.is_later),
        ..FlamegraphOptions::default()
    };
    let mut svg = Vec::new();
    let stacks = folded(&flame.stacked, names);
    match &flame.compared {
        None => flamegraph(&stacks, &options, &mut svg)?,
        Some(other) => difference(&folded(&other.stacked, names), &stacks, &options, &mut svg)?,
    }
    read(&String::from_utf8_lossy(&svg)).map_err(io::Error::other)
}

/// The frames of a picture: each a `title` with a `rect` after it.
fn read(svg: &str) -> Result<Vec<Drawn>, quick_xml::Error> {
    let mut reader = Reader::from_str(svg);
    let (mut frames, mut heights) = (Vec::new(), Vec::new());
    let (mut title, mut in_title) = (None, false);
    loop {
        match reader.read_event()? {
            Event::Start(start) => in_title = start.name().as_ref() == b"title",
            Event::Text(text) if in_title => title = Some(text.decode()?.into_owned()),
            Event::Empty(rect) if rect.name().as_ref() == b"rect" => {
                if let Some(title) = title.take()
                    && let Some((frame, y)) = frame(&title, &rect)
                {
                    frames.push(frame);
                    heights.push(y);
                }
            }
            Event::End(_) => in_title = false,
            Event::Eof => break,
            _ => {}
        }
    }
    let ground = heights.iter().copied().fold(0.0, f64::max);
    for (frame, y) in frames.iter_mut().zip(heights) {
        frame.level = ((ground - y) / INFERNO_LEVEL).round() as usize;
    }
    Ok(frames)
}

/// `n00000007 (3 samples, 75.00%)` and its rectangle.
fn frame(title: &str, rect: &BytesStart) -> Option<(Drawn, f64)> {
    let (name, figures) = title.split_once(" (")?;
    let text = |attribute: &str| {
        let value = rect.try_get_attribute(attribute).ok()??.value;
        Some(String::from_utf8_lossy(&value).into_owned())
    };
    let number = |attribute: &str| text(attribute)?.trim_end_matches('%').parse::<f64>().ok();
    let drawn = Drawn {
        name: name.strip_prefix('n').and_then(|number| number.parse().ok()),
        figures: figures.trim_end_matches(')').to_owned(),
        x: number("x")?,
        width: number("width")?,
        level: 0,
        color: color(&text("fill")?)?,
    };
    Some((drawn, number("y")?))
}

/// `rgb(255,0,7)`, and nothing else.
fn color(fill: &str) -> Option<String> {
    let parts = fill.strip_prefix("rgb(")?.strip_suffix(')')?;
    let parts: Vec<u8> = parts.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    let [red, green, blue] = parts[..] else { return None };
    Some(format!("{red},{green},{blue}"))
}

/// As many frames as a picture may have, those of the inner levels left out.
fn outermost(mut frames: Vec<Drawn>, names: &[&str]) -> Vec<Drawn> {
    frames.sort_by_key(|frame| frame.level);
    let (mut count, mut bytes) = (0, 0);
    frames.retain(|frame| {
        (count, bytes) = (count + 1, bytes + frame.bytes(names));
        count <= MOST_FRAMES && bytes <= MOST_BYTES && frame.level < DEEPEST
    });
    frames
}

impl Drawn {
    fn name(&self, names: &[&str]) -> String {
        let name = self.name.and_then(|at| names.get(at)).copied().unwrap_or("all");
        short(&plain(name), LONGEST_NAME)
    }

    fn bytes(&self, names: &[&str]) -> usize {
        self.name.and_then(|at| names.get(at)).map_or(0, |name| name.len().min(LONGEST_NAME))
    }

    fn view(&self, names: &[&str]) -> FrameView {
        let name = self.name(names);
        FrameView {
            label: label(&name, (self.width / 100.0 * COLUMNS) as usize),
            name,
            figures: self.figures.clone(),
            x: format!("{:.3}", self.x),
            width: format!("{:.3}", self.width),
            y: self.level * LEVEL,
            color: self.color.clone(),
        }
    }
}

/// As much of a name as fits, its end first.
fn label(name: &str, columns: usize) -> String {
    let length = name.chars().count();
    if length <= columns {
        return name.to_owned();
    }
    let words: Vec<&str> = name.split("::").collect();
    let end = words[words.len().saturating_sub(2)..].join("::");
    match columns {
        0..3 => String::new(),
        _ if end.chars().count() <= columns => end,
        _ => end.chars().take(columns - 2).chain("..".chars()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flame(stacked: Stacked, before: Option<Stacked>) -> FlameView {
        let compared =
            before.map(|stacked| Compared { stacked, is_later: false, gone: Vec::new() });
        let flame = Flame { count_name: "samples".into(), stacked, compared, ..Flame::default() };
        flames(&[flame]).expect("a picture").remove(0)
    }

    fn stack(path: &str, weight: u64) -> (Vec<String>, u64) {
        (path.split(';').map(str::to_owned).collect(), weight)
    }

    #[test]
    fn frames_lie_beneath_their_callers_and_are_as_wide_as_their_samples() {
        let view = flame(vec![stack("main;sum", 3), stack("main;</title> 7 8", 1)], None);
        let mut frames: Vec<_> =
            view.frames.iter().map(|f| (f.y / LEVEL, &*f.name, &*f.width, &*f.figures)).collect();
        frames.sort_unstable();
        assert_eq!(
            frames,
            [
                (0, "all", "100.000", "4 samples, 100%"),
                (1, "main", "100.000", "4 samples, 100.00%"),
                (2, "</title> 7 8", "25.000", "1 samples, 25.00%"),
                (2, "sum", "75.000", "3 samples, 75.00%"),
            ]
        );
    }

    #[test]
    fn a_difference_says_how_much() {
        let before = vec![stack("a", 1), stack("b", 1)];
        let view = flame(vec![stack("b", 2)], Some(before));
        assert!(view.frames[1].figures.ends_with("+50.00%"), "{}", view.frames[1].figures);
        assert!(view.notes.starts_with("red: "));
    }

    #[test]
    fn what_is_gone_is_seen_in_the_picture_of_the_time_before() {
        let compared = Compared {
            stacked: vec![stack("b", 2)],
            is_later: true,
            gone: vec![("a".to_owned(), 0.5)],
        };
        let flame = Flame {
            count_name: "samples".into(),
            stacked: vec![stack("a", 1), stack("b", 1)],
            compared: Some(compared),
            ..Flame::default()
        };
        let view = flames(&[flame]).expect("a picture").remove(0);
        let a = view.frames.iter().find(|frame| frame.name == "a").expect("a frame");
        assert_eq!(a.figures, "1 samples, 50.00%; -50.00%");
        assert!(a.color.ends_with(",255"), "blue: {}", a.color);
        assert_eq!(view.gone, [("a".to_owned(), "50.0%".to_owned())]);
    }

    #[test]
    fn a_picture_stays_small() {
        let long = "x".repeat(500);
        let wide = (0..5_000).map(|at| stack(&format!("{long}{at};leaf"), 1)).collect();
        let deep = vec![stack(&vec!["deep"; 10_000].join(";"), 1)];
        let bushy = (0..20).map(|at| stack(&vec![format!("{long}{at}"); 500].join(";"), 1));
        for stacked in [wide, deep, bushy.collect()] {
            let view = flame(stacked, None);
            let bytes: usize = view.frames.iter().map(|frame| frame.name.len()).sum();
            assert!(view.frames.len() <= MOST_FRAMES && bytes <= MOST_BYTES + 1_000);
            assert!(view.height <= DEEPEST * LEVEL && !view.frames.is_empty());
        }
    }

    #[test]
    fn a_label_is_the_end_of_a_name_that_fits() {
        let labels = [40, 12, 8, 2].map(|columns| label("shop::orders::Queue::push", columns));
        assert_eq!(labels, ["shop::orders::Queue::push", "Queue::push", "Queue:..", ""]);
    }
}
