# The shipper, as a user without rights and with nothing to write to but its volumes.
#
#   docker build -t elk-shipper .
#   docker run --read-only -v /var/log/orders:/logs:ro -v state:/var/lib/shipper -v $PWD/shipper.yml:/etc/shipper/shipper.yml:ro elk-shipper
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY parser parser
COPY shipper shipper
COPY logstash logstash
COPY kibana kibana
RUN python3 -m venv /opt/shipper && /opt/shipper/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 shipper && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/shipper shipper \
 && install -d -o shipper -g shipper -m 0750 /var/lib/shipper /logs
COPY --from=build /opt/shipper /opt/shipper
ENV PATH=/opt/shipper/bin:$PATH SHIPPER_HOME=/var/lib/shipper PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /var/lib/shipper
# SIGTERM delivers what has been read: give it the time (docker stop --time 60).
STOPSIGNAL SIGTERM
ENTRYPOINT ["shipper"]
CMD ["run", "-c", "/etc/shipper/shipper.yml"]
