// SPDX-License-Identifier: GPL-2.0

//! `struct address_space_operations`: bringing file data into the page cache.
//!
//! An inode's own pages and pages that inodes of several mounts share are filled alike; the two tables differ in
//! whom they ask for the extents. For shared pages the image that the reader opened is asked; where there is no
//! reader's file, any member that is alive.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/iomap.h`](srctree/include/linux/iomap.h)

use crate::bindings;
use crate::vfs::{
    inode::{
        FileSystem,
        Inode,
        New, //
    },
    iomap::{
        self,
        Extents,
        FileMap,
        Iteration,
        Purpose,
        ReadTable, //
    },
    super_block::{
        self,
        SuperOps, //
    },
    trace,
    PAGE_SHIFT, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*, //
};

/// A filesystem whose inodes may read through shared pages.
pub(crate) trait Fill: FileMap {
    /// The filesystem of the inodes that own the shared pages.
    type SharedFs: FileSystem;

    /// Calls `fill` with the extents of a member of `shared`, another one than `not`, whose device stays usable
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// `EIO` if no such member is alive; `fill` is not called then.
    fn with_member<R>(
        shared: &Inode<Self::SharedFs>,
        not: Option<&Self::Source<'_>>,
        fill: impl FnOnce(&Self::Source<'_>) -> Result<R>,
    ) -> Result<R>;

    /// Whether `shared` has another member than `this`.
    fn has_other_member(shared: &Inode<Self::SharedFs>, this: &Self::Source<'_>) -> bool;
}

/// The tables of callbacks.
pub(super) struct Table<T>(PhantomData<T>);

impl<T: Fill + SuperOps> Table<T> {
    /// For pages of an inode of `T`.
    pub(super) const OWN: &'static bindings::address_space_operations =
        &bindings::address_space_operations {
            read_folio: Some(Self::read_folio_own),
            readahead: Some(Self::readahead_own),
            bmap: Some(iomap::bmap::<T>),
            ..Self::COMMON
        };

    /// As [`Self::OWN`], for pages whose bytes no bio brings.
    pub(super) const OWN_GATHERED: &'static bindings::address_space_operations =
        &bindings::address_space_operations {
            bmap: None,
            direct_IO: None,
            ..*Self::OWN
        };

    /// For shared pages. There is no `bmap`: it is told neither file nor inode, so it cannot know the image.
    const SHARED: &'static bindings::address_space_operations =
        &bindings::address_space_operations {
            read_folio: Some(Self::read_folio_shared),
            readahead: Some(Self::readahead_shared),
            ..Self::COMMON
        };

    const COMMON: bindings::address_space_operations = bindings::address_space_operations {
        direct_IO: Some(bindings::noop_direct_IO),
        release_folio: Some(bindings::iomap_release_folio),
        invalidate_folio: Some(bindings::iomap_invalidate_folio),
        ..pin_init::zeroed()
    };

    /// Reads a locked folio from `source`; the folio is unlocked when it is done, maybe later.
    ///
    /// # Safety
    ///
    /// `folio` must be that of a `read_folio` call.
    unsafe fn read_folio(folio: *mut bindings::folio, source: &T::Source<'_>) -> Result {
        // SAFETY: The folio is locked, by the contract.
        unsafe { trace::read_folio(|| source.id(), folio, || !source.encoded()) };
        let read_ops = ReadTable::read_ops(source);
        let mut ctx = bindings::iomap_read_folio_ctx {
            ops: &read_ops,
            cur_folio: folio,
            ..pin_init::zeroed()
        };
        let mut state = Iteration::new(source, Purpose::Read, 1);
        // SAFETY: The folio is locked, by the contract; context and iteration outlive the call, and what goes on
        // after it uses neither.
        unsafe {
            bindings::iomap_read_folio(
                ReadTable::<T::Source<'_>>::OPS,
                &mut ctx,
                state.as_private(),
            )
        };
        state.result()
    }

    /// Starts reading the folios of `ra` from `source`.
    ///
    /// # Safety
    ///
    /// `ra` must be that of a `readahead` call.
    unsafe fn readahead(ra: *mut bindings::readahead_control, source: &T::Source<'_>) -> Result {
        let mut purpose = Purpose::ReadAhead;
        if source.gathered() {
            // SAFETY: By the contract.
            purpose = unsafe { Self::pattern(ra) };
            // SAFETY: By the contract.
            unsafe { Self::expand(ra, source, purpose) };
        }
        // SAFETY: By the contract.
        let (start, pages) = unsafe { ((*ra)._index, (*ra)._nr_pages) };
        trace::readahead(|| source.id(), start, pages, || !source.encoded());
        let read_ops = ReadTable::read_ops(source);
        let mut ctx = bindings::iomap_read_folio_ctx {
            ops: &read_ops,
            rac: ra,
            ..pin_init::zeroed()
        };
        let mut state = Iteration::new(source, purpose, pages as usize);
        // SAFETY: As in `read_folio`.
        unsafe {
            bindings::iomap_readahead(
                ReadTable::<T::Source<'_>>::OPS,
                &mut ctx,
                state.as_private(),
            )
        };
        state.result()
    }

    /// Whether more reads are expected behind `ra`: the VFS notes those windows down that belong to such.
    ///
    /// # Safety
    ///
    /// `ra` must be that of a `readahead` call, before its first folio is taken.
    unsafe fn pattern(ra: *const bindings::readahead_control) -> Purpose {
        /// More than that is a wish, such as that of `readahead(2)`.
        const FEW: u32 = 4;
        // SAFETY: By the contract: it is ours during the call.
        let ra = unsafe { &*ra };
        if ra.ra.is_null() || ra._nr_pages > FEW {
            return Purpose::ReadAhead;
        }
        // SAFETY: The state is the reader's, who is here.
        let state = unsafe { &*ra.ra };
        match ra._index.wrapping_sub(state.start) < state.size as c_ulong {
            true => Purpose::ReadAhead,
            false => Purpose::ReadHere,
        }
    }

    /// Adds what belongs to the folios of `ra` in a file whose folios are gathered, as far as memory and other readers allow.
    ///
    /// # Safety
    ///
    /// `ra` must be that of a `readahead` call, before its first folio is taken.
    unsafe fn expand(
        ra: *mut bindings::readahead_control,
        source: &T::Source<'_>,
        purpose: Purpose,
    ) {
        // SAFETY: By the contract.
        let start = (unsafe { (*ra)._index } as u64) << PAGE_SHIFT;
        // SAFETY: By the contract.
        let len = u64::from(unsafe { (*ra)._nr_pages }) << PAGE_SHIFT;
        let end = start.saturating_add(len);
        let whole = source.whole(start..end, purpose);
        let grow = |from: u64| {
            let len = whole.end.saturating_sub(from);
            if let (Ok(from), Ok(len)) = (i64::try_from(from), usize::try_from(len)) {
                // SAFETY: By the contract.
                unsafe { bindings::readahead_expand(ra, from, len) };
            }
        };
        // Behind first: a page that is there before would end it.
        if whole.end > end {
            grow(start);
        }
        if whole.start < start {
            grow(whole.start);
        }
    }

    /// The image inode that `file` was opened on, if its pages are those of `mapping`.
    ///
    /// # Safety
    ///
    /// `file` must be null or an open file, `mapping` a shared mapping of `T`'s.
    unsafe fn reader<'a>(
        file: *mut bindings::file,
        mapping: *mut bindings::address_space,
    ) -> Option<&'a Inode<T>> {
        if file.is_null() {
            return None;
        }
        // SAFETY: By the contract; an open file holds its inode.
        let inode = unsafe { (*file).f_inode };
        // SAFETY: As above.
        let through = unsafe { (&raw const (*inode).i_mapping).read_volatile() };
        // SAFETY: `mapping` is live.
        let host = unsafe { (*mapping).host };
        // SAFETY: An inode has a superblock.
        let sb = unsafe { (*inode).i_sb };
        // SAFETY: It outlives its inodes.
        let ops = unsafe { (*sb).s_op };
        if through != mapping || inode == host || !core::ptr::eq(ops, super_block::Table::<T>::OPS)
        {
            return None;
        }
        // SAFETY: The operations are those of a superblock of `T`.
        Some(unsafe { Inode::from_raw(inode) })
    }

    /// Called by `filemap_read_folio()`. The folio is locked.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `address_space_operations.read_folio`, for the own pages of an inode of `T`.
    unsafe extern "C" fn read_folio_own(
        _file: *mut bindings::file,
        folio: *mut bindings::folio,
    ) -> c_int {
        // SAFETY: A locked folio of the page cache keeps its mapping.
        let mapping = unsafe { (*folio).__bindgen_anon_1.__bindgen_anon_1.mapping };
        // SAFETY: A folio's mapping is live while the folio is locked.
        let host = unsafe { (*mapping).host };
        // SAFETY: This table is only that of inodes of `T`.
        let inode = unsafe { Inode::<T>::from_raw(host) };
        // SAFETY: As said.
        from_result(|| unsafe { Self::read_folio(folio, &T::source(inode)) }.map(|()| 0))
    }

    /// Called by `read_pages()`. What it leaves is read again by `read_folio`, which reports the error.
    ///
    /// # Safety
    ///
    /// `ra` must be that of `address_space_operations.readahead`, for the own pages of an inode of `T`.
    unsafe extern "C" fn readahead_own(ra: *mut bindings::readahead_control) {
        // SAFETY: The readahead is ours during the call.
        let mapping = unsafe { (*ra).mapping };
        // SAFETY: The mapping is live during the call.
        let host = unsafe { (*mapping).host };
        // SAFETY: This table is only that of inodes of `T`.
        let inode = unsafe { Inode::<T>::from_raw(host) };
        // SAFETY: The readahead is ours during the call.
        let _ = unsafe { Self::readahead(ra, &T::source(inode)) };
    }

    /// Called by `filemap_read_folio()`. The folio is locked.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `address_space_operations.read_folio`, for shared pages of `T`'s.
    unsafe extern "C" fn read_folio_shared(
        file: *mut bindings::file,
        folio: *mut bindings::folio,
    ) -> c_int {
        // SAFETY: A locked folio of the page cache keeps its mapping.
        let mapping = unsafe { (*folio).__bindgen_anon_1.__bindgen_anon_1.mapping };
        // SAFETY: The mapping is live during the call.
        let host = unsafe { (*mapping).host };
        // SAFETY: The host of a shared mapping is an inode of `SharedFs`, and ready.
        let shared = unsafe { Inode::<T::SharedFs>::from_raw(host) };
        // SAFETY: The caller holds the file; this table is only that of shared mappings.
        from_result(|| match unsafe { Self::reader(file, mapping) } {
            // SAFETY: As said.
            Some(inode) => unsafe { Self::read_or_retry(folio, shared, &T::source(inode)) },
            None => {
                let mut called = false;
                let done = T::with_member(shared, None, |source| {
                    called = true;
                    // SAFETY: As said.
                    unsafe { Self::read_or_retry(folio, shared, source) }
                });
                if !called {
                    // SAFETY: The folio is locked, and nobody else will unlock it.
                    unsafe { bindings::erofs_helper_folio_unlock(folio) };
                }
                done
            }
        })
    }

    /// Reads a locked folio from `source`; if that fails, once from another member.
    ///
    /// # Safety
    ///
    /// `folio` must be that of a `read_folio` call, and of `shared`.
    unsafe fn read_or_retry(
        folio: *mut bindings::folio,
        shared: &Inode<T::SharedFs>,
        source: &T::Source<'_>,
    ) -> Result<c_int> {
        // SAFETY: By the contract.
        let first = unsafe { Self::read_folio(folio, source) };
        // What another member cannot help with.
        if let Err(e @ (ENOMEM | EINTR)) = first {
            return Err(e);
        }
        if !T::has_other_member(shared, source) {
            return first.map(|()| 0);
        }
        let mapping = shared.mapping();
        // The caller would wait as well.
        // SAFETY: The caller holds a reference on the folio; `shared` is live.
        match unsafe { bindings::erofs_helper_folio_relock(folio, mapping) } {
            bindings::EROFS_RELOCK_KILLED => return Err(EINTR),
            bindings::EROFS_RELOCK_FILLED => return Ok(0),
            // The caller looks for the page anew.
            bindings::EROFS_RELOCK_GONE => return Ok(bindings::EROFS_C_AOP_TRUNCATED_PAGE as c_int),
            _ => {}
        }
        let mut called = false;
        let again = T::with_member(shared, Some(source), |other| {
            called = true;
            // SAFETY: Locked again, and still of this mapping.
            unsafe { Self::read_folio(folio, other) }
        });
        if !called {
            // SAFETY: Locked above.
            unsafe { bindings::erofs_helper_folio_unlock(folio) };
            first?;
        }
        again.map(|()| 0)
    }

    /// Called by `read_pages()`.
    ///
    /// # Safety
    ///
    /// `ra` must be that of `address_space_operations.readahead`, for shared pages of `T`'s.
    unsafe extern "C" fn readahead_shared(ra: *mut bindings::readahead_control) {
        // SAFETY: The readahead is ours during the call.
        let file = unsafe { (*ra).file };
        // SAFETY: As above.
        let mapping = unsafe { (*ra).mapping };
        // SAFETY: As in `read_folio_shared`.
        if let Some(inode) = unsafe { Self::reader(file, mapping) } {
            // SAFETY: As in `readahead_own`.
            let _ = unsafe { Self::readahead(ra, &T::source(inode)) };
            return;
        }
        // SAFETY: The mapping is live during the call.
        let host = unsafe { (*mapping).host };
        // SAFETY: As in `read_folio_shared`.
        let shared = unsafe { Inode::<T::SharedFs>::from_raw(host) };
        // What is not read here is read by `read_folio`.
        let _ = T::with_member(shared, None, |source| {
            // SAFETY: As in `readahead_own`.
            unsafe { Self::readahead(ra, source) }
        });
    }
}

impl<T: FileSystem> New<T> {
    /// Fills the inode's pages by `ops`.
    pub(super) fn set_pages(&mut self, ops: &'static bindings::address_space_operations) {
        // SAFETY: The inode is `I_NEW` and ours.
        let mapping = unsafe { &raw mut (*self.as_raw()).i_data };
        // SAFETY: As above.
        unsafe { (*mapping).a_ops = ops };
        // SAFETY: As above.
        unsafe { bindings::erofs_helper_large_folios(mapping) };
    }

    /// Makes it an inode whose pages the files of `F`'s inodes share.
    pub(crate) fn set_shared<F: Fill<SharedFs = T> + SuperOps>(&mut self) {
        self.set_pages(Table::<F>::SHARED);
    }
}
