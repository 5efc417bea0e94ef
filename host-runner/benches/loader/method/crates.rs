//! The `elf_loader` crate: the closest loader that others wrote in Rust, from memory.
//!
//! It is given what helps it: a table of exactly the symbols that the image wants, made once.
//! Binding is eager, as with all other methods.

use std::ffi::CString;

use anyhow::{Context, Result, anyhow};
use elf_loader::image::{ModuleHandle, SyntheticModule, SyntheticSymbol};
use elf_loader::{AddressSpaceId, Domain, Loader, Relocator};
use goblin::elf::Elf;
use host_runner::device::resident_symbols::ResidentSymbols;

use super::{Exports, Method};
use crate::fixture::Fixture;
use crate::fixture::source::{Answers, EXPORTS};

/// One image through the crate.
pub(crate) struct ElfLoader<'f> {
    fixture: &'f Fixture,
    domain: Domain,
    host: ModuleHandle,
}

impl<'f> ElfLoader<'f> {
    pub(crate) fn new(fixture: &'f Fixture) -> Result<Self> {
        let domain = Domain::native(AddressSpaceId::PROCESS);
        let elf = Elf::parse(&fixture.bytes).context("no ELF file")?;
        let resident = ResidentSymbols::open();
        let mut symbols = Vec::new();
        for symbol in elf.dynsyms.iter().filter(goblin::elf::Sym::is_import) {
            let name = elf.dynstrtab.get_at(symbol.st_name).context("a symbol without a name")?;
            // A weak one that nobody has is the crate's own business.
            if let Some(address) = resident.address(name.as_bytes()) {
                symbols.push(SyntheticSymbol::function(
                    CString::new(name)?.as_c_str(),
                    address.cast_const().cast(),
                ));
            }
        }
        let host = SyntheticModule::new(&domain, "__host", symbols).into();
        Ok(Self { fixture, domain, host })
    }
}

impl Method for ElfLoader<'_> {
    fn name(&self) -> &'static str {
        "elf_loader"
    }

    fn image(&self) -> &'static str {
        self.fixture.image
    }

    fn expected(&self) -> Option<Answers> {
        Some(self.fixture.answers)
    }

    fn load(&mut self, visit: &mut dyn FnMut(&Exports)) -> Result<()> {
        let failed = |error: elf_loader::Error| anyhow!("elf_loader: {error}");
        let image = Loader::new()
            .run(self.domain.clone())
            .load_dylib(&self.fixture.bytes)
            .map_err(failed)?;
        let image = Relocator::new()
            .run(image)
            .eager()
            .with_modules([self.host.clone()])
            .map_err(failed)?
            .relocate()
            .map_err(failed)?;
        let mut functions = [core::ptr::null(); 3];
        for (function, name) in functions.iter_mut().zip(EXPORTS) {
            // SAFETY: only the address of the symbol is used, as one of a function.
            let symbol = unsafe { image.get::<extern "C" fn()>(name) }.map_err(failed)?;
            let symbol = symbol.with_context(|| format!("elf_loader finds no `{name}`"))?;
            *function = *symbol as *const ();
        }
        // SAFETY: the exports of a fixture, which stays as long as `image`.
        visit(&unsafe { Exports::new(functions) });
        Ok(())
    }
}
