#!/bin/sh
# Installs nginx, and the site that was uploaded to /tmp.
set -eu
cloud-init status --wait || test $? = 2 # 2: done, with warnings
apt-get update -qq
apt-get install -y -qq nginx curl

install -d "/srv/www/$SITE"
install -m 644 /tmp/index.html "/srv/www/$SITE/"
sed "s/@SITE@/$SITE/" /tmp/site.conf > /etc/nginx/sites-available/site
ln -sf ../sites-available/site /etc/nginx/sites-enabled/site
rm -f /etc/nginx/sites-enabled/default /tmp/site.conf /tmp/index.html

nginx -t
systemctl enable nginx
systemctl restart nginx
