// SPDX-License-Identifier: GPL-2.0

//! Domains: mounts that trust each other's fingerprints.

use super::{
    inode::{
        Content,
        Members,
        SharedFs, //
    },
    stats::{
        Refusal,
        Refused, //
    }, //
};
use crate::data::{
    file::File,
    volume::Volume, //
};
use crate::vfs::{
    address_space::Fill,
    anon::{
        self,
        Instance,
        Internal, //
    },
    bdi::Bdi,
    inode::{
        Got,
        Inode,
        InodeCache,
        InodeCacheRegistration,
        Redirected, //
    },
    sums,
    super_block::SuperOps, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex,
        SetOnce, //
    }, //
};

/// A `domain_id`: a capability, so it is shown to nobody and wiped when it is no longer needed.
#[derive(PartialEq, Eq)]
pub(crate) struct DomainId(KVec<u8>);

impl DomainId {
    /// Takes a copy of `id`.
    pub(crate) fn new(id: &[u8]) -> Result<Self> {
        let mut copy = KVec::with_capacity(id.len(), GFP_KERNEL)?;
        copy.extend_from_slice(id, GFP_KERNEL)?;
        Ok(Self(copy))
    }

    /// Another copy.
    pub(crate) fn duplicate(&self) -> Result<Self> {
        Self::new(&self.0)
    }
}

impl Drop for DomainId {
    fn drop(&mut self) {
        self.0.fill(0);
        // Lest the compiler finds that nobody reads the zeros.
        core::hint::black_box(&self.0);
    }
}

/// Mounts that share, and the superblock of their shared inodes.
#[pin_data]
pub(crate) struct Domain {
    id: DomainId,
    /// Made when the first file joins.
    instance: SetOnce<Instance<SharedFs>>,
    /// Held while it is made.
    #[pin]
    making: Mutex<()>,
}

impl Domain {
    /// The superblock of the shared inodes, if there are any.
    pub(super) fn instance(&self) -> Option<&Instance<SharedFs>> {
        self.instance.as_ref()
    }

    fn make_instance(&self, bdi: &Bdi) -> Result<&Instance<SharedFs>> {
        let _making = self.making.lock();
        if self.instance.as_ref().is_none() {
            self.instance.populate(Instance::new(bdi)?);
        }
        self.instance.as_ref().ok_or(ENOMEM)
    }

    /// The inode that owns the pages of `content`, and whether it is new although its fingerprint is known.
    fn shared_inode<F: Fill<SharedFs = SharedFs> + SuperOps>(
        &self,
        bdi: &Bdi,
        content: Content,
    ) -> Result<(ARef<Inode<SharedFs>>, bool)> {
        let instance = match self.instance() {
            Some(instance) => instance,
            None => self.make_instance(bdi)?,
        };
        // Before the inode is there: it must not fail then, as the numbers in sysfs look at each one.
        let members = KBox::pin_init(Members::new(), GFP_KERNEL)?;
        let hash = sums::xxh32(&content.fingerprint, 0).into();
        let attributes = content.attributes(anon::next_ino());
        match instance.super_block().get_inode(hash, content)? {
            Got::Existing(inode) => Ok((inode, false)),
            Got::New(mut new) => {
                new.set_attributes(&attributes)?;
                new.set_shared::<F>();
                let other_size = new.has_kin(hash, |a, b| a.fingerprint == b.fingerprint);
                Ok((new.ready(members), other_size))
            }
        }
    }
}

/// A domain and how many mounts hold it.
struct Entry {
    domain: Arc<Domain>,
    mounts: usize,
}

/// All domains of the module.
#[pin_data]
pub(crate) struct Domains {
    #[pin]
    list: Mutex<KVec<Entry>>,
    /// What is not shared, of all mounts that there ever were.
    refused: Refused,
    bdi: Bdi,
    // Dropped last: the domains' inodes come from it.
    _cache: InodeCacheRegistration<SharedFs>,
}

impl Domains {
    /// No domains yet.
    pub(crate) fn new(module: &'static ThisModule) -> Result<Arc<Self>> {
        SharedFs::fs_type().set_up(c"erofs_shared", module);
        let cache = InodeCache::create(c"erofs_shared_inode")?;
        let bdi = Bdi::new(c"erofs-shared")?;
        Arc::pin_init(
            pin_init!(Self {
                list <- new_mutex!(KVec::new(), "erofs::Domains"),
                refused: Refused::new(),
                bdi,
                _cache: cache,
            }),
            GFP_KERNEL,
        )
    }

    /// Adds a mount to the domain of `id`, which is made if need be.
    pub(crate) fn enter(self: &Arc<Self>, id: &DomainId) -> Result<Membership> {
        let mut list = self.list.lock();
        let domain = match list.iter_mut().find(|entry| entry.domain.id == *id) {
            Some(entry) => {
                // No more mounts than memory holds.
                entry.mounts = entry.mounts.saturating_add(1);
                entry.domain.clone()
            }
            None => {
                let id = id.duplicate()?;
                let domain = Arc::pin_init(
                    pin_init!(Domain {
                        id,
                        instance: SetOnce::new(),
                        making <- new_mutex!((), "erofs::Domain::making"),
                    }),
                    GFP_KERNEL,
                )?;
                let entry = Entry {
                    domain: domain.clone(),
                    mounts: 1,
                };
                list.push(entry, GFP_KERNEL)?;
                domain
            }
        };
        drop(list);
        Ok(Membership {
            domains: self.clone(),
            domain,
        })
    }

    /// What is not shared, of all mounts that there ever were.
    pub(crate) fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Calls `f` with each domain.
    pub(super) fn for_each(&self, mut f: impl FnMut(&Domain)) {
        for entry in self.list.lock().iter() {
            f(&entry.domain);
        }
    }
}

/// A mount's place in a domain. The last one to go takes the shared inodes and all their pages with it.
pub(crate) struct Membership {
    domains: Arc<Domains>,
    domain: Arc<Domain>,
}

impl Membership {
    /// The domain.
    pub(crate) fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// What is not shared, of all mounts.
    pub(crate) fn refused(&self) -> &Refused {
        &self.domains.refused
    }

    /// Lets `inode`, which is `file`, read through the pages of its content from now on. Tells what is odd about that.
    pub(crate) fn join<F: Fill<SharedFs = SharedFs> + SuperOps>(
        &self,
        inode: &Inode<F>,
        volume: &Arc<Volume>,
        file: &File<'_>,
        content: Content,
    ) -> Result<Option<Refusal>> {
        let (shared, other_size) = self.domain.shared_inode::<F>(&self.domains.bdi, content)?;
        shared.data().join(volume, file.nid, file.body)?;
        if let Redirected::Elsewhere(unused) = inode.redirect(shared) {
            // Another opener was faster, and has read another fingerprint: the image is changing.
            unused.data().leave(volume, file.nid);
        }
        Ok(other_size.then_some(Refusal::OtherSize))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut list = self.domains.list.lock();
        let at = list
            .iter()
            .position(|entry| Arc::ptr_eq(&entry.domain, &self.domain));
        let last = at.and_then(|at| {
            let entry = list.get_mut(at)?;
            entry.mounts = entry.mounts.saturating_sub(1);
            match entry.mounts {
                0 => list.remove(at).ok(),
                _ => None,
            }
        });
        drop(list);
        // Outside the lock: evicting pages takes its time.
        drop(last);
    }
}
