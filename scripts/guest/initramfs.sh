# SPDX-License-Identifier: GPL-2.0
# Makes the guest's root file system: busybox, both drivers, the added files and the command. Sourced by scripts/vm.

make_initramfs() { # RUN-FOLDER KERNEL-BUILD-FOLDER COMMAND...
    local out=$1/initramfs root=$1/root build=$2 release ko add file path
    shift 2
    release=$(<"$build/include/config/kernel.release")
    mkdir -p "$root"/{bin,proc,sys,dev,tmp,run,mnt,etc,root,modules/c,modules/rust} "$root/lib/modules/$release/kernel"
    cp "$(command -v busybox)" "$root/bin/busybox"
    install -m 755 "$top/scripts/guest/init" "$root/init"
    install -m 755 "$top/scripts/guest/erofs-driver" "$root/bin/erofs-driver"

    # What the drivers may depend on; they themselves lie apart, since both bear the same name.
    while read -r ko; do
        ko=${ko%.o}.ko
        [ "$ko" = fs/erofs/erofs.ko ] || install -D -m 644 "$build/$ko" "$root/lib/modules/$release/kernel/$ko"
    done <"$build/modules.order"
    cp "$build"/modules.{builtin,builtin.modinfo,order} "$root/lib/modules/$release/"
    PATH=$PATH:/sbin:/usr/sbin depmod -b "$root" "$release"
    [ ! -f "$c_ko" ] || cp "$c_ko" "$root/modules/c/"
    [ ! -f "$rust_ko" ] || cp -L "$rust_ko" "$root/modules/rust/"

    for add in "${adds[@]}"; do
        file=${add%%:*}
        path=/$(basename "$file")
        [ "$file" = "$add" ] || path=${add#*:}
        [ -e "$file" ] || die "--add: no file $file"
        mkdir -p "$(dirname "$root/$path")"
        cp -aTL "$file" "$root/$path"
    done

    # The arguments exactly as they were given, each one quoted word.
    { echo '#!/bin/sh'; [ $# = 0 ] || { printf exec; printf ' %q' "$@"; echo; }; } >"$root/command"
    chmod +x "$root/command"
    (cd "$root" && find . -print0 | cpio --null -o --quiet -H newc -R 0:0) >"$out"
    rm -rf "$root"
}
