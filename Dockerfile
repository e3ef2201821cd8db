# Two images: `app` holds every `credit` command for serving, `kafka` a single-node Apache Kafka for development.
FROM python:3.11-slim AS app
WORKDIR /app
RUN useradd --create-home credit && mkdir --mode=1777 /log
COPY requirements-serve.txt ./
# What no door imports goes in the same step: tests of libraries, their sources in C, ONNX Runtime's tools for training.
RUN pip install --no-cache-dir --require-hashes -r requirements-serve.txt && \
    cd "$(python -c 'import onnxruntime; print(onnxruntime.__path__[0])')/.." && \
    find . -depth \( -type d -name tests -o -name '*.pyi' -o -name '*.[ach]' -o -name '*.pyx' \) -exec rm -rf {} + && \
    rm -rf onnxruntime/quantization onnxruntime/tools onnxruntime/transformers
COPY . ./
USER credit
ENV PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
ENTRYPOINT ["python", "-m", "cli.start"]
CMD ["--help"]

FROM maven:3.9-eclipse-temurin-17 AS kafka
WORKDIR /app
COPY stream/kafka stream/kafka
RUN mvn -q -B -f stream/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=/app/.kafka/lib
ENV KAFKA_LIB=/app/.kafka/lib KAFKA_DATA=/data KAFKA_BIND=0.0.0.0 KAFKA_HOST=kafka
CMD ["stream/kafka/start.sh"]
