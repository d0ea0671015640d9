// SPDX-License-Identifier: GPL-2.0

//! Extended attributes, and those that mean something to the driver: POSIX ACLs and the fingerprint.

use super::{
    inode,
    Erofs,
    Image, //
};
use crate::data::{
    file::File,
    meta::Meta,
    volume, //
};
use crate::format::{
    self,
    xattr::{
        index,
        prefix_name,
        Found,
        Xattrs, //
    },
    Kind, //
};
use crate::vfs::{
    acl,
    inode::Inode,
    sums,
    super_block::SuperBlock,
    xattr::{
        may_see_trusted,
        Names,
        Namespace,
        Operations, //
    }, //
};
use kernel::prelude::*;

/// Calls `f` with the xattrs of a file.
fn with_xattrs<R>(
    image: &Image,
    file: &File<'_>,
    f: impl FnOnce(&mut Xattrs<'_, Meta<'_>, Meta<'_>>) -> format::Result<R>,
) -> format::Result<R> {
    let volume = file.volume;
    let mut shared = match volume.sb.shared_xattrs_in_metabox() {
        true => volume.metabox(),
        false => volume.meta(),
    };
    f(&mut Xattrs {
        inline: &mut file.meta(),
        shared: &mut shared,
        sb: &volume.sb,
        body: file.body,
        prefixes: image.prefixes(),
    })
}

impl Operations for Erofs {
    fn get(
        inode: &Inode<Self>,
        namespace: Namespace,
        name: &[u8],
        value: Option<&mut [u8]>,
    ) -> Result<usize> {
        let image = inode.super_block().data();
        if namespace == Namespace::User && !image.shows_user_xattrs() {
            return Err(EOPNOTSUPP);
        }
        let file = inode::file(inode);
        let found = with_xattrs(image, &file, |xattrs| {
            xattrs.get(namespace as u8, name, value, sums::xxh32)
        });
        match found.map_err(|fault| file.volume.report(file.nid, fault))? {
            Found::Value(len) => Ok(len),
            Found::Missing => Err(ENODATA),
            Found::TooSmall(_) => Err(ERANGE),
        }
    }

    fn list(inode: &Inode<Self>, names: &mut Names<'_>) -> Result {
        let image = inode.super_block().data();
        let file = inode::file(inode);
        with_xattrs(image, &file, |xattrs| {
            xattrs.list(|name| {
                let Some(prefix) = visible(inode.super_block(), name.index) else {
                    return Ok(());
                };
                names
                    .push(&[prefix.as_bytes(), name.infix, name.suffix])
                    .map_err(|e| format::Error::os(e.to_errno().wrapping_neg(), "list is too long"))
            })
        })
        .map_err(|fault| file.volume.report(file.nid, fault))
    }
}

impl acl::Operations for Erofs {
    fn acl(inode: &Inode<Self>, which: acl::Which) -> Result<Option<KVec<u8>>> {
        let index = match which {
            acl::Which::Access => index::POSIX_ACL_ACCESS,
            acl::Which::Default => index::POSIX_ACL_DEFAULT,
        };
        let image = inode.super_block().data();
        let file = inode::file(inode);
        whole_value(image, &file, |xattrs, value| {
            xattrs.get(index, b"", Some(value), sums::xxh32)
        })
        .map_err(|fault| file.volume.report(file.nid, fault))
    }
}

/// The prefix of names with an on-disk index, if the caller may see them.
fn visible(sb: &SuperBlock<Erofs>, index: u8) -> Option<&'static str> {
    let shown = match index {
        index::USER => sb.data().shows_user_xattrs(),
        index::POSIX_ACL_ACCESS | index::POSIX_ACL_DEFAULT => sb.has_acls(),
        index::TRUSTED => may_see_trusted(),
        _ => true,
    };
    prefix_name(index).filter(|_| shown)
}

/// The value that `get` finds, whatever its size; `None` if there is none.
fn whole_value(
    image: &Image,
    file: &File<'_>,
    get: impl Fn(&mut Xattrs<'_, Meta<'_>, Meta<'_>>, &mut [u8]) -> format::Result<Found>,
) -> format::Result<Option<KVec<u8>>> {
    // An ACL with 7 entries, or a fingerprint as mkfs writes it, and then some.
    const USUAL: usize = 64;
    let buffer = |size| {
        KVec::from_elem(0, size, GFP_KERNEL)
            .map_err(|_| format::Error::os(ENOMEM.to_errno().wrapping_neg(), "no memory"))
    };
    let mut value = buffer(USUAL)?;
    loop {
        match with_xattrs(image, file, |xattrs| get(xattrs, &mut value))? {
            Found::Value(len) => {
                value.truncate(len);
                return Ok(Some(value));
            }
            Found::Missing => return Ok(None),
            // At most 64 KiB; longer each time, should the image change meanwhile.
            Found::TooSmall(len) => value = buffer(len)?,
        }
    }
}

/// The fingerprint of a file; `None` if it has none.
///
/// A fault of the image is logged and means that there is none: the file is read privately. Only what may be
/// different next time, such as a lack of memory, is an error.
pub(super) fn fingerprint(image: &Image, file: &File<'_>) -> Result<Option<KVec<u8>>> {
    let found = whole_value(image, file, |xattrs, value| {
        xattrs.fingerprint(Some(value), sums::xxh32)
    });
    match found {
        Ok(value) => Ok(value),
        Err(fault) if matches!(fault.kind, Kind::Errno(_)) => Err(volume::errno(&fault)),
        Err(fault) => {
            file.volume.report(file.nid, fault);
            Ok(None)
        }
    }
}
