//! Pictures, as SVG: bars, and marks on a logarithmic scale. They follow the reader's light or dark colours.

use std::fmt::Write as _;

use crate::stats::Summary;

const WIDTH: f64 = 760.0;
/// Where the axis begins and ends.
const LEFT: f64 = 170.0;
const RIGHT: f64 = 650.0;
/// Above the first line, and of each line.
const TOP: f64 = 56.0;
const LINE: f64 = 22.0;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:14px}.faint{fill:#6e7781}\
.grid{stroke:#d0d7de}.bar{fill:#8c959f}.ours{fill:#0969da}.spread{stroke:#24292f;stroke-width:1.5}\
.s0{fill:#0969da}.s1{fill:#bf8700}.s2{fill:#cf222e}.s3{fill:#8250df}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#8d96a0}.grid{stroke:#30363d}.bar{fill:#6e7681}.ours{fill:#4493f8}\
.spread{stroke:#e6edf3}.s0{fill:#4493f8}.s1{fill:#d29922}.s2{fill:#f85149}.s3{fill:#ab7df8}}";

/// One bar.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: Summary,
    /// Drawn so that it is seen.
    pub(crate) ours: bool,
}

/// Bars from zero, each with its quartiles; `write` writes a value.
pub(crate) fn bars(title: &str, bars: &[Bar], write: impl Fn(f64) -> String) -> String {
    let most = bars.iter().map(|bar| bar.value.q3).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    let at = |value: f64| LEFT + (RIGHT - LEFT) * value / most;
    let mut picture = begin(title, bars.len());
    for tick in ticks(most) {
        grid(&mut picture, at(tick), bars.len(), &write(tick));
    }
    for (place, bar) in bars.iter().enumerate() {
        let y = TOP + LINE * place as f64;
        let Summary { q1, median, q3 } = bar.value;
        label(&mut picture, y, &bar.label);
        let class = if bar.ours { "ours" } else { "bar" };
        let width = at(median) - LEFT;
        let _ = writeln!(
            picture,
            r#"<rect class="{class}" x="{LEFT}" y="{:.1}" width="{width:.1}" height="14" rx="2"/>"#,
            y + 4.0
        );
        let _ = writeln!(
            picture,
            r#"<line class="spread" x1="{:.1}" x2="{:.1}" y1="{y2:.1}" y2="{y2:.1}"/>"#,
            at(q1),
            at(q3),
            y2 = y + 11.0
        );
        let _ = writeln!(
            picture,
            r#"<text x="{:.1}" y="{:.1}">{}</text>"#,
            at(q3.max(median)) + 6.0,
            y + 15.0,
            escaped(&write(median))
        );
    }
    picture + "</svg>\n"
}

/// Several values a line, on a logarithmic scale; `series` names them.
pub(crate) fn marks(
    title: &str,
    series: &[&str],
    lines: &[(String, Vec<Option<f64>>)],
    write: impl Fn(f64) -> String,
) -> String {
    let values = || lines.iter().flat_map(|(_, values)| values).flatten().copied().filter(|value| *value > 0.0);
    let least = values().fold(f64::INFINITY, f64::min);
    let most = values().fold(0.0, f64::max);
    let (first, last) = if most > 0.0 { (least.log10().floor(), most.log10().ceil()) } else { (0.0, 1.0) };
    let last = last.max(first + 1.0);
    let at = |value: f64| LEFT + (RIGHT - LEFT) * (value.log10() - first) / (last - first);
    let mut picture = begin(title, lines.len());
    let mut decade = first;
    while decade <= last {
        let value = 10_f64.powf(decade);
        grid(&mut picture, at(value), lines.len(), &write(value));
        decade += 1.0;
    }
    for (place, name) in series.iter().enumerate() {
        let x = LEFT + 110.0 * place as f64;
        let _ = writeln!(picture, r#"<circle class="s{place}" cx="{x}" cy="36" r="5"/>"#);
        let _ = writeln!(picture, r#"<text x="{}" y="40">{}</text>"#, x + 9.0, escaped(name));
    }
    // One below the other, so that those at the same place are all seen.
    let shift = |place: usize| 4.0 * (place as f64 - (series.len() as f64 - 1.0) / 2.0);
    for (place, (name, values)) in lines.iter().enumerate() {
        let y = TOP + LINE * place as f64;
        label(&mut picture, y, name);
        for (series, value) in values.iter().enumerate() {
            if let Some(value) = value.filter(|value| *value > 0.0) {
                let _ = writeln!(
                    picture,
                    r#"<circle class="s{series}" cx="{:.1}" cy="{:.1}" r="4"><title>{}</title></circle>"#,
                    at(value),
                    y + 11.0 + shift(series),
                    escaped(&write(value))
                );
            }
        }
    }
    picture + "</svg>\n"
}

fn begin(title: &str, lines: usize) -> String {
    let height = TOP + LINE * lines as f64 + 30.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\"><title>{title}</title><style>{STYLE}</style>\n<text class=\"title\" x=\"8\" y=\"20\">{title}</text>\n",
        title = escaped(title)
    )
}

fn label(picture: &mut String, y: f64, label: &str) {
    let _ = writeln!(
        picture,
        r#"<text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
        LEFT - 8.0,
        y + 15.0,
        escaped(label)
    );
}

fn grid(picture: &mut String, x: f64, lines: usize, text: &str) {
    let bottom = TOP + LINE * lines as f64 + 4.0;
    let _ = writeln!(picture, r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom}"/>"#);
    let text = escaped(text);
    let _ =
        writeln!(picture, r#"<text class="faint" x="{x:.1}" y="{}" text-anchor="middle">{text}</text>"#, bottom + 16.0);
}

/// Round numbers from zero up to `most`, four or so.
fn ticks(most: f64) -> Vec<f64> {
    let rough = most / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    (0..).map(|count| step * f64::from(count)).take_while(|tick| *tick <= most).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_ticks() {
        assert_eq!(ticks(10.0), [0.0, 5.0, 10.0]);
        assert_eq!(ticks(190_000.0), [0.0, 50_000.0, 100_000.0, 150_000.0]);
    }

    #[test]
    fn a_bar_has_its_length_and_text_is_escaped() {
        let bar = |label: &str, median| Bar {
            label: label.to_owned(),
            value: Summary { q1: median, median, q3: median },
            ours: label == "ours",
        };
        let picture = bars("a <b>", &[bar("ours", 100.0), bar("R&D", 50.0)], |value| format!("{value}/s"));
        assert!(picture.contains("a &lt;b&gt;") && picture.contains("R&amp;D") && picture.contains("50/s"));
        assert!(picture.contains(r#"class="ours" x="170" y="60.0" width="480.0""#), "{picture}");
        assert!(picture.contains(r#"class="bar" x="170" y="82.0" width="240.0""#));
    }

    #[test]
    fn marks_lie_on_their_decade_and_nothing_is_no_mark() {
        let lines = [("one".to_owned(), vec![Some(10.0), None]), ("two".to_owned(), vec![Some(1000.0), Some(0.0)])];
        let picture = marks("t", &["a", "b"], &lines, |value| format!("{value}"));
        assert!(
            picture.contains(r#"class="s0" cx="170.0""#) && picture.contains(r#"class="s0" cx="650.0""#),
            "{picture}"
        );
        assert_eq!(picture.matches("<circle").count(), 4, "two of the legend, two values");
    }
}
