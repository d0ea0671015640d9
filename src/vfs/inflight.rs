// SPDX-License-Identifier: GPL-2.0

//! Counting work that uses an object, and waiting for the last of it.
//!
//! Pages of a shared mapping are filled from any of its members' devices. Evicting a member's inodes does not wait
//! for such fills, as the pages are another inode's; so each holds a [`Running`], and unmounting waits for them.

use core::ptr::NonNull;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Full, //
        },
        Completion,
        Refcount, //
    }, //
};

/// How much work is running.
///
/// # Invariants
///
/// The count is the number of [`Running`]s, plus one until [`Self::drain`].
#[pin_data(PinnedDrop)]
pub(crate) struct Inflight {
    count: Refcount,
    drained: AtomicFlag,
    #[pin]
    idle: Completion,
}

impl Inflight {
    /// Nothing is running yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            count: Refcount::new(1),
            drained: AtomicFlag::new(false),
            idle <- Completion::new(),
        })
    }

    /// Starts a piece of work. `self` must not be drained yet: callers hold an inode of the superblock or are
    /// listed as its work already.
    #[inline]
    pub(crate) fn begin(&self) -> Running {
        self.count.inc();
        Running(NonNull::from(self))
    }

    /// Waits until nothing is running. Nothing may begin any more. The second call returns at once.
    pub(crate) fn drain(&self) {
        if !self.drained.xchg(true, Full) {
            self.end();
            self.idle.wait_for_completion();
        }
    }

    fn end(&self) {
        if self.count.dec_and_test() {
            self.idle.complete_all();
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Inflight {
    fn drop(self: Pin<&mut Self>) {
        // What makes the pointer in `Running` good: the counter waits for them before it goes.
        self.drain();
    }
}

/// A piece of running work; ends when dropped, in any context.
///
/// # Invariants
///
/// Points to an [`Inflight`] that counts it, which therefore does not go away.
pub(crate) struct Running(NonNull<Inflight>);

// SAFETY: `Inflight` is `Sync`, and ending work is allowed in any context.
unsafe impl Send for Running {}

impl Running {
    /// For the private pointer of a C object.
    pub(super) fn into_raw(self) -> *mut c_void {
        core::mem::ManuallyDrop::new(self).0.as_ptr().cast()
    }

    /// # Safety
    ///
    /// `ptr` must come from [`Self::into_raw`], and is used up.
    pub(super) unsafe fn from_raw(ptr: *mut c_void) -> Self {
        // SAFETY: `into_raw` gave a pointer that was not null.
        Self(unsafe { NonNull::new_unchecked(ptr.cast()) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SAFETY: Alive by the type invariant.
        unsafe { self.0.as_ref() }.end();
    }
}
