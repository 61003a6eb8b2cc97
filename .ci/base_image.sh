#!/bin/sh
# Make the Docker base image without a registry: Debian bookworm with Python 3.11 and pip, from Debian's own mirror.
# Does nothing when the image is there. Needs root, mmdebstrap and a Docker engine that answers.
# Usage: .ci/base_image.sh [TAG]   (default localmaker/base:bookworm)
set -eu

tag=${1:-localmaker/base:bookworm}

if docker image inspect "$tag" >/dev/null 2>&1; then
    echo "$tag is there already"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A machine behind an intercepting proxy has its own certificate authorities. Without them pip inside an image says
# only "no matching distribution", so they go into the image before its certificate bundle is made.
mkdir -p "$work/ca"
cp /usr/local/share/ca-certificates/*.crt "$work/ca/" 2>/dev/null || true

# --setup-hook lays the files down before the packages' own scripts run; the essential hook is too early for pip.
mmdebstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --setup-hook='mkdir -p "$1/usr/local/share/ca-certificates"' \
    --setup-hook="cp -r '$work/ca/.' \"\$1/usr/local/share/ca-certificates/\"" \
    --customize-hook='chroot "$1" update-ca-certificates' \
    --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED' \
    --customize-hook='ln -sf python3 "$1/usr/bin/python"' \
    bookworm - |
    docker import \
        --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
        --change 'ENV PIP_DISABLE_PIP_VERSION_CHECK=1' \
        --change 'ENV PIP_ROOT_USER_ACTION=ignore' \
        --change 'CMD ["python3"]' \
        - "$tag" >"$work/id"

# A pipe's exit status is that of its last command: an image without Python would pass for a good one.
if ! docker run --rm --network none "$tag" python -m pip --version; then
    docker rmi -f "$tag" >/dev/null 2>&1 || true
    echo "the base image could not be made" >&2
    exit 1
fi
