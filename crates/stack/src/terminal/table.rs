//! Tables for the terminal.

use std::fmt::{self, Display};
use std::io::stdout;

use comfy_table::ContentArrangement;
use service_kit::escape::escape_line;

/// The width of a table with sentences where standard output is no terminal.
const WIDTH_OF_SENTENCES: u16 = 120;

/// Rows under headings, without borders. A table that is wider than the terminal is wrapped within its cells. Where standard
/// output is no terminal, columns are as wide as their content, so that a script finds every cell on one line.
#[derive(Debug)]
pub struct Table {
    table: comfy_table::Table,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        Self::with_width(headings, terminal_width())
    }

    /// An empty table without headings, for cells with sentences: it is wrapped to the terminal, and elsewhere to 120 columns.
    pub fn of_sentences() -> Self {
        Self::with_width(&[], Some(terminal_width().unwrap_or(WIDTH_OF_SENTENCES)))
    }

    fn with_width(headings: &[&str], width: Option<u16>) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        match width {
            None => table.set_content_arrangement(ContentArrangement::Disabled),
            // The blank before the first cell and those after the last one are cut off.
            Some(width) => table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width.saturating_add(1)),
        };
        if !headings.is_empty() {
            table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
        }
        Self { table }
    }

    /// Adds a row. Each cell is one line, whatever its text contains.
    pub fn row<T: Display>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.table.add_row(
            cells
                .into_iter()
                .map(|cell| escape_line(&cell.to_string()).into_owned()),
        );
    }
}

fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(stdout()).map(|(width, _)| width.0)
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The style without borders still begins each line with the padding of its first cell.
        let lines: Vec<String> = self
            .table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        let lines = lines
            .iter()
            .map(|line| line.strip_prefix(' ').unwrap_or(line));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widest(text: &str) -> usize {
        text.lines().map(|line| line.chars().count()).max().unwrap()
    }

    #[test]
    fn a_cell_is_one_line_and_shows_its_control_characters() {
        let mut table = Table::with_width(&["group", "lag"], None);
        table.row(["x\u{1b}[31m\nsecond", "0"]);
        assert_eq!(
            table.to_string(),
            "GROUP                LAG\nx\\u001b[31m\\nsecond  0"
        );
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal_and_keeps_every_word() {
        let words: Vec<String> = (1_000..1_100).map(|number| number.to_string()).collect();
        for width in [40, 80, 200] {
            let mut table = Table::with_width(&["process", "reason"], Some(width));
            table.row(["order-service.1", &words.join(" ")]);
            let text = table.to_string();
            assert!(widest(&text) <= usize::from(width), "{width}: {text}");
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
        let mut table = Table::with_width(&["process", "reason"], None);
        table.row(["order-service.1", &words.join(" ")]);
        assert_eq!(table.to_string().lines().count(), 2);
    }

    #[test]
    fn a_table_that_fits_is_the_same_on_every_terminal() {
        let shown = |width| {
            let mut table = Table::with_width(&["process", "pid"], width);
            table.row(["order-service.1", "77"]);
            table.to_string()
        };
        assert_eq!(shown(Some(80)), shown(None));
        assert_eq!(shown(None), "PROCESS          PID\norder-service.1  77");
    }
}
