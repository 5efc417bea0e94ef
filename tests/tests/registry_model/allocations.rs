//! The user's memory on the device: freed once, and what was written is read.

use proptest::sample::Index;

use crate::bench::Bench;

impl Bench<'_> {
    pub(crate) fn free(&mut self, index: &Index) {
        let count = self.addresses.len();
        let Some(number) = (count > 0).then(|| index.index(count)) else { return };
        let address = self.addresses.remove(number);
        self.model.allocations().remove(number);
        self.worker.free(address).unwrap();
        // Nothing has been allocated in between that could be there now.
        assert!(self.worker.free(address).is_err(), "freed twice");
        self.note("free");
    }

    pub(crate) fn copy(&mut self, allocation: &Index, offset: &Index, bytes: &[u8]) {
        let count = self.addresses.len();
        let Some(number) = (count > 0).then(|| allocation.index(count)) else { return };
        let address = self.addresses[number];
        let content = &mut self.model.allocations()[number];
        let offset = offset.index(content.len());
        let copied = self.worker.copy_in(address.checked_add(offset as u64).unwrap(), bytes);
        let fits = offset + bytes.len() <= content.len();
        assert_eq!(copied.is_ok(), fits, "{copied:?}");
        if fits {
            content[offset..][..bytes.len()].copy_from_slice(bytes);
        }
        let mut found = vec![0; content.len()];
        self.worker.copy_out(&mut found, address).unwrap();
        assert_eq!(&found, content);
        self.note(format!("copy that fits: {fits}"));
    }
}
