//! How the state looks: the verdict, a list, what is said of its chosen row, the keys.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::detail::detail;
use super::state::{Only, Tui, View};
use crate::detect::Severity;
use crate::explain::{Picture, PictureMember, Status};
use crate::model::Activity;
use crate::render::fold::called;
use crate::render::page::{NO_BREAK, Page};
use crate::render::phrase::{severity_name, status_word, whereabouts};
use crate::render::plain::plain;
use crate::render::waits;

/// From so many columns on, the detail stands beside the list; below it otherwise.
const WIDE: u16 = 120;
/// The narrowest text.
const NARROWEST: usize = 20;
/// The longest verdict, in lines.
const VERDICT_LINES: usize = 2;
/// What letters of threads stand for.
const LEGEND: &str = "R runs, L lock, E event, S sleeps, N network, F file, P child process, \
                      C system call, ? unknown, . idle";

/// Draws the state; what the screen has room for bounds how far it is scrolled.
pub fn view(tui: &mut Tui, frame: &mut Frame) {
    let page = Page { width: usize::from(frame.area().width).max(NARROWEST), color: false };
    let verdict = verdict(tui, page);
    let keys = page.wrap("", &keys(tui));
    let legend = match tui.view {
        View::Threads => page.wrap("", LEGEND),
        View::Findings | View::Clusters | View::Waits => Vec::new(),
    };
    let height = |lines: usize| Constraint::Length(lines as u16);
    let [top, tabs, body, below, bottom] = Layout::vertical([
        height(verdict.len()),
        height(1),
        Constraint::Min(0),
        height(legend.len()),
        height(keys.len()),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(verdict), top);
    frame.render_widget(Paragraph::new(tab_line(tui)), tabs);
    draw_body(tui, body, frame);
    frame.render_widget(lines(legend).style(Modifier::DIM), below);
    frame.render_widget(lines(keys).style(Modifier::DIM), bottom);
}

fn lines(lines: Vec<String>) -> Paragraph<'static> {
    Paragraph::new(lines.into_iter().map(Line::from).collect::<Vec<_>>())
}

fn verdict(tui: &Tui, page: Page) -> Vec<Line<'static>> {
    let verdict = &tui.report.verdict;
    let color = match verdict.status {
        Status::Healthy => Color::Green,
        Status::Suspect => Color::Yellow,
        Status::Incident => Color::Red,
    };
    let style = painted(tui, color).add_modifier(Modifier::BOLD);
    let word = status_word(verdict.status);
    let lines = page.wrap_at_most(VERDICT_LINES, &format!("{word}  "), &verdict.headline);
    let line = |(at, line): (usize, String)| match line.strip_prefix(word) {
        Some(rest) if at == 0 => {
            Line::from(vec![Span::styled(word, style), Span::raw(rest.to_owned())])
        }
        _ => Line::from(line),
    };
    lines.into_iter().enumerate().map(line).collect()
}

/// The views by number, the process, the dump.
fn tab_line(tui: &Tui) -> Line<'static> {
    let mut spans = Vec::new();
    for (number, view) in (1..).zip(View::ALL) {
        let style = match view == tui.view {
            true => Style::from(Modifier::REVERSED),
            false => Style::default(),
        };
        spans.push(Span::styled(format!(" {number} {} ", view.name()), style));
    }
    if let Some(dump) = tui.process().and_then(|process| process.dumps.get(tui.dump)) {
        let time = dump.time.as_deref().unwrap_or_default();
        spans.push(Span::raw(plain(&format!("  dump {} of {} {time}", dump.id, tui.dumps()))));
    }
    Line::from(spans)
}

/// The keys that do something; a key and its word stay together.
fn keys(tui: &Tui) -> String {
    if tui.typing {
        return plain(&format!("search: {}_", tui.search)) + "   Enter keep   Esc everyone";
    }
    let several = |count: usize, key: &'static str| (count > 1).then_some(key);
    let opens = matches!(tui.view, View::Findings | View::Clusters);
    let keys = [
        Some("q quit"),
        Some("1-4 view"),
        Some("\u{2191}\u{2193} move"),
        several(tui.dumps(), "\u{2190}\u{2192} dump"),
        opens.then_some("Enter its threads"),
        Some("/ search"),
        Some("Esc everyone"),
        Some("J K scroll"),
        several(tui.report.processes.len(), "p process"),
    ];
    let keys: Vec<String> =
        keys.into_iter().flatten().map(|key| key.replace(' ', &NO_BREAK.to_string())).collect();
    keys.join("  ")
}

fn draw_body(tui: &mut Tui, area: Rect, frame: &mut Frame) {
    let share = |list, rest| [Constraint::Percentage(list), Constraint::Percentage(rest)];
    let [list, rest] = match tui.view {
        View::Waits => Layout::vertical(share(100, 0)).areas(area),
        _ if area.width >= WIDE => Layout::horizontal(share(45, 55)).areas(area),
        _ => Layout::vertical(share(40, 60)).areas(area),
    };
    draw_list(tui, list, frame);
    if tui.view != View::Waits {
        draw_detail(tui, rest, frame);
    }
}

/// The rows around the chosen one.
fn draw_list(tui: &Tui, area: Rect, frame: &mut Frame) {
    let block = Block::bordered().title(title(tui));
    let height = usize::from(block.inner(area).height);
    let (rows, cursor) = (tui.rows(), tui.cursor());
    let first = cursor.saturating_sub(height / 2).min(rows.saturating_sub(height));
    let shown = (first..rows.min(first + height)).map(|at| match at == cursor {
        true => row(tui, at).style(Modifier::REVERSED),
        false => row(tui, at),
    });
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()).block(block), area);
}

fn draw_detail(tui: &mut Tui, area: Rect, frame: &mut Frame) {
    let block = Block::bordered();
    let inner = block.inner(area);
    let told = detail(tui, usize::from(inner.width).max(NARROWEST));
    let most = told.len().saturating_sub(usize::from(inner.height));
    tui.scroll = tui.scroll.min(most);
    let first = tui.scroll;
    let block = match most {
        0 => block,
        most => block.title_bottom(format!(" J K: {} of {} lines more ", most - first, told.len())),
    };
    frame.render_widget(lines(told.into_iter().skip(first).collect()).block(block), area);
}

fn title(tui: &Tui) -> String {
    match tui.view {
        View::Findings if tui.links.is_empty() => " No findings ".to_owned(),
        View::Findings => " What causes what ".to_owned(),
        View::Clusters => " Where they are in the dump ".to_owned(),
        View::Threads => threads_title(tui),
        View::Waits if tui.waits.is_empty() => {
            " Nobody is seen to wait for a lock in the newest dump ".to_owned()
        }
        View::Waits => " Who is waited for, who waits beneath; in the newest dump ".to_owned(),
    }
}

fn threads_title(tui: &Tui) -> String {
    let all = tui.picture().map_or(0, |picture| picture.members.len());
    let left = match tui.picture().map_or(0, |picture| picture.left_out) {
        0 => String::new(),
        left => format!(", {left} more left out"),
    };
    let only = match tui.only {
        Only::Everyone => String::new(),
        Only::Finding(id) => format!(" in {id}"),
        Only::Cluster(number) => {
            tui.report.clusters.get(number).map_or(String::new(), |c| format!(" in {}", c.id))
        }
    };
    let search = match tui.search.as_str() {
        "" => String::new(),
        search => plain(&format!(" with {search}")),
    };
    format!(" {} of {all}{only}{search}{left} ", tui.threads.len())
}

fn row(tui: &Tui, at: usize) -> Line<'static> {
    match tui.view {
        View::Findings => finding_row(tui, at),
        View::Clusters => cluster_row(tui, at),
        View::Threads => tui
            .picture()
            .zip(tui.member(at))
            .map_or_else(Line::default, |(picture, member)| member_row(tui, picture, member)),
        View::Waits => Line::from(wait_row(&tui.waits[at])),
    }
}

fn finding_row(tui: &Tui, at: usize) -> Line<'static> {
    let link = &tui.links[at];
    let finding = link.finding;
    let color = match finding.severity {
        Severity::Critical | Severity::High => painted(tui, Color::Red),
        Severity::Medium => painted(tui, Color::Yellow),
        Severity::Low | Severity::Info => Style::default(),
    };
    let arrow = match link.depth {
        0 => String::new(),
        depth => format!("{}-> ", "   ".repeat(depth.min(5) - 1)),
    };
    Line::from(vec![
        Span::raw(format!("{arrow}{} {} ", finding.id, finding.detector)),
        Span::styled(format!("{} {}", severity_name(finding.severity), finding.score), color),
        Span::raw(plain(&format!("  {}", finding.headline))),
    ])
}

fn cluster_row(tui: &Tui, at: usize) -> Line<'static> {
    let Some((_, cluster)) = tui.cluster(at) else { return Line::default() };
    let count = cluster.per_dump.get(tui.dump).copied().unwrap_or(cluster.count);
    let style = if cluster.idle { Style::from(Modifier::DIM) } else { Style::default() };
    Line::styled(format!("{count:>7}  {}", plain(&whereabouts(cluster))), style)
}

/// What a member does in each dump, the chosen one underlined, and what it is called.
fn member_row(tui: &Tui, picture: &Picture, member: &PictureMember) -> Line<'static> {
    let mut spans = Vec::new();
    for (dump, seen) in member.seen.iter().enumerate() {
        let sight = seen.and_then(|seen| picture.sights.get(seen.sight as usize));
        let (letter, color) = match sight {
            None => (' ', None),
            Some(sight) if sight.idle => ('.', None),
            Some(sight) => letter(sight.activity),
        };
        let style = color.map_or(Style::default(), |color| painted(tui, color));
        let style = match dump == tui.dump {
            true => style.add_modifier(Modifier::UNDERLINED),
            false => style,
        };
        spans.push(Span::styled(letter.to_string(), style));
    }
    spans.push(Span::raw(format!(" {}", plain(&called(&member.member)))));
    Line::from(spans)
}

fn letter(activity: Activity) -> (char, Option<Color>) {
    match activity {
        Activity::Computing => ('R', Some(Color::Yellow)),
        Activity::Lock => ('L', Some(Color::Red)),
        Activity::Event => ('E', Some(Color::Blue)),
        Activity::Sleeping => ('S', None),
        Activity::Network => ('N', Some(Color::Cyan)),
        Activity::File => ('F', Some(Color::Green)),
        Activity::ChildProcess => ('P', Some(Color::Yellow)),
        Activity::SystemCall => ('C', Some(Color::Magenta)),
        Activity::Unknown => ('?', None),
    }
}

/// A lock hangs on its owner, by a dashed line where the owner is not certain.
fn wait_row(line: &waits::Line) -> String {
    let mark = match (line.kind, line.depth) {
        (_, 0) => "",
        ("lock inferred", _) => "\u{2514}\u{254c} ",
        _ => "\u{2514}\u{2500} ",
    };
    format!("{}{mark}{}", "   ".repeat(line.depth.saturating_sub(1)), line.text)
}

/// A colour, where colours are wanted.
fn painted(tui: &Tui, color: Color) -> Style {
    if tui.color { Style::from(color) } else { Style::default() }
}
