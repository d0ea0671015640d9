// SPDX-License-Identifier: GPL-2.0

//! Compressed trees, read back from images of all formats that mkfs.erofs writes.

use crate::format::Source;
use crate::images::compare;
use crate::images::Kinds;
use crate::images::Times;
use crate::images::OWN;
use crate::reader::Image;
use crate::tree::compressible;
use crate::tree::text;
use crate::tree::Workshop;
use std::fs;
use std::os::unix::fs::FileExt;

fn shop() -> Workshop {
    let shop = Workshop::new();
    compressible(&shop.tree());
    shop
}

/// Compares images that are made with `options`; each has to use all of `kinds`.
fn check(shop: &Workshop, options: &[&str], kinds: &[&str]) -> Kinds {
    let times = match options
        .iter()
        .any(|it| it.contains("48bit") || it.starts_with("-m"))
    {
        true => Times::Own { nsec: false },
        false => OWN,
    };
    let found = compare(shop, &[options, &["--workers=1"]].concat(), times);
    println!("{options:?}: {found:?}");
    for kind in kinds {
        assert!(
            found.contains_key(kind),
            "{options:?}: no {kind} in {found:?}"
        );
    }
    found
}

#[test]
fn lz4() {
    let shop = shop();
    check(&shop, &["-zlz4"], &["compact", "lz4", "shifted"]);
    check(&shop, &["-zlz4hc"], &["compact", "lz4"]);
    check(&shop, &["-zlz4hc", "-C65536"], &["compact", "lz4"]);
    check(&shop, &["-zlz4", "-C1048576"], &["compact", "lz4"]);
    check(
        &shop,
        &["-zlz4", "-C65536", "--max-extent-bytes=65536"],
        &["compact", "lz4"],
    );
}

#[test]
fn other_algorithms() {
    let shop = shop();
    for algorithm in ["lzma", "deflate", "zstd"] {
        let option = format!("-z{algorithm}");
        check(&shop, &[&option], &["compact", algorithm]);
        check(&shop, &[&option, "-C65536"], &["compact", algorithm]);
        check(
            &shop,
            &[&option, "-C16384", "-Elegacy-compress"],
            &["full", algorithm],
        );
    }
    check(&shop, &["-zlzma,lc=0,lp=2,pb=0", "-C32768"], &["lzma"]);
    check(&shop, &["-zlz4:lzma:deflate:zstd", "-C16384"], &["lz4"]);
}

#[test]
fn full_index() {
    let shop = shop();
    check(
        &shop,
        &["-zlz4", "-Elegacy-compress"],
        &["full", "lz4", "shifted"],
    );
    check(
        &shop,
        &["-zlz4", "-C65536", "-Elegacy-compress"],
        &["full", "lz4"],
    );
}

#[test]
fn block_sizes() {
    let shop = shop();
    for block in ["-b512", "-b1024", "-b2048", "-b4096"] {
        check(&shop, &[block, "-zlz4"], &["compact", "lz4"]);
        check(&shop, &[block, "-zlz4", "-C16384"], &["compact", "lz4"]);
        check(
            &shop,
            &[block, "-zlz4", "-C8192", "-Elegacy-compress,ztailpacking"],
            &["full", "lz4", "tail"],
        );
        check(
            &shop,
            &[block, "-zzstd", "-C16384", "-Efragments"],
            &["zstd", "tail fragment", "whole fragment"],
        );
    }
}

#[test]
fn inline_tails() {
    let shop = shop();
    for options in [
        &["-zlz4"][..],
        &["-zlz4", "-C65536"],
        &["-zdeflate", "-C16384"],
    ] {
        for extended in ["-Eztailpacking", "-Eztailpacking,legacy-compress"] {
            check(&shop, &[options, &[extended]].concat(), &["tail"]);
        }
    }
}

#[test]
fn fragments() {
    let shop = shop();
    let both = ["whole fragment", "tail fragment"];
    check(&shop, &["-zlz4", "-Efragments"], &both);
    check(&shop, &["-zlz4", "-C65536", "-Efragments"], &both);
    check(&shop, &["-zlz4", "-C65536", "-Efragments=16384"], &both);
    check(
        &shop,
        &["-zlzma", "-C65536", "-Efragments,legacy-compress"],
        &both,
    );
    check(
        &shop,
        &["-zlz4", "-C65536", "-Eall-fragments"],
        &["whole fragment"],
    );
    check(
        &shop,
        &["-zlz4", "-C65536", "-Efragments,ztailpacking"],
        &both,
    );
    check(&shop, &["-zlz4", "-Efragments"], &["interlaced"]);
}

#[test]
fn deduplicated() {
    let shop = shop();
    check(
        &shop,
        &["-zlz4", "-C16384", "-Ededupe"],
        &["full", "partial"],
    );
    check(
        &shop,
        &["-zdeflate", "-C16384", "-Ededupe"],
        &["full", "partial"],
    );
    check(
        &shop,
        &["-zzstd", "-C16384", "-Ededupe,fragments"],
        &["partial", "tail fragment"],
    );
    check(
        &shop,
        &["-zlzma", "-C16384", "-Ededupe,ztailpacking"],
        &["partial"],
    );
}

#[test]
fn tables_of_extents() {
    let shop = shop();
    for algorithm in ["lz4", "lzma", "deflate", "zstd"] {
        let option = format!("-z{algorithm}");
        check(
            &shop,
            &[&option, "-C65536", "-E48bit"],
            &["Starts", algorithm],
        );
        check(
            &shop,
            &[&option, "-C65536", "-E48bit,fragments"],
            &["full", algorithm, "tail fragment"],
        );
    }
    check(
        &shop,
        &["-zlz4", "-C65536", "-E48bit,dedupe"],
        &["full", "partial"],
    );
    check(&shop, &["-zlz4", "-E48bit,ztailpacking"], &["lz4", "tail"]);
    check(
        &shop,
        &["-zlz4", "-b512", "-C4096", "-E48bit"],
        &["full", "lz4"],
    );
    check(&shop, &["-zlz4", "-E48bit"], &["lz4"]);
}

#[test]
fn table_for_a_file_of_more_than_4_gib() {
    let shop = Workshop::new();
    let size = (4 << 30) + 300_000;
    let file = fs::File::create(shop.tree().join("huge")).expect("room");
    file.set_len(size).expect("room");
    let data = text(1, 200_000);
    let places = [0, 1 << 31, (4 << 30) - 100_000, size - 200_000];
    for pos in places {
        file.write_all_at(&data, pos).expect("room");
    }
    let image = shop.mkfs(&["-zlz4", "-C65536", "-E48bit"]);
    let image = Image::mount(image).expect("a good superblock");
    let root = image.inode(image.sb.root_nid).expect("a good inode");
    let found = image.lookup(&root, b"huge").expect("good").expect("there");
    let inode = image.inode(found.nid).expect("a good inode");
    let mut content = image.content(&inode);
    assert_eq!(content.table(), Some("LongStarts"));
    let mut read = vec![0; data.len()];
    for pos in places {
        content.read(pos, &mut read).expect("good data");
        assert!(read == data, "at {pos}");
    }
    let mut pos = 0;
    while pos < size {
        let extent = content.extent(pos).expect("good").expect("compressed");
        assert_eq!(extent.pos, pos);
        pos += extent.len;
    }
    assert_eq!(pos, size);
}

#[test]
fn compressed_directories() {
    let shop = shop();
    check(&shop, &["-zlz4", "--zD"], &["full"]);
    check(
        &shop,
        &["-zzstd", "-C65536", "--zD", "-Efragments"],
        &["whole fragment"],
    );
}

#[test]
fn metabox() {
    let shop = shop();
    check(&shop, &["-zlz4", "-m4096"], &["lz4"]);
    check(&shop, &["-zlz4", "-C16384", "-m16384:lzma"], &["lz4"]);
    check(
        &shop,
        &["-zlzma", "-C16384", "-m4096", "--zD", "-Efragments"],
        &["lzma", "tail fragment"],
    );
    check(
        &shop,
        &["-zlz4", "-m4096", "-b512", "-C4096", "-Eztailpacking"],
        &["lz4"],
    );
    check(
        &shop,
        &["-zlz4", "-m4096", "--xattr-prefix=user.sh"],
        &["lz4"],
    );
}

#[test]
fn prefixes_in_the_packed_file() {
    let shop = shop();
    check(
        &shop,
        &["-zlz4", "-Efragments", "--xattr-prefix=user.sh"],
        &["lz4"],
    );
}
