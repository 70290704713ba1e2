# Installing and unpacking Debian packages, only when something is missing.
# shellcheck shell=bash

APT=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root)

apt_refresh() {
    say "refreshing the package lists (apt-get update)"
    as_root "${APT[@]}" update
}

# apt_install PACKAGE…: the ones dpkg does not know as installed.
apt_install() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || die "these Debian packages are missing and there is no apt-get: ${missing[*]}"
    apt_refresh
    say "installing ${missing[*]}"
    # dpkg tells a story for each package; keep it for the case that it ends badly.
    local log
    log=$(mktemp)
    if ! as_root "${APT[@]}" install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        die "could not install ${missing[*]}"
    fi
    rm -f "$log"
}

# apt_unpack DIR PACKAGE…: puts the packages' files under DIR. Nothing is installed and no
# maintainer script runs, so nothing is started on this machine.
apt_unpack() {
    local into=$1 debs deb
    shift
    debs=$(mktemp -d)
    say "downloading $*"
    # Lists that are absent or out of date are the usual reason for a failure: try once more.
    if ! (cd "$debs" && "${APT[@]}" download "$@" >/dev/null 2>&1); then
        apt_refresh
        (cd "$debs" && "${APT[@]}" download "$@" >&2) || die "could not download $*"
    fi
    mkdir -p "$into"
    for deb in "$debs"/*.deb; do
        dpkg-deb -x "$deb" "$into"
    done
    rm -rf "$debs"
}
