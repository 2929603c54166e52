#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing on a fresh Debian 12 machine. Quick when nothing is.
# usage: deps.sh build|demo|check|engines|long|bench ...
#   build   compiler and libraries
#   demo    a Python environment that writes Delta tables
#   check   linters, tools, engines that read, and servers of stores, for the tests
#   engines Java, Spark, Delta's and Iceberg's jars, which write tables for `make check-engines`
#   long    what only `make check-long` needs: MinIO, which has versions of a bucket
#   bench   readers of Iceberg tables, which bench_load.sh compares with
# TOOLS (default build/tools) holds what does not come from Debian; keep it between runs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
TOOLS=${TOOLS:-$top/build/tools}

BUILD_PACKAGES="gcc make pkg-config libfuse3-dev fuse3 libcurl4-openssl-dev libssl-dev liblmdb-dev
    libzstd-dev libexpat1-dev libyaml-dev libsnappy-dev liblz4-dev zlib1g-dev libbrotli-dev
    libsqlite3-dev libpq-dev libcmocka-dev"
DEMO_PACKAGES="python3 python3-venv fuse3"
CHECK_PACKAGES="clang-14 clang-format clang-tidy clang-tools-14 cppcheck libclang-rt-14-dev attr rsync
    zstd tar findutils diffutils coreutils mandoc binutils git python3-torch ca-certificates postgresql"

VERSITYGW_VERSION=v1.8.0
VERSITYGW=github.com/versity/versitygw/cmd/versitygw
# Keeps versions as S3 does; only the tests of versions need it, which versitygw takes as well.
MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
MINIO=github.com/minio/minio
FAKE_GCS_SERVER_VERSION=v1.56.1
FAKE_GCS_SERVER=github.com/fsouza/fake-gcs-server
AZURITE_VERSION=3.35.0
PYSPARK=pyspark==4.1.4
MAVEN_COPY=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
# The Go that builds it where the machine's own is older; a module as well, checked by Go's sums.
GO_VERSION=1.25.0

say() { echo "deps: $*"; }
die() { echo "deps: $*" >&2; exit 1; }

# Debian packages: only those that dpkg does not have.
need_packages() {
    local missing="" p
    for p in "$@"; do
        case "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || :)" in
        installed) ;;
        *) missing="$missing $p" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || die "missing packages, install them as root: apt-get install$missing"
    say "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    if ! apt-get install -y --no-install-recommends $missing >"$TOOLS/apt.log" 2>&1; then
        apt-get update >>"$TOOLS/apt.log" 2>&1 || { tail -20 "$TOOLS/apt.log" >&2; die "apt-get update failed"; }
        apt-get install -y --no-install-recommends $missing >>"$TOOLS/apt.log" 2>&1 || {
            tail -20 "$TOOLS/apt.log" >&2
            die "apt-get install$missing failed"
        }
    fi
}

# A Python environment; made again when a requirement changes.
# usage: need_venv NAME FILE [venv options]
need_venv() {
    local venv="$TOOLS/$1" file="$here/$2" stamp
    stamp=$(cat "$here"/requirements-*.txt | sha256sum)
    shift 2
    [ "$(cat "$venv/.stamp" 2>/dev/null || :)" = "$stamp" ] && return 0
    say "making the Python environment $venv"
    rm -rf "$venv"
    # Debian's python3, whatever else is on PATH: PyTorch comes from Debian.
    /usr/bin/python3 -m venv "$@" "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$file" ||
        die "pip could not install $file"
    echo "$stamp" >"$venv/.stamp"
}

# sudo's PATH leaves out Go's usual place.
find_go() {
    local g
    for g in "$(command -v go || :)" /usr/local/go/bin/go /usr/lib/go/bin/go; do
        if [ -n "$g" ] && [ -x "$g" ]; then
            echo "$g"
            return
        fi
    done
}

# Go's minor version: 26 for go1.26.1.
go_minor() { "$1" version | sed -nE 's/.* go1\.([0-9]+).*/\1/p'; }

# Prints a Go that is new enough for the server.
usable_go() {
    local go
    go=$(find_go)
    if [ -z "$go" ]; then
        need_packages golang-go >&2
        go=$(find_go)
        [ -n "$go" ] || die "no Go: install Go $GO_VERSION or newer for the S3 server of the tests"
    fi
    if [ "$(go_minor "$go")" -ge "${GO_VERSION:2:2}" ]; then
        echo "$go"
        return
    fi
    # Debian's Go is too old; the newer one is published as a module, which the old one can fetch.
    local module
    module="golang.org/toolchain@v0.0.1-go$GO_VERSION.$("$go" env GOOS)-$("$go" env GOARCH)"
    if [ ! -x "$TOOLS/go/bin/go" ] || [ "$(go_minor "$TOOLS/go/bin/go")" -lt "${GO_VERSION:2:2}" ]; then
        say "fetching Go $GO_VERSION" >&2
        local dir
        dir=$(cd / && GOFLAGS=-mod=mod "$go" mod download -json "$module" |
            sed -nE 's/^[[:space:]]*"Dir": "(.*)",?$/\1/p') || :
        [ -n "$dir" ] || die "Go $("$go" version) is too old for the S3 server and $module cannot be fetched"
        rm -rf "$TOOLS/go"
        cp -r "$dir" "$TOOLS/go"
        chmod -R u+w "$TOOLS/go"
        chmod +x "$TOOLS"/go/bin/* "$TOOLS"/go/pkg/tool/*/*
    fi
    echo "$TOOLS/go/bin/go"
}

# A server that is built from its module.
# usage: need_server NAME MODULE VERSION
need_server() {
    local bin="$TOOLS/bin/$1" go
    [ "$(cat "$bin.version" 2>/dev/null || :)" = "$3" ] && [ -x "$bin" ] && return 0
    go=$(usable_go)
    say "building $1 $3 with $("$go" version | cut -d' ' -f3) (some minutes)"
    mkdir -p "$TOOLS/bin"
    env -u GOROOT GOBIN="$TOOLS/bin" nice "$go" install "$2@$3" >"$TOOLS/$1.log" 2>&1 || {
        tail -20 "$TOOLS/$1.log" >&2
        die "$1 $3 could not be built"
    }
    echo "$3" >"$bin.version"
}

# Azure's own emulator of Blob, a package of npm's.
need_azurite() {
    local dir="$TOOLS/azurite"
    [ "$(cat "$dir/.version" 2>/dev/null || :)" = "$AZURITE_VERSION" ] && return 0
    command -v npm >/dev/null || need_packages nodejs npm
    say "installing Azurite $AZURITE_VERSION"
    mkdir -p "$dir"
    nice npm install --prefix "$dir" --no-audit --no-fund --loglevel=error \
        "azurite@$AZURITE_VERSION" >"$TOOLS/azurite.log" 2>&1 || {
        tail -20 "$TOOLS/azurite.log" >&2
        die "Azurite $AZURITE_VERSION could not be installed"
    }
    echo "$AZURITE_VERSION" >"$dir/.version"
}

# The jars that a pom names, by Maven, which keeps nothing.
# usage: need_jars NAME POM
need_jars() {
    local jars="$TOOLS/$1" pom="$top/tests/engines/$2" stamp
    command -v java >/dev/null || need_packages default-jre-headless
    stamp=$(sha256sum <"$pom")
    [ "$(cat "$jars/.stamp" 2>/dev/null || :)" = "$stamp" ] && return 0
    command -v mvn >/dev/null || need_packages maven
    say "fetching the jars that tests/engines/$2 names"
    rm -rf "$jars"
    mvn -B -q -f "$pom" "-Dmaven.repo.local=$TOOLS/maven" "$MAVEN_COPY" "-DoutputDirectory=$jars" \
        >"$TOOLS/maven.log" 2>&1 || {
        tail -20 "$TOOLS/maven.log" >&2
        die "Maven could not fetch what tests/engines/$2 names"
    }
    rm -rf "$TOOLS/maven"
    echo "$stamp" >"$jars/.stamp"
}

# Spark's own Python environment, and the jars of the formats that it writes.
need_spark() {
    if [ "$(cat "$TOOLS/venv-spark/.stamp" 2>/dev/null || :)" != "$PYSPARK" ]; then
        say "making the Python environment $TOOLS/venv-spark ($PYSPARK)"
        rm -rf "$TOOLS/venv-spark"
        /usr/bin/python3 -m venv "$TOOLS/venv-spark"
        "$TOOLS/venv-spark/bin/python" -m pip install --quiet --disable-pip-version-check "$PYSPARK" ||
            die "pip could not install $PYSPARK"
        echo "$PYSPARK" >"$TOOLS/venv-spark/.stamp"
    fi
    need_jars spark-jars pom.xml
}

[ $# -gt 0 ] || { sed -n '3,10s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$TOOLS"
for what in "$@"; do
    case "$what" in
    build)
        # shellcheck disable=SC2086
        need_packages $BUILD_PACKAGES
        ;;
    demo)
        # shellcheck disable=SC2086
        need_packages $DEMO_PACKAGES
        need_venv venv-demo requirements-demo.txt
        ;;
    check)
        # shellcheck disable=SC2086
        need_packages $BUILD_PACKAGES $DEMO_PACKAGES $CHECK_PACKAGES
        need_venv venv-check requirements-check.txt
        # Debian's PyTorch is seen by Debian's python3 only.
        need_venv venv-torch requirements-torch.txt --system-site-packages
        need_server versitygw "$VERSITYGW" "$VERSITYGW_VERSION"
        need_server fake-gcs-server "$FAKE_GCS_SERVER" "$FAKE_GCS_SERVER_VERSION"
        need_azurite
        ;;
    engines)
        need_spark
        need_jars rest-catalog rest_catalog.xml
        ;;
    long)
        need_server minio "$MINIO" "$MINIO_VERSION"
        ;;
    bench)
        need_venv venv-bench requirements-bench.txt
        ;;
    *)
        die "what is '$what'? build, demo, check, engines, long or bench"
        ;;
    esac
done
