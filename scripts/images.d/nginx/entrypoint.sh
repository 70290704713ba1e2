#!/bin/sh
# Starts nginx in one of three roles, given as the first parameter:
#
#   app       (default) tells which container answered; /notes/ goes to DATA_TIER (host:port) if set
#   store     keeps what is PUT to it, gives it back on GET: a small data tier
#   balancer  503 until a hook writes a pool of servers into the site
#
# Anything else is run as it is: `nginx -t`, `sh`.
set -eu

site=/etc/nginx/conf.d/default.conf

app_site() {
    cat <<-SITE
	server {
	    listen 80 default_server;
	    add_header X-Served-By \$hostname always;
	    location / { return 200 "app server \$hostname\n"; }
	SITE
    if [ -n "${DATA_TIER:-}" ]; then
        echo "    location /notes/ { proxy_pass http://$DATA_TIER/; }"
    fi
    echo "}"
}

store_site() {
    # The temporary file must lie on the store's own file system, or each PUT is copied.
    mkdir -p /var/lib/store/.incoming
    chown -R www-data:www-data /var/lib/store
    cat <<-SITE
	server {
	    listen 80 default_server;
	    add_header X-Served-By \$hostname always;
	    client_max_body_size 1m;
	    client_body_temp_path /var/lib/store/.incoming;
	    location / {
	        root /var/lib/store;
	        dav_methods PUT DELETE;
	        create_full_put_path on;
	        autoindex on;
	    }
	    location /.incoming { return 404; }
	}
	SITE
}

balancer_site() {
    cat <<-SITE
	server {
	    listen 80 default_server;
	    location / { return 503 "no server in the pool yet\n"; }
	}
	SITE
}

role=${1:-app}
case $role in
    app | store | balancer)
        # A restarted container keeps the site that a hook wrote.
        [ -s "$site" ] || "${role}_site" >"$site"
        exec nginx -g 'daemon off;'
        ;;
    *) exec "$@" ;;
esac
