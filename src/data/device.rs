// SPDX-License-Identifier: GPL-2.0

//! The devices that an image lies on.
//!
//! The primary one has the superblock and the device table. Data of files is named by a device's slot in that table, or,
//! as all metadata, by an address of the unified space, in which each device may have a window.

use super::meta::Meta;
use crate::format::{
    self,
    space,
    superblock::DeviceSlot,
    BlockBits,
    Kind, //
};
use crate::vfs::{
    block::BlockDevice,
    page_cache::Pages,
    store::Store, //
};
use core::ops::Range;
use kernel::prelude::*;

/// The store that the image starts on.
pub(crate) struct Primary {
    store: Store,
    /// Where it starts there, in bytes.
    base: u64,
    /// Bytes from there on when it was mounted.
    len: u64,
}

impl Primary {
    /// The image that starts at byte `base` of `store`.
    pub(crate) fn new(store: Store, base: u64) -> Self {
        Self {
            store,
            base,
            len: store.len().saturating_sub(base),
        }
    }

    /// Reads the image's bytes there, whatever other devices there are.
    pub(crate) fn meta(&self) -> Meta<'_> {
        Meta::new(self.store.pages(), self.base, self.len())
    }

    /// Bytes from there to the store's end.
    #[inline(always)]
    fn len(&self) -> u64 {
        match self.store {
            Store::Block(_) => self.len,
            // A file may grow or shrink.
            Store::File(file) => file.len().saturating_sub(self.base),
        }
    }

    #[inline(always)]
    fn at(&self, addr: u64) -> format::Result<Located<'_>> {
        let rest = self.len().checked_sub(addr).filter(|&rest| rest > 0);
        Ok(Located {
            store: &self.store,
            addr: self.base.wrapping_add(addr),
            rest: rest.ok_or(BEYOND)?,
        })
    }
}

/// A slot of the device table.
pub(crate) struct Slot {
    /// Where it begins in the unified space, in bytes.
    start: u64,
    /// What it has of that space; empty if it has no window.
    window: Range<u64>,
    /// `None`: it is that part of the primary device.
    store: Option<Store>,
}

impl Slot {
    /// What `slot` says, with the store that it stands for if that is one of its own.
    pub(crate) fn new(slot: &DeviceSlot, block: BlockBits, store: Option<Store>) -> Self {
        let bytes = |blocks: u64| blocks.saturating_mul(block.size());
        let start = bytes(slot.uniaddr);
        let window = match store {
            Some(_) if start != 0 => start..start.saturating_add(bytes(slot.blocks)),
            _ => 0..0,
        };
        Self {
            start,
            window,
            store,
        }
    }
}

/// A byte on a store.
pub(crate) struct Located<'a> {
    pub(crate) store: &'a Store,
    pub(crate) addr: u64,
    /// How many bytes follow there, it included.
    pub(crate) rest: u64,
}

impl<'a> Located<'a> {
    fn on(store: &'a Store, addr: u64) -> format::Result<Self> {
        let rest = store.len().checked_sub(addr).filter(|&rest| rest > 0);
        Ok(Self {
            store,
            addr,
            rest: rest.ok_or(BEYOND)?,
        })
    }
}

/// Addresses of the unified space that are on one store, as far as there is something.
pub(super) struct Run<'a> {
    /// The first one.
    pub(super) start: u64,
    pub(super) len: u64,
    /// The store's pages.
    pub(super) pages: Pages<'a>,
    /// Where the first one is in them.
    pub(super) base: u64,
}

/// All devices of an image.
pub(crate) struct Devices {
    primary: Primary,
    /// The extra ones, in the order of the device table.
    extra: KVec<Slot>,
    /// Below this address no window begins: ordinary images have all their metadata there.
    windows_from: u64,
}

impl Devices {
    /// These, as the device table has them.
    pub(crate) fn new(primary: Primary, extra: KVec<Slot>) -> Self {
        let windows = extra.iter().map(|slot| &slot.window);
        let starts = windows.filter(|w| !w.is_empty()).map(|w| w.start);
        Self {
            windows_from: starts.min().unwrap_or(u64::MAX),
            primary,
            extra,
        }
    }

    /// The primary one's store.
    #[inline(always)]
    pub(super) fn primary(&self) -> &Store {
        &self.primary.store
    }

    /// Reads the bytes of the unified space.
    pub(super) fn meta(&self) -> Meta<'_> {
        let Primary { store, base, .. } = &self.primary;
        let len = self.primary.len().min(self.windows_from);
        match self.windows_from {
            u64::MAX => Meta::new(store.pages(), *base, len),
            _ => Meta::of_devices(self, store.pages(), *base, len),
        }
    }

    /// Byte `addr` of device `id`, where 0 is the unified space.
    #[inline(always)]
    pub(super) fn locate(&self, id: u16, addr: u64) -> format::Result<Located<'_>> {
        match self.extra.is_empty() && id == 0 {
            true => self.primary.at(addr),
            false => self.locate_among(id, addr),
        }
    }

    /// [`Self::locate`] where there are extra devices.
    #[inline(never)]
    fn locate_among(&self, id: u16, addr: u64) -> format::Result<Located<'_>> {
        let Some(number) = usize::from(id).checked_sub(1) else {
            return self.owner(addr).0;
        };
        let slot = self.extra.get(number).ok_or(ABSENT)?;
        match &slot.store {
            Some(store) => Located::on(store, addr),
            None => self.primary.at(addr.checked_add(slot.start).ok_or(BEYOND)?),
        }
    }

    /// Where byte `addr` of the unified space is, and the addresses around it that are on that store.
    fn owner(&self, addr: u64) -> (format::Result<Located<'_>>, Range<u64>) {
        let windows = self.extra.iter();
        let windows = windows.filter_map(|slot| {
            let store = slot.store.as_ref()?;
            Some(((store, slot.start), slot.window.clone()))
        });
        let (owner, run) = space::owner(windows, addr);
        let there = match owner {
            // In its window, which begins there.
            Some((store, start)) => Located::on(store, addr.wrapping_sub(start)),
            None => self.primary.at(addr),
        };
        (there, run)
    }

    /// The bytes around byte `addr` of the unified space.
    #[inline(never)]
    pub(super) fn run(&self, addr: u64) -> format::Result<Run<'_>> {
        let (there, Range { start, end }) = self.owner(addr);
        let there = there?;
        let before = addr.wrapping_sub(start);
        Ok(Run {
            start,
            len: before
                .saturating_add(there.rest)
                .min(end.wrapping_sub(start)),
            pages: there.store.pages(),
            base: there.addr.wrapping_sub(before),
        })
    }

    /// The device, the byte there, and how many follow, of byte `addr` of an image that has one block device only.
    #[inline(always)]
    pub(super) fn only_device(&self, addr: u64) -> Option<(BlockDevice, u64, u64)> {
        match (self.primary.store, self.extra.is_empty()) {
            (Store::Block(device), true) => {
                let there = self.primary.at(addr).ok()?;
                Some((device, there.addr, there.rest))
            }
            _ => None,
        }
    }

    /// Whether bytes of the unified space lie as far apart on one store.
    pub(super) fn is_one_run(&self, from: u64, to: u64) -> bool {
        if self.extra.is_empty() {
            return true;
        }
        let (Ok(from_there), Ok(to_there)) = (self.locate(0, from), self.locate(0, to)) else {
            return false;
        };
        core::ptr::eq(from_there.store, to_there.store)
            && to_there.addr.wrapping_sub(from_there.addr) == to.wrapping_sub(from)
    }
}

/// Data that the image places behind the end of its device.
pub(super) const BEYOND: format::Error =
    format::Error::new(Kind::Errno(5), "data beyond the end of the device");

const ABSENT: format::Error =
    format::Error::new(Kind::NoDevice, "data on a device that is not there");
