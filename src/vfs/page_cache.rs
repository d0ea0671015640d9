// SPDX-License-Identifier: GPL-2.0

//! Reading bytes through a page cache.
//!
//! The memory behind is the disk's: root, the device or a hypervisor may change it at any time. So no reference to
//! it exists; bytes are copied out by the C `memcpy`, the compromise that `rust/kernel/io.rs` explains.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use crate::bindings;
use crate::vfs::{
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::from_err_ptr,
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

/// A `struct address_space`.
#[repr(transparent)]
pub(crate) struct Mapping(Opaque<bindings::address_space>);

impl Mapping {
    /// # Safety
    ///
    /// `ptr` must be a mapping that stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::address_space) -> &'a Self {
        // SAFETY: By the contract; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    /// Reads page `index`, waiting for I/O, and maps it into this thread.
    pub(crate) fn page(&self, index: usize) -> Result<MappedPage> {
        // SAFETY: `self` is live.
        let folio = from_err_ptr(unsafe {
            bindings::erofs_helper_read_folio(self.0.get(), index)
        })?;
        // SAFETY: The folio contains the page, and we hold a reference on it.
        let addr = unsafe { bindings::erofs_helper_kmap(folio, index) };
        Ok(MappedPage {
            // SAFETY: Neither is null after success.
            folio: unsafe { NonNull::new_unchecked(folio) },
            // SAFETY: As above.
            addr: unsafe { NonNull::new_unchecked(addr.cast()) },
            _thread: NotThreadSafe,
        })
    }
}

/// A page of a page cache, held and mapped.
///
/// Mappings of one thread must be dropped in reverse order (`kmap_local_page()`).
///
/// # Invariants
///
/// `addr` is the start of [`PAGE_SIZE`] readable bytes of `folio`, on which a reference is held.
pub(crate) struct MappedPage {
    folio: NonNull<bindings::folio>,
    addr: NonNull<u8>,
    _thread: NotThreadSafe,
}

impl MappedPage {
    /// Copies out the bytes from `offset` on. `None`, and nothing copied, if they do not lie in the page.
    #[inline]
    pub(crate) fn copy(&self, offset: usize, to: &mut [u8]) -> Option<()> {
        if to.len() > PAGE_SIZE.checked_sub(offset)? {
            return None;
        }
        // SAFETY: `offset` is below `PAGE_SIZE`, so it stays in the mapped page.
        let from = unsafe { self.addr.as_ptr().add(offset) };
        // SAFETY: Readable by the type invariant for the length checked above; `to` is ours. The bytes may change
        // while they are copied: this gives stale or torn bytes, which every user of the copy expects.
        unsafe { bindings::memcpy(to.as_mut_ptr().cast(), from.cast(), to.len()) };
        Some(())
    }

    /// The address of byte `offset` of the page, for C code that copies from it while `self` lives.
    pub(super) fn addr(&self, offset: usize) -> Option<*mut c_void> {
        if offset >= PAGE_SIZE {
            return None;
        }
        // SAFETY: Checked above.
        Some(unsafe { self.addr.as_ptr().add(offset) }.cast())
    }
}

impl Drop for MappedPage {
    fn drop(&mut self) {
        // SAFETY: Mapped once by `Mapping::page`.
        unsafe { bindings::erofs_helper_kunmap(self.addr.as_ptr().cast()) };
        // SAFETY: Gives up the reference that `Mapping::page` took.
        unsafe { bindings::erofs_helper_folio_put(self.folio.as_ptr()) };
    }
}

/// The page that holds byte `pos` of a mapping, and the byte's offset in it.
#[inline]
fn split(pos: u64) -> Result<(usize, usize)> {
    let index = usize::try_from(pos >> PAGE_SHIFT).map_err(|_| EIO)?;
    Ok((index, (pos & (PAGE_SIZE as u64 - 1)) as usize))
}

/// Reads at arbitrary offsets of a mapping, keeping the last page at hand.
pub(crate) struct Window<'a> {
    mapping: *mut bindings::address_space,
    /// Where byte 0 of the window lies in the mapping.
    base: u64,
    /// Length of the window in bytes.
    len: u64,
    page: Option<(usize, MappedPage)>,
    _mapping: PhantomData<&'a Mapping>,
}

impl<'a> Window<'a> {
    /// The bytes from `base` on, `len` of them.
    pub(crate) fn new(mapping: &'a Mapping, base: u64, len: u64) -> Self {
        Self {
            mapping: mapping.0.get(),
            base,
            len,
            page: None,
            _mapping: PhantomData,
        }
    }

    /// Copies out the bytes at `pos`.
    ///
    /// # Errors
    ///
    /// `EIO` beyond the end of the window, else what reading the page gave.
    pub(crate) fn read(&mut self, pos: u64, to: &mut [u8]) -> Result {
        let len = u64::try_from(to.len())?;
        if pos.checked_add(len).ok_or(EIO)? > self.len {
            return Err(EIO);
        }
        let mut at = self.base.checked_add(pos).ok_or(EIO)?;
        let mut rest = to;
        while !rest.is_empty() {
            let (index, offset) = split(at)?;
            let here = rest.len().min(PAGE_SIZE - offset);
            let (now, later) = rest.split_at_mut(here);
            self.page(index)?.copy(offset, now).ok_or(EIO)?;
            at = at.checked_add(here as u64).ok_or(EIO)?;
            rest = later;
        }
        Ok(())
    }

    /// Gives up the window for the page that holds byte `pos`, and the offset of that byte in it.
    pub(crate) fn into_page(mut self, pos: u64) -> Result<(MappedPage, usize)> {
        let at = self.base.checked_add(pos).ok_or(EIO)?;
        let (index, offset) = split(at)?;
        self.page(index)?;
        self.page.map(|(_, page)| (page, offset)).ok_or(EIO)
    }

    #[inline]
    fn page(&mut self, index: usize) -> Result<&MappedPage> {
        if !matches!(&self.page, Some((have, _)) if *have == index) {
            // Unmap first: mappings of a thread nest.
            self.page = None;
            // SAFETY: The mapping lives for `'a`.
            let mapping = unsafe { Mapping::from_raw(self.mapping) };
            self.page = Some((index, mapping.page(index)?));
        }
        match &self.page {
            Some((_, page)) => Ok(page),
            None => Err(EIO),
        }
    }
}
