#!/bin/sh
# What a machine of the image has to have; the test fails with the script.
set -e
grep -q Hello /srv/web/index.html
test "$(stat -c %U /srv/web/index.html)" = root
echo "$IMAGE has the page"
