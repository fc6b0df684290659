#!/usr/bin/env bash
# The four jobs with curl and openssl alone: the page's commands, and signatures as old scripts make them (RPC V1, OSS V1).
# client.sh REGION BUCKET KEY REFUSED_KEY OUT
set -euo pipefail
region=$1 bucket=$2 key=$3 refused=$4 out=$5
imds=http://100.100.100.200/latest

get() { curl -sS --fail-with-body --max-time 20 "$@"; }
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" <<<"$2" | head -1; }
sign() { printf %s "$1" | openssl dgst -sha1 -hmac "$2" -binary | base64; }
encode() { # RFC 3986, one argument
  local LC_ALL=C text=$1 i c
  for ((i = 0; i < ${#text}; i++)); do
    c=${text:i:1}
    case $c in [a-zA-Z0-9.~_-]) printf %s "$c" ;; *) printf '%%%02X' "'$c" ;; esac
  done
}

printf '{"job":"versions","curl":"%s","openssl":"%s"}\n' "$(curl --version | awk 'NR==1{print $2}')" "$(openssl version | awk '{print $2}')"

token=$(get -X PUT "$imds/api/token" -H 'X-aliyun-ecs-metadata-token-ttl-seconds: 600')
plain=$(curl -sS -o /dev/null -w '%{http_code}' "$imds/meta-data/ram/security-credentials/")
role=$(get -H "X-aliyun-ecs-metadata-token: $token" "$imds/meta-data/ram/security-credentials/")
json=$(get -H "X-aliyun-ecs-metadata-token: $token" "$imds/meta-data/ram/security-credentials/$role")
json=$(tr -d '\n' <<<"$json")
id=$(field AccessKeyId "$json") secret=$(field AccessKeySecret "$json") sts=$(field SecurityToken "$json")
printf '{"job":"credentials","prefix":"%s","role":"%s","without_token":%s}\n' "${id:0:4}" "$role" "$plain"

query="AccessKeyId=$(encode "$id")&Action=GetCallerIdentity&Format=JSON&SecurityToken=$(encode "$sts")"
query+="&SignatureMethod=HMAC-SHA1&SignatureNonce=$(openssl rand -hex 16)&SignatureVersion=1.0"
query+="&Timestamp=$(encode "$(date -u +%Y-%m-%dT%H:%M:%SZ)")&Version=2015-04-01"
signature=$(sign "GET&%2F&$(encode "$query")" "$secret&")
answer=$(get "https://sts.$region.aliyuncs.com/?$query&Signature=$(encode "$signature")")
printf '{"job":"identity","arn":"%s"}\n' "$(field Arn "$answer")"

oss() { # oss KEY FILE: prints the status
  local date signature
  date=$(LC_ALL=C TZ=GMT date '+%a, %d %b %Y %H:%M:%S GMT')
  signature=$(sign $'GET\n\n\n'"$date"$'\n'"x-oss-security-token:$sts"$'\n'"/$bucket/$1" "$secret")
  curl -sS --max-time 20 -o "$2" -w '%{http_code}' -H "Date: $date" -H "x-oss-security-token: $sts" \
    -H "Authorization: OSS $id:$signature" "https://$bucket.oss-$region.aliyuncs.com/$1"
}
status=$(oss "$key" "$out")
[ "$status" = 200 ]
printf '{"job":"download","sha256":"%s"}\n' "$(sha256sum "$out" | cut -d' ' -f1)"

status=$(oss "$refused" "$out.error")
code=$(sed -n 's/.*<Code>\([^<]*\)<.*/\1/p' "$out.error") ec=$(sed -n 's/.*<EC>\([^<]*\)<.*/\1/p' "$out.error")
printf '{"job":"refused","status":%s,"code":"%s","ec":"%s"}\n' "$status" "$code" "$ec"
