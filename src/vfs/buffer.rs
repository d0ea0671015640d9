// SPDX-License-Identifier: GPL-2.0

//! Memory for bytes on their way to the page cache.
//!
//! C header: [`include/linux/slab.h`](srctree/include/linux/slab.h)

use crate::bindings;
use core::ptr::NonNull;
use kernel::prelude::*;

/// How badly memory is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It can be done without.
    Optional,
    /// Somebody waits for the data: the allocator may use its reserves, and does not fail.
    Must,
}

/// A run of private memory, physically contiguous where that can be had.
///
/// # Invariants
///
/// `addr` is from `kvmalloc()`, has `len` bytes, and is owned.
pub(crate) struct Buffer {
    addr: NonNull<u8>,
    len: usize,
}

// SAFETY: Plain memory, owned.
unsafe impl Send for Buffer {}
// SAFETY: As above; `&Buffer` only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Memory for `len` bytes, whatever they are. Aligned to blocks where `len` is a multiple of a page.
    pub(crate) fn new(len: usize, need: Need) -> Result<Self> {
        // SAFETY: Allocates; callers may sleep.
        let addr = unsafe { bindings::erofs_helper_kvmalloc(len.max(1), need == Need::Must) };
        // INVARIANT: Just allocated.
        Ok(Self {
            addr: NonNull::new(addr.cast()).ok_or(ENOMEM)?,
            len,
        })
    }

    /// The address, for C code that fills the memory.
    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.addr.as_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: By the type invariant. The allocator's memory holds some bytes, and any byte is a `u8`.
        unsafe { core::slice::from_raw_parts(self.addr.as_ptr(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: As in `bytes`, and borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.addr.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: Owned, by the type invariant.
        unsafe { bindings::erofs_helper_kvfree(self.addr.as_ptr().cast()) };
    }
}
