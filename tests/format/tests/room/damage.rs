// SPDX-License-Identifier: GPL-2.0

//! Damaged images: errors are fine, a panic or a walk without end is not.

use crate::bytes::crc32c;
use crate::bytes::sb;
use crate::reader::walk;
use crate::reader::Image;
use crate::tree::noise;
use crate::tree::Workshop;
use std::fs;
use std::path::Path;

/// A tree whose image is mostly metadata: file data is zeros, but for the first byte of each block.
fn small(tree: &Path) {
    let data = |len| {
        let mut data = vec![0; len];
        data.iter_mut().step_by(512).for_each(|byte| *byte = 1);
        data
    };
    for i in 0..40 {
        let path = tree.join(format!("file-{i}"));
        fs::write(&path, data(150 * i)).expect("room");
        xattr::set(&path, "user.shared", b"the same").expect("user xattrs");
        xattr::set(&path, "user.own", format!("{i}").as_bytes()).expect("user xattrs");
    }
    fs::write(
        tree.join("sparse"),
        [data(4096), vec![0; 30_000], data(5000)].concat(),
    )
    .expect("room");
    fs::create_dir_all(tree.join("a/b/c")).expect("room");
    for target in ["short", &"long/".repeat(200)] {
        let name = format!("link-{}", target.len());
        std::os::unix::fs::symlink(target, tree.join(name)).expect("room");
    }
}

/// Numbers from a fixed seed.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).expect("below a usize")
    }
}

fn damage(options: &[&str]) {
    damage_of(small, options, 1500);
}

fn damage_of(make: fn(&Path), options: &[&str], rounds: u64) {
    let shop = Workshop::new();
    make(&shop.tree());
    let good = shop.mkfs(options);
    let image = Image::mount(good.clone()).expect("a good superblock");
    assert_eq!(walk(&image, 1000, 1 << 16), 0, "the image is good");

    // Only blocks that hold something, so that most hits count.
    let used: Vec<usize> = (1024..good.len()).filter(|&i| good[i] != 0).collect();
    let mut faulty = 0u64;
    for round in 0..rounds {
        let mut random = Random(0x1234_5678_9abc_def1 + round);
        let mut bad = good.clone();
        for _ in 0..1 + random.next(8) {
            let near = used[random.next(used.len())] + random.next(5);
            let at = near.min(bad.len() - 1);
            bad[at] = match random.next(5) {
                0 => 0,
                1 => 0xff,
                2 => bad[at] ^ (1 << random.next(8)),
                3 => bad[at].wrapping_add(1),
                _ => random.next(256).to_le_bytes()[0],
            };
        }
        // Behind a checksum that is right, so that what follows is seen.
        let bits = usize::from(bad[sb::BLKSZBITS]).clamp(9, 12);
        let end = (1 << bits) + if bits > 10 { 0 } else { 1024 };
        bad[sb::CHECKSUM..sb::CHECKSUM + 4].fill(0);
        let crc = crc32c(u32::MAX, &bad[1024..end.min(good.len())]);
        bad[sb::CHECKSUM..sb::CHECKSUM + 4].copy_from_slice(&crc.to_le_bytes());
        match Image::mount(bad) {
            Ok(image) => faulty += u64::from(walk(&image, 1000, 1 << 16) > 0),
            Err(_) => faulty += 1,
        }
    }
    assert!(
        faulty > rounds / 20,
        "only {faulty} of {rounds} had an effect"
    );
}

#[test]
fn default() {
    damage(&[]);
}

#[test]
fn small_blocks() {
    damage(&["-b512"]);
}

#[test]
fn indexes() {
    damage(&["-b512", "--chunksize=512", "-Eforce-chunk-indexes"]);
}

#[test]
fn block_map_and_prefixes() {
    damage(&[
        "--chunksize=4096",
        "--xattr-prefix=user.o",
        "--xattr-inode-digest",
    ]);
}

#[test]
fn dot_omitted() {
    damage(&["-Edot-omitted", "-b1024", "-x0"]);
}

/// A tree whose compressed image is mostly indexes: equal bytes, which take little room.
fn squeezed(tree: &Path) {
    for i in 0..60 {
        let text = b"all work and no play ".repeat(40 * i);
        fs::write(tree.join(format!("file-{i}")), text).expect("room");
    }
    fs::write(tree.join("units"), noise(1, 512).repeat(800)).expect("room");
    fs::write(
        tree.join("mixed"),
        [noise(2, 700), vec![7; 90_000], noise(2, 1400)].concat(),
    )
    .expect("room");
    fs::create_dir(tree.join("folder")).expect("room");
    fs::write(tree.join("folder/file"), vec![b'x'; 200_000]).expect("room");
}

fn squeeze(options: &[&str]) {
    damage_of(squeezed, options, 700);
}

#[test]
fn compact_indexes() {
    squeeze(&["-b512", "-zlz4", "-Eztailpacking"]);
    squeeze(&["-zlz4", "-C65536", "--max-extent-bytes=16384"]);
}

#[test]
fn full_indexes() {
    squeeze(&["-zlz4", "-b512", "-C4096", "-Elegacy-compress"]);
    squeeze(&["-zdeflate", "-C16384", "-Ededupe,fragments"]);
}

#[test]
fn tables_of_extents() {
    squeeze(&["-zlz4", "-b512", "-C4096", "-E48bit,fragments"]);
    squeeze(&["-zzstd", "-C65536", "-E48bit"]);
}

#[test]
fn metabox() {
    squeeze(&["-zlz4", "-m4096", "--zD"]);
}

#[test]
fn truncated() {
    let shop = Workshop::new();
    small(&shop.tree());
    let good = shop.mkfs(&["-b512", "-Enosbcrc"]);
    for len in (0..good.len()).step_by(97) {
        if let Ok(image) = Image::mount(good[..len].to_vec()) {
            walk(&image, 1000, 1 << 16);
        }
    }
}
