// SPDX-License-Identifier: GPL-2.0

//! What an image lies on: its devices, and what the superblock says of it.

use super::{
    compressed::Packed,
    decoder::Reservation,
    device::{
        Devices,
        Located, //
    },
    leftovers::Leftovers,
    meta::Meta,
    policy::Policy, //
};
use crate::format::{
    self,
    inode::Nid,
    superblock::Superblock, //
};
use crate::vfs::{
    block::BlockDevice,
    dax::Memory,
    inflight::{
        Inflight,
        Running, //
    },
    inode::Held,
    log::Log,
    page_cache::Pages,
    store::Store, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            AtomicFlag,
            Relaxed, //
        },
        Arc,
        SetOnce, //
    }, //
};

/// What a volume has of the module and of its mount.
pub(crate) struct Shared {
    pub(crate) dev: u32,
    pub(crate) decoders: Reservation,
    pub(crate) leftovers: Arc<Leftovers>,
    pub(crate) policy: Policy,
    /// What the devices are, if files are read and mapped there.
    pub(crate) memory: KVec<Memory>,
}

/// The devices of a mounted image.
///
/// Members of shared inodes hold it, so it may outlive the mount; the devices are usable only until [`Volume::drain`],
/// or while a [`Running`] is held.
#[pin_data]
pub(crate) struct Volume {
    /// What no other volume has or had.
    pub(crate) id: u64,
    /// The mount's device number, in the kernel's own encoding.
    pub(crate) dev: u32,
    /// The image's superblock.
    pub(crate) sb: Superblock,
    /// The right to decode what the image declares.
    pub(crate) decoders: Reservation,
    /// What was decoded and not used.
    pub(crate) leftovers: Arc<Leftovers>,
    /// How the mount wants things to be done.
    pub(crate) policy: Policy,
    /// The memory that each device is, if files are read and mapped there: `dax`.
    memory: KVec<Memory>,
    /// The file that has the others' fragments, if there is one; set while mounting.
    packed: SetOnce<Packed>,
    /// The inode that has other inodes, as [`Self::packed`].
    metabox: SetOnce<Held>,
    devices: Devices,
    /// The mount's log.
    #[pin]
    pub(crate) log: Log,
    /// The last fault that was logged: repeated ones are not.
    reported: Atomic<u64>,
    /// Whether a device was removed.
    incomplete: AtomicFlag,
    #[pin]
    inflight: Inflight,
}

impl Volume {
    /// The image on these devices.
    pub(crate) fn new(
        sb: Superblock,
        devices: Devices,
        name: &CStr,
        shared: Shared,
    ) -> impl PinInit<Self> + use<> {
        static LAST: Atomic<u64> = Atomic::new(0);
        let log = Log::new(name);
        pin_init!(Self {
            id: LAST.fetch_add(1, Relaxed),
            dev: shared.dev,
            sb,
            decoders: shared.decoders,
            leftovers: shared.leftovers,
            policy: shared.policy,
            memory: shared.memory,
            packed: SetOnce::new(),
            metabox: SetOnce::new(),
            devices,
            log <- log,
            reported: Atomic::new(0),
            incomplete: AtomicFlag::new(false),
            inflight <- Inflight::new(),
        })
    }

    /// Names the file that has the others' fragments.
    pub(crate) fn set_packed(&self, packed: Packed) {
        self.packed.populate(packed);
    }

    /// The file that has the others' fragments.
    pub(super) fn packed(&self) -> Option<&Packed> {
        self.packed.as_ref()
    }

    /// Names the inode that has other inodes.
    pub(crate) fn set_metabox(&self, metabox: Held) {
        self.metabox.populate(metabox);
    }

    /// The device that the image starts on.
    pub(crate) fn primary(&self) -> &Store {
        self.devices.primary()
    }

    /// Whether files are read and mapped where they are.
    #[inline]
    pub(crate) fn is_dax(&self) -> bool {
        !self.memory.is_empty()
    }

    /// The memory that `device` is, if files are read and mapped there.
    pub(super) fn memory(&self, device: BlockDevice) -> Option<&Memory> {
        self.memory.iter().find(|memory| memory.is_of(device))
    }

    /// Whether the image lies in files, not on block devices.
    #[inline]
    pub(crate) fn is_in_files(&self) -> bool {
        matches!(self.primary(), Store::File(_))
    }

    /// Where byte `addr` of device `id` is; 0 is the unified space, in which all have their place.
    #[inline(always)]
    pub(crate) fn locate(&self, id: u16, addr: u64) -> format::Result<Located<'_>> {
        self.devices.locate(id, addr)
    }

    /// The device, the byte there, and how many follow, of byte `addr` of an image that has one block device only.
    #[inline(always)]
    pub(super) fn only_device(&self, addr: u64) -> Option<(BlockDevice, u64, u64)> {
        self.devices.only_device(addr)
    }

    /// Whether bytes of the unified space lie as far apart on one store.
    pub(crate) fn is_one_run(&self, from: u64, to: u64) -> bool {
        self.devices.is_one_run(from, to)
    }

    /// Reads the image's bytes by their addresses in the unified space.
    #[inline]
    pub(crate) fn meta(&self) -> Meta<'_> {
        self.devices.meta()
    }

    /// The metabox's page cache, if there is one.
    pub(crate) fn metabox_pages(&self) -> Option<Pages<'_>> {
        Some(self.metabox.as_ref()?.mapping().into())
    }

    /// Reads the bytes of the metabox; there are none where it is missing.
    pub(crate) fn metabox(&self) -> Meta<'_> {
        match self.metabox.as_ref() {
            Some(metabox) => Meta::new(metabox.mapping().into(), 0, metabox.size()),
            None => Meta::new(self.primary().pages(), 0, 0),
        }
    }

    /// Reads the space that inode `nid` lies in.
    #[inline]
    pub(crate) fn meta_of(&self, nid: Nid) -> Meta<'_> {
        match nid.in_metabox() {
            true => self.metabox(),
            false => self.meta(),
        }
    }

    /// Notes that a device was removed: what is on it cannot be read any more.
    pub(crate) fn set_incomplete(&self) {
        self.incomplete.store(true, Relaxed);
    }

    /// Whether a device was removed.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.incomplete.load(Relaxed)
    }

    /// Keeps the devices usable. The caller holds an inode of the mount, or the lock under which members leave.
    pub(crate) fn begin(&self) -> Running {
        self.inflight.begin()
    }

    /// Waits for all that uses the devices, and gives up what is kept for it. No member may be left.
    pub(crate) fn drain(&self) {
        self.inflight.drain();
        self.leftovers.forget(self.id);
        if let Some(metabox) = self.metabox.as_ref() {
            metabox.release();
        }
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

/// The kernel's error for a fault.
pub(crate) fn errno(fault: &format::Error) -> Error {
    Error::from_errno(fault.errno().wrapping_neg())
}
