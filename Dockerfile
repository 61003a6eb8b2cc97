# The server as an image. Give it the engine's socket and a volume for /data (docker-compose.yml does both): jobs are
# then containers beside it. The legacy builder takes this file too.
ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE}
# Optional: where pip looks for packages when it is not the public index.
ARG PIP_FIND_LINKS
ARG PIP_TRUSTED_HOST
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
# The versions first: a change of the code alone installs no dependency again.
COPY constraints.txt pyproject.toml README.md LICENSE /opt/localmaker/
RUN python -c 'import tomllib; print(*tomllib.load(open("/opt/localmaker/pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > /opt/localmaker/requirements.txt \
 && python -m pip install --constraint /opt/localmaker/constraints.txt --requirement /opt/localmaker/requirements.txt "psycopg[binary]"
COPY . /opt/localmaker
RUN python -m pip install --no-deps /opt/localmaker && mkdir -p /etc/localmaker/init/ready.d
# Beyond the container's own loopback: the published port and the jobs' networks. Publish it on 127.0.0.1 only.
ENV LOCALMAKER_HOST=0.0.0.0 LOCALMAKER_DATA_DIR=/data LOCALMAKER_CACHE_DIR=/data/cache LOCALMAKER_INIT_DIR=/etc/localmaker/init
VOLUME /data
EXPOSE 4566
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s CMD ["localmaker", "status", "--init"]
STOPSIGNAL SIGTERM
CMD ["localmaker", "start"]
