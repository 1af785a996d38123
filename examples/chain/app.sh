#!/bin/sh
# Puts the app where the base has made room for it.
set -eu
cat > /opt/app/run <<END
#!/bin/sh
echo "app $VERSION"
END
chown app: /opt/app/run
chmod 750 /opt/app/run
/opt/app/run
