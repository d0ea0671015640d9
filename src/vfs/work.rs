// SPDX-License-Identifier: GPL-2.0

//! The module's workqueue: what needs a process, or more than one CPU.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use crate::bindings;
use core::cell::UnsafeCell;
use kernel::{
    prelude::*,
    workqueue, //
};

/// The queue; null until there is a [`Registration`].
struct Slot(UnsafeCell<*mut bindings::workqueue_struct>);

// SAFETY: Written only while no filesystem is registered.
unsafe impl Sync for Slot {}

static QUEUE: Slot = Slot(UnsafeCell::new(core::ptr::null_mut()));

/// Keeps the queue until dropped, which waits for all work.
pub(crate) struct Registration(());

impl Registration {
    /// Makes the queue. Called once, before a filesystem is registered.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Makes a workqueue.
        let queue = unsafe { bindings::erofs_helper_alloc_workqueue() };
        if queue.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: Nobody uses it yet.
        unsafe { *QUEUE.0.get() = queue };
        Ok(Self(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: No filesystem is registered any more, so nothing is queued after this.
        unsafe { bindings::destroy_workqueue(*QUEUE.0.get()) };
    }
}

/// Queues `work`.
///
/// # Safety
///
/// It must be set up, not queued, and stay until it has run.
pub(super) unsafe fn queue(work: *mut bindings::work_struct) {
    // SAFETY: By the contract; the queue is there while a filesystem is registered.
    unsafe { bindings::erofs_helper_queue_work(*QUEUE.0.get(), work) };
}

/// Lets another thread run `work` soon; `false` if there is no memory to note it down.
pub(crate) fn spawn(work: impl FnOnce() + Send + 'static) -> bool {
    // SAFETY: The queue is there while a filesystem is registered.
    let queue = unsafe { workqueue::Queue::from_raw((*QUEUE.0.get()).cast_const().cast()) };
    queue.try_spawn(GFP_NOWAIT, work).is_ok()
}

/// How many CPUs there are to share work with.
pub(crate) fn cpus() -> u32 {
    // SAFETY: Reads a number.
    unsafe { bindings::erofs_helper_online_cpus() }
}

/// Lets others run.
pub(crate) fn yield_now() {
    // SAFETY: May sleep, as work does.
    unsafe { bindings::erofs_helper_cond_resched() }
}
