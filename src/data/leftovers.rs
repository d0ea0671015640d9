// SPDX-License-Identifier: GPL-2.0

//! Decoded bytes that no page has taken yet.
//!
//! Encoded extents end anywhere, pages do not: the end of what was read ahead is mostly inside an extent. And the packed
//! file's extents hold pieces of many small files. What a read has decoded and not used is kept here for a while, so that
//! the next one need not decode it again. There is a small store for the whole module; memory pressure empties it.

use crate::format::inode::Nid;
use crate::vfs::{
    buffer::Buffer,
    shrinker::Cache, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};

/// How many bytes are kept at the most.
const BUDGET: usize = 3 * LARGEST;
/// How many of them by one entry.
pub(crate) const LARGEST: usize = 512 << 10;
/// How many entries there are at the most.
const SLOTS: usize = 64;

/// A file, for as long as its volume is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// [`Volume::id`](super::volume::Volume::id)
    pub(crate) volume: u64,
    pub(crate) nid: Nid,
}

/// Bytes of a file.
struct Entry {
    key: Key,
    /// The position of the first one.
    pos: u64,
    bytes: Arc<Buffer>,
    /// When it was used last.
    used: u64,
}

impl Entry {
    /// Where byte `pos` of the file is in `bytes`.
    fn offset(&self, key: Key, pos: u64) -> Option<usize> {
        if self.key != key {
            return None;
        }
        let offset = usize::try_from(pos.checked_sub(self.pos)?).ok()?;
        (offset < self.bytes.len()).then_some(offset)
    }
}

struct Store {
    slots: [Option<Entry>; SLOTS],
    bytes: usize,
    clock: u64,
}

impl Store {
    /// Takes out the entry that was not used for the longest time.
    fn evict(&mut self) -> Option<Entry> {
        let oldest = self
            .slots
            .iter_mut()
            .filter(|slot| slot.is_some())
            .min_by_key(|slot| slot.as_ref().map_or(0, |entry| entry.used))?
            .take()?;
        self.bytes = self.bytes.saturating_sub(oldest.bytes.len());
        Some(oldest)
    }

    /// Puts `entry` into a free slot, if the budget allows. Else it comes back, with one that made way for it.
    fn place(&mut self, entry: Entry) -> (Option<Entry>, Option<Entry>) {
        let (key, pos, len) = (entry.key, entry.pos, entry.bytes.len());
        // Another reader may have kept the same.
        if let Some(same) = self.take_matching(|old| old.key == key && old.pos == pos) {
            return (Some(entry), Some(same));
        }
        let fits = self.bytes.saturating_add(len) <= BUDGET;
        match self.slots.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) if fits => {
                self.clock = self.clock.wrapping_add(1);
                *slot = Some(Entry {
                    used: self.clock,
                    ..entry
                });
                self.bytes = self.bytes.saturating_add(len);
                (None, None)
            }
            _ => (Some(entry), self.evict()),
        }
    }

    fn take_matching(&mut self, matches: impl Fn(&Entry) -> bool) -> Option<Entry> {
        if self.bytes == 0 {
            return None;
        }
        let found = self
            .slots
            .iter_mut()
            .find(|slot| slot.as_ref().is_some_and(&matches))?
            .take()?;
        self.bytes = self.bytes.saturating_sub(found.bytes.len());
        Some(found)
    }
}

/// The store.
#[pin_data]
pub(crate) struct Leftovers {
    #[pin]
    store: SpinLock<Store>,
}

/// Bytes that were found.
pub(crate) struct Recalled {
    bytes: Arc<Buffer>,
    offset: usize,
}

impl Recalled {
    /// The bytes from the position on that was asked for; never empty.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.bytes().get(self.offset..).unwrap_or(&[])
    }
}

impl Leftovers {
    /// An empty store.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let store = Store {
            slots: [const { None }; SLOTS],
            bytes: 0,
            clock: 0,
        };
        Arc::pin_init(
            pin_init!(Self {
                store <- new_spinlock!(store, "erofs::Leftovers"),
            }),
            GFP_KERNEL,
        )
    }

    /// The bytes of a file from `pos` on, if they are kept.
    pub(crate) fn recall(&self, key: Key, pos: u64) -> Option<Recalled> {
        let mut store = self.store.lock();
        if store.bytes == 0 {
            return None;
        }
        store.clock = store.clock.wrapping_add(1);
        let now = store.clock;
        store.slots.iter_mut().flatten().find_map(|entry| {
            let offset = entry.offset(key, pos)?;
            entry.used = now;
            Some(Recalled {
                bytes: entry.bytes.clone(),
                offset,
            })
        })
    }

    /// Keeps `bytes`, which start at `pos`, for some time.
    pub(crate) fn keep(&self, key: Key, pos: u64, bytes: Buffer) {
        if bytes.len() > LARGEST {
            return;
        }
        // Without memory for the count it is not kept.
        let Ok(bytes) = Arc::new(bytes, GFP_NOWAIT) else {
            return;
        };
        let mut entry = Some(Entry {
            key,
            pos,
            bytes,
            used: 0,
        });
        while let Some(new) = entry.take() {
            let mut store = self.store.lock();
            let (rejected, gone) = store.place(new);
            drop(store);
            // Outside the lock: freeing may sleep.
            drop(gone);
            entry = rejected;
        }
    }

    /// Forgets all bytes of a volume.
    pub(crate) fn forget(&self, volume: u64) {
        loop {
            let found = self
                .store
                .lock()
                .take_matching(|entry| entry.key.volume == volume);
            if found.is_none() {
                return;
            }
        }
    }
}

impl Cache for Leftovers {
    const CHEAP: bool = true;

    fn count(&self) -> usize {
        self.store.lock().slots.iter().flatten().count()
    }

    fn shrink(&self, max: usize) -> usize {
        for freed in 0..max {
            // Freed outside the lock.
            let oldest = self.store.lock().evict();
            if oldest.is_none() {
                return freed;
            }
        }
        max
    }
}
