#!/usr/bin/env bash
# Certificates, keys and passwords of the stack, each service's own in a folder of its own below /own (see
# ../docker-compose.yml). What is there and good for another month stays: it may run as often as one likes.
set -euo pipefail
umask 077
OWN=${OWN:-/own}
DAYS=${DAYS:-825}
RENEW_BEFORE=${RENEW_BEFORE:-2592000} # seconds: a month
ELASTIC_UID=1000                      # the user of the images of Elasticsearch, Logstash and Kibana
SHIPPER_UID=10001                     # the user of ours

authority=$OWN/authority

good() { openssl x509 -in "$1" -noout -checkend "$RENEW_BEFORE" >/dev/null 2>&1; }

password() {
  # 32 letters and digits: nothing that a shell, a URL or YAML would have to quote.
  [ -s "$1" ] || openssl rand -base64 96 | tr -dc 'A-Za-z0-9' | head -c 32 >"$1.new"
  [ ! -e "$1.new" ] || mv "$1.new" "$1"
}

if ! good "$authority/ca.crt"; then
  echo "making the authority"
  openssl req -x509 -newkey rsa:3072 -sha256 -nodes -days 3650 -subj "/CN=elk-shipper CA" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "$authority/ca.key" -out "$authority/ca.crt" 2>/dev/null
  rm -f "$OWN"/{elasticsearch,logstash,kibana,shipper}/*.crt # what an old one has signed is worth nothing any more
fi

certificate() { # service, extended key usage
  local folder=$OWN/$1 name=$1
  if ! good "$folder/$name.crt"; then
    echo "making the certificate of $name"
    openssl req -newkey rsa:3072 -sha256 -nodes -subj "/CN=$name" -keyout "$folder/$name.key.new" -out "$folder/request" 2>/dev/null
    openssl x509 -req -in "$folder/request" -CA "$authority/ca.crt" -CAkey "$authority/ca.key" -CAcreateserial -days "$DAYS" -sha256 \
      -extfile <(printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=%s\nbasicConstraints=CA:FALSE\n' "$name" "$2") \
      -out "$folder/$name.crt.new" 2>/dev/null
    # Logstash wants PKCS#8, which is what openssl writes here.
    mv "$folder/$name.key.new" "$folder/$name.key"
    mv "$folder/$name.crt.new" "$folder/$name.crt"
    rm "$folder/request"
  fi
  cp "$authority/ca.crt" "$folder/ca.crt"
}

certificate elasticsearch serverAuth,clientAuth
certificate logstash serverAuth
certificate kibana serverAuth
certificate shipper clientAuth

password "$OWN/elasticsearch/password"
password "$OWN/logstash/password"
password "$OWN/kibana/password"
for key in security encryptedSavedObjects reporting; do password "$OWN/kibana/$key"; done

# As the services take them: variables for their environment.
printf 'LOGSTASH_WRITER_PASSWORD=%s\n' "$(cat "$OWN/logstash/password")" >"$OWN/logstash/environment"
{
  printf 'ELASTICSEARCH_PASSWORD=%s\n' "$(cat "$OWN/kibana/password")"
  printf 'XPACK_SECURITY_ENCRYPTIONKEY=%s\n' "$(cat "$OWN/kibana/security")"
  printf 'XPACK_ENCRYPTEDSAVEDOBJECTS_ENCRYPTIONKEY=%s\n' "$(cat "$OWN/kibana/encryptedSavedObjects")"
  printf 'XPACK_REPORTING_ENCRYPTIONKEY=%s\n' "$(cat "$OWN/kibana/reporting")"
} >"$OWN/kibana/environment"

# The set-up speaks to all of them, once.
cp "$authority/ca.crt" "$OWN/setup/ca.crt"
for service in elasticsearch logstash kibana; do cp "$OWN/$service/password" "$OWN/setup/$service.password"; done

for folder in elasticsearch logstash kibana; do
  chown -R "$ELASTIC_UID:0" "$OWN/$folder"
done
chown -R "$SHIPPER_UID:$SHIPPER_UID" "$OWN/shipper" "$OWN/setup"
for folder in elasticsearch logstash kibana shipper setup; do
  chmod 0500 "$OWN/$folder"
  find "$OWN/$folder" -type f -exec chmod 0400 {} +
done
echo "certificates and passwords are there"
