//! The figures as the table of the README, and each at once when it is there.

use std::fmt;
use std::time::Duration;

/// Rows so far.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<String>,
}

impl Table {
    /// The same thing done by both clients.
    pub(crate) fn compare(&mut self, what: &str, theirs: Duration, ours: Duration) {
        let [theirs, ours] = [theirs, ours].map(|time| time.as_secs_f64() * 1e3);
        let ratio = ours / theirs;
        self.add(format!(
            "{what} | {theirs:.2} ms | {ours:.2} ms | {ratio:.2} x"
        ));
    }

    /// Milliseconds and KiB per compile.
    pub(crate) fn pump(&mut self, floor: f64, pumped: f64, sent: f64, inputs: f64) {
        let ratio = pumped / floor;
        self.add(format!(
            "git under `pump`, all processes | {floor:.2} ms without distcc | {pumped:.2} ms | {ratio:.2} x"
        ));
        let ratio = sent / inputs;
        self.add(format!(
            "git under `pump`, sent | {inputs:.1} KiB: what is read, packed | {sent:.1} KiB | {ratio:.2} x"
        ));
    }

    /// Milliseconds per compile.
    pub(crate) fn boost(&mut self, units: usize, plain: f64, pumped: f64) {
        let ratio = plain / pumped;
        self.add(format!(
            "{units} units of Boost under `pump`, all processes | {plain:.0} ms in plain mode | {pumped:.1} ms | 1/{ratio:.0}"
        ));
    }

    fn add(&mut self, row: String) {
        println!("{row}");
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| per compile | distcc 3.4, or as told | ours | |")?;
        writeln!(f, "|---|---|---|---|")?;
        self.rows
            .iter()
            .try_for_each(|row| writeln!(f, "| {row} |"))
    }
}
