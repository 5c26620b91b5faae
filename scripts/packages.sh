# packages.sh - installs the Debian packages that a script of this folder needs. To be sourced by bash; Debian 12.
#
#     install_packages NAME...     as root, or with sudo; says what it does; nothing if they are all there

for_building=(gcc libc6-dev meson ninja-build pkg-config libuv1-dev libcurl4-openssl-dev libssl-dev libzstd-dev libisal-dev
              zlib1g-dev libdeflate-dev libpng-dev libjpeg62-turbo-dev ca-certificates)
for_testing=(check clang g++ binutils valgrind libc6-dbg nginx-light openmpi-bin openssl strace zstd python3 python3-numpy
             python3-pil python3-pyte python3-wcwidth fonts-dejavu-core)

missing_packages()
{
    local name
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done
}

# A package that brings a server must not start it: Debian's own way to say so, taken away again afterwards.
without_starting_servers()
{
    local policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then
        "$@"
    else
        $sudo sh -c "printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy"
        trap '$sudo rm -f /usr/sbin/policy-rc.d' EXIT
        "$@"
        $sudo rm -f $policy
        trap - EXIT
    fi
}

install_packages()
{
    command -v dpkg-query >/dev/null || { echo "This script needs Debian's packages: $*" >&2; return 1; }
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -eq 0 ] && return 0
    sudo=
    if [ "$(id -u)" != 0 ]; then
        sudo=sudo
        command -v sudo >/dev/null || { echo "As root, first: apt-get install ${missing[*]}" >&2; return 1; }
    fi
    echo "Installing Debian packages${sudo:+ with sudo}: ${missing[*]}"
    $sudo apt-get -qq update
    without_starting_servers $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y install --no-install-recommends "${missing[@]}" >/dev/null
}
