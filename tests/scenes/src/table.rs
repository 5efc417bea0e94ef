//! The rows for people: a table, then a line for each thing that is wrong.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Color, ColumnConstraint, Table, presets};

use crate::row::Row;

/// The columns and how they are aligned.
const COLUMNS: [(&str, CellAlignment); 9] = [
    ("scene", CellAlignment::Left),
    ("chip", CellAlignment::Left),
    ("threads", CellAlignment::Left),
    ("seeds", CellAlignment::Right),
    ("wrong", CellAlignment::Right),
    ("tasks", CellAlignment::Right),
    ("time", CellAlignment::Right),
    ("peak MiB", CellAlignment::Right),
    ("result", CellAlignment::Left),
];

/// Whether the table may hold colour codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// For a pipe, a file or a user who wants none.
    Plain,
    /// For a terminal.
    Ansi,
}

/// The table of all rows, and below it a line for each failure.
#[must_use]
pub fn render(rows: &[Row], colour: Colour) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    match colour {
        Colour::Plain => table.force_no_tty(),
        Colour::Ansi => table.enforce_styling(),
    };
    table.set_header(COLUMNS.map(|(name, _)| name));
    for row in rows {
        let (word, shade) = if row.ok { ("ok", Color::Green) } else { ("FAILED", Color::Red) };
        table.add_row([
            Cell::new(&row.scene),
            Cell::new(&row.chip),
            Cell::new(&row.threads),
            Cell::new(row.seeds),
            Cell::new(row.failures),
            Cell::new(row.tasks),
            Cell::new(format!("{:.2} s", row.elapsed().as_secs_f64())),
            Cell::new(row.peak_bytes.map_or("-".to_owned(), |bytes| (bytes >> 20).to_string())),
            Cell::new(word).fg(shade),
        ]);
    }
    let by_seed = rows.iter().any(|row| row.seeds != 0);
    for (column, (name, alignment)) in table.column_iter_mut().zip(COLUMNS) {
        column.set_padding((0, 2)).set_cell_alignment(alignment);
        if !by_seed && matches!(name, "seeds" | "wrong") {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        // Cells are padded to their column; nobody needs that at the end of a line.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for row in rows {
        if let Some(problem) = &row.problem {
            let problem = problem.trim_end().replace('\n', "\n    ");
            let _ = writeln!(text, "{} on {}: {problem}", row.scene, row.chip);
        }
    }
    text
}

/// The last line.
#[must_use]
pub fn verdict(rows: &[Row]) -> String {
    let passed = rows.iter().filter(|row| row.ok).count();
    format!("{passed} passed, {} failed", rows.len() - passed)
}
