// SPDX-License-Identifier: GPL-2.0

//! Shared inodes: the owners of shared pages, and the files that read through them.

use crate::data::{
    file::File,
    volume::Volume, //
};
use crate::format::inode::{
    Body,
    Nid, //
};
use crate::vfs::{
    anon,
    inode::{
        Attributes,
        FileSystem,
        Inode,
        InodeCache, //
    }, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};

/// The internal filesystem of shared inodes.
pub(crate) struct SharedFs;

static CACHE: InodeCache<SharedFs> = InodeCache::new();
static TYPE: anon::Type<SharedFs> = anon::Type::new();

impl FileSystem for SharedFs {
    type Key = Content;
    type Data = Pin<KBox<Members>>;

    fn inode_cache() -> &'static InodeCache<Self> {
        &CACHE
    }
}

impl anon::Internal for SharedFs {
    fn fs_type() -> &'static anon::Type<Self> {
        &TYPE
    }
}

/// What makes files equal, inside one domain.
#[derive(PartialEq, Eq)]
pub(crate) struct Content {
    /// The fingerprint: opaque bytes, trusted as far as the domain goes.
    pub(crate) fingerprint: KVec<u8>,
    /// Bytes in the file. A fingerprint with another size is another content.
    pub(crate) size: u64,
    /// log2 of the block size: folio state is kept per block.
    pub(crate) blkbits: u8,
}

impl Content {
    /// What the VFS shows of an inode with this content; only the size and block size matter.
    pub(super) fn attributes(&self, ino: u64) -> Attributes {
        Attributes {
            ino,
            mode: 0o100_444,
            uid: 0,
            gid: 0,
            nlink: 1,
            size: self.size,
            blocks: self.size.div_ceil(512),
            blkbits: self.blkbits,
            mtime: 0,
            mtime_nsec: 0,
            may_have_acls: false,
        }
    }
}

/// A file that reads through a shared inode, as far as another file's reader needs it.
struct Member {
    volume: Arc<Volume>,
    nid: Nid,
    body: Body,
}

impl Member {
    fn is(&self, volume: &Arc<Volume>, nid: Nid) -> bool {
        Arc::ptr_eq(&self.volume, volume) && self.nid == nid
    }
}

/// The files that read through one shared inode. Each is alive: it leaves before its mount's device goes.
#[pin_data]
pub(crate) struct Members {
    #[pin]
    list: SpinLock<KVec<Member>>,
}

impl Members {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_spinlock!(KVec::new(), "erofs::Members"),
        })
    }

    /// Adds a file, once.
    pub(super) fn join(&self, volume: &Arc<Volume>, nid: Nid, body: &Body) -> Result {
        let mut room = KVec::new();
        loop {
            let mut list = self.list.lock();
            if list.iter().any(|m| m.is(volume, nid)) {
                return Ok(());
            }
            let needed = list.len().saturating_add(1);
            if list.capacity() < needed && room.capacity() >= needed {
                // There is room for all of them, so this allocates nothing.
                for member in list.drain_all() {
                    room.push(member, GFP_NOWAIT)?;
                }
                core::mem::swap(&mut *list, &mut room);
            }
            if list.capacity() >= needed {
                let member = Member {
                    volume: volume.clone(),
                    nid,
                    body: *body,
                };
                list.push(member, GFP_NOWAIT)?;
                return Ok(());
            }
            drop(list);
            // Outside the lock: reclaim may evict members, which takes it.
            room = KVec::with_capacity(needed.next_power_of_two(), GFP_KERNEL)?;
        }
    }

    /// Removes a file.
    pub(crate) fn leave(&self, volume: &Arc<Volume>, nid: Nid) {
        let mut list = self.list.lock();
        let at = list.iter().position(|m| m.is(volume, nid));
        let gone = at.and_then(|at| list.remove(at).ok());
        drop(list);
        // Outside the lock: this may be the last of the volume.
        drop(gone);
    }

    /// How many files there are; with a `volume`, only those of it.
    pub(super) fn count(&self, volume: Option<&Arc<Volume>>) -> usize {
        let list = self.list.lock();
        match volume {
            Some(volume) => list
                .iter()
                .filter(|m| Arc::ptr_eq(&m.volume, volume))
                .count(),
            None => list.len(),
        }
    }
}

/// Reads through a member of `shared`, another one than `not`, whose devices stay usable meanwhile: one whose devices
/// are all there, if there is such a member.
///
/// # Errors
///
/// `EIO` if there is no such member, else what `read` gives.
pub(crate) fn with_member<R>(
    shared: &Inode<SharedFs>,
    not: Option<&File<'_>>,
    read: impl FnOnce(File<'_>) -> Result<R>,
) -> Result<R> {
    let (member, running) = {
        let list = shared.data().list.lock();
        let mut others = list.iter().filter(|m| is_other(m, not));
        let whole = others.clone().find(|m| !m.volume.is_incomplete());
        let found = whole.or_else(|| others.next()).ok_or(EIO)?;
        // The member has not left, so its mount has not begun to wait.
        let running = found.volume.begin();
        let member = Member {
            volume: found.volume.clone(),
            ..*found
        };
        (member, running)
    };
    let done = read(File {
        volume: &member.volume,
        nid: member.nid,
        body: &member.body,
        size: shared.size(),
    });
    drop(running);
    done
}

/// Whether `shared` has another member than `this`.
pub(crate) fn has_other_member(shared: &Inode<SharedFs>, this: &File<'_>) -> bool {
    let list = shared.data().list.lock();
    list.iter().any(|m| is_other(m, Some(this)))
}

fn is_other(member: &Member, than: Option<&File<'_>>) -> bool {
    than.is_none_or(|file| !member.is(file.volume, file.nid))
}
