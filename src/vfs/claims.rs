// SPDX-License-Identifier: GPL-2.0

//! Work that several workers share out among themselves.

use core::{
    cell::UnsafeCell,
    mem::{
        take,
        ManuallyDrop, //
    },
    ops::{
        Deref,
        DerefMut, //
    }, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    }, //
};

/// Items that are claimed one by one, each once, from any thread.
///
/// # Invariants
///
/// Items below `next` are their claims' alone; `left` counts those that were not given back yet.
pub(crate) struct Claims<T, R> {
    items: UnsafeCell<KVVec<T>>,
    rest: UnsafeCell<Option<R>>,
    len: usize,
    next: Atomic<usize>,
    left: Atomic<usize>,
}

// SAFETY: An item is accessed by one thread at a time: its claim's, then the last one's.
unsafe impl<T: Send, R: Send> Sync for Claims<T, R> {}

impl<T, R> Claims<T, R> {
    /// `rest` goes to whoever gives the last item back. There must be an item.
    pub(crate) fn new(items: KVVec<T>, rest: R) -> Self {
        let len = items.len();
        Self {
            items: UnsafeCell::new(items),
            rest: UnsafeCell::new(Some(rest)),
            len,
            next: Atomic::new(0),
            left: Atomic::new(len),
        }
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The next item, if there is one left.
    pub(crate) fn claim(&self) -> Option<Claim<'_, T, R>> {
        // Once it is beyond the end nobody counts on.
        if self.next.load(Relaxed) >= self.len {
            return None;
        }
        let at = self.next.fetch_add(1, Relaxed);
        if at >= self.len {
            return None;
        }
        // SAFETY: The vector is not changed before all items are given back; this one was not even claimed.
        let items = unsafe { (*self.items.get()).as_mut_ptr() };
        // INVARIANT: Nobody else gets the same number.
        Some(Claim {
            // SAFETY: `at` is below the length.
            item: unsafe { items.add(at) },
            claims: self,
        })
    }
}

/// A claimed item, to be given back by [`Self::done`].
pub(crate) struct Claim<'a, T, R> {
    claims: &'a Claims<T, R>,
    item: *mut T,
}

impl<T, R> Deref for Claim<'_, T, R> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: Ours until it is given back, by the invariant of `Claims`.
        unsafe { &*self.item }
    }
}

impl<T, R> DerefMut for Claim<'_, T, R> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: As in `deref`.
        unsafe { &mut *self.item }
    }
}

impl<T, R> Claim<'_, T, R> {
    /// Gives the item back; whoever gives the last one back gets all that there is.
    pub(crate) fn done(self) -> Option<(KVVec<T>, R)> {
        let this = ManuallyDrop::new(self);
        if this.claims.left.fetch_sub(1, Full) != 1 {
            return None;
        }
        // SAFETY: All items are given back, and no more are claimed: all is ours.
        let rest = unsafe { (*this.claims.rest.get()).take() };
        // SAFETY: As above.
        let items = unsafe { take(&mut *this.claims.items.get()) };
        rest.map(|rest| (items, rest))
    }
}
