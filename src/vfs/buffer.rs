// SPDX-License-Identifier: GPL-2.0

//! Memory for bytes on their way to the page cache.
//!
//! C header: [`include/linux/slab.h`](srctree/include/linux/slab.h)

use crate::bindings;
use crate::vfs::PAGE_SIZE;
use core::ptr::NonNull;
use kernel::prelude::*;

/// How badly memory is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It can be done without, and whoever asks must not wait for memory: reads may be what frees it.
    AtHand,
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
        let flags = match need {
            Need::AtHand => bindings::EROFS_C_GFP_AT_HAND,
            Need::Optional => bindings::EROFS_C_GFP_OPTIONAL,
            Need::Must => bindings::EROFS_C_GFP_MUST,
        };
        // SAFETY: Allocates; callers may sleep, or do not want to.
        let addr = unsafe { bindings::erofs_helper_kvmalloc(len.max(1), flags) };
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

    /// The memory as vectors, one for each run of pages.
    pub(super) fn vecs(&self) -> Result<KVec<bindings::bio_vec>> {
        let base = self.as_ptr();
        // SAFETY: Looks at the address only.
        let scattered = unsafe { bindings::erofs_helper_is_vmalloc(base.cast()) };
        let most = match scattered {
            true => PAGE_SIZE,
            false => self.len,
        };
        let mut vecs = KVec::with_capacity(self.len.div_ceil(most.max(1)), GFP_KERNEL)?;
        let mut at = 0;
        while at < self.len {
            // SAFETY: `at` is below the length.
            let addr = unsafe { base.add(at) };
            let offset = addr.addr() & (PAGE_SIZE - 1);
            let len = self.len.saturating_sub(at).min(match scattered {
                true => PAGE_SIZE - offset,
                false => most,
            });
            // SAFETY: Memory from `kvmalloc()` has pages.
            let page = unsafe { bindings::erofs_helper_page_of(addr.cast()) };
            let vec = bindings::bio_vec {
                bv_page: page,
                bv_len: u32::try_from(len)?,
                bv_offset: offset as u32,
            };
            vecs.push(vec, GFP_KERNEL)?;
            at = at.saturating_add(len);
        }
        Ok(vecs)
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
