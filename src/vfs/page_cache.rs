// SPDX-License-Identifier: GPL-2.0

//! Reading bytes through a page cache.
//!
//! The memory behind is the disk's: root, the device or a hypervisor may change it at any time. So no reference to
//! it exists. Bytes are copied out, each once: short runs by volatile loads, longer ones by the C `memcpy`, which is
//! the compromise that `rust/kernel/io.rs` explains.
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
    types::Opaque, //
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

    pub(super) fn as_raw(&self) -> *mut bindings::address_space {
        self.0.get()
    }

    /// Reads page `index`, waiting for I/O.
    pub(crate) fn page(&self, index: usize) -> Result<HeldPage> {
        // SAFETY: `self` is live.
        let folio = from_err_ptr(unsafe {
            bindings::read_cache_folio(self.0.get(), index, None, core::ptr::null_mut())
        })?;
        // SAFETY: The folio contains the page, and we hold a reference on it.
        let addr = unsafe { bindings::erofs_helper_page_address(folio, index) };
        Ok(HeldPage {
            // SAFETY: Neither is null after success.
            folio: unsafe { NonNull::new_unchecked(folio) },
            // SAFETY: As above.
            addr: unsafe { NonNull::new_unchecked(addr.cast()) },
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
                #[allow(unused_assignments, reason = "the last word")]
                {
                    at += size_of::<$word>();
                }
            }
        };
    }
    copy!(u64, while);
    copy!(u32, if);
    copy!(u16, if);
    copy!(u8, if);
}

/// A page of a page cache, held. There is no high memory, so it has an address as it is.
///
/// # Invariants
///
/// `addr` is the start of [`PAGE_SIZE`] readable bytes of `folio`, on which a reference is held.
pub(crate) struct HeldPage {
    folio: NonNull<bindings::folio>,
    addr: NonNull<u8>,
}

impl HeldPage {
    /// The address of byte `offset` of the page, for C code that copies from it while `self` lives.
    pub(super) fn addr(&self, offset: usize) -> Option<*mut c_void> {
        if offset >= PAGE_SIZE {
            return None;
        }
        // SAFETY: Checked above.
        Some(unsafe { self.addr.as_ptr().add(offset) }.cast())
    }
}

impl Drop for HeldPage {
    fn drop(&mut self) {
        // SAFETY: Gives up the reference that `Mapping::page` took.
        unsafe { bindings::erofs_helper_folio_put(self.folio.as_ptr()) };
    }
}

/// A run of bytes of a mapping, read at positions of the caller's choice, with the last page kept at hand.
pub(crate) struct Window<'a> {
    mapping: &'a Mapping,
    /// Where the run lies in the mapping.
    base: u64,
    /// The position of its first byte.
    first: u64,
    /// The position behind its last byte.
    end: u64,
    page: Option<HeldPage>,
    /// The first byte of the run that is in `page`; dangling without one.
    addr: NonNull<u8>,
    /// Its position.
    start: u64,
    /// How many bytes of the run are in `page`; 0 without one.
    ///
    /// # Invariants
    ///
    /// As many are readable at `addr`.
    have: u64,
    /// At how many of these positions [`Self::WORD`] bytes can be read: derived from `have`.
    words: u64,
}

impl<'a> Window<'a> {
    /// The `len` bytes from `base` of the mapping on, at positions from `first` on.
    #[inline]
    pub(crate) fn new(mapping: &'a Mapping, base: u64, first: u64, len: u64) -> Self {
        Self {
            mapping,
            base,
            first,
            end: first.saturating_add(len),
            page: None,
            addr: NonNull::dangling(),
            start: 0,
            have: 0,
            words: 0,
        }
    }

    /// Whether the `len` bytes at `pos` are all in the run.
    #[inline]
    pub(crate) fn holds(&self, pos: u64, len: usize) -> bool {
        pos >= self.first && pos < self.end && self.end - pos >= len as u64
    }

    /// Copies out the bytes at `pos`, if they are in the page at hand.
    #[inline(always)]
    pub(crate) fn peek(&self, pos: u64, to: &mut [u8]) -> bool {
        let offset = pos.wrapping_sub(self.start);
        if offset >= self.have || self.have - offset < to.len() as u64 {
            return false;
        }
        // SAFETY: `offset` is below `have`, so this stays in the page.
        let from = unsafe { self.addr.as_ptr().add(offset as usize) };
        // SAFETY: Readable by the invariant of `have`, as there are as many bytes left.
        unsafe { copy_racy(from, to) };
        true
    }

    /// The most that [`Self::array`] reads.
    const WORD: usize = 8;

    /// The `N` bytes at `pos`, at most 8, if a word at `pos` is in the page at hand.
    #[inline(always)]
    pub(crate) fn array<const N: usize>(&self, pos: u64) -> Option<[u8; N]> {
        const { assert!(N <= Self::WORD) };
        let offset = pos.wrapping_sub(self.start);
        if offset >= self.words {
            return None;
        }
        let mut bytes = [0; N];
        // SAFETY: `offset` is below `words`, and so below `have`: this stays in the page.
        let from = unsafe { self.addr.as_ptr().add(offset as usize) };
        // SAFETY: Readable by the invariant of `have`, which leaves a word at each of `words` positions.
        unsafe { copy_racy(from, &mut bytes) };
        Some(bytes)
    }

    /// Copies out the bytes at `pos`.
    ///
    /// # Errors
    ///
    /// `EIO` outside the run, else what reading the page gave.
    #[inline(always)]
    pub(crate) fn read(&mut self, pos: u64, to: &mut [u8]) -> Result {
        // Most reads are in the page that the last one was in.
        if self.peek(pos, to) {
            return Ok(());
        }
        self.turn(pos)?;
        if self.peek(pos, to) {
            return Ok(());
        }
        self.read_across(pos, to)
    }

    /// Reads at `pos`, from more than one page.
    #[inline(never)]
    fn read_across(&mut self, mut pos: u64, mut to: &mut [u8]) -> Result {
        while !to.is_empty() {
            self.turn(pos)?;
            let left = self.have.saturating_sub(pos.wrapping_sub(self.start));
            let here = to.len().min(usize::try_from(left)?);
            let (now, later) = to.split_at_mut(here);
            if !self.peek(pos, now) {
                return Err(EIO);
            }
            pos = pos.checked_add(here as u64).ok_or(EIO)?;
            to = later;
        }
        Ok(())
    }

    /// Gives up the window for the page that holds byte `pos`, and the offset of that byte in it.
    pub(crate) fn into_page(mut self, pos: u64) -> Result<(HeldPage, usize)> {
        let offset = self.turn(pos)?;
        self.page.map(|page| (page, offset)).ok_or(EIO)
    }

    /// Turns to the page that holds byte `pos`; returns the byte's offset in it.
    #[inline(never)]
    fn turn(&mut self, pos: u64) -> Result<usize> {
        const MASK: u64 = PAGE_SIZE as u64 - 1;
        let skip = pos.checked_sub(self.first).ok_or(EIO)?;
        let left = self
            .end
            .checked_sub(pos)
            .filter(|&left| left > 0)
            .ok_or(EIO)?;
        let at = self.base.checked_add(skip).ok_or(EIO)?;
        let offset = at & MASK;
        if pos.wrapping_sub(self.start) >= self.have {
            self.have = 0;
            self.words = 0;
            self.page = None;
            let page = self
                .mapping
                .page(usize::try_from(at >> PAGE_SHIFT).map_err(|_| EIO)?)?;
            let before = skip.min(offset);
            // SAFETY: At most the offset of a byte in the page.
            self.addr = unsafe { page.addr.add((offset - before) as usize) };
            self.page = Some(page);
            self.start = pos - before;
            // INVARIANT: From `offset - before` to the page's end at most.
            self.have = before + left.min(PAGE_SIZE as u64 - offset);
            self.words = self.have.saturating_sub(Self::WORD as u64 - 1);
        }
        Ok(offset as usize)
    }
}
