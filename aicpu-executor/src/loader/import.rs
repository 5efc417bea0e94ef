//! What an image wants from outside, and what it may not want.
//!
//! It stands apart from the symbol table because resolvers see nothing else of an image.
//!
//! An image may go at any time when none of its functions runs. So it may not ask others to call
//! it later without a way to take that back:
//!
//! | import | what becomes of it |
//! |---|---|
//! | `__cxa_atexit` | accepted if `__cxa_finalize` is imported too: the start files of shared objects call that at unload with the image's own `__dso_handle`, so that exactly its destructors run |
//! | `__cxa_atexit` alone | refused: its destructors would run after it is gone |
//! | `__cxa_thread_atexit`, `__cxa_thread_atexit_impl` | refused: they would run when a thread ends. Compilers write them for `thread_local` objects only, which are refused anyway |

use core::fmt;

use super::error::PlanError;
use super::name::SymbolName;
use super::version::SymbolVersion;

/// A symbol that an image uses and does not define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Import<'a> {
    /// Name, without version.
    pub name: &'a [u8],
    /// Whether the image can do without: then it sees address 0.
    pub weak: bool,
    /// The version it was linked against; `None` asks for the default one.
    pub version: Option<SymbolVersion<'a>>,
}

impl fmt::Display for Import<'_> {
    /// As linkers print it: `name`, or `name@VERSION`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name.escape_ascii())?;
        match self.version {
            Some(version) => write!(f, "@{}", version.name.escape_ascii()),
            None => Ok(()),
        }
    }
}

/// Which functions an image imports that call it later, or take that back.
#[derive(Debug, Default)]
pub(super) struct LaterCalls {
    /// The symbol `__cxa_atexit`.
    registers: Option<u32>,
    takes_back: bool,
}

impl LaterCalls {
    /// How the names of all these functions begin.
    pub(super) const PREFIX: &[u8] = b"__cxa_";

    /// Notes the name of an undefined symbol.
    ///
    /// # Errors
    ///
    /// It is one that nothing takes back.
    pub(super) fn note(&mut self, symbol: u32, name: &[u8]) -> Result<(), PlanError> {
        match name {
            b"__cxa_atexit" => self.registers = Some(symbol),
            b"__cxa_finalize" => self.takes_back = true,
            b"__cxa_thread_atexit" | b"__cxa_thread_atexit_impl" => {
                return Err(PlanError::ThreadExitFunction { symbol, name: SymbolName::new(name) });
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks what was noted of all symbols.
    ///
    /// # Errors
    ///
    /// The image registers functions and does not take them back.
    pub(super) const fn check(&self) -> Result<(), PlanError> {
        match self.registers {
            Some(symbol) if !self.takes_back => Err(PlanError::ExitFunctionsStay { symbol }),
            _ => Ok(()),
        }
    }
}
