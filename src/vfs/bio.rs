// SPDX-License-Identifier: GPL-2.0

//! Reads of file data from block devices, and their completion.
//!
//! Each bio holds a [`Running`] of the superblock whose device it reads, so that unmounting waits for it.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)

use crate::bindings;
use crate::vfs::{
    block::BlockDevice,
    inflight::Running,
    work, //
};
use core::mem::offset_of;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// A bio of ours, with room for what its completion may need.
#[repr(C)]
struct ReadBio {
    work: bindings::work_struct,
    bio: bindings::bio,
}

/// Where all bios come from.
struct Pool(Opaque<bindings::bio_set>);

// SAFETY: Set up and torn down while no filesystem is registered; in between C code locks what it changes.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(Opaque::zeroed());

/// Keeps bios available until dropped.
pub(crate) struct PoolRegistration(());

impl PoolRegistration {
    /// Sets up the pool. Called once, before a filesystem is registered.
    pub(crate) fn new() -> Result<Self> {
        // Enough for one read of each of a few tasks to go on when memory is short.
        const RESERVE: c_uint = 16;
        // SAFETY: The set is zeroed, and nobody uses it yet.
        to_result(unsafe {
            bindings::bioset_init(
                POOL.0.get(),
                RESERVE,
                offset_of!(ReadBio, bio) as c_uint,
                bindings::EROFS_C_BIOSET_NEED_BVECS as c_int,
            )
        })?;
        Ok(Self(()))
    }
}

impl Drop for PoolRegistration {
    fn drop(&mut self) {
        // SAFETY: All bios have come back: each held its mount.
        unsafe { bindings::bioset_exit(POOL.0.get()) };
    }
}

/// The set that bios for [`submit_read`] come from.
pub(super) fn read_bios() -> *mut bindings::bio_set {
    POOL.0.get()
}

/// Submits the bio of a buffered read; `running` ends when its folios are done.
///
/// # Safety
///
/// The arguments must be those of iomap's `submit_read`, with a bio from [`read_bios`].
pub(super) unsafe fn submit_read(
    iter: *const bindings::iomap_iter,
    ctx: *mut bindings::iomap_read_folio_ctx,
    running: Running,
) {
    // SAFETY: By the contract.
    let bio = unsafe { (*ctx).read_ctx }.cast::<bindings::bio>();
    // SAFETY: The bio is not submitted yet: it is ours.
    unsafe { (*bio).bi_private = running.into_raw() };
    // SAFETY: By the contract; `end_read` takes `bi_private` back.
    unsafe { bindings::iomap_bio_submit_read_endio(iter, ctx, Some(end_read)) };
}

/// Ends a read. Called by `bio_endio()`, in any context.
///
/// # Safety
///
/// `bio` must be one that `submit_read` has submitted, completed.
unsafe extern "C" fn end_read(bio: *mut bindings::bio) {
    // SAFETY: The block layer gives the bio back.
    if unsafe { (*bio).bi_status } == 0 {
        // SAFETY: Submitted by `submit_read`, and completed once.
        return unsafe { finish(bio) };
    }
    // Reporting an error takes a lock that must not be taken in an interrupt.
    // SAFETY: The bio came from our set, which leaves this much room before each.
    let work = unsafe { bio.byte_sub(offset_of!(ReadBio, bio)) }.cast::<bindings::work_struct>();
    // SAFETY: The room is ours, and unused so far.
    unsafe { bindings::erofs_helper_init_work(work, Some(fail_read)) };
    // SAFETY: The work stays until it has run: it ends with the bio.
    unsafe { work::queue(work) };
}

/// Ends a failed read, on the workqueue.
///
/// # Safety
///
/// `work` must be one that `end_read` has queued.
unsafe extern "C" fn fail_read(work: *mut bindings::work_struct) {
    // SAFETY: Queued by `end_read`.
    unsafe { finish(work.byte_add(offset_of!(ReadBio, bio)).cast()) };
}

/// The module may be unloaded once `running` has ended, so what is left after that must be safe from it: softirqs are,
/// as unloading waits for RCU, and so is the workqueue, which the module destroys.
///
/// # Safety
///
/// `bio` must have been submitted by [`submit_read`] and be completed; it is used up.
unsafe fn finish(bio: *mut bindings::bio) {
    // SAFETY: A completed bio is its submitter's.
    let private = unsafe { (*bio).bi_private };
    // SAFETY: By the contract.
    let running = unsafe { Running::from_raw(private) };
    // SAFETY: By the contract.
    unsafe { bindings::erofs_helper_bio_finish_read(bio) };
    drop(running);
}

/// Bytes of a device.
pub(super) struct Range {
    pub(super) device: BlockDevice,
    /// A multiple of the device's blocks, as the length is.
    pub(super) addr: u64,
    pub(super) len: usize,
}

/// Starts reading `from` into memory at `to`, for `private`; `ended` is called with the bio when it is over, even
/// before this returns, and takes the result by [`take_result`]. `ahead`: nobody waits for it.
///
/// # Safety
///
/// The memory must be from [`Buffer`](super::buffer::Buffer), or contiguous, and stay until then. The device must stay
/// usable until then.
pub(super) unsafe fn read(
    from: &Range,
    to: *mut u8,
    ahead: bool,
    private: *mut c_void,
    ended: unsafe extern "C" fn(*mut bindings::bio),
) {
    let op = match ahead {
        true => bindings::EROFS_C_REQ_READ | bindings::EROFS_C_REQ_RAHEAD,
        false => bindings::EROFS_C_REQ_READ,
    };
    // SAFETY: The memory is the caller's; the set does not fail where one may sleep.
    let bio = unsafe {
        bindings::erofs_helper_bio_of_memory(
            from.device.as_raw(),
            op,
            POOL.0.get(),
            to.cast(),
            from.len as c_uint,
        )
    };
    // SAFETY: The bio is not submitted yet: it is ours.
    unsafe { (*bio).bi_iter.bi_sector = from.addr >> 9 };
    // SAFETY: As above.
    unsafe { (*bio).bi_private = private };
    // SAFETY: As above.
    unsafe { (*bio).bi_end_io = Some(ended) };
    // SAFETY: All is set; it belongs to the block layer from here on.
    unsafe { bindings::submit_bio(bio) };
}

/// The private pointer of a read that has ended, and whether it went well; the bio is used up.
///
/// # Safety
///
/// `bio` must have been started by [`read`], and be completed.
pub(super) unsafe fn take_result(bio: *mut bindings::bio) -> (*mut c_void, bool) {
    // SAFETY: A completed bio is its submitter's.
    let private = unsafe { (*bio).bi_private };
    // SAFETY: As above.
    let ok = unsafe { (*bio).bi_status } == 0;
    // SAFETY: Gives it back to its set.
    unsafe { bindings::bio_put(bio) };
    (private, ok)
}
