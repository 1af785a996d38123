#!/bin/sh
# Fetches what the page of `imgflow ui` has of others from npm, and checks that it is what was looked at.
set -eu
cd "$(dirname "$0")/assets"
version=4.0.1
integrity=oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm pack --silent --ignore-scripts --pack-destination "$dir" "htmx.org@$version" >/dev/null
got=$(openssl dgst -sha512 -binary "$dir/htmx.org-$version.tgz" | openssl base64 -A)
[ "$got" = "$integrity" ] || { echo "cannot take htmx.org $version: its SHA-512 is $got" >&2; exit 1; }
tar -xzf "$dir/htmx.org-$version.tgz" -C "$dir"
for file in htmx.min.js ext/hx-sse.min.js; do
  sed '/^\/\/# sourceMappingURL/d' "$dir/package/dist/$file" >"$(basename "$file")"
done
cp "$dir/package/LICENSE" htmx.LICENSE
