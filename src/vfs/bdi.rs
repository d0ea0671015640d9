// SPDX-License-Identifier: GPL-2.0

//! A backing device info without a device.
//!
//! Readahead and fadvise ask a mapping's superblock for one, and do nothing if it is the kernel's empty one.
//!
//! C header: [`include/linux/backing-dev.h`](srctree/include/linux/backing-dev.h)

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A registered `struct backing_dev_info`.
pub(crate) struct Bdi(NonNull<bindings::backing_dev_info>);

// SAFETY: Reference-counted by C code, and only passed on.
unsafe impl Send for Bdi {}
// SAFETY: As above.
unsafe impl Sync for Bdi {}

impl Bdi {
    /// Registers one, to be found under /sys/class/bdi by `name`.
    pub(crate) fn new(name: &'static CStr) -> Result<Self> {
        const NUMA_NO_NODE: c_int = -1;
        // SAFETY: Allocates.
        let bdi = NonNull::new(unsafe { bindings::bdi_alloc(NUMA_NO_NODE) }).ok_or(ENOMEM)?;
        // SAFETY: New, and `name` is what the format says.
        let done = to_result(unsafe {
            bindings::bdi_register(bdi.as_ptr(), c"%s".as_char_ptr(), name.as_char_ptr())
        });
        if let Err(e) = done {
            // SAFETY: Gives up the only reference.
            unsafe { bindings::bdi_put(bdi.as_ptr()) };
            return Err(e);
        }
        Ok(Self(bdi))
    }

    pub(super) fn as_raw(&self) -> *mut bindings::backing_dev_info {
        self.0.as_ptr()
    }
}

impl Drop for Bdi {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`.
        unsafe { bindings::bdi_unregister(self.0.as_ptr()) };
        // SAFETY: Gives up our reference.
        unsafe { bindings::bdi_put(self.0.as_ptr()) };
    }
}
