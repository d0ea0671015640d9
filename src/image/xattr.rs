// SPDX-License-Identifier: GPL-2.0

//! Extended attributes, and the one that is a fingerprint.

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
        Found,
        Xattrs, //
    },
    Kind, //
};
use crate::vfs::{
    inode::Inode,
    sums,
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
                let Some(namespace) = visible(image, name.index) else {
                    return Ok(());
                };
                names
                    .push(&[namespace.prefix(), name.infix, name.suffix])
                    .map_err(|e| format::Error::os(e.to_errno().wrapping_neg(), "list is too long"))
            })
        })
        .map_err(|fault| file.volume.report(file.nid, fault))
    }
}

/// The namespace of an on-disk index, if the caller may see it.
fn visible(image: &Image, index: u8) -> Option<Namespace> {
    use format::xattr::index;
    match index {
        index::USER if image.shows_user_xattrs() => Some(Namespace::User),
        index::TRUSTED if may_see_trusted() => Some(Namespace::Trusted),
        index::SECURITY => Some(Namespace::Security),
        _ => None,
    }
}

/// The fingerprint of a file; `None` if it has none.
///
/// A fault of the image is logged and means that there is none: the file is read privately. Only what may be
/// different next time, such as a lack of memory, is an error.
pub(super) fn fingerprint(image: &Image, file: &File<'_>) -> Result<Option<KVec<u8>>> {
    // `sha256:` and 32 bytes, as mkfs writes it, and then some.
    const USUAL: usize = 64;
    let mut value = KVec::from_elem(0, USUAL, GFP_KERNEL)?;
    loop {
        let found = with_xattrs(image, file, |xattrs| {
            xattrs.fingerprint(Some(&mut value), sums::xxh32)
        });
        match found {
            Ok(Found::Value(len)) => {
                value.truncate(len);
                return Ok(Some(value));
            }
            Ok(Found::Missing) => return Ok(None),
            // At most a block; longer each time, unless the image changes meanwhile.
            Ok(Found::TooSmall(len)) if len > value.len() => {
                value = KVec::from_elem(0, len, GFP_KERNEL)?;
            }
            Ok(Found::TooSmall(_)) => return Ok(None),
            Err(fault) if matches!(fault.kind, Kind::Errno(_)) => {
                return Err(volume::errno(&fault))
            }
            Err(fault) => {
                file.volume.report(file.nid, fault);
                return Ok(None);
            }
        }
    }
}
