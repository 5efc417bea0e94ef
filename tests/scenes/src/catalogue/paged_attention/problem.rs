//! One problem of paged attention: its numbers, how they lie in memory, and its result.
//!
//! The result is that of the definition: for each query all scores of its whole context at once, in
//! `f64`, exact maximum, exponentials and sum. Nothing is paged, tiled or merged in it.

use host_runner::float16::BFloat16;

use crate::arguments::CaseArguments;
use crate::catalogue::numbers::Numbers;

/// The element type of queries, keys, values and of the weights between the two products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheType {
    Float32,
    Bfloat16,
}

/// How many dimensions the tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// Queries and output `[batch, heads, head_dim]`, caches `[blocks, block_size, head_dim]`.
    Three,
    /// Queries and output `[batch, 1, heads, head_dim]`, caches
    /// `[blocks, block_size, kv_heads, head_dim]`.
    Four,
}

/// Sizes and the seed of the numbers.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub cache_type: CacheType,
    pub heads: usize,
    /// Heads of keys and values; each serves the same number of heads of queries.
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Positions of a block.
    pub block_size: usize,
    /// The context of each entry of the batch, in positions.
    pub lengths: Vec<usize>,
    /// The score of a position before all others whose value is zeros, if there is one.
    pub sink: Option<f32>,
    pub seed: u64,
}

/// What an output holds before, and where the context is empty afterwards.
const UNTOUCHED: f32 = 12.5;
/// What a block holds beyond the end of a context. Finite, since a weight of 0 must make it 0.
const BEYOND: f32 = 1e30;
/// Blocks of the cache that belong to no context and hold NaN.
const UNUSED_BLOCKS: usize = 3;

/// The numbers of a problem by batch entry, position or head: no blocks.
struct Contents {
    /// `[entry][head][column]`.
    query: Vec<Vec<Vec<f32>>>,
    /// `[entry][position][kv head][column]`.
    keys: Vec<Vec<Vec<Vec<f32>>>>,
    values: Vec<Vec<Vec<Vec<f32>>>>,
}

/// A cache and the table that finds blocks in it.
struct Paged {
    keys: Vec<f32>,
    values: Vec<f32>,
    table: Vec<i32>,
    blocks: usize,
    /// Columns of the table.
    longest: usize,
}

impl Problem {
    /// Blocks of an entry's context.
    pub(super) fn blocks_of(&self, entry: usize) -> usize {
        self.lengths[entry].div_ceil(self.block_size)
    }

    /// Factor of the scores: such that they differ by some units within a context, so that weights
    /// differ by orders of magnitude and each block matters.
    fn scale(&self) -> f32 {
        4.0 / (self.head_dim as f32).sqrt()
    }

    /// How far an output may be off.
    ///
    /// Values are below 1 in magnitude, and weights add up to 1, so an output is off by at most the
    /// relative error of the weights. Rounding a weight to bfloat16 is an error of up to 2^-9. In
    /// `f32` what counts is the error of a score, at most `head_dim` roundings of terms whose
    /// magnitudes add up to at most `head_dim`, times the scale: below 64 * 2^-24 * 64 * 0.5, which
    /// is 1.2e-4; a weight is off by that of its score and that of the sum's.
    fn tolerance(&self) -> f64 {
        let scores = 3e-4;
        match self.cache_type {
            CacheType::Float32 => scores,
            CacheType::Bfloat16 => f64::exp2(-9.0) + scores,
        }
    }

    /// The tensors of a case, and the scale as the first scalar.
    pub(super) fn arguments(&self, rank: Rank) -> CaseArguments {
        let contents = self.contents();
        let paged = self.page(&contents);
        let query: Vec<f32> = contents.query.iter().flatten().flatten().copied().collect();
        let expected = self.attention(&contents);
        let initial = vec![UNTOUCHED; expected.len()];

        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let (batch, heads, columns) =
            (size(self.lengths.len()), size(self.heads), size(self.head_dim));
        let (blocks, block_size) = (size(paged.blocks), size(self.block_size));
        let (rows_shape, cache_shape) = match rank {
            Rank::Three => (vec![batch, heads, columns], vec![blocks, block_size, columns]),
            Rank::Four => (
                vec![batch, 1, heads, columns],
                vec![blocks, block_size, size(self.kv_heads), columns],
            ),
        };
        let lengths: Vec<i32> = self.lengths.iter().map(|&length| length as i32).collect();
        let arguments = self.push(CaseArguments::new(), "query", &query, &rows_shape);
        let arguments = self.push(arguments, "key_cache", &paged.keys, &cache_shape);
        let arguments = self.push(arguments, "value_cache", &paged.values, &cache_shape);
        arguments
            .input("block_table", &paged.table, &[batch, size(paged.longest)])
            .input("context_lens", &lengths, &[batch])
            .inout("out", &initial, &expected, &rows_shape)
            .within(0.0, self.tolerance())
            .scalar(self.scale())
    }

    /// Adds numbers as an input of the problem's element type, in which they are exact.
    fn push(
        &self,
        arguments: CaseArguments,
        name: &'static str,
        numbers: &[f32],
        shape: &[u32],
    ) -> CaseArguments {
        match self.cache_type {
            CacheType::Float32 => arguments.input(name, numbers, shape),
            CacheType::Bfloat16 => {
                // CAST: the upper half, 16 bits.
                let upper = |number: &f32| BFloat16::from_bits((number.to_bits() >> 16) as u16);
                let halves: Vec<BFloat16> = numbers.iter().map(upper).collect();
                arguments.input(name, &halves, shape)
            }
        }
    }

    fn contents(&self) -> Contents {
        let mut numbers = Numbers::seeded(self.seed);
        let keep = match self.cache_type {
            CacheType::Float32 => u32::MAX,
            CacheType::Bfloat16 => 0xFFFF_0000,
        };
        let mut row = || -> Vec<f32> {
            let column = |_| f32::from_bits(numbers.unit().to_bits() & keep);
            (0..self.head_dim).map(column).collect()
        };
        let mut rows = |count: usize| -> Vec<Vec<f32>> { (0..count).map(|_| row()).collect() };
        let query = self.lengths.iter().map(|_| rows(self.heads)).collect();
        let mut positions = || -> Vec<Vec<Vec<Vec<f32>>>> {
            let context = |&length: &usize| (0..length).map(|_| rows(self.kv_heads)).collect();
            self.lengths.iter().map(context).collect()
        };
        Contents { query, keys: positions(), values: positions() }
    }

    /// Puts keys and values into blocks that lie about the caches in some order.
    fn page(&self, contents: &Contents) -> Paged {
        let batch = self.lengths.len();
        let used: usize = (0..batch).map(|entry| self.blocks_of(entry)).sum();
        let blocks = used + UNUSED_BLOCKS;
        let longest = (0..batch).map(|entry| self.blocks_of(entry)).max().unwrap_or(0).max(1);
        let order = Numbers::seeded(self.seed ^ 1).shuffled(blocks);
        let mut places = order.iter().copied();
        let position_len = self.kv_heads * self.head_dim;
        let block_len = self.block_size * position_len;
        let mut keys = vec![f32::NAN; blocks * block_len];
        let mut values = keys.clone();
        // What the table holds beyond a context is a block that nobody may read.
        let mut table = vec![order[used] as i32; batch * longest];
        for entry in 0..batch {
            for n in 0..self.blocks_of(entry) {
                let place = places.next().unwrap_or(0);
                table[entry * longest + n] = place as i32;
                for (cache, numbers) in
                    [(&mut keys, &contents.keys), (&mut values, &contents.values)]
                {
                    let block = &mut cache[place * block_len..][..block_len];
                    // In bfloat16 too, since only the upper half is kept.
                    block.fill(BEYOND);
                    let rows = &numbers[entry][n * self.block_size..];
                    for (into, row) in block.chunks_mut(position_len).zip(rows) {
                        into.copy_from_slice(&row.concat());
                    }
                }
            }
        }
        Paged { keys, values, table, blocks, longest }
    }

    /// Attention by its definition.
    fn attention(&self, contents: &Contents) -> Vec<f32> {
        let group = self.heads / self.kv_heads;
        let scale = f64::from(self.scale());
        let mut out = Vec::new();
        for (entry, queries) in contents.query.iter().enumerate() {
            for (head, query) in queries.iter().enumerate() {
                let kv = head / group;
                let (keys, values) = (&contents.keys[entry], &contents.values[entry]);
                if keys.is_empty() {
                    out.extend(vec![UNTOUCHED; self.head_dim]);
                    continue;
                }
                let scores: Vec<f64> =
                    keys.iter().map(|key| scale * dot(query, &key[kv])).collect();
                let sink = self.sink.map_or(f64::NEG_INFINITY, f64::from);
                let highest = scores.iter().copied().fold(sink, f64::max);
                let weights: Vec<f64> =
                    scores.iter().map(|score| (score - highest).exp()).collect();
                let total = weights.iter().sum::<f64>() + (sink - highest).exp();
                let mut row = vec![0.0; self.head_dim];
                for (weight, value) in weights.iter().zip(values) {
                    for (sum, column) in row.iter_mut().zip(&value[kv]) {
                        *sum += weight / total * f64::from(*column);
                    }
                }
                out.extend(row.into_iter().map(|sum| sum as f32));
            }
        }
        out
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(lengths: &[usize]) -> Problem {
        Problem {
            cache_type: CacheType::Bfloat16,
            heads: 4,
            kv_heads: 2,
            head_dim: 3,
            block_size: 4,
            lengths: lengths.to_vec(),
            sink: None,
            seed: 9,
        }
    }

    #[test]
    fn one_position_gives_its_value_and_none_leaves_the_output() {
        let problem = problem(&[1, 0]);
        let contents = problem.contents();
        let value = |kv: usize| contents.values[0][0][kv].clone();
        let expected = [value(0), value(0), value(1), value(1), vec![UNTOUCHED; 4 * 3]].concat();
        assert_eq!(problem.attention(&contents), expected);
    }

    #[test]
    fn equal_scores_give_the_mean_and_a_sink_takes_its_share() {
        let mut problem = problem(&[3]);
        let mut contents = problem.contents();
        contents.query[0] = vec![vec![0.0; 3]; 4];
        let sum: f64 = (0..3).map(|position| f64::from(contents.values[0][position][0][0])).sum();
        assert!((f64::from(problem.attention(&contents)[0]) - sum / 3.0).abs() < 1e-7);
        problem.sink = Some(0.0);
        assert!((f64::from(problem.attention(&contents)[0]) - sum / 4.0).abs() < 1e-7);
    }

    #[test]
    fn the_table_leads_to_every_position_and_elsewhere_nothing_is_a_small_number() {
        let problem = problem(&[9, 0, 4]);
        let contents = problem.contents();
        let paged = problem.page(&contents);
        let mut found = 0;
        for (entry, keys) in contents.keys.iter().enumerate() {
            for (position, heads) in keys.iter().enumerate() {
                let block = paged.table[entry * paged.longest + position / 4] as usize;
                let start = (block * 4 + position % 4) * 2 * 3;
                assert_eq!(paged.keys[start..][..6], heads.concat());
                found += 6;
            }
        }
        let small = paged.keys.iter().filter(|key| key.abs() <= 1.0).count();
        assert_eq!(small, found, "other numbers are NaN or huge");
    }
}
