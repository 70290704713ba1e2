# An image of mapek, made from its Debian package. `make image` builds both:
#
#   docker run -p 8000:8000 -v mapek:/var/lib/mapek -e MAPEK_TOKENS=admin:write:… \
#       -v /var/run/docker.sock:/var/run/docker.sock --group-add "$(stat -c %g /var/run/docker.sock)" mapek
#
# Clients that do not use `localhost` need MAPEK_ALLOWED_HOSTS with the names or addresses that they use. The context is
# the folder with the package.
ARG BASE=debian:bookworm-slim
FROM ${BASE}

COPY mapek_*.deb /tmp/
# If the base has what the package needs, no mirror is asked. The token that the installation makes would be the same in
# every container of the image.
RUN { dpkg --install /tmp/mapek_*.deb || { apt-get update && apt-get install --yes --no-install-recommends --fix-broken; }; } \
    && rm -rf /tmp/mapek_*.deb /var/lib/apt/lists/* /etc/mapek/tokens /etc/mapek/admin.token

USER mapek
VOLUME /var/lib/mapek
ENV MAPEK_DATA_DIR=/var/lib/mapek MAPEK_LISTEN=0.0.0.0:8000
EXPOSE 8000
ENTRYPOINT ["mapek"]
CMD ["serve"]
