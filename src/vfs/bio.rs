// SPDX-License-Identifier: GPL-2.0

//! Reads of file data from block devices, and their completion.
//!
//! Each bio holds a [`Running`] of the superblock whose device it reads, so that unmounting waits for it.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)

use crate::bindings;
use crate::vfs::inflight::Running;
use core::{
    cell::UnsafeCell,
    mem::offset_of, //
};
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

/// What all mounts share.
struct Pool {
    bios: Opaque<bindings::bio_set>,
    queue: UnsafeCell<*mut bindings::workqueue_struct>,
}

// SAFETY: Set up and torn down while no filesystem is registered; in between C code locks what it changes.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool {
    bios: Opaque::zeroed(),
    queue: UnsafeCell::new(core::ptr::null_mut()),
};

/// Keeps bios available until dropped.
pub(crate) struct PoolRegistration(());

impl PoolRegistration {
    /// Sets up the pool. Called once, before a filesystem is registered.
    pub(crate) fn new() -> Result<Self> {
        // Enough for one read of each of a few tasks to go on when memory is short.
        const RESERVE: c_uint = 16;
        // SAFETY: Makes a workqueue.
        let queue = unsafe { bindings::erofs_helper_alloc_workqueue() };
        if queue.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: The set is zeroed, and nobody uses it yet.
        let made = to_result(unsafe {
            bindings::bioset_init(
                POOL.bios.get(),
                RESERVE,
                offset_of!(ReadBio, bio) as c_uint,
                bindings::EROFS_C_BIOSET_NEED_BVECS as c_int,
            )
        });
        if let Err(e) = made {
            // SAFETY: Made above, and unused.
            unsafe { bindings::destroy_workqueue(queue) };
            return Err(e);
        }
        // SAFETY: Nobody uses the pool yet.
        unsafe { *POOL.queue.get() = queue };
        Ok(Self(()))
    }
}

impl Drop for PoolRegistration {
    fn drop(&mut self) {
        // SAFETY: No filesystem is registered any more, so nothing is queued after this.
        unsafe { bindings::destroy_workqueue(*POOL.queue.get()) };
        // SAFETY: All bios have come back: each held its mount.
        unsafe { bindings::bioset_exit(POOL.bios.get()) };
    }
}

/// The set that bios for [`submit_read`] come from.
pub(super) fn read_bios() -> *mut bindings::bio_set {
    POOL.bios.get()
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
    unsafe { bindings::erofs_helper_queue_work(*POOL.queue.get(), work) };
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
