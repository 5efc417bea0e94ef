//! What of the user is loaded in the program, as far as a crash report needs it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aicpu_executor::loaded_code::LoadedRange;
use aicpu_executor::loader::{Machine, PlanLimits, plan};
use goblin::elf::Elf;
use goblin::elf::program_header::PT_LOAD;
use protocol::{CallableId, DeviceAddr, KERNEL_ENTRY_SYMBOL};

/// The images that were loaded.
#[derive(Debug, Default)]
pub(super) struct Images(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// By id: of each the last that was loaded, and where its image is in device memory.
    orchestrations: BTreeMap<i32, (LoadedRange, DeviceAddr)>,
    /// By address of the record.
    kernels: BTreeMap<u64, KernelImage>,
}

/// A kernel.
#[derive(Debug)]
struct KernelImage {
    image: Arc<[u8]>,
    /// What is added to an address as linked.
    bias: u64,
    /// Behind its last segment, as linked.
    end: u64,
    references: usize,
}

/// Whose code an address is in, and the address as linked.
#[derive(Debug, Clone)]
pub(super) enum Owner {
    /// An orchestration.
    Orchestration {
        /// The callable.
        callable: CallableId,
        /// Where its image is.
        image: DeviceAddr,
        /// As linked.
        vaddr: u64,
    },
    /// A kernel.
    Kernel {
        /// Address of its record.
        record: DeviceAddr,
        /// Its image.
        image: Arc<[u8]>,
        /// As linked.
        vaddr: u64,
    },
}

impl Images {
    /// An orchestration was loaded.
    pub(super) fn add_orchestration(&self, range: LoadedRange, image: DeviceAddr) {
        self.table().orchestrations.insert(range.id.raw(), (range, image));
    }

    /// An orchestration was unloaded, unless its id has been used again: where it was, there may be other code soon.
    pub(super) fn remove_orchestration(&self, id: CallableId, generation: u32) {
        let mut table = self.table();
        let is_it = |(range, _): &(LoadedRange, DeviceAddr)| range.generation == generation;
        if table.orchestrations.get(&id.raw()).is_some_and(is_it) {
            table.orchestrations.remove(&id.raw());
        }
    }

    /// A kernel was loaded, or another reference to it taken. Its entry is at an address of the program.
    pub(super) fn add_kernel(&self, record: DeviceAddr, binary: &[u8], entry: u64) {
        let mut table = self.table();
        if let Some(kernel) = table.kernels.get_mut(&record.raw()) {
            kernel.references += 1;
            return;
        }
        let Ok(elf) = Elf::parse(binary) else { return };
        let is_entry = |each: &goblin::elf::Sym| {
            each.is_function() && elf.dynstrtab.get_at(each.st_name) == Some(KERNEL_ENTRY_SYMBOL)
        };
        let Some(symbol) = elf.dynsyms.iter().find(is_entry) else { return };
        let loads = elf.program_headers.iter().filter(|segment| segment.p_type == PT_LOAD);
        let end = loads.map(|segment| segment.p_vaddr.saturating_add(segment.p_memsz)).max();
        let (bias, end) = (entry.wrapping_sub(symbol.st_value), end.unwrap_or_default());
        let kernel = KernelImage { image: binary.into(), bias, end, references: 1 };
        table.kernels.insert(record.raw(), kernel);
    }

    /// A reference to a kernel was given back.
    pub(super) fn remove_kernel(&self, record: DeviceAddr) {
        let mut table = self.table();
        if let Some(kernel) = table.kernels.get_mut(&record.raw()) {
            kernel.references -= 1;
            if kernel.references == 0 {
                table.kernels.remove(&record.raw());
            }
        }
    }

    /// Whose code is at an address.
    pub(super) fn owner(&self, address: u64) -> Option<Owner> {
        let table = self.table();
        let mut orchestrations = table.orchestrations.values();
        if let Some((range, image)) = orchestrations.find(|(range, _)| range.contains(address)) {
            let vaddr = address.wrapping_sub(range.bias);
            return Some(Owner::Orchestration { callable: range.id, image: *image, vaddr });
        }
        table.kernels.iter().find_map(|(record, kernel)| {
            let vaddr = address.checked_sub(kernel.bias)?;
            let (record, image) = (DeviceAddr::new(*record), &kernel.image);
            let owner = || Owner::Kernel { record, image: Arc::clone(image), vaddr };
            (vaddr < kernel.end).then(owner)
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The function at an address of an image, as linked, and how far in it is.
pub(super) fn function_at(image: &[u8], vaddr: u64) -> Option<(String, u64)> {
    let limits = PlanLimits { page_bytes: rustix::param::page_size(), ..PlanLimits::default() };
    let machine = Machine::of_file(image)?;
    // Planning refuses what the executor's loader cannot load, which a kernel may well be.
    let planned = plan(image, machine, &limits).ok();
    if let Some(place) = planned.and_then(|plan| plan.symbolise(vaddr)) {
        return Some((String::from_utf8_lossy(place.function.name).into_owned(), place.offset));
    }
    let elf = Elf::parse(image).ok()?;
    let symbols = elf.syms.iter().map(|symbol| (symbol, &elf.strtab));
    let symbols = symbols.chain(elf.dynsyms.iter().map(|symbol| (symbol, &elf.dynstrtab)));
    let functions = symbols.filter(|(symbol, _)| symbol.is_function() && symbol.st_value <= vaddr);
    let (symbol, names) = functions
        .filter(|(symbol, _)| vaddr - symbol.st_value < symbol.st_size.max(1))
        .max_by_key(|(symbol, _)| symbol.st_value)?;
    Some((names.get_at(symbol.st_name)?.to_owned(), vaddr - symbol.st_value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_unloaded_owns_no_code_and_its_id_may_have_been_used_again() {
        let images = Images::default();
        let id = CallableId::new(4).unwrap();
        let range = |generation| LoadedRange { id, generation, base: 64, span: 64, bias: 0 };
        images.add_orchestration(range(1), DeviceAddr::new(8));
        images.add_orchestration(range(2), DeviceAddr::new(16));
        images.remove_orchestration(id, 1);
        let owner = images.owner(100);
        let Some(Owner::Orchestration { callable, image, .. }) = owner else { panic!("{owner:?}") };
        assert_eq!((callable, image), (id, DeviceAddr::new(16)));
        images.remove_orchestration(id, 2);
        assert!(images.owner(100).is_none());
    }
}
