//! Order statistics of timed operations.
//!
//! No means: one operation that the machine interrupts for 10 ms would outweigh a thousand others.

/// What is kept of many values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// Half of the values are at most this; of an even number the lower middle one.
    pub(crate) p50: f64,
    /// 90 % are at most this.
    pub(crate) p90: f64,
    /// 99 % are at most this.
    pub(crate) p99: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest, which is noise of the machine more often than not.
    pub(crate) max: f64,
    /// How many there are.
    pub(crate) rounds: usize,
}

impl Summary {
    /// Summarises values in any order; `None` if there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Some(Self {
            p50: nearest_rank(&sorted, 50)?,
            p90: nearest_rank(&sorted, 90)?,
            p99: nearest_rank(&sorted, 99)?,
            min: *sorted.first()?,
            max: *sorted.last()?,
            rounds: sorted.len(),
        })
    }
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
fn nearest_rank(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let summary = Summary::of(&hundred).expect("values");
        assert_eq!((summary.p50, summary.p90, summary.p99), (50.0, 90.0, 99.0));
        assert_eq!((summary.min, summary.max, summary.rounds), (1.0, 100.0, 100));
        let one = Summary::of(&[7.0]).expect("a value");
        assert_eq!((one.p50, one.p99, one.max), (7.0, 7.0, 7.0));
        assert_eq!(Summary::of(&[]), None);
    }
}
