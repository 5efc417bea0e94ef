//! The books of a device's memory: who holds how much, and the most that it has been.
//!
//! It stands apart from the table of allocations because not all of the memory is in that table:
//! arenas belong to runs, and code to the slots of the executor.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::device::{DeviceMemoryReport, Holder, HolderUsage};

/// What is held, and the most that has been.
#[derive(Debug, Default)]
struct Account {
    allocations: usize,
    bytes: usize,
    high_water_bytes: usize,
}

impl Account {
    fn take(&mut self, bytes: usize) {
        self.allocations += 1;
        self.bytes += bytes;
        self.high_water_bytes = self.high_water_bytes.max(self.bytes);
    }

    fn give_back(&mut self, bytes: usize) {
        self.allocations -= 1;
        self.bytes -= bytes;
    }
}

#[derive(Debug, Default)]
struct Accounts {
    total: Account,
    holders: BTreeMap<Holder, Account>,
}

/// The books. Its lock is the last one that a thread takes.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Accounts>);

impl Ledger {
    /// A holder has `bytes` bytes more, in an allocation of their own.
    pub fn take(&self, holder: Holder, bytes: usize) {
        let mut accounts = self.accounts();
        accounts.total.take(bytes);
        accounts.holders.entry(holder).or_default().take(bytes);
    }

    /// A holder gives back what it has [taken](Self::take).
    pub fn give_back(&self, holder: Holder, bytes: usize) {
        let mut accounts = self.accounts();
        accounts.total.give_back(bytes);
        accounts.holders.entry(holder).or_default().give_back(bytes);
    }

    /// What a holder has now is the most that it has had from now on.
    pub fn restart(&self, holder: Holder) {
        if let Some(account) = self.accounts().holders.get_mut(&holder) {
            account.high_water_bytes = account.bytes;
        }
    }

    /// All of it, as of one moment.
    pub fn report(&self) -> DeviceMemoryReport {
        let accounts = self.accounts();
        let usage = |(&holder, account): (&Holder, &Account)| {
            let &Account { allocations, bytes, high_water_bytes } = account;
            HolderUsage { holder, allocations, bytes, high_water_bytes }
        };
        let arenas = accounts.holders.get(&Holder::RunArena);
        // Tensors come and go with callables; the ids of all that ever were help nobody.
        let is_shown = |usage: &HolderUsage| {
            usage.allocations > 0 || !matches!(usage.holder, Holder::Tensors(_) | Holder::Graphs(_))
        };
        DeviceMemoryReport {
            bytes: accounts.total.bytes,
            high_water_bytes: accounts.total.high_water_bytes,
            arena_reserved_bytes: arenas.map_or(0, |account| account.bytes),
            holders: accounts.holders.iter().map(usage).filter(is_shown).collect(),
        }
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        // Sums are complete at every step that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::CallableId;

    #[test]
    fn the_books_know_what_is_held_and_the_most_that_has_been() {
        let ledger = Ledger::default();
        ledger.take(Holder::User, 100);
        ledger.take(Holder::Code, 7);
        ledger.give_back(Holder::User, 100);
        ledger.take(Holder::User, 10);
        ledger.take(Holder::RunArena, 1000);
        let report = ledger.report();
        assert_eq!((report.bytes, report.high_water_bytes), (1017, 1017));
        assert_eq!(report.arena_reserved_bytes, 1000);
        let user = report.of(Holder::User).unwrap();
        assert_eq!((user.allocations, user.bytes, user.high_water_bytes), (1, 10, 100));
        ledger.give_back(Holder::RunArena, 1000);
        let report = ledger.report();
        assert_eq!((report.bytes, report.high_water_bytes), (17, 1017));
        assert_eq!(report.of(Holder::Kernel), None);
        assert_eq!(report.of(Holder::RunArena).unwrap().high_water_bytes, 1000);
    }

    #[test]
    fn tensors_are_shown_while_there_are_some_and_start_anew_with_their_callable() {
        let ledger = Ledger::default();
        let holder = Holder::Tensors(CallableId::new(3).unwrap());
        ledger.take(holder, 64);
        ledger.give_back(holder, 64);
        assert_eq!(ledger.report().holders, []);
        ledger.take(holder, 8);
        assert_eq!(ledger.report().of(holder).unwrap().high_water_bytes, 64);
        ledger.restart(holder);
        assert_eq!(ledger.report().of(holder).unwrap().high_water_bytes, 8);
    }
}
