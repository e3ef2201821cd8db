#!/bin/sh
# podman with a store of its own in $CREDIT_CONTAINERS, with settings that also work inside another container. Root.
set -eu
root=${CREDIT_CONTAINERS:?a folder for images and containers}
mkdir -p "$root"
if [ ! -e "$root/containers.conf" ]; then
    cat >"$root/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
END
    printf 'unqualified-search-registries = ["docker.io"]\n' >"$root/registries.conf"
fi
export CONTAINERS_CONF="$root/containers.conf" CONTAINERS_REGISTRIES_CONF="$root/registries.conf"
exec podman --storage-driver=vfs --root "$root/store" --runroot "$root/run" "$@"
