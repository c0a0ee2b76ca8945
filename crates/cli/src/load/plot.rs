//! Plots as SVG, made for pages in light and dark: colours are the page's, by class.

use std::fmt::Write;

/// Units of the drawing, and where in it the plot itself stands.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;

/// How many lines of a grid are wanted.
const GRID: f64 = 6.0;

/// A direction of a plot.
pub(super) struct Axis {
    pub(super) name: &'static str,
    pub(super) scale: Scale,
    /// Where a line of the grid stands, and what is written there.
    pub(super) marks: Vec<(f64, String)>,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    /// Each ten times is as long; values are more than zero.
    Log,
}

/// Points in their order, and the class that says how they are drawn. Where there is none the line is broken.
pub(super) struct Line {
    pub(super) class: String,
    pub(super) points: Vec<Option<(f64, f64)>>,
}

impl Axis {
    /// From nothing to that much, with a mark at round values.
    pub(super) fn linear(name: &'static str, to: f64, say: impl Fn(f64) -> String) -> Self {
        let to = if to > 0.0 { to } else { 1.0 };
        let step = round_up(to / GRID);
        let to = (to / step).ceil() * step;
        let count = (to / step).round() as u32;
        let marks = (0..=count).map(|place| step * f64::from(place)).map(|at| (at, say(at))).collect();
        Self { name, scale: Scale::Linear, marks, from: 0.0, to }
    }

    /// From the last round value below `from` to the first above `to`, with a mark at 1, 2 and 5 times the powers of ten, or at
    /// these alone where there are many.
    pub(super) fn log(name: &'static str, from: f64, to: f64, say: impl Fn(f64) -> String) -> Self {
        let (from, to) = if from > 0.0 && to >= from { (from, to) } else { (1e-6, 1e-3) };
        let (first, last) = (from.log10().floor() as i32, to.log10().ceil() as i32);
        let steps: &[f64] = if f64::from(last - first) > GRID / 2.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let all = (first..=last).flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        let all: Vec<f64> = all.collect();
        // A little more than a value is that value: the powers are not exact.
        let lowest = all.iter().copied().rfind(|mark| *mark <= from * 1.000_001).unwrap_or(from);
        let highest = all.iter().copied().find(|mark| *mark >= to * 0.999_999 && *mark > lowest).unwrap_or(to * 10.0);
        let marks = all.into_iter().filter(|mark| (lowest..=highest).contains(mark)).map(|mark| (mark, say(mark)));
        Self { name, scale: Scale::Log, marks: marks.collect(), from: lowest, to: highest }
    }

    /// A place from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => (value / self.from).log10() / (self.to / self.from).log10(),
        };
        place.clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 times a power of ten, no less than that.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= value * 0.999_999).unwrap_or(value)
}

/// The plot, for who sees it and, as `title`, for who hears it.
pub(super) fn svg(title: &str, x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let across = |value| LEFT + x.place(value) * (right - LEFT);
    let up = |value| bottom - y.place(value) * (bottom - TOP);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n");
    for (value, text) in &y.marks {
        let at = up(*value);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>");
        let _ = writeln!(svg, "<text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>", LEFT - 8.0, at + 4.0);
    }
    for (value, text) in &x.marks {
        let at = across(*value);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>");
        let _ = writeln!(svg, "<text class=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{text}</text>", bottom + 18.0);
    }
    let middle = f64::midpoint(LEFT, right);
    let _ = writeln!(svg, "<text class=\"middle\" x=\"{middle}\" y=\"{:.1}\">{}</text>", HEIGHT - 8.0, x.name);
    for Line { class, points } in lines {
        let mut path = String::new();
        let mut command = 'M';
        for point in points {
            match point {
                Some((x, y)) => {
                    let _ = write!(path, "{command}{:.1} {:.1}", across(*x), up(*y));
                    command = 'L';
                }
                None => command = 'M',
            }
        }
        if !path.is_empty() {
            // A point by itself shows, for the ends of lines are round.
            let _ = writeln!(svg, "<path class=\"line {class}\" d=\"{path}h0\"/>");
        }
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(axis: &Axis) -> Vec<f64> {
        axis.marks.iter().map(|(value, _)| *value).collect()
    }

    #[test]
    fn marks_are_round_and_the_values_lie_between_them() {
        assert_eq!(marks(&Axis::linear("", 10.0, |at| at.to_string())), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(marks(&Axis::linear("", 0.0, |at| at.to_string())).len(), 6);
        for to in [1e-3, 0.9, 1.0, 7.0, 123_456.0, 9.99e9] {
            let axis = Axis::linear("", to, |at| at.to_string());
            assert!(axis.to >= to && (2..=8).contains(&axis.marks.len()), "{to}: {:?}", marks(&axis));
        }
        assert_eq!(Axis::log("", 1e-4, 1e-3, |at| at.to_string()).marks.len(), 4);
        for (from, to) in [(1e-6, 1e-6), (3e-6, 4e-6), (1e-6, 120.0), (0.99, 1.01), (0.0, 1.0)] {
            let axis = Axis::log("", from, to, |at| at.to_string());
            assert!(axis.from <= from.max(1e-6) && axis.to >= to.min(1e-3) && axis.from < axis.to, "{from} {to}");
            assert!((2..=10).contains(&axis.marks.len()), "{from} to {to}: {:?}", marks(&axis));
        }
    }

    #[test]
    fn a_line_is_broken_where_there_is_nothing_and_stays_within_the_plot() {
        let (x, y) = (Axis::linear("s", 4.0, |at| at.to_string()), Axis::log("s", 0.1, 1.0, |at| at.to_string()));
        let points = vec![Some((0.0, 0.1)), Some((1.0, 1.0)), None, Some((4.0, 1e9))];
        let svg = svg("it", &x, &y, &[Line { class: "one".into(), points }]);
        assert!(svg.contains("d=\"M76.0 256.0L265.0 12.0M832.0 12.0h0\""), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
