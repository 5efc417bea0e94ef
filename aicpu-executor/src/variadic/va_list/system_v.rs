//! The `va_list` of the System V ABI for x86-64 (System V AMD64 psABI §3.5.7).
//!
//! Apart from the AArch64 one because the two share nothing but their purpose. The trampoline
//! fills it: integer arguments that came in registers lie in the first 48 bytes of the register
//! save area, doubles in the 128 bytes after them (16 each), and everything else in 8-byte slots
//! of the overflow area, the caller's stack. Reads move the offsets, as `va_arg` does.

use super::long_double;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::{align_of, offset_of, size_of};

/// Bytes of the save area that hold `rdi, rsi, rdx, rcx, r8, r9`.
const GENERAL_BYTES: u32 = 48;
/// Bytes of the whole save area: the general registers and `xmm0`–`xmm7`.
const SAVE_BYTES: u32 = 176;

/// System V x86-64 `va_list` (one element of the array type that C calls `va_list`).
///
/// `'a` is the C call during which the areas it points to exist.
#[repr(C)]
#[derive(Debug)]
pub struct SystemVVaList<'a> {
    gp_offset: u32,
    fp_offset: u32,
    overflow_arg_area: *const c_void,
    reg_save_area: *const c_void,
    call: PhantomData<&'a c_void>,
}

const _: () = {
    assert!(size_of::<SystemVVaList<'_>>() == 24 && align_of::<SystemVVaList<'_>>() == 8);
    assert!(offset_of!(SystemVVaList<'_>, gp_offset) == 0);
    assert!(offset_of!(SystemVVaList<'_>, fp_offset) == 4);
    assert!(offset_of!(SystemVVaList<'_>, overflow_arg_area) == 8);
    assert!(offset_of!(SystemVVaList<'_>, reg_save_area) == 16);
};

impl SystemVVaList<'_> {
    /// A list over the given areas. `used_general` of the six general registers hold fixed
    /// arguments and are skipped.
    ///
    /// # Safety
    ///
    /// During the lifetime of the result, `registers` points to the 176 bytes of a register save
    /// area and `overflow` to the arguments in memory, 16-byte aligned as the ABI has it if a
    /// `long double` is among them. `used_general` is at most 6.
    #[must_use]
    pub const unsafe fn new(
        used_general: u32,
        registers: *const c_void,
        overflow: *const c_void,
    ) -> Self {
        Self {
            gp_offset: used_general.saturating_mul(8),
            fp_offset: GENERAL_BYTES,
            overflow_arg_area: overflow,
            reg_save_area: registers,
            call: PhantomData,
        }
    }

    /// The next argument of class INTEGER: any integer type or pointer, in its 8-byte slot.
    ///
    /// # Safety
    ///
    /// The caller of the variadic function has passed such an argument at this position.
    pub unsafe fn next_u64(&mut self) -> u64 {
        // SAFETY: the slot holds the argument that the contract promises.
        unsafe { self.next_general().cast::<u64>().read() }
    }

    /// The next pointer.
    ///
    /// # Safety
    ///
    /// The caller of the variadic function has passed a pointer at this position.
    pub unsafe fn next_ptr(&mut self) -> *const c_void {
        // SAFETY: the slot holds the pointer that the contract promises.
        unsafe { self.next_general().cast::<*const c_void>().read() }
    }

    /// The next `double`.
    ///
    /// # Safety
    ///
    /// The caller of the variadic function has passed a `double` at this position.
    pub unsafe fn next_f64(&mut self) -> f64 {
        let slot = if self.fp_offset.saturating_add(16) <= SAVE_BYTES {
            let slot = self.reg_save_area.wrapping_byte_add(self.fp_offset as usize);
            self.fp_offset += 16;
            slot
        } else {
            self.next_overflow(8)
        };
        // SAFETY: the slot holds the argument that the contract promises.
        unsafe { slot.cast::<f64>().read() }
    }

    /// The next `long double` (x87 extended, class MEMORY: 16 aligned bytes on the stack),
    /// rounded to a `double`.
    ///
    /// # Safety
    ///
    /// The caller of the variadic function has passed a `long double` at this position.
    pub unsafe fn next_long_double(&mut self) -> f64 {
        let misaligned = self.overflow_arg_area.addr() % 16;
        if misaligned != 0 {
            self.next_overflow(16 - misaligned);
        }
        let slot = self.next_overflow(16);
        // SAFETY: ten bytes of the sixteen carry the value the contract promises.
        long_double::from_x87(unsafe { slot.cast::<[u8; 10]>().read() })
    }

    fn next_general(&mut self) -> *const c_void {
        if self.gp_offset.saturating_add(8) <= GENERAL_BYTES {
            let slot = self.reg_save_area.wrapping_byte_add(self.gp_offset as usize);
            self.gp_offset += 8;
            slot
        } else {
            self.next_overflow(8)
        }
    }

    fn next_overflow(&mut self, bytes: usize) -> *const c_void {
        let slot = self.overflow_arg_area;
        // Only a read through the pointer needs it to be in bounds.
        self.overflow_arg_area = slot.wrapping_byte_add(bytes);
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::SystemVVaList;

    #[repr(C, align(16))]
    struct Areas {
        general: [u64; 6],
        vector: [[f64; 2]; 8],
        overflow: [u64; 6],
    }

    const AREAS: Areas = Areas {
        general: [10, 11, 12, 13, 14, 15],
        vector: [
            [0.5, 9.0],
            [1.5, 9.0],
            [2.5, 9.0],
            [3.5, 9.0],
            [4.5, 9.0],
            [5.5, 9.0],
            [6.5, 9.0],
            [7.5, 9.0],
        ],
        // 20, 8.5, 21, padding, then 1.0 as x87 extended
        overflow: [20, 0x4021_0000_0000_0000, 21, 0, 0x8000_0000_0000_0000, 0x3fff],
    };

    #[test]
    fn takes_registers_after_the_fixed_ones_and_then_the_stack() {
        let areas = AREAS;
        let save = (&raw const areas).cast();
        // SAFETY: the areas are laid out as a trampoline does it, and live to the end.
        let mut list = unsafe { SystemVVaList::new(4, save, areas.overflow.as_ptr().cast()) };
        // SAFETY: reads what the areas hold.
        let general = unsafe { [list.next_u64(), list.next_u64(), list.next_u64()] };
        assert_eq!(general, [14, 15, 20]);
        // SAFETY: as above.
        let vector: [f64; 9] = core::array::from_fn(|_| unsafe { list.next_f64() });
        assert_eq!(vector, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5]);
        // SAFETY: as above.
        assert_eq!(unsafe { list.next_ptr() }.addr(), 21);
        // SAFETY: as above; the list is 8 bytes off the 16-byte slot now.
        assert_eq!(unsafe { list.next_long_double() }, 1.0);
    }
}
