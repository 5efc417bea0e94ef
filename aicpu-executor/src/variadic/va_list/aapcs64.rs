//! The `va_list` of AAPCS64 ("The va_list type" in its appendix on variable arguments).
//!
//! Apart from the x86-64 one because the two share nothing but their purpose. The trampoline
//! fills it: `gr_top` and `vr_top` point past the saved `x0`–`x7` and `q0`–`q7`, the two negative
//! offsets say where the next argument lies below them, and an offset that has reached zero says
//! that the rest is on the caller's stack, in 8-byte slots.

use super::long_double;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::{align_of, offset_of, size_of};

/// AAPCS64 `va_list`.
///
/// `'a` is the C call during which the areas it points to exist.
#[repr(C)]
#[derive(Debug)]
pub struct Aapcs64VaList<'a> {
    stack: *const c_void,
    gr_top: *const c_void,
    vr_top: *const c_void,
    gr_offs: i32,
    vr_offs: i32,
    call: PhantomData<&'a c_void>,
}

const _: () = {
    assert!(size_of::<Aapcs64VaList<'_>>() == 32 && align_of::<Aapcs64VaList<'_>>() == 8);
    assert!(offset_of!(Aapcs64VaList<'_>, stack) == 0);
    assert!(offset_of!(Aapcs64VaList<'_>, gr_top) == 8);
    assert!(offset_of!(Aapcs64VaList<'_>, vr_top) == 16);
    assert!(offset_of!(Aapcs64VaList<'_>, gr_offs) == 24);
    assert!(offset_of!(Aapcs64VaList<'_>, vr_offs) == 28);
};

impl Aapcs64VaList<'_> {
    /// A list over the given areas. `used_general` of `x0`–`x7` hold fixed arguments.
    ///
    /// # Safety
    ///
    /// During the lifetime of the result, `gr_top` points past 64 bytes with the saved general
    /// registers, `vr_top` past 128 bytes with the saved vector registers, and `stack` to the
    /// arguments in memory, 16-byte aligned as the ABI has it if a `long double` is among them.
    /// `used_general` is at most 8.
    #[must_use]
    pub const unsafe fn new(
        used_general: u8,
        gr_top: *const c_void,
        vr_top: *const c_void,
        stack: *const c_void,
    ) -> Self {
        let gr_offs = -8 * (8 - used_general as i32);
        Self { stack, gr_top, vr_top, gr_offs, vr_offs: -128, call: PhantomData }
    }

    /// The next argument that goes into a general register: any integer type or pointer, in its
    /// 8-byte slot.
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
        let slot = match self.next_vector_register() {
            Some(slot) => slot,
            None => self.next_on_stack(8),
        };
        // SAFETY: the slot holds the argument that the contract promises; of a little-endian
        // 16-byte register slot it is the first half.
        unsafe { slot.cast::<f64>().read() }
    }

    /// The next `long double` (binary128, a whole vector register), rounded to a `double`.
    ///
    /// # Safety
    ///
    /// The caller of the variadic function has passed a `long double` at this position.
    pub unsafe fn next_long_double(&mut self) -> f64 {
        let slot = match self.next_vector_register() {
            Some(slot) => slot,
            None => {
                let misaligned = self.stack.addr() % 16;
                if misaligned != 0 {
                    self.next_on_stack(16 - misaligned);
                }
                self.next_on_stack(16)
            }
        };
        // SAFETY: the slot holds the argument that the contract promises.
        long_double::from_binary128(u128::from_le_bytes(unsafe { slot.cast::<[u8; 16]>().read() }))
    }

    fn next_general(&mut self) -> *const c_void {
        if self.gr_offs < 0 {
            let slot = self.gr_top.wrapping_byte_offset(self.gr_offs as isize);
            self.gr_offs += 8;
            slot
        } else {
            self.next_on_stack(8)
        }
    }

    fn next_vector_register(&mut self) -> Option<*const c_void> {
        if self.vr_offs >= 0 {
            return None;
        }
        let slot = self.vr_top.wrapping_byte_offset(self.vr_offs as isize);
        self.vr_offs += 16;
        Some(slot)
    }

    fn next_on_stack(&mut self, bytes: usize) -> *const c_void {
        let slot = self.stack;
        // Only a read through the pointer needs it to be in bounds.
        self.stack = slot.wrapping_byte_add(bytes);
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::Aapcs64VaList;

    #[repr(C, align(16))]
    struct Areas {
        general: [u64; 8],
        vector: [[u64; 2]; 8],
        stack: [u64; 6],
    }

    #[test]
    fn takes_registers_after_the_fixed_ones_and_then_the_stack() {
        let mut areas = Areas { general: [0; 8], vector: [[0; 2]; 8], stack: [0; 6] };
        areas.general = [10, 11, 12, 13, 14, 15, 16, 17];
        areas.vector[0] = [0, 0xbfff_8000_0000_0000]; // -1.5 as binary128
        for (index, register) in areas.vector.iter_mut().enumerate().skip(1) {
            *register = [(index as f64).to_bits(), u64::MAX];
        }
        areas.stack = [20, 8.5_f64.to_bits(), 21, 0, 0, 0x4000_0000_0000_0000]; // 2.0 at last
        let base = &raw const areas;
        // SAFETY: the areas are laid out as a trampoline does it, and live to the end.
        let mut list = unsafe {
            Aapcs64VaList::new(
                6,
                base.cast::<u8>().add(64).cast(),
                base.cast::<u8>().add(192).cast(),
                base.cast::<u8>().add(192).cast(),
            )
        };
        // SAFETY: reads what the areas hold.
        let general = unsafe { [list.next_u64(), list.next_u64(), list.next_u64()] };
        assert_eq!(general, [16, 17, 20]);
        // SAFETY: as above.
        assert_eq!(unsafe { list.next_long_double() }, -1.5);
        // SAFETY: as above.
        let vector: [f64; 8] = core::array::from_fn(|_| unsafe { list.next_f64() });
        assert_eq!(vector, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.5]);
        // SAFETY: as above.
        assert_eq!(unsafe { list.next_ptr() }.addr(), 21);
        // SAFETY: as above; the list is 8 bytes off the 16-byte slot now.
        assert_eq!(unsafe { list.next_long_double() }, 2.0);
    }
}
