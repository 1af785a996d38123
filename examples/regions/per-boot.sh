#!/bin/sh
# Where the machine is, for whoever asks.
set -eu
metadata=http://169.254.169.254/latest
token=$(curl -fsS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $metadata/api/token)
curl -fsS -H "X-aws-ec2-metadata-token: $token" $metadata/meta-data/placement/region > /etc/region
