#!/bin/sh
# Make the images that Dockerfile and docker-compose.yml build on, from Debian's packages, under the names that they bear
# there: for machines that reach no image registry. Grafana is not among Debian's packages. As root; on Debian 12:
# apt-get install --no-install-recommends podman runc netavark aardvark-dns iptables debootstrap
set -eu
here=$(dirname "$(realpath "$0")")
work=${CREDIT_CONTAINERS:?a folder for images and containers}

make_base() { # NAME FOLDER PACKAGES
    if "$here/podman.sh" image exists "$1"; then return; fi
    if [ ! -e "$work/$2/made" ]; then
        rm -rf "${work:?}/$2"
        debootstrap --variant=minbase --include="ca-certificates,$3" bookworm "$work/$2" >"$work/$2.log"
        cp /etc/ssl/certs/ca-certificates.crt "$work/$2/etc/ssl/certs/" # of this machine, which may sit behind a proxy
        if [ -e "$work/$2/etc/ssl/certs/java" ] && [ -e /etc/ssl/certs/java/cacerts ]; then
            cp /etc/ssl/certs/java/cacerts "$work/$2/etc/ssl/certs/java/"
        fi
        rm -rf "$work/$2"/var/cache/apt/archives/*.deb "$work/$2"/var/lib/apt/lists/*
        touch "$work/$2/made"
    fi
    if [ "$2" = python ]; then
        rm -f "$work/$2/usr/lib/python3.11/EXTERNALLY-MANAGED"
        ln -sf python3 "$work/$2/usr/bin/python"
    fi
    shift_changes=${4:-}
    tar -C "$work/$2" -cf - . | "$here/podman.sh" import ${shift_changes:+--change "$shift_changes"} - "$1"
}

mkdir -p "$work"
make_base docker.io/library/python:3.11-slim python python3,python3-venv,python3-pip
make_base docker.io/library/maven:3.9-eclipse-temurin-17 maven openjdk-17-jre-headless,maven
make_base docker.io/prom/prometheus:v3.13.3 prometheus prometheus,wget 'ENTRYPOINT ["/usr/bin/prometheus"]'
