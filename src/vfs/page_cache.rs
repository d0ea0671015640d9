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
use core::ptr::NonNull;
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
            bindings::read_cache_folio(self.0.get(), index, None, core::ptr::null_mut())
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

/// Copies bytes that may change meanwhile: this gives stale or torn ones, which every user of the copy expects.
///
/// # Safety
///
/// `from` must be readable for the length of `to`.
#[inline(always)]
unsafe fn copy_racy(from: *const u8, to: &mut [u8]) {
    /// What a call costs more than.
    const SHORT: usize = 64;
    if to.len() > SHORT {
        // SAFETY: Readable by the contract; `to` is ours.
        unsafe { bindings::memcpy(to.as_mut_ptr().cast(), from.cast(), to.len()) };
        return;
    }
    // Each byte is read once, in as few loads as there can be: the size is mostly known when compiling.
    let mut at = 0;
    macro_rules! copy {
        ($word:ty, $repeat:tt) => {
            $repeat to.len() - at >= size_of::<$word>() {
                #[repr(C, packed)]
                struct Unaligned($word);
                // SAFETY: `at` is below the length, for which `from` is readable by the contract.
                let word = unsafe { from.add(at) }.cast::<Unaligned>();
                // SAFETY: As above, for as many bytes as the word has.
                let word = unsafe { word.read_volatile() }.0;
                // SAFETY: `at` is below the length.
                let here = unsafe { to.as_mut_ptr().add(at) }.cast::<Unaligned>();
                // SAFETY: As above, for as many bytes as the word has; `to` is ours.
                unsafe { here.write(Unaligned(word)) };
                at += size_of::<$word>();
            }
        };
    }
    copy!(u64, while);
    copy!(u32, if);
    copy!(u16, if);
    copy!(u8, if);
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
    #[inline(always)]
    fn copy(&self, offset: usize, to: &mut [u8]) -> Option<()> {
        if to.len() > PAGE_SIZE.checked_sub(offset)? {
            return None;
        }
        // SAFETY: `offset` is at most `PAGE_SIZE`, so it stays in the mapped page.
        let from = unsafe { self.addr.as_ptr().add(offset) };
        // SAFETY: Readable by the type invariant for the length checked above.
        unsafe { copy_racy(from, to) };
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
        // SAFETY: Mapped and referenced once by `Mapping::page`.
        unsafe { bindings::erofs_helper_put_mapped(self.folio.as_ptr(), self.addr.as_ptr().cast()) };
    }
}

/// Reads at arbitrary offsets of a mapping, keeping the last page at hand.
pub(crate) struct Window<'a> {
    mapping: &'a Mapping,
    /// Where byte 0 of the window lies in the mapping.
    base: u64,
    /// Length of the window in bytes.
    len: u64,
    page: Option<(u64, MappedPage)>,
}

impl<'a> Window<'a> {
    /// The bytes from `base` on, `len` of them.
    #[inline]
    pub(crate) fn new(mapping: &'a Mapping, base: u64, len: u64) -> Self {
        Self {
            mapping,
            base,
            len,
            page: None,
        }
    }

    /// Copies out the bytes at `pos`.
    ///
    /// # Errors
    ///
    /// `EIO` beyond the end of the window, else what reading the page gave.
    #[inline(always)]
    pub(crate) fn read(&mut self, pos: u64, to: &mut [u8]) -> Result {
        let end = pos.checked_add(to.len() as u64).ok_or(EIO)?;
        if end > self.len {
            return Err(EIO);
        }
        let at = self.base.checked_add(pos).ok_or(EIO)?;
        // What follows is mostly in the page that the last read was in.
        if let Some((index, page)) = &self.page {
            let offset = (at & (PAGE_SIZE as u64 - 1)) as usize;
            if *index == at >> PAGE_SHIFT && page.copy(offset, to).is_some() {
                return Ok(());
            }
        }
        self.read_pages(at, to)
    }

    /// Reads at `at` of the mapping, from as many pages as it takes.
    #[inline(never)]
    fn read_pages(&mut self, mut at: u64, to: &mut [u8]) -> Result {
        let mut rest = to;
        while !rest.is_empty() {
            let (page, offset) = self.page(at)?;
            let here = rest.len().min(PAGE_SIZE - offset);
            let (now, later) = rest.split_at_mut(here);
            page.copy(offset, now).ok_or(EIO)?;
            at = at.checked_add(here as u64).ok_or(EIO)?;
            rest = later;
        }
        Ok(())
    }

    /// Gives up the window for the page that holds byte `pos`, and the offset of that byte in it.
    pub(crate) fn into_page(mut self, pos: u64) -> Result<(MappedPage, usize)> {
        let at = self.base.checked_add(pos).ok_or(EIO)?;
        let (_, offset) = self.page(at)?;
        self.page.map(|(_, page)| (page, offset)).ok_or(EIO)
    }

    /// The page that holds byte `at` of the mapping, and the byte's offset in it.
    fn page(&mut self, at: u64) -> Result<(&MappedPage, usize)> {
        let index = at >> PAGE_SHIFT;
        if !matches!(&self.page, Some((have, _)) if *have == index) {
            // Unmap first: mappings of a thread nest.
            self.page = None;
            let page = self.mapping.page(usize::try_from(index).map_err(|_| EIO)?)?;
            self.page = Some((index, page));
        }
        let offset = (at & (PAGE_SIZE as u64 - 1)) as usize;
        self.page
            .as_ref()
            .map(|(_, page)| (page, offset))
            .ok_or(EIO)
    }
}
