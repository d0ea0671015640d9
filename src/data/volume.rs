// SPDX-License-Identifier: GPL-2.0

//! What an image lies on: its device, and what the superblock says of it.

use super::meta::Meta;
use crate::format::{
    self,
    inode::Nid,
    superblock::Superblock, //
};
use crate::vfs::{
    block::BlockDevice,
    inflight::{
        Inflight,
        Running, //
    },
    log::Log,
    page_cache::Mapping, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// The device of a mounted image.
///
/// Members of shared inodes hold it, so it may outlive the mount; the device is usable only until [`Volume::drain`],
/// or while a [`Running`] is held.
#[pin_data]
pub(crate) struct Volume {
    /// The image's superblock.
    pub(crate) sb: Superblock,
    device: BlockDevice,
    /// Where the image starts on the device, in bytes.
    base: u64,
    /// Bytes from there to the device's end.
    len: u64,
    /// The mount's log.
    #[pin]
    pub(crate) log: Log,
    /// The last fault that was logged: repeated ones are not.
    reported: Atomic<u64>,
    #[pin]
    inflight: Inflight,
}

impl Volume {
    /// The image that starts at byte `base` of `device`.
    pub(crate) fn new(
        sb: Superblock,
        device: BlockDevice,
        base: u64,
        name: &CStr,
    ) -> impl PinInit<Self> + use<> {
        let log = Log::new(name);
        pin_init!(Self {
            sb,
            device,
            base,
            len: device.len().saturating_sub(*base),
            log <- log,
            reported: Atomic::new(0),
            inflight <- Inflight::new(),
        })
    }

    /// The device.
    pub(crate) fn device(&self) -> BlockDevice {
        self.device
    }

    /// The byte of the device that byte `addr` of the image is, and how many follow there, it included.
    pub(crate) fn locate(&self, addr: u64) -> format::Result<(u64, u64)> {
        let rest = self.len.checked_sub(addr).filter(|&rest| rest > 0);
        Ok((self.base.wrapping_add(addr), rest.ok_or(BEYOND)?))
    }

    /// The device's page cache.
    pub(crate) fn device_mapping(&self) -> &Mapping {
        self.device.mapping()
    }

    /// Reads the metadata of the image.
    pub(crate) fn meta(&self) -> Meta<'_> {
        Meta::new(&self.device, self.base, self.len)
    }

    /// Keeps the device usable. The caller holds an inode of the mount, or the lock under which members leave.
    pub(crate) fn begin(&self) -> Running {
        self.inflight.begin()
    }

    /// Waits for all that uses the device. No member may be left.
    pub(crate) fn drain(&self) {
        self.inflight.drain();
    }

    /// Turns a fault of the image into an errno, and logs it where it is one for the log.
    pub(crate) fn report(&self, nid: Nid, fault: format::Error) -> Error {
        let error = errno(&fault);
        // A signal or a lack of memory says nothing about the image.
        let quiet = [ENOMEM, EINTR, ENAMETOOLONG, ERANGE].contains(&error);
        // Each reader meets a fault anew; one line tells of it.
        let which = nid.0.rotate_left(32) ^ fault.what.as_ptr().addr() as u64;
        if !quiet && self.reported.xchg(which, Relaxed) != which {
            self.log.error(fmt!(
                "{} @ nid {} ({})",
                fault.what,
                nid.0,
                error.to_errno()
            ));
        }
        error
    }
}

/// Data that the image places behind the end of its device.
pub(super) const BEYOND: format::Error =
    format::Error::new(format::Kind::Errno(5), "data beyond the end of the device");

/// The kernel's error for a fault.
pub(crate) fn errno(fault: &format::Error) -> Error {
    Error::from_errno(fault.errno().wrapping_neg())
}
