//! Lines over time as SVG without a script; colours come from the style of the page. Own code, not plotters: its SVG
//! backend writes colours into the elements, where the page's style for light and dark cannot reach them.

use std::fmt::Write;

use super::escape::Text;
use super::figures::{Points, clock, number};

/// The size of the picture in its own units; the page scales it.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 270.0;

/// The area of the lines: right of the numbers, above the times, below the numbers of the steps.
const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = HEIGHT - 30.0;

/// The largest number of lines: the style has this number of colours.
pub const MOST_LINES: usize = 8;

/// A chart.
pub struct Chart<'a> {
    /// The description for screen readers.
    pub about: &'a str,
    /// The lines, of which the first eight are drawn.
    pub lines: Vec<Drawn>,
    /// Marked moments, each with its text.
    pub marks: Vec<(f64, String)>,
    /// The steps of the scenario.
    pub steps: &'a [Stretch],
    /// Seconds at the right end.
    pub until: f64,
}

/// A line of a chart.
pub struct Drawn {
    /// The name in the legend.
    pub name: String,
    /// Its points; the line is broken where the value is unknown.
    pub points: Points,
    /// It shows another kind of value than the other lines.
    pub dashed: bool,
}

/// A step of the scenario.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Its start, seconds.
    pub from: f64,
    /// Its end, seconds.
    pub until: f64,
    /// Its number.
    pub number: usize,
    /// Its name.
    pub name: String,
    /// Whether it failed.
    pub failed: bool,
}

impl Chart<'_> {
    /// The picture.
    pub fn svg(&self) -> String {
        let top = self.top();
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            Text(self.about)
        );
        self.draw_steps(&mut svg);
        self.draw_grid(&mut svg, top);
        for (at, what) in &self.marks {
            let x = self.x(*at);
            let title = format!("{} {what}", clock(*at));
            let _ = write!(
                svg,
                "<g class=\"mark\"><title>{}</title><line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{BOTTOM}\"/>\
                 <path d=\"M{x:.1} {BOTTOM}l-4 7h8z\"/></g>",
                Text(&title)
            );
        }
        for (n, line) in self.lines.iter().take(MOST_LINES).enumerate() {
            self.draw_line(&mut svg, n, line, top);
        }
        svg.push_str("</svg>");
        svg
    }

    fn draw_steps(&self, svg: &mut String) {
        let mut labelled = f64::MIN;
        for step in self.steps {
            let (from, until) = (self.x(step.from), self.x(step.until));
            let class = match (step.failed, step.number.is_multiple_of(2)) {
                (true, _) => "step bad",
                (false, true) => "step even",
                (false, false) => "step",
            };
            let _ = write!(
                svg,
                "<g class=\"{class}\"><title>{}. {}</title><rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                step.number,
                Text(&step.name),
                (until - from).max(0.0),
                BOTTOM - TOP
            );
            let middle = (from + until) / 2.0;
            // The numbers of short steps would overlap.
            if middle - labelled >= 16.0 {
                let y = TOP - 8.0;
                let _ = write!(
                    svg,
                    "<text x=\"{middle:.1}\" y=\"{y}\" class=\"middle\">{}</text>",
                    step.number
                );
                labelled = middle;
            }
            svg.push_str("</g>");
        }
    }

    fn draw_grid(&self, svg: &mut String, top: f64) {
        for n in 0..=4 {
            let value = top * f64::from(n) / 4.0;
            let y = y(value, top);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>\
                 <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                number(value)
            );
        }
        let apart = time_apart(self.until);
        let mut at = 0.0;
        while at <= self.until {
            let _ = write!(
                svg,
                "<text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                self.x(at),
                BOTTOM + 20.0,
                clock(at)
            );
            at += apart;
        }
    }

    fn draw_line(&self, svg: &mut String, n: usize, line: &Drawn, top: f64) {
        let dashed = if line.dashed { " dashed" } else { "" };
        let _ = write!(
            svg,
            "<g class=\"line c{n}{dashed}\"><title>{}</title>",
            Text(&line.name)
        );
        for part in line.points.split(|(_, value)| value.is_none()) {
            let place = |(at, value): &(f64, Option<f64>)| {
                let value = value.unwrap_or_default();
                format!("{:.1} {:.1}", self.x(*at), y(value, top))
            };
            match part {
                [] => {}
                // A line of one point would be invisible.
                [one] => {
                    let at = place(one);
                    let _ = write!(svg, "<path d=\"M{at}h0.1\"/>");
                }
                more => {
                    let places: Vec<String> = more.iter().map(place).collect();
                    let _ = write!(svg, "<path d=\"M{}\"/>", places.join("L"));
                }
            }
        }
        svg.push_str("</g>");
    }

    fn x(&self, at: f64) -> f64 {
        let share = at / self.until.max(1.0);
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// The value at the upper end: a round number of at least 4, so that its quarters are whole numbers.
    fn top(&self) -> f64 {
        let lines = self.lines.iter().take(MOST_LINES);
        let values = lines.flat_map(|line| line.points.iter().filter_map(|(_, value)| *value));
        let highest = values.fold(0.0, f64::max);
        let round = [4.0, 8.0, 12.0, 20.0, 40.0];
        let mut unit = 1.0;
        while highest > 40.0 * unit {
            unit *= 10.0;
        }
        let matches_expected = round.iter().find(|one| **one * unit >= highest);
        matches_expected.unwrap_or(&40.0) * unit
    }
}

fn y(value: f64, top: f64) -> f64 {
    BOTTOM - (value / top).clamp(0.0, 1.0) * (BOTTOM - TOP)
}

/// The interval of the times below the chart, so that there are at most eleven.
fn time_apart(until: f64) -> f64 {
    let steps = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0,
    ];
    let matches_expected = steps.into_iter().find(|apart| until / apart <= 10.0);
    matches_expected.unwrap_or((until / 10.0).max(1.0))
}

#[cfg(test)]
mod tests;
