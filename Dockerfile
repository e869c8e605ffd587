# The first study in a container; see "Container" in the README.
# Another one: docker run ... formerbench make report CONFIG=config/naive.yaml
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home bench
USER bench
WORKDIR /home/bench/formerbench
COPY --chown=bench:bench . .
# A CUDA build of torch: --build-arg TORCH="torch==2.13.0 --index-url <the address that pytorch.org names>"
ARG TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
RUN make .venv/installed TORCH="$TORCH" && mkdir -p results
ENV PATH=/home/bench/formerbench/.venv/bin:$PATH
CMD ["make", "report"]
