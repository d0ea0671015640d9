// SPDX-License-Identifier: GPL-2.0

//! Telling iomap where the bytes of a file are.
//!
//! Data that is stored as it is goes iomap -> bio -> folio and never through Rust; this module answers the one question
//! in between. Of data that no bio can bring iomap keeps the folios' state only: they are gathered, and filled by
//! whoever knows how.
//!
//! C header: [`include/linux/iomap.h`](srctree/include/linux/iomap.h)

use crate::bindings;
use crate::vfs::{
    bio,
    block::BlockDevice,
    dax::Memory,
    folios::FolioRun,
    inflight::Running,
    inode::{
        FileSystem,
        Inode, //
    },
    page_cache::HeldPage,
    trace::Id, //
};
use core::{
    marker::PhantomData,
    ops::Range,
    ptr::NonNull, //
};
use kernel::{
    error::from_result,
    prelude::*, //
};

/// The address of bytes that are at no address.
// CAST: Its own type is unsigned.
pub(crate) const NOWHERE: u64 = bindings::EROFS_C_IOMAP_NULL_ADDR as u64;

/// Where an extent's bytes are.
pub(crate) enum Place {
    /// Nowhere: they read as zeros.
    Hole,
    /// On a device, at a byte address.
    Device(BlockDevice, u64),
    /// Among the metadata, at a byte address of the device or [`NOWHERE`] on it; with the page that holds them, and their
    /// offset in it, if they were asked for.
    Inline(u64, Option<(HeldPage, usize)>),
    /// Where whoever fills the gathered folios knows; for reports, at this byte address, or among other bytes.
    Gathered(Option<u64>),
}

/// A run of a file's bytes that are stored together.
pub(crate) struct Extent {
    /// Its first byte in the file.
    pub(crate) pos: u64,
    /// Its length in bytes; may reach up to the next block beyond the end of the file.
    pub(crate) len: u64,
    /// Where it is.
    pub(crate) place: Place,
}

/// What an extent is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read it: an inline extent's bytes are asked for, too.
    Read,
    /// As [`Purpose::Read`]; if it fails, it will be asked for again, so there is nothing to be logged.
    ReadAhead,
    /// As [`Purpose::ReadAhead`], a few pages somewhere: nobody reads on there.
    ReadHere,
    /// To tell where it is.
    Report,
}

impl Purpose {
    /// Whether somebody waits, who will be told of a failure.
    pub(crate) fn is_awaited(self) -> bool {
        matches!(self, Self::Read | Self::Report)
    }
}

/// Something whose extents can be asked for.
pub(crate) trait Extents {
    /// The extent that holds byte `pos`, which is below the file's size; more than `len` bytes are of no use.
    fn extent(&self, pos: u64, len: u64, purpose: Purpose) -> Result<Extent>;

    /// The memory that `device`, one of an extent, is; if it is any, and the mount wants it used.
    fn memory(&self, device: BlockDevice) -> Option<&Memory>;

    /// The file, as traces name it.
    fn id(&self) -> Id;

    /// The file's size in bytes.
    fn size(&self) -> u64;

    /// Keeps the devices of the extents usable until the I/O is done.
    fn begin_io(&self) -> Running;

    /// Whether the bytes have to be decoded.
    fn encoded(&self) -> bool;

    /// Whether no bio can bring the bytes: they have to be decoded, or lie in a backing file. They are one
    /// [`Place::Gathered`] then, for reading.
    fn gathered(&self) -> bool;

    /// Fills the folios of such a file: now ([`Purpose::Read`]), or some time.
    fn fill(&self, run: FolioRun, purpose: Purpose) -> Result;

    /// What to read ahead of such a file so that nothing is decoded in part, if `range` is asked for: that, and
    /// maybe more on both sides.
    fn whole(&self, range: Range<u64>, purpose: Purpose) -> Range<u64>;
}

/// A filesystem whose inodes have extents.
pub(crate) trait FileMap: FileSystem {
    /// The extents of one inode.
    type Source<'a>: Extents;

    /// The extents of `inode`.
    fn source(inode: &Inode<Self>) -> Self::Source<'_>;
}

/// The state of one iteration: what `iomap_iter.private` points to.
pub(super) struct Iteration<'a, E> {
    source: &'a E,
    purpose: Purpose,
    /// The page of the inline extent that iomap is copying from.
    page: Option<HeldPage>,
    /// The folios that were gathered.
    run: Option<FolioRun>,
    /// How many of them there may be.
    folios: usize,
    /// What mapping or filling failed with; iomap itself only leaves the folio not up to date.
    error: Option<Error>,
}

impl<'a, E: Extents> Iteration<'a, E> {
    /// An iteration over no more than so many folios.
    pub(super) fn new(source: &'a E, purpose: Purpose, folios: usize) -> Self {
        Self {
            source,
            purpose,
            page: None,
            run: None,
            folios,
            error: None,
        }
    }

    /// Fills what was gathered.
    fn fill(&mut self) {
        if let Some(run) = self.run.take() {
            if let Err(e) = self.source.fill(run, self.purpose) {
                self.error = Some(e);
            }
        }
    }

    pub(super) fn as_private(&mut self) -> *mut c_void {
        core::ptr::from_mut(self).cast()
    }

    pub(super) fn result(self) -> Result {
        self.error.map_or(Ok(()), Err)
    }
}

/// Fills in `map` with the extent of `source` at `pos`, but for where it is, which is returned.
fn find<E: Extents>(
    source: &E,
    pos: u64,
    len: u64,
    purpose: Purpose,
    map: &mut bindings::iomap,
) -> Result<Place> {
    map.flags = 0;
    map.addr = NOWHERE;
    map.type_ = bindings::EROFS_C_IOMAP_HOLE as u16;
    if pos >= source.size() {
        // Only reports ask beyond the end of the file.
        map.offset = i64::try_from(pos)?;
        map.length = len;
        return Ok(Place::Hole);
    }
    let extent = source.extent(pos, len, purpose)?;
    map.offset = i64::try_from(extent.pos)?;
    map.length = extent.len;
    Ok(extent.place)
}

/// Fills in where the extent is, and returns the page that `map` points into.
fn set_place(place: Place, map: &mut bindings::iomap) -> Result<Option<HeldPage>> {
    match place {
        Place::Hole => Ok(None),
        Place::Device(device, addr) => {
            map.type_ = bindings::EROFS_C_IOMAP_MAPPED as u16;
            map.bdev = device.as_raw();
            map.addr = addr;
            Ok(None)
        }
        Place::Gathered(addr) => {
            map.type_ = bindings::EROFS_C_IOMAP_MAPPED as u16;
            map.addr = addr.unwrap_or(0);
            Ok(None)
        }
        Place::Inline(addr, bytes) => {
            map.type_ = bindings::EROFS_C_IOMAP_INLINE as u16;
            map.addr = addr;
            let Some((page, offset)) = bytes else {
                return Ok(None);
            };
            map.inline_data = page.addr(offset).ok_or(EIO)?;
            Ok(Some(page))
        }
    }
}

/// The tables for reading: `iomap_iter.private` is an [`Iteration`].
pub(super) struct ReadTable<E>(PhantomData<E>);

impl<E: Extents> ReadTable<E> {
    pub(super) const OPS: &'static bindings::iomap_ops = &bindings::iomap_ops {
        iomap_next: Some(Self::next),
        ..pin_init::zeroed()
    };

    /// How the bytes of `source` are brought.
    pub(super) fn read_ops(source: &E) -> bindings::iomap_read_ops {
        match source.gathered() {
            true => bindings::iomap_read_ops {
                read_folio_range: Some(Self::gather),
                submit_read: Some(Self::fill),
                ..pin_init::zeroed()
            },
            false => bindings::iomap_read_ops {
                read_folio_range: Some(bindings::iomap_bio_read_folio_range),
                submit_read: Some(Self::submit_read),
                bio_set: bio::read_bios(),
            },
        }
    }

    /// Called by `iomap_iter()`: ends the last extent, and finds the next one. Returns 1 if there is one, 0 at the end.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `iomap_ops.iomap_next`, in an iteration that this table was made for.
    unsafe extern "C" fn next(
        iter: *const bindings::iomap_iter,
        map: *mut bindings::iomap,
        src: *mut bindings::iomap,
    ) -> c_int {
        // SAFETY: By the contract; `private` came from `Iteration::as_private`, and one thread runs the iteration.
        let state = unsafe { &mut *(*iter).private.cast::<Iteration<'_, E>>() };
        // SAFETY: By the contract.
        if unsafe { (*map).length } != 0 {
            // The extent's bytes are copied or submitted.
            state.page = None;
            // SAFETY: By the contract.
            let more = unsafe { bindings::iomap_iter_continue(iter, map, src, 0) };
            if more <= 0 {
                return more;
            }
        }
        // SAFETY: By the contract.
        let pos = unsafe { (*iter).pos };
        // SAFETY: By the contract.
        let len = unsafe { (*iter).len };
        // SAFETY: The map is ours during the call.
        let map = unsafe { &mut *map };
        let found = find(state.source, pos.unsigned_abs(), len, state.purpose, map);
        match found.and_then(|place| set_place(place, map)) {
            Ok(page) => {
                state.page = page;
                1
            }
            Err(e) => {
                state.error = Some(e);
                e.to_errno()
            }
        }
    }

    /// Called by iomap's buffered read for each bio.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `iomap_read_ops.submit_read`, in an iteration that this table was made for.
    unsafe extern "C" fn submit_read(
        iter: *const bindings::iomap_iter,
        ctx: *mut bindings::iomap_read_folio_ctx,
    ) {
        // SAFETY: As in `next`; the iteration is only read.
        let state = unsafe { &*(*iter).private.cast::<Iteration<'_, E>>() };
        // SAFETY: iomap passes its own arguments, with a bio from `bio::read_bios()` in `read_ctx`.
        unsafe { bio::submit_read(iter, ctx, state.source.begin_io()) };
    }

    /// Called by iomap's buffered read for each part of a folio that is not left to bios.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `iomap_read_ops.read_folio_range`, in an iteration that this table was made for.
    unsafe extern "C" fn gather(
        iter: *const bindings::iomap_iter,
        ctx: *mut bindings::iomap_read_folio_ctx,
        len: usize,
    ) -> c_int {
        // SAFETY: As in `next`.
        let state = unsafe { &mut *(*iter).private.cast::<Iteration<'_, E>>() };
        // SAFETY: By the contract.
        let pos = unsafe { (*iter).pos }.unsigned_abs();
        // SAFETY: By the contract.
        let folio = unsafe { (*ctx).cur_folio };
        // SAFETY: iomap passes a locked folio.
        let start = unsafe { bindings::erofs_helper_folio_pos(folio) }.unsigned_abs();
        from_result(|| {
            let folio = NonNull::new(folio).ok_or(EIO)?;
            let offset = usize::try_from(pos.checked_sub(start).ok_or(EIO)?)?;
            // What is up to date already leaves a gap.
            if state.run.as_ref().is_some_and(|run| run.end() != pos) {
                state.fill();
            }
            let run = match &mut state.run {
                Some(run) => run,
                None => state.run.insert(FolioRun::new(pos, state.folios)?),
            };
            // SAFETY: iomap leaves this part of its folio, which stays locked, to us until it is finished.
            unsafe { run.push(folio, offset, len) }?;
            // To be called when all is gathered.
            // SAFETY: The context is iomap's caller's, and this field ours.
            unsafe { (*ctx).read_ctx = NonNull::<c_void>::dangling().as_ptr() };
            Ok(0)
        })
    }

    /// Called by iomap's buffered read when all is gathered.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `iomap_read_ops.submit_read`, in an iteration that this table was made for.
    unsafe extern "C" fn fill(
        iter: *const bindings::iomap_iter,
        ctx: *mut bindings::iomap_read_folio_ctx,
    ) {
        // SAFETY: As in `next`.
        let state = unsafe { &mut *(*iter).private.cast::<Iteration<'_, E>>() };
        // SAFETY: As in `gather`.
        unsafe { (*ctx).read_ctx = core::ptr::null_mut() };
        state.fill();
    }
}

/// The table for reports (llseek, fiemap, bmap): there is no iteration state, only the inode.
struct ReportTable<T>(PhantomData<T>);

impl<T: FileMap> ReportTable<T> {
    const OPS: &'static bindings::iomap_ops = &bindings::iomap_ops {
        iomap_begin: Some(Self::begin),
        ..pin_init::zeroed()
    };

    /// Called by `iomap_iter()`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `iomap_ops.iomap_begin`, in an iteration that this table was made for.
    unsafe extern "C" fn begin(
        inode: *mut bindings::inode,
        pos: i64,
        len: i64,
        _flags: c_uint,
        map: *mut bindings::iomap,
        _src: *mut bindings::iomap,
    ) -> c_int {
        // SAFETY: Reports are asked for inodes of `T` only; the map is iomap's own.
        unsafe {
            report::<T>(inode, pos, len, map, |_, place, map| {
                set_place(place, map).map(drop)
            })
        }
    }
}

/// What `iomap_ops.iomap_begin` does where there is no iteration state: `set` fills in where the extent is.
///
/// # Safety
///
/// `inode` must be one of `T`, and `map` that of the call.
pub(super) unsafe fn report<T: FileMap>(
    inode: *mut bindings::inode,
    pos: i64,
    len: i64,
    map: *mut bindings::iomap,
    set: impl FnOnce(&T::Source<'_>, Place, &mut bindings::iomap) -> Result,
) -> c_int {
    // SAFETY: By the contract.
    let source = T::source(unsafe { Inode::from_raw(inode) });
    // SAFETY: By the contract, it is ours during the call.
    let map = unsafe { &mut *map };
    let (pos, len) = (pos.unsigned_abs(), len.unsigned_abs());
    from_result(|| {
        let place = find(&source, pos, len, Purpose::Report, map)?;
        set(&source, place, map).map(|()| 0)
    })
}

/// `SEEK_HOLE`: an offset, or a negative errno.
pub(super) fn seek_hole<T: FileMap>(inode: &Inode<T>, offset: i64) -> i64 {
    // SAFETY: The inode is live, and the table is for inodes of `T`.
    unsafe { bindings::iomap_seek_hole(inode.as_raw(), offset, ReportTable::<T>::OPS) }
}

/// `SEEK_DATA`: an offset, or a negative errno.
pub(super) fn seek_data<T: FileMap>(inode: &Inode<T>, offset: i64) -> i64 {
    // SAFETY: As above.
    unsafe { bindings::iomap_seek_data(inode.as_raw(), offset, ReportTable::<T>::OPS) }
}

/// Reports the extents of a file that is stored as it is.
///
/// # Safety
///
/// `info` must be that of an `inode_operations.fiemap` call.
pub(super) unsafe fn fiemap<T: FileMap>(
    inode: &Inode<T>,
    info: *mut bindings::fiemap_extent_info,
    start: u64,
    len: u64,
) -> c_int {
    // SAFETY: The inode is live, and the table is for inodes of `T`; `info` by the contract.
    unsafe { bindings::iomap_fiemap(inode.as_raw(), info, start, len, ReportTable::<T>::OPS) }
}

/// `address_space_operations.bmap` of a mapping that is `T`'s own.
///
/// # Safety
///
/// The arguments must be those of `address_space_operations.bmap`, for the own pages of an inode of `T`.
pub(super) unsafe extern "C" fn bmap<T: FileMap>(
    mapping: *mut bindings::address_space,
    block: bindings::sector_t,
) -> bindings::sector_t {
    // SAFETY: The VFS passes a live mapping whose host is an inode of `T`.
    unsafe { bindings::iomap_bmap(mapping, block, ReportTable::<T>::OPS) }
}

/// `O_DIRECT` read: bytes read, or a negative errno.
///
/// # Safety
///
/// `iocb` and `to` must be those of a `read_iter` call for a file of `inode`.
pub(super) unsafe fn read_direct<T: FileMap>(
    inode: &Inode<T>,
    iocb: *mut bindings::kiocb,
    to: *mut bindings::iov_iter,
) -> isize {
    let source = T::source(inode);
    let mut state = Iteration::new(&source, Purpose::Read, 0);
    // The open file holds the mount, so the I/O needs no `Running`. Mapping is over when this returns, even if the
    // I/O is not.
    // SAFETY: By the contract; the iteration outlives the call.
    unsafe {
        bindings::iomap_dio_rw(
            iocb,
            to,
            ReadTable::<T::Source<'_>>::OPS,
            core::ptr::null(),
            0,
            state.as_private(),
            0,
        )
    }
}
