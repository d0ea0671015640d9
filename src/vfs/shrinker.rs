// SPDX-License-Identifier: GPL-2.0

//! Caches that give memory back when the kernel needs it.
//!
//! C header: [`include/linux/shrinker.h`](srctree/include/linux/shrinker.h)

use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    types::ForeignOwnable, //
};

/// A cache of objects that nobody needs at the moment.
///
/// Both methods run in memory reclaim, on behalf of anyone who allocates: they must not allocate, nor wait for a lock
/// that is held by somebody who may.
pub(crate) trait Cache: Send + Sync {
    /// Whether it takes no I/O to make an object again: such caches are trimmed first.
    const CHEAP: bool;

    /// How many objects can be freed.
    fn count(&self) -> usize;

    /// Frees up to `max` objects, and returns how many.
    fn shrink(&self, max: usize) -> usize;
}

/// A cache that is known to memory reclaim, until dropped.
pub(crate) struct Shrinker<T: Cache + 'static> {
    shrinker: NonNull<bindings::shrinker>,
    cache: PhantomData<Arc<T>>,
}

// SAFETY: Reference-counted and locked by C code; the cache is used from any thread.
unsafe impl<T: Cache> Send for Shrinker<T> {}
// SAFETY: As above.
unsafe impl<T: Cache> Sync for Shrinker<T> {}

impl<T: Cache> Shrinker<T> {
    /// Registers `cache`; `name` is for debugfs.
    pub(crate) fn new(name: &'static CStr, cache: Arc<T>) -> Result<Self> {
        // SAFETY: Allocates; `name` is what the format says.
        let shrinker =
            unsafe { bindings::shrinker_alloc(0, c"%s".as_char_ptr(), name.as_char_ptr()) };
        let shrinker = NonNull::new(shrinker).ok_or(ENOMEM)?;
        {
            // SAFETY: Not registered yet: it is ours alone.
            let shrinker = unsafe { &mut *shrinker.as_ptr() };
            shrinker.count_objects = Some(Self::count);
            shrinker.scan_objects = Some(Self::scan);
            shrinker.private_data = cache.into_foreign();
            if T::CHEAP {
                shrinker.seeks = 0;
                shrinker.batch = 1;
            }
        }
        // SAFETY: Allocated above and filled in.
        unsafe { bindings::shrinker_register(shrinker.as_ptr()) };
        Ok(Self {
            shrinker,
            cache: PhantomData,
        })
    }

    /// Called by `do_shrink_slab()`.
    ///
    /// # Safety
    ///
    /// `shrinker` must be one that `new` has registered.
    unsafe extern "C" fn count(
        shrinker: *mut bindings::shrinker,
        _control: *mut bindings::shrink_control,
    ) -> c_ulong {
        // SAFETY: By the contract, `private_data` is the cache, until unregistering has waited for this call.
        let cache = unsafe { <Arc<T> as ForeignOwnable>::borrow((*shrinker).private_data) };
        cache.count()
    }

    /// Called by `do_shrink_slab()`.
    ///
    /// # Safety
    ///
    /// `shrinker` must be one that `new` has registered, and `control` what it gets with the call.
    unsafe extern "C" fn scan(
        shrinker: *mut bindings::shrinker,
        control: *mut bindings::shrink_control,
    ) -> c_ulong {
        // SAFETY: By the contract, `private_data` is the cache, until unregistering has waited for this call.
        let cache = unsafe { <Arc<T> as ForeignOwnable>::borrow((*shrinker).private_data) };
        // SAFETY: By the contract.
        let max = unsafe { (*control).nr_to_scan };
        match cache.shrink(max) {
            // CAST: Its own type is unsigned.
            0 => bindings::EROFS_C_SHRINK_STOP as c_ulong,
            freed => freed,
        }
    }
}

impl<T: Cache> Drop for Shrinker<T> {
    fn drop(&mut self) {
        // SAFETY: Filled in by `new`, and never changed.
        let cache = unsafe { (*self.shrinker.as_ptr()).private_data };
        // SAFETY: Registered by `new`; waits for running callbacks, and no more begin.
        unsafe { bindings::shrinker_free(self.shrinker.as_ptr()) };
        // SAFETY: From `new`; the last user has left.
        drop(unsafe { <Arc<T> as ForeignOwnable>::from_foreign(cache) });
    }
}
