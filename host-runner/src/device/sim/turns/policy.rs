//! Who goes on: the choices of one seed.
//!
//! Errors in the order of events hide from uniform choice, because most need one thread to stand
//! still at a certain place while the others get far. So a seed first picks how it chooses:
//!
//! * **by chance**: the one that has the turn keeps it with some probability (from never to nearly
//!   always), or another gets it; cores or AICPU threads are preferred, and some cores are slow;
//! * **by priority** (after PCT, "A Randomized Scheduler with Probabilistic Guarantees of Finding
//!   Bugs", Burckhardt et al. 2010): the one with the highest priority goes on; priorities are
//!   random, and at random points the one with the turn gets the lowest. Whoever polls in
//!   vain gets the lowest, too, since it would otherwise wait for the others for ever.
//!
//! And in most seeds, with either, somebody is **starved** now and then: it gets no turn for 32 to
//! 4096 choices, as if its thread had been taken off the processor, or until the others only wait. Where it stands then is what matters:
//! a thread is the more likely to be stopped at a place the fewer times anybody has been there in this run, or the
//! places of the polling loops would take all the chances.

use std::collections::HashMap;

use super::state::{AICPU_LIMIT, ActorSet, bit, bit_range};
use crate::case_data::random::SplitMix64;

/// Actors there can be.
const ACTORS: usize = ActorSet::BITS as usize;

/// The choices of one seed.
#[derive(Debug)]
pub(super) struct Policy {
    random: Dice,
    rule: Rule,
    /// Cores that are slow: picked an eighth as often as others.
    slow: ActorSet,
    /// Who comes to a place for the n-th time is stopped there once in this many times, and n more;
    /// 0 is never.
    starves_once_in: u64,
    /// How often threads have come to each place.
    visits: HashMap<usize, u64>,
    starved: ActorSet,
    starved_for: u32,
}

#[derive(Debug)]
enum Rule {
    Chance {
        /// In 256: how often the one with the turn keeps it.
        stays: u64,
        /// In 256: how often a core is picked where AICPU threads could go on as well.
        cores: u64,
    },
    Priority {
        /// The greatest goes on.
        priorities: Box<[i64; ACTORS]>,
        /// Lower than all so far.
        lowest: i64,
        /// Choices between two changes, on average.
        changes_every: u64,
    },
}

impl Policy {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Dice(SplitMix64::new(seed));
        let rule = if random.below(2) == 0 {
            let stays = random.one_of([0, 128, 224, 250]);
            Rule::Chance { stays, cores: random.one_of([16, 64, 128, 224]) }
        } else {
            let priorities = Box::new([0; ACTORS].map(|_| random.small()));
            let changes_every = random.one_of([16, 64, 256, 1024]);
            Rule::Priority { priorities, lowest: 0, changes_every }
        };
        let slow = match random.below(2) {
            0 => 0,
            _ => ActorSet::from(random.0.next_bits()) << 64 | ActorSet::from(random.0.next_bits()),
        };
        let slow = slow & !bit_range(AICPU_LIMIT);
        let starves_once_in = random.one_of([0, 4, 16, 64]);
        let visits = HashMap::new();
        Self { random, rule, slow, starves_once_in, visits, starved: 0, starved_for: 0 }
    }

    /// One of `runnable`; `None` if there is none. `me` has the turn; `relaxing`: it waits.
    pub(super) fn choose(
        &mut self,
        runnable: ActorSet,
        me: Option<usize>,
        relaxing: bool,
    ) -> Option<usize> {
        self.count_down(runnable);
        let fed = runnable & !self.starved;
        let candidates = if fed == 0 { runnable } else { fed };
        let me = me.filter(|me| candidates & bit(*me) != 0);
        let Self { random, rule, slow, .. } = self;
        match rule {
            Rule::Chance { stays, cores } => {
                let others = me.map_or(candidates, |me| candidates & !bit(me));
                let stays = if relaxing { 16 } else { *stays };
                match me {
                    Some(me) if others == 0 || random.below(256) < stays => Some(me),
                    _ => pick(random, others, *cores, *slow),
                }
            }
            Rule::Priority { priorities, lowest, changes_every } => {
                let changes = relaxing || random.below(*changes_every) == 0;
                // Where threads wait, cores would always come first; so one of them goes down, too.
                let late = relaxing && random.below(4) == 0;
                let late =
                    if late { random.member(candidates & !bit_range(AICPU_LIMIT)) } else { None };
                for actor in me.filter(|_| changes).into_iter().chain(late) {
                    *lowest -= 1;
                    priorities[actor] = *lowest;
                }
                // A thread that goes on after a wait, and a core that has ended a task, are new
                // threads as far as priorities go.
                if let Some(me) = me.filter(|me| !changes && priorities[*me] < 0) {
                    priorities[me] = random.small();
                }
                members(candidates).max_by_key(|actor| priorities[*actor])
            }
        }
    }

    /// An AICPU thread comes to a place in the code: it may be stopped there.
    pub(super) fn visit(&mut self, me: usize, place: usize) {
        if self.starves_once_in == 0 {
            return;
        }
        let visits = self.visits.entry(place).or_default();
        *visits += 1;
        if self.starved_for == 0 && self.random.below(self.starves_once_in + *visits) == 0 {
            self.starved = bit(me);
            self.starved_for = 32 << self.random.below(8);
        }
    }

    /// Ends the starving of anybody.
    pub(super) fn feed(&mut self) {
        self.starved = 0;
        self.starved_for = 0;
    }

    /// Ends the starving of somebody, and now and then begins that of a core.
    fn count_down(&mut self, runnable: ActorSet) {
        self.starved_for = self.starved_for.saturating_sub(1);
        if self.starved_for == 0 {
            self.starved = 0;
            if self.starves_once_in != 0 && self.random.below(512) == 0 {
                let core = self.random.member(runnable & !bit_range(AICPU_LIMIT));
                self.starved = core.map_or(0, bit);
                self.starved_for = core.map_or(0, |_| 32 << self.random.below(7));
            }
        }
    }
}

/// One of `set`: a core as often as `cores` says, and a slow one seldom.
fn pick(random: &mut Dice, set: ActorSet, cores: u64, slow: ActorSet) -> Option<usize> {
    let aicpu = set & bit_range(AICPU_LIMIT);
    let of_cores = set & !aicpu;
    let class = if random.below(256) < cores { of_cores } else { aicpu };
    let class = if class == 0 { set } else { class };
    let quick = [class & !slow, aicpu].into_iter().find(|quick| *quick != 0);
    let waits_for_slow = random.below(8) == 0;
    random.member(quick.filter(|_| !waits_for_slow).unwrap_or(class))
}

/// The generator, with what choices need of it.
#[derive(Debug)]
struct Dice(SplitMix64);

impl Dice {
    /// A number below `end`, which is small.
    fn below(&mut self, end: u64) -> u64 {
        self.0.next_bits() % end.max(1)
    }

    fn one_of<const N: usize>(&mut self, values: [u64; N]) -> u64 {
        // CAST: below the number of values.
        let index = self.below(N as u64) as usize;
        values.get(index).copied().unwrap_or_default()
    }

    /// A priority above zero.
    fn small(&mut self) -> i64 {
        // CAST: 32 bits.
        (self.0.next_bits() >> 32) as i64
    }

    fn member(&mut self, set: ActorSet) -> Option<usize> {
        // CAST: at most 128.
        let count = u64::from(set.count_ones());
        let index = self.below(count) as usize;
        members(set).nth(index)
    }
}

/// The members of a set, ascending.
pub(super) fn members(set: ActorSet) -> impl Iterator<Item = usize> {
    let mut rest = set;
    std::iter::from_fn(move || {
        let member = rest.trailing_zeros() as usize;
        (rest != 0).then(|| {
            rest &= rest - 1;
            member
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_only_what_can_go_on_and_everybody_in_the_end() {
        for seed in 0..64 {
            let mut policy = Policy::new(seed);
            assert_eq!(policy.choose(0, None, false), None);
            let runnable = 0b111 | bit(AICPU_LIMIT) | bit(ACTORS - 1);
            let (mut seen, mut me) = (0, 0);
            for _ in 0..100_000 {
                // Everybody waits all the time, as AICPU threads do whose cores are starved.
                me = policy.choose(runnable, Some(me), true).unwrap();
                seen |= bit(me);
            }
            assert_eq!(seen, runnable, "seed {seed}");
        }
    }

    #[test]
    fn one_seed_is_one_sequence_and_seeds_differ() {
        let sequence = |seed| {
            let mut policy = Policy::new(seed);
            (0..200).map(|turn| policy.choose(0xF0F, Some(0), turn % 3 == 0)).collect::<Vec<_>>()
        };
        assert_eq!(sequence(1), sequence(1));
        let distinct: std::collections::HashSet<_> = (0..50).map(sequence).collect();
        assert_eq!(distinct.len(), 50);
    }

    #[test]
    fn members_of_a_set_come_in_order() {
        assert_eq!(members(bit(127) | 0b101).collect::<Vec<_>>(), [0, 2, 127]);
    }
}
