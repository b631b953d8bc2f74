//! Tables for the terminal.

use std::fmt::{self, Display};
use std::io::stdout;

use comfy_table::{ColumnConstraint, ContentArrangement, Width};
use service_kit::escape::escape_line;

/// The width of a table with sentences where standard output is no terminal.
const WIDTH_OF_SENTENCES: u16 = 120;

/// The columns between two cells.
const PADDING: usize = 2;

/// Rows under headings, without borders. A table that is wider than the terminal is wrapped within its cells, between words:
/// an address is never broken. Where standard output is no terminal, columns are as wide as their content, so that a script
/// finds every cell on one line.
#[derive(Debug)]
pub struct Table {
    table: comfy_table::Table,
    /// The longest word of each column.
    longest: Vec<usize>,
    /// Whether the last column has sentences, in which a word may be broken if nothing else helps.
    ends_with_sentences: bool,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        Self::with_width(headings, terminal_width())
    }

    /// An empty table without headings, whose last cells are sentences of any length: it is wrapped to the terminal, and
    /// elsewhere to 120 columns.
    pub fn of_sentences() -> Self {
        Self::of_sentences_within(terminal_width().unwrap_or(WIDTH_OF_SENTENCES))
    }

    fn of_sentences_within(width: u16) -> Self {
        Self {
            ends_with_sentences: true,
            ..Self::with_width(&[], Some(width))
        }
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
        Self {
            table,
            longest: headings
                .iter()
                .map(|heading| longest_word(heading))
                .collect(),
            ends_with_sentences: false,
        }
    }

    /// Adds a row. Each cell is one line, whatever its text contains.
    pub fn row<T: Display>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter();
        let cells: Vec<String> = cells
            .map(|cell| escape_line(&cell.to_string()).into_owned())
            .collect();
        self.longest.resize(self.longest.len().max(cells.len()), 0);
        for (longest, cell) in self.longest.iter_mut().zip(&cells) {
            *longest = longest_word(cell).max(*longest);
        }
        self.table.add_row(cells);
    }

    /// The table in which no column is narrower than its longest word.
    fn with_unbroken_words(&self) -> comfy_table::Table {
        let mut table = self.table.clone();
        let sentences = usize::from(self.ends_with_sentences);
        let kept = self.longest.len().saturating_sub(sentences);
        for (column, longest) in table.column_iter_mut().zip(&self.longest).take(kept) {
            let width = u16::try_from(longest + PADDING).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
        }
        table
    }
}

fn longest_word(text: &str) -> usize {
    let words = text.split_whitespace().map(|word| word.chars().count());
    words.max().unwrap_or(0)
}

fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(stdout()).map(|(width, _)| width.0)
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The style without borders still begins each line with the padding of its first cell.
        let table = self.with_unbroken_words();
        let lines: Vec<String> = table
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
            assert!(text.contains("order-service.1"), "{text}");
        }
        let mut table = Table::with_width(&["process", "reason"], None);
        table.row(["order-service.1", &words.join(" ")]);
        assert_eq!(table.to_string().lines().count(), 2);
    }

    #[test]
    fn a_narrow_terminal_breaks_no_address_and_only_a_sentence_of_one_word() {
        let url = "http://127.0.0.1:12810";
        let mut table = Table::with_width(&["process", "pid", "address", "owns"], Some(60));
        table.row([
            "order-service.1",
            "25227",
            url,
            "payments[0] payments[1] payments[2]",
        ]);
        let text = table.to_string();
        assert!(
            text.contains(url) && text.contains("order-service.1"),
            "{text}"
        );
        assert!(widest(&text) <= 60, "{text}");

        let mut table = Table::of_sentences_within(60);
        table.row(["order-service.1".to_owned(), "x".repeat(400)]);
        let text = table.to_string();
        assert!(
            widest(&text) <= 60 && text.contains("order-service.1"),
            "{text}"
        );
        assert_eq!(text.matches('x').count(), 400);
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
