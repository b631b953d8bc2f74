//! Rates, peaks and counts of samples.

use super::samples::{Line, Samples};

/// The minimal window of a rate, so that one batch makes no spike.
const RATE_OVER: f64 = 5.0;

/// Points of a line: seconds from the start, and the value where it was known.
pub type Points = Vec<(f64, Option<f64>)>;

/// The growth of a sum per second, over the five seconds before each point. There is a gap where the sum fell (it was reset), and where
/// it was not known at both ends.
pub fn rate(sums: &Points) -> Points {
    let mut from = 0;
    let mut rates = Vec::with_capacity(sums.len());
    for (at, now) in sums {
        let far = |next: &(f64, Option<f64>)| at - next.0 >= RATE_OVER;
        while sums.get(from + 1).is_some_and(far) {
            from += 1;
        }
        let rate = sums.get(from).and_then(|(then, before)| {
            let (over, grown) = (at - then, (*now)? - (*before)?);
            (over >= 1.0 && grown >= 0.0).then_some(grown / over)
        });
        rates.push((*at, rate));
    }
    rates
}

/// The highest value, and the time of its first occurrence.
pub fn peak(points: &Points) -> Option<(f64, f64)> {
    let known = points
        .iter()
        .filter_map(|(at, value)| Some((*at, (*value)?)));
    known.fold(None, |peak, (at, value)| match peak {
        Some((_, highest)) if highest >= value => peak,
        _ => Some((at, value)),
    })
}

/// The last value that was known, up to this moment.
pub fn last(points: &Points, until: f64) -> Option<f64> {
    let before = points.iter().rev().filter(|(at, _)| *at <= until);
    before.filter_map(|(_, value)| *value).next()
}

/// The lines with a peak above 0, the highest ones, limited in number.
pub fn busiest(
    samples: &Samples,
    wanted: impl Fn(&Line) -> bool,
    most: usize,
) -> Vec<(&Line, Points)> {
    let lines = samples.lines().filter(|line| wanted(line));
    let mut found: Vec<(f64, &Line, Points)> = lines
        .filter_map(|line| {
            let points = samples.points(line);
            let (_, highest) = peak(&points)?;
            (highest > 0.0).then_some((highest, line, points))
        })
        .collect();
    found.sort_by(|one, other| other.0.total_cmp(&one.0));
    found.truncate(most);
    // Sorted by name, so that a line has the same colour on every chart of its kind.
    found.sort_by(|one, other| one.1.cmp(other.1));
    found
        .into_iter()
        .map(|(_, line, points)| (line, points))
        .collect()
}

/// A whole number with thin spaces between its thousands; below ten with one decimal.
pub fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 10.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    if value <= -0.5 {
        text.insert(0, '−');
    }
    text
}

/// A time as minutes and seconds: `2:07`.
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_a_sum_grew_by_in_the_last_five_seconds() {
        let sums: Points = (0..20)
            .map(|n| (f64::from(n), Some(f64::from(n * 10))))
            .collect();
        let rates = rate(&sums);
        assert_eq!(rates.first(), Some(&(0.0, None)), "one reading is no rate");
        assert!(rates.iter().skip(1).all(|(_, rate)| *rate == Some(10.0)));
    }

    #[test]
    fn where_nothing_was_known_there_is_no_rate() {
        let mut sums: Points = (0..20)
            .map(|n| (f64::from(n), Some(f64::from(n))))
            .collect();
        for (_, sum) in &mut sums[8..10] {
            *sum = None;
        }
        let rates = rate(&sums);
        assert_eq!(rates[9].1, None);
        assert_eq!(rates[13].1, None, "its beginning is not known");
        assert_eq!(rates[15].1, Some(1.0));
    }

    #[test]
    fn the_last_value_is_that_of_the_moment_asked_for() {
        let points = vec![
            (0.0, Some(1.0)),
            (1.0, Some(3.0)),
            (2.0, None),
            (3.0, Some(0.0)),
        ];
        assert_eq!(last(&points, 2.5), Some(3.0));
        assert_eq!(last(&points, 9.0), Some(0.0));
        assert_eq!(peak(&points), Some((1.0, 3.0)));
        assert_eq!(last(&Vec::new(), 9.0), None);
    }

    #[test]
    fn numbers_and_times_are_written_for_people() {
        assert_eq!(number(1_234_567.0), "1\u{2009}234\u{2009}567");
        assert_eq!(number(999.6), "1\u{2009}000");
        assert_eq!(number(0.25), "0.2");
        assert_eq!(number(-12.0), "−12");
        assert_eq!(clock(127.4), "2:07");
    }
}
