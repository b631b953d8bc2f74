//! The ratio of two figures.

use super::Observation;
use stack::terminal::Usage;

/// The expected ratio of two figures.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:  ./sandbox expect ratio \"$THREE\" \"$ONE\" --at-least 2\n\nThe figures are numbers, as ./sandbox rate prints them."
)]
#[command(group(clap::ArgGroup::new("limit").required(true).multiple(true).args(["at_least", "at_most"])))]
pub struct Ratio {
    /// The first figure
    #[arg(value_parser = figure)]
    pub figure: f64,

    /// The second figure
    #[arg(value_parser = figure)]
    pub with: f64,

    /// The ratio is at least this
    #[arg(long, value_name = "TIMES", value_parser = figure)]
    pub at_least: Option<f64>,

    /// The ratio is at most this
    #[arg(long, value_name = "TIMES", value_parser = figure)]
    pub at_most: Option<f64>,
}

fn figure(text: &str) -> Result<f64, String> {
    let figure = text.parse().ok();
    let figure = figure.filter(|figure: &f64| figure.is_finite() && *figure >= 0.0);
    figure.ok_or_else(|| "must be a number, 0 or more".to_owned())
}

impl Ratio {
    /// Whether the ratio is as expected. A second figure of 0 is wrong usage: a ratio to 0 means nothing.
    pub fn check(&self) -> anyhow::Result<Observation> {
        if self.with == 0.0 {
            return Err(Usage::error("the second figure is 0: nothing is measured"));
        }
        let times = self.figure / self.with;
        let enough = self.at_least.is_none_or(|least| times >= least);
        let not_too_much = self.at_most.is_none_or(|most| times <= most);
        let seen = format!("{} is {times:.2} times {}", self.figure, self.with);
        Ok(Observation::judge(enough && not_too_much, seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(figure: f64, with: f64, at_least: Option<f64>, at_most: Option<f64>) -> Ratio {
        Ratio {
            figure,
            with,
            at_least,
            at_most,
        }
    }

    #[test]
    fn both_limits_belong_to_what_is_allowed() {
        let holds = |ratio: Ratio| matches!(ratio.check().unwrap(), Observation::Holds(_));
        assert!(holds(ratio(3.0, 1.5, Some(2.0), Some(2.0))));
        assert!(!holds(ratio(2.9, 1.5, Some(2.0), None)));
        assert!(!holds(ratio(3.1, 1.5, None, Some(2.0))));
        assert!(holds(ratio(0.0, 1.5, None, Some(2.0))));
    }

    #[test]
    fn a_ratio_to_0_is_wrong_usage() {
        let nothing = ratio(3.0, 0.0, Some(2.0), None).check();
        assert!(nothing.unwrap_err().is::<Usage>());
        for bad in ["", "fast", "NaN", "inf", "-1"] {
            assert!(figure(bad).is_err(), "{bad}");
        }
    }
}
