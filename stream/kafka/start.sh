#!/bin/sh
# Start one node of Apache Kafka in the foreground; a data folder that is there is used again.
# KAFKA_LIB: the jars; KAFKA_DATA: where everything is kept; KAFKA_BIND, KAFKA_HOST: listened on, and told to clients;
# KAFKA_VERSION: another than the pom's. For a node among others: KAFKA_NODE, KAFKA_VOTERS, KAFKA_CLUSTER_ID and
# KAFKA_COPIES, of which one less must be in sync. KAFKA_EXTRA: a file of further properties.
set -eu
lib=${KAFKA_LIB:-.kafka/lib${KAFKA_VERSION:+-$KAFKA_VERSION}} data=${KAFKA_DATA:-.kafka/data}
here=$(dirname "$0") node=${KAFKA_NODE:-1} controller=${KAFKA_CONTROLLER_PORT:-9093} copies=${KAFKA_COPIES:-1}
mkdir -p "$data"
if ! ls "$lib"/kafka_*.jar >/dev/null 2>&1; then
    mkdir -p "$lib"
    part=$(realpath "$lib").$$ # two that start at once must not see each other's halves
    mvn -q -B -f "$here/pom.xml" ${KAFKA_VERSION:+-Dkafka.version="$KAFKA_VERSION"} \
        dependency:copy-dependencies -DoutputDirectory="$part"
    mv -f "$part"/* "$lib" && rmdir "$part"
fi
if [ "${1:-}" = jars ]; then exit; fi # no more than to fetch them
sed -e "s|@DATA@|$data|; s|@BIND@|${KAFKA_BIND:-127.0.0.1}|; s|@HOST@|${KAFKA_HOST:-127.0.0.1}|" \
    -e "s|@PORT@|${KAFKA_PORT:-9092}|; s|@CONTROLLER_PORT@|$controller|; s|@NODE@|$node|" \
    -e "s|@VOTERS@|${KAFKA_VOTERS:-$node@127.0.0.1:$controller}|" \
    -e "s|@COPIES@|$copies|; s|@IN_SYNC@|$((copies > 1 ? copies - 1 : 1))|" \
    "$here/server.properties" >"$data/server.properties"
if [ -n "${KAFKA_EXTRA:-}" ]; then cat "$KAFKA_EXTRA" >>"$data/server.properties"; fi
if [ ! -d "$data/log" ]; then
    id=${KAFKA_CLUSTER_ID:-$(java -cp "$lib/*" kafka.tools.StorageTool random-uuid)}
    java -XX:TieredStopAtLevel=1 -cp "$lib/*" kafka.tools.StorageTool format -t "$id" -c "$data/server.properties" >/dev/null
fi
exec java -Xmx512m -cp "$lib/*" kafka.Kafka "$data/server.properties"
