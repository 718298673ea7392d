#!/bin/sh
# Makes the folders that a program under `neep run` sees in place of /dev/dri and its kin in /sys, as a platform device,
# which is what drivers take without asking for a PCI address. Argument: where.
set -eu
case $1 in
/*) to=$1 ;;
*) to=${MESON_INSTALL_DESTDIR_PREFIX:?}/$1 ;; # as an install script of Meson
esac
char=$to/sys/dev/char/226:128

rm -rf "${to:?}/dev" "${to:?}/sys"
mkdir -p "$to/dev/dri" "$to/sys/class/drm" "$char/device/drm/renderD128"
: >"$to/dev/dri/renderD128"
printf 'MAJOR=226\nMINOR=128\nDEVNAME=dri/renderD128\nDEVTYPE=drm_minor\n' >"$char/uevent"
printf '226:128\n' >"$char/dev"
printf 'DRIVER=virtio_gpu\nOF_FULLNAME=/neep\nMODALIAS=platform:neep\n' >"$char/device/uevent"
# Only the last word of this is read.
ln -s ../../../../bus/platform "$char/device/subsystem"
ln -s ../../dev/char/226:128 "$to/sys/class/drm/renderD128"
chmod -R a+rX "$to"
