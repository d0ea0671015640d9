// SPDX-License-Identifier: GPL-2.0

//! The devices that an image lies on.
//!
//! The primary one has the superblock and all metadata. Extra ones have data of files only, which name them by their
//! slot in the device table, or by an address of the unified space, in which each has a window.

use super::meta::Meta;
use crate::format::{
    self,
    superblock::DeviceSlot,
    BlockBits,
    Kind, //
};
use crate::vfs::store::Store;

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

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Reads the image's bytes there.
    pub(crate) fn meta(&self) -> Meta<'_> {
        Meta::new(self.store.pages(), self.base, self.len())
    }

    /// Bytes from there to the store's end.
    #[inline(always)]
    pub(crate) fn len(&self) -> u64 {
        match self.store {
            Store::Block(_) => self.len,
            // A file may grow or shrink.
            Store::File(file) => file.len().saturating_sub(self.base),
        }
    }

    #[inline(always)]
    pub(super) fn at(&self, addr: u64) -> format::Result<Located<'_>> {
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
    /// Its window in the unified space, in bytes.
    start: u64,
    len: u64,
    /// `None`: it is that window of the primary device.
    store: Option<Store>,
}

impl Slot {
    /// What `slot` says, with the store that it stands for if that is one of its own.
    pub(crate) fn new(slot: &DeviceSlot, block: BlockBits, store: Option<Store>) -> Self {
        let bytes = |blocks: u64| blocks.saturating_mul(block.size());
        Self {
            start: bytes(slot.uniaddr),
            len: bytes(slot.blocks),
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

/// Byte `addr` of device `id`, where 0 is the unified space.
#[inline(never)]
pub(super) fn locate<'a>(
    primary: &'a Primary,
    slots: &'a [Slot],
    id: u16,
    addr: u64,
) -> format::Result<Located<'a>> {
    let slot = match usize::from(id).checked_sub(1) {
        Some(number) => {
            let slot = slots.get(number).ok_or(ABSENT)?;
            if slot.store.is_none() {
                return primary.at(addr.checked_add(slot.start).ok_or(BEYOND)?);
            }
            Some((slot, addr))
        }
        None => slots.iter().find_map(|slot| {
            let offset = addr.checked_sub(slot.start)?;
            (slot.start != 0 && slot.store.is_some() && offset < slot.len).then_some((slot, offset))
        }),
    };
    match slot {
        Some((
            Slot {
                store: Some(store), ..
            },
            addr,
        )) => {
            let rest = store.len().checked_sub(addr).filter(|&rest| rest > 0);
            Ok(Located {
                store,
                addr,
                rest: rest.ok_or(BEYOND)?,
            })
        }
        _ => primary.at(addr),
    }
}

/// Data that the image places behind the end of its device.
pub(super) const BEYOND: format::Error =
    format::Error::new(Kind::Errno(5), "data beyond the end of the device");

const ABSENT: format::Error =
    format::Error::new(Kind::NoDevice, "data on a device that is not there");
