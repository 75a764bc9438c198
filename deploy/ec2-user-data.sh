#!/bin/bash
# User data of an EC2 instance (Amazon Linux 2023): installs the program and its service, and starts the backfill.
# The instance profile must allow ssm:GetParameter for the password; the security groups, ClickHouse's port.
set -euo pipefail

RELEASES=@BASE_URL@
CLICKHOUSE_URL=https://clickhouse.example.com:8443
CLICKHOUSE_USER=langfuse
CLICKHOUSE_DB=default
PARTITION=all
# A SecureString of the SSM Parameter Store.
PASSWORD_PARAMETER=/langfuse/clickhouse/password

curl -fsSL "$RELEASES/latest/download/install.sh" | sh -s -- --dir /usr/local/bin
curl -fsSL "$RELEASES/latest/download/clickhouse-backfill-deploy.tar.gz" |
  tar -xzf - -C /etc/systemd/system --strip-components=1 clickhouse-backfill-deploy/clickhouse-backfill.service

password=$(aws ssm get-parameter --name "$PASSWORD_PARAMETER" --with-decryption --query Parameter.Value --output text)
# As systemd reads it within double quotes.
password=${password//\\/\\\\}
password=${password//\"/\\\"}
umask 077
cat >/etc/clickhouse-backfill.env <<END
CLICKHOUSE_URL=$CLICKHOUSE_URL
CLICKHOUSE_USER=$CLICKHOUSE_USER
CLICKHOUSE_PASSWORD="$password"
CLICKHOUSE_DB=$CLICKHOUSE_DB
PARTITION=$PARTITION
END

systemctl daemon-reload
# Enabled, it goes on after the instance restarts. To follow it: journalctl -fu clickhouse-backfill
systemctl enable --now clickhouse-backfill
