//! What was found, as a page of its own: no script, and nothing from elsewhere.

use super::figures::{PERCENTILES, grouped, percentile, scaled, time};
use super::found::{Found, Server, told};
use super::plot::{Axis, Line, svg};
use super::series::Point;
use socketserver_load::Latency;
use std::fmt::Write;
use std::time::Duration;

const STYLE: &str = include_str!("page.css");
/// The classes of the servers' lines.
const SERVERS: [&str; 2] = ["one", "two"];
/// The classes of a median, a 99th percentile and a maximum, and what they are called.
const KINDS: [(&str, &str); 3] = [("p50", "p50"), ("p99", "p99"), ("max", "max")];
/// The last percentile of the distribution that is drawn.
const LAST: f64 = 99.999;
/// How many points it has.
const STEPS: u32 = 200;

pub(super) fn page(found: &Found) -> String {
    let names: Vec<String> = found.servers.iter().map(|server| escaped(&server.name)).collect();
    let title = format!("Load on {}", names.join(" and "));
    let mut body =
        format!("<h1>{title}</h1>\n<p>{}.<br>Each message: {}.</p>\n", escaped(&found.model), escaped(&found.message));
    if let Some(ending) = found.ending() {
        let _ = writeln!(body, "<p class=\"note\">It was {ending}.</p>");
    }
    body.push_str(&figures(found));
    for (server, name) in found.servers.iter().zip(&names) {
        for remark in server.remarks() {
            let _ = writeln!(body, "<p class=\"note\">{name}: {}.</p>", escaped(&remark));
        }
        for (threshold, by) in &server.missed {
            let _ =
                writeln!(body, "<p class=\"missed\">{name} missed {}: it was {}.</p>", escaped(threshold), escaped(by));
        }
    }
    body.push_str(&ratios(found));
    body.push_str(&rate_over_time(found));
    body.push_str(&latency_over_time(found));
    body.push_str(&distribution(found));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// A row a figure, a column a server.
fn figures(found: &Found) -> String {
    let mut table = "<table>\n<thead><tr><th></th>".to_owned();
    for server in &found.servers {
        let _ = write!(table, "<th>{}</th>", escaped(&server.name));
    }
    table.push_str("</tr></thead>\n<tbody>\n");
    let mut row = |name: &str, value: &dyn Fn(&Server) -> String| {
        let cells: String =
            found.servers.iter().map(|server| format!("<td>{}</td>", escaped(&value(server)))).collect();
        let _ = writeln!(table, "<tr><th>{name}</th>{cells}</tr>");
    };
    row("messages", &|server| format!("{} in {}", grouped(server.outcome.messages), time(server.outcome.elapsed)));
    row("rate", &|server| format!("{}/s", grouped(server.outcome.rate().round() as u64)));
    row("each way", &|server| format!("{}B/s", scaled(server.outcome.throughput())));
    for percent in PERCENTILES {
        let of =
            |latency: &Latency| told(latency).map_or("nothing".into(), |latency| time(latency.percentile(percent)));
        row(&format!("latency {}", percentile(percent)), &|server| of(&server.outcome.latency));
    }
    row("connecting p50, p99, max", &|server| {
        let latency = told(&server.outcome.connect);
        let all = latency.map(|latency| [50.0, 99.0, 100.0].map(|percent| time(latency.percentile(percent))));
        all.map_or("nothing".into(), |all| all.join(", "))
    });
    row("connections opened", &|server| grouped(server.outcome.opened));
    row("errors", &|server| server.outcome.errors.to_string());
    row("messages lost", &|server| grouped(server.outcome.lost));
    row("in flight at the end", &|server| grouped(server.outcome.in_flight));
    if found.servers.iter().any(|server| server.outcome.open_loop.is_some()) {
        row("schedule: held, never sent, late", &|server| {
            let open = server.outcome.open_loop.as_ref();
            open.map_or_else(String::new, |open| [open.held, open.unsent, open.late].map(grouped).join(", "))
        });
    }
    row("generator", &|server| format!("{:.0}% of a core", server.outcome.utilization() * 100.0));
    table + "</tbody>\n</table>\n"
}

fn ratios(found: &Found) -> String {
    let (Some(compared), Some(comparison)) = (found.compared(), &found.comparison) else { return String::new() };
    let rounds = comparison.rounds.len();
    let mut table = format!(
        "<h2>The first as a multiple of the second</h2>\n<table>\n\
         <thead><tr><th></th><th>median of {rounds} rounds</th><th>least</th><th>most</th></tr></thead>\n<tbody>\n"
    );
    for (name, ratio) in compared {
        let cells = match ratio {
            Some(ratio) => [ratio.median, ratio.least, ratio.most].map(|ratio| format!("<td>{ratio:.2}</td>")).concat(),
            None => "<td colspan=\"3\">cannot be told</td>".into(),
        };
        let _ = writeln!(table, "<tr><th>{name}</th>{cells}</tr>");
    }
    table + "</tbody>\n</table>\n"
}

fn rate_over_time(found: &Found) -> String {
    let lines = lines(found, |server, class| {
        let points = server.points.iter().map(|point| Some((point.at, point.rate)));
        vec![Line { class: class.into(), points: points.collect() }]
    });
    let most = most(points(found).map(|point| point.rate));
    let y = Axis::linear("messages a second", most, |rate| scaled(rate).replace(".0", ""));
    section("Rate over time", &by_server(found), &seconds(found), &y, &lines)
}

fn latency_over_time(found: &Found) -> String {
    let lines = lines(found, |server, class| {
        let of = |(at, (kind, _)): (usize, &(&str, &str))| Line {
            class: format!("{class} {kind}"),
            points: server.points.iter().map(|point| Some((point.at, point.latency?[at]))).collect(),
        };
        KINDS.iter().enumerate().map(of).collect()
    });
    let all: Vec<f64> = points(found).filter_map(|point| point.latency).flatten().collect();
    let y = latency_axis(&all);
    let kinds = KINDS.iter().map(|(class, name)| (format!("{class} {}", SERVERS[0]), (*name).to_owned()));
    let legend: Vec<_> = kinds.chain(by_server(found)).collect();
    section("Latency over time", &legend, &seconds(found), &y, &lines)
}

/// The latency at each percentile, with as much room for the last ones as for all before them.
fn distribution(found: &Found) -> String {
    // What is beyond 90 is a tenth, beyond 99 a hundredth: the steps are equal in that.
    let end = (100.0 / (100.0 - LAST)).log10();
    let place = |percent: f64| (100.0 / (100.0 - percent)).log10();
    let steps = (0..=STEPS).map(|step| end * f64::from(step) / f64::from(STEPS));
    let steps: Vec<(f64, f64)> = steps.map(|at| (at, 100.0 - 100.0 / 10_f64.powf(at))).collect();
    let lines = lines(found, |server, class| {
        let latency = told(&server.outcome.latency);
        let at = |&(at, percent): &(f64, f64)| Some((at, latency?.percentile(percent).as_secs_f64()));
        vec![Line { class: class.into(), points: steps.iter().map(at).collect() }]
    });
    let all: Vec<f64> = lines.iter().flat_map(|line| &line.points).flatten().map(|(_, latency)| *latency).collect();
    let marks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, LAST].map(|percent| (place(percent), format!("{percent}%")));
    let mut x = Axis::linear("of all replies took no longer", end, |_| String::new());
    (x.marks, x.to) = (marks.into(), end);
    section("Latency by percentile", &by_server(found), &x, &latency_axis(&all), &lines)
}

/// A heading, what the lines are, and the plot. Titles are ours; what is in a legend is escaped already.
fn section(title: &str, legend: &[(String, String)], x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let mut keys = format!("<span>{}</span>", y.name);
    for (class, name) in legend {
        let _ = write!(
            keys,
            "<span><svg class=\"key\" viewBox=\"0 0 28 8\" aria-hidden=\"true\"><path class=\"line {class}\" d=\"M2 4H26\"/></svg>{name}</span>"
        );
    }
    format!("<h2>{title}</h2>\n<p class=\"legend\">{keys}</p>\n{}", svg(title, x, y, lines))
}

/// Where there are two servers, which line is whose.
fn by_server(found: &Found) -> Vec<(String, String)> {
    if found.servers.len() < 2 {
        return Vec::new();
    }
    SERVERS.iter().zip(&found.servers).map(|(class, server)| ((*class).to_owned(), escaped(&server.name))).collect()
}

fn lines(found: &Found, of: impl Fn(&Server, &str) -> Vec<Line>) -> Vec<Line> {
    found.servers.iter().zip(SERVERS).flat_map(|(server, class)| of(server, class)).collect()
}

fn points(found: &Found) -> impl Iterator<Item = &Point> {
    found.servers.iter().flat_map(|server| &server.points)
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

fn seconds(found: &Found) -> Axis {
    let last = most(points(found).map(|point| point.at));
    let mut axis = Axis::linear("seconds", last, |at| format!("{}", (at * 1000.0).round() / 1000.0));
    // It ends where they do.
    if last > 0.0 {
        axis.marks.retain(|(at, _)| *at <= last);
        axis.to = last;
    }
    axis
}

fn latency_axis(all: &[f64]) -> Axis {
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    Axis::log("latency", least, most(all.iter().copied()), |at| exact(Duration::from_secs_f64(at)))
}

/// A time that is round: `5 ms`.
fn exact(at: Duration) -> String {
    let nanos = at.as_nanos() as f64;
    let (value, unit) = match nanos {
        ..999.5 => (nanos, "ns"),
        ..999.5e3 => (nanos / 1e3, "µs"),
        ..999.5e6 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    format!("{} {unit}", (value * 100.0).round() / 100.0)
}

/// Text that stays text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use socketserver_load::Outcome;

    fn server(name: &str, outcome: Outcome, points: Vec<Point>) -> Server {
        Server {
            name: name.into(),
            outcome,
            points,
            missed: vec![("p99<\"1s\"".into(), "2 s".into())],
            all_failed: false,
        }
    }

    fn found(servers: Vec<Server>) -> Found {
        let message = "\"</style><script>alert(1)</script>\"".into();
        Found { servers, comparison: None, message, model: "closed loop".into(), was_ended: true }
    }

    #[test]
    fn what_comes_from_elsewhere_is_text() {
        let page = page(&found(vec![server("unix:/tmp/<img src=x onerror='y'>&", Outcome::default(), Vec::new())]));
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("p99<\""), "{page}");
        assert!(page.contains("unix:/tmp/&lt;img src=x onerror=&#39;y&#39;&gt;&amp;"), "{page}");
        assert_eq!(page.matches("</style>").count(), 1);
    }

    #[test]
    fn of_nothing_no_number_is_made() {
        let page = page(&found(vec![server("a", Outcome::default(), Vec::new())]));
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        assert!(!page.contains("class=\"line one\""), "{page}");
        assert!(page.contains("<tr><th>rate</th><td>0/s</td></tr>"), "{page}");
    }

    #[test]
    fn two_servers_have_a_line_each_in_all_plots() {
        let mut outcome = Outcome::default();
        (1..1000).for_each(|micros| outcome.latency.record(Duration::from_micros(micros)));
        let point = |at| Point { at, rate: 10.0 * at, latency: Some([1e-3, 2e-3, 3e-3]) };
        let servers = ["a", "b"].map(|name| server(name, outcome.clone(), vec![point(1.0), point(2.0)]));
        let page = page(&found(servers.into()));
        for class in ["line one", "line two", "line one p99", "line two max"] {
            assert!(page.contains(&format!("class=\"{class}\" d=\"M")), "{class}");
        }
        assert_eq!(page.matches("role=\"img\"").count(), 3);
    }
}
