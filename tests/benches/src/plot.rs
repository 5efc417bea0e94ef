//! The plot of tasks against time, from the rows of `bench tasks`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::record::Row;

/// What the names of the rows begin with that show growth; then work, and number of tasks.
pub(crate) const GROWTH: &str = "growth/";

/// The area of the plot: left, top, right and bottom edge.
const AREA: [f64; 4] = [70.0, 20.0, 620.0, 360.0];

/// Works with their labels and colours.
const LINES: [(&str, &str, &str); 3] = [
    ("independent", "independent", "#1f77b4"),
    ("chain", "chain", "#d62728"),
    ("fork_join", "fork-join 1-8-1", "#2ca02c"),
];

/// A run: tasks, and nanoseconds.
type Point = (f64, f64);

/// Draws the rows into a file.
///
/// # Errors
///
/// There are none, or the file cannot be written.
pub(crate) fn save(rows: &[Row], path: &Path) -> Result<()> {
    let lines = LINES.map(|(work, label, colour)| (points(rows, work), label, colour));
    ensure!(lines.iter().all(|(points, ..)| points.len() > 1), "there is no growth to be drawn");
    fs::write(path, render(&lines)).with_context(|| format!("cannot write {}", path.display()))
}

/// The runs of some work. The fastest of them count: the plot shows the work, not the machine.
fn points(rows: &[Row], work: &str) -> Vec<Point> {
    let tasks = |row: &Row| {
        let (of, tasks) = row.name.strip_prefix(GROWTH)?.rsplit_once('_')?;
        if of == work { tasks.parse::<f64>().ok() } else { None }
    };
    rows.iter().filter_map(|row| tasks(row).map(|tasks| (tasks, row.min * tasks))).collect()
}

/// The scales of both axes: powers of ten.
struct Scales {
    x: [i32; 2],
    y: [i32; 2],
}

impl Scales {
    fn of(lines: &[(Vec<Point>, &str, &str)]) -> Self {
        let all: Vec<Point> = lines.iter().flat_map(|(points, ..)| points.clone()).collect();
        let range = |values: Vec<f64>| {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(0.0, f64::max);
            // CAST: exponents of ten are small.
            [least.log10().floor() as i32, most.log10().ceil() as i32]
        };
        Self {
            x: range(all.iter().map(|point| point.0).collect()),
            y: range(all.iter().map(|point| point.1).collect()),
        }
    }

    /// Where a point is.
    fn at(&self, (x, y): Point) -> (f64, f64) {
        let [left, top, right, bottom] = AREA;
        let part = |value: f64, [from, to]: [i32; 2]| {
            (value.log10() - f64::from(from)) / f64::from((to - from).max(1))
        };
        (left + part(x, self.x) * (right - left), bottom - part(y, self.y) * (bottom - top))
    }
}

fn render(lines: &[(Vec<Point>, &str, &str)]) -> String {
    let scales = Scales::of(lines);
    let mut text = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 780 410\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"780\" height=\"410\" fill=\"white\"/>\n",
    );
    grid(&mut text, &scales);
    for (points, label, colour) in lines {
        let places: Vec<(f64, f64)> = points.iter().map(|&point| scales.at(point)).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        push(
            &mut text,
            format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n",
                path.join(" ")
            ),
        );
        for (x, y) in &places {
            push(
                &mut text,
                format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>\n"),
            );
        }
        if let Some((x, y)) = places.last() {
            push(
                &mut text,
                format_args!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{label}</text>\n",
                    x + 10.0,
                    y + 4.0
                ),
            );
        }
    }
    text.push_str("</svg>\n");
    text
}

/// Lines and labels at powers of ten.
fn grid(text: &mut String, scales: &Scales) {
    let [left, top, right, bottom] = AREA;
    for power in scales.x[0]..=scales.x[1] {
        let (x, _) = scales.at((10_f64.powi(power), 1.0));
        let label = format!("{:.0}", 10_f64.powi(power));
        push(
            text,
            format_args!(
                "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\n",
                bottom + 18.0
            ),
        );
    }
    for power in scales.y[0]..=scales.y[1] {
        let (_, y) = scales.at((1.0, 10_f64.powi(power)));
        let label = duration(10_f64.powi(power));
        push(
            text,
            format_args!(
                "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\n",
                left - 8.0,
                y + 4.0
            ),
        );
    }
    push(
        text,
        format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">tasks in a run</text>\n",
            (left + right) / 2.0,
            bottom + 38.0
        ),
    );
}

/// Nanoseconds in words.
fn duration(nanoseconds: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")];
    let (size, unit) = units.into_iter().find(|(size, _)| nanoseconds >= *size).unwrap_or(units[3]);
    format!("{:.0} {unit}", nanoseconds / size)
}

/// Appends formatted text.
fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // A string takes any text.
    let _ = text.write_fmt(arguments);
}
