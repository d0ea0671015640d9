#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs the selftests on this machine and prints one TAP stream.
#
# Usage: run.sh [--disk DEVICE] [--results FILE] [--defect PROGRAM TEST | PROGRAM...]
#
# The programs are in PATH. The images are in $EROFS_IMAGES, or on DEVICE. FILE has results that were found elsewhere,
# as lines "ok|not ok NAME". Where the command erofs-driver can load the C driver (as in scripts/vm's guest), that one
# is the peer: trees must look the same through both, and the defects of defects.list must show on it. --defect runs one
# test and nothing else, on the driver that is loaded.
set -u

here=$(cd "$(dirname "$0")" && pwd)
disk='' wanted='' results='' defect=''
while [ $# -gt 0 ]; do
    case $1 in
        --disk) disk=$2; shift ;;
        --results) results=$2; shift ;;
        --defect) defect="$2 -r $3"; shift 2 ;;
        *) wanted="$wanted $1" ;;
    esac
    shift
done

export EROFS_IMAGES="${EROFS_IMAGES:-/images}" EROFS_DRIVER
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0 passed=0 failed=0 skipped=0

result() { # ok|not ok|skip NAME
    number=$((number + 1))
    case $1 in
        ok) passed=$((passed + 1)); echo "ok $number $2" ;;
        skip) skipped=$((skipped + 1)); echo "ok $number $2" ;;
        *) failed=$((failed + 1)); echo "not ok $number $2" ;;
    esac
}

say() { echo "# $*"; }

wanted() { # PROGRAM
    case "${wanted:- $1} " in *" $1 "*) return 0 ;; esac
    return 1
}

# Runs a kselftest program and takes its results over into our stream. Expecting failure, a failure is what passes.
run() { # pass|fail PREFIX PROGRAM [ARGUMENT...]
    expect=$1 prefix=$2 program=$3 plan=-1 seen=0
    shift 3
    mkfifo "$work/out"
    "$program" "$@" >"$work/out" 2>&1 &
    while IFS= read -r line; do
        case $line in
            1..*) plan=${line#1..} ;;
            ok\ * | not\ ok\ *)
                seen=$((seen + 1))
                verdict=${line%% [0-9]*}
                name=$prefix$program.${line#"$verdict" * }
                case "$expect $line" in
                    *"# SKIP"*) result skip "$name" ;;
                    pass*) result "$verdict" "$name" ;;
                    "fail not ok"*) result ok "$name (C driver: fails as expected)" ;;
                    *) result "not ok" "$name (C driver: does not show the defect)" ;;
                esac ;;
            TAP* | "# "*RUN* | "# "*OK* | "# Totals"* | "# PASSED"* | "# Starting"* | "# FAILED"*) ;;
            *) [ "$expect" = fail ] || echo "# ${line#\# }" ;;
        esac
    done <"$work/out"
    wait $!
    rm "$work/out"
    [ "$seen" = "$plan" ] && [ "$plan" != 0 ] || result "not ok" "$program: $seen of $plan tests ran"
}

use_driver() { # c|rust
    if [ -n "$have_both" ] && [ "$EROFS_DRIVER" != "$1" ]; then
        erofs-driver "$1" || { result "not ok" "module: the $1 driver can be loaded"; return 1; }
    fi
    EROFS_DRIVER=$1
}

ours=${EROFS_DRIVER:-rust} have_both=''
EROFS_DRIVER=$ours
if [ "$ours" != c ] && command -v erofs-driver >/dev/null && [ -e /modules/c/erofs.ko ] && [ -e /modules/rust/erofs.ko ]; then
    have_both=1
fi
[ -z "${EROFS_QUICK:-}" ] || have_both=''
if [ -n "$disk" ]; then
    mkdir -p "$EROFS_IMAGES" && mount -t ext4 -o ro "$disk" "$EROFS_IMAGES" || exit 1
fi

if [ -n "$defect" ]; then
    export EROFS_ALONE=1
    exec $defect
fi

echo "TAP version 13"
[ -z "$results" ] || while read -r line; do
    case $line in
        ok*) result ok "${line#ok }" ;;
        *) result "not ok" "${line#not ok }" ;;
    esac
done <"$results"

# --- Whole trees ---

dump_trees() { # DRIVER
    use_driver "$1" || return
    mkdir -p "$work/mnt"
    while read -r image source; do
        if mount -t erofs -o ro,loop "$EROFS_IMAGES/$image.img" "$work/mnt" 2>"$work/$1-$image"; then
            treedump "$work/mnt" >"$work/$1-$image"
            umount "$work/mnt"
        fi
    done <"$work/matrix"
}

# The image as a file must look as it does on a device: but for direct I/O by its users, and for what tells mounts apart
# where the image has no UUID.
compare_sources() { # IMAGE OPTIONS
    local aside='s/ dio .*//'
    [ "$1" != good-uuid-nil ] || aside="$aside; s/ fsid [^ ]*//"
    sed "$aside" "$work/$ours-$1" >"$work/block"
    if treedump -m "$EROFS_IMAGES/$1.img" "$2" "$work/mnt" | sed "$aside" | cmp -s - "$work/block"; then
        result ok "tree.$1: as a file with $2, same as on a device"
    else
        result "not ok" "tree.$1: as a file with $2, same as on a device"
        umount "$work/mnt" 2>/dev/null
    fi
}

compare_trees() {
    # All of them, or each third one on a slow kernel.
    awk -v step="${EROFS_QUICK:+3}" 'NR % (step ? step : 1) == 0' "$EROFS_IMAGES/matrix" >"$work/matrix"
    dump_trees "$ours"
    [ -z "$have_both" ] || dump_trees c
    use_driver "$ours"
    while read -r image source; do
        if [ -n "$have_both" ]; then
            if grep -q '^/' "$work/$ours-$image" && cmp -s "$work/$ours-$image" "$work/c-$image"; then
                result ok "tree.$image: same as through the C driver"
            else
                diff "$work/c-$image" "$work/$ours-$image" | head -n 20 | sed 's/^/# /'
                result "not ok" "tree.$image: same as through the C driver"
            fi
        fi
        compare_sources "$image" user_xattr
        [ $((number % 4)) != 0 ] || compare_sources "$image" directio
        [ "$source" != - ] || continue
        if grep -v '^ |' "$work/$ours-$image" | cmp -s - "$EROFS_IMAGES/$source.manifest"; then
            result ok "tree.$image: same as its source"
        else
            grep -v '^ |' "$work/$ours-$image" | diff "$EROFS_IMAGES/$source.manifest" - | head -n 20 | sed 's/^/# /'
            result "not ok" "tree.$image: same as its source"
        fi
    done <"$work/matrix"
    rm -f "$work/$ours"-* "$work"/c-*
}

# --- Programs ---

programs="mount_options mount_defects mount_beside image_stat image_files image_dirs image_xattr image_corrupt
    share_frames share_mmap share_lifetime share_ops share_inflight share_stacked share_options share_counters share_stress
    source_files source_xfs source_devices source_windows source_share source_held source_removed source_verity
    zread_corrupt zread_files zread_cache zread_memory share_encodings zread_stress zread_damage
    access_acl access_idmap access_overlay access_security access_composefs
    iface_sysfs iface_handles iface_nfs iface_files iface_encoded iface_compat iface_freeze iface_trace iface_dax"

# What these expect is what the C driver does.
as_c="mount_options image_stat image_files image_dirs image_xattr image_corrupt
    source_xfs source_devices source_windows source_removed zread_corrupt zread_files
    access_acl access_idmap access_overlay access_security access_composefs
    iface_sysfs iface_handles iface_nfs iface_files iface_compat iface_freeze iface_trace iface_dax"
defects_here=fail

if [ -d /sys/fs/selinux ]; then
    programs="$programs access_selinux share_selinux" as_c="$as_c access_selinux" defects_here=selinux
fi

for program in $programs; do
    if wanted "$program"; then
        use_driver "$ours" && run pass '' "$program"
    fi
done
! wanted tree || compare_trees

if [ -n "$have_both" ] && use_driver c; then
    for program in $as_c; do
        ! wanted "$program" || run pass 'C driver: ' "$program"
    done
fi

if [ -n "$have_both" ] && wanted defects; then
    use_driver c && while read -r id how program test; do
        [ "$how" != "$defects_here" ] || run fail "$id: " "$program" -r "$test" <&3
    done <"$here/defects.list" 3</dev/null
fi

if command -v erofs-driver >/dev/null && wanted unload; then
    use_driver "$ours"
    if erofs-driver none && erofs-driver "$ours" && erofs-driver none; then
        result ok "module: unloads, loads again, unloads"
    else
        result "not ok" "module: unloads, loads again, unloads"
    fi
fi

echo "1..$number"
[ $skipped = 0 ] || say "$skipped skipped"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
