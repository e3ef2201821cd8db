#!/bin/sh
# Start a single-node Apache Kafka in the foreground; a data folder that is there is used again.
# KAFKA_LIB: the jars; KAFKA_DATA: where everything is kept; KAFKA_BIND, KAFKA_HOST: listened on, and told to clients.
set -eu
lib=${KAFKA_LIB:-.kafka/lib} data=${KAFKA_DATA:-.kafka/data}
here=$(dirname "$0")
mkdir -p "$data"
if ! ls "$lib"/kafka_*.jar >/dev/null 2>&1; then
    mkdir -p "$lib"
    part=$(realpath "$lib").$$ # two that start at once must not see each other's halves
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$part"
    mv -f "$part"/* "$lib" && rmdir "$part"
fi
sed -e "s|@DATA@|$data|; s|@BIND@|${KAFKA_BIND:-127.0.0.1}|; s|@HOST@|${KAFKA_HOST:-127.0.0.1}|" \
    -e "s|@PORT@|${KAFKA_PORT:-9092}|; s|@CONTROLLER_PORT@|${KAFKA_CONTROLLER_PORT:-9093}|" \
    "$here/server.properties" >"$data/server.properties"
if [ -n "${KAFKA_EXTRA:-}" ]; then cat "$KAFKA_EXTRA" >>"$data/server.properties"; fi
if [ ! -d "$data/log" ]; then
    id=$(java -cp "$lib/*" kafka.tools.StorageTool random-uuid)
    java -cp "$lib/*" kafka.tools.StorageTool format -t "$id" -c "$data/server.properties" >/dev/null
fi
exec java -Xmx512m -cp "$lib/*" kafka.Kafka "$data/server.properties"
